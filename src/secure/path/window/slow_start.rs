//! Slow start: how a window opens while the rate of its path is not known.
//!
//! As in TCP (RFC 5681 section 3.1) the window grows with each answer, by as many bytes as were answered, so that it doubles in a round
//! trip. On a near path it grows by half as much; on others by three times as much while it is small, and by half as much when a queue
//! begins to show or the window has been open before: what is sent too much waits for as long as it takes to notice.
//!
//! As in HyStart++ (RFC 9406) it is large enough when even the fastest answer of a round has waited; a round is what is sent within one
//! round trip, and two or more count together where they are small. A single late answer only holds the growth up, since a server may
//! rest for a moment. Nor is it large enough while the rate still grows with it. On a near path a single late answer ends slow start: there a
//! shaper is the likelier reason. A queue that is far too long makes the window smaller before its round is over.

use std::time::{Duration, Instant};

use crate::secure::tuning::{
    BURST_LASTS, FAST_GROWTH, GROWN_RATE, INITIAL_WINDOW, LATE, LONG_QUEUE, LONGEST_JITTER, NEAR,
    PROMPT_ROUND_TRIP, QUIET, QUIET_ANSWERS, SHAPER_BURST, WAITED_ANSWERS, WINDOW_AFTER_BURST,
};

/// A block that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) now: Instant,
    pub(super) sent: Instant,
    /// How much longer it took than `base`.
    pub(super) wait: Duration,
    /// The same of blocks lately, on average.
    pub(super) usual_wait: Duration,
    /// The same without jitter: how long it was queued.
    pub(super) queued: Duration,
    /// The least that the path takes there and back.
    pub(super) base: Duration,
    /// In bytes on the wire.
    pub(super) size: usize,
    /// The window, in bytes on the wire, if it was what held up the sender: otherwise nothing shows whether it is large enough.
    pub(super) full: Option<usize>,
}

impl Answered {
    fn is_near(&self) -> bool {
        self.base <= NEAR
    }
}

/// What becomes of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It becomes larger by so many bytes on the wire.
    Grow(usize),
    /// It becomes so large, in bytes on the wire, while a shaper's burst passes, and when it has passed.
    Burst(usize),
    /// It is too large for now: so many bytes a second are answered.
    TooLarge(f64),
    /// It is large enough, where so many bytes a second are answered, if that is known.
    Enough(Option<f64>),
}

/// The growth so far.
#[derive(Debug, Default)]
pub(super) struct SlowStart {
    /// Bytes on the wire.
    answered: usize,
    /// When the first of them was sent.
    since: Option<Instant>,
    /// Answers of the latest rounds, in all of which even the fastest has waited.
    waited: usize,
    round: Option<Round>,
    /// It grows with care: the rate was known once, or the window was found too large twice.
    is_careful: bool,
    /// The latest round whose rate is known: bytes a second, and how long answers waited on average.
    known: Option<(f64, Duration)>,
    /// How long answers waited in a round that was not the fastest.
    wait_without_queue: Option<Duration>,
}

/// The answers to what was sent within a round trip.
#[derive(Debug)]
struct Round {
    /// What is sent from then on belongs to the next one.
    since: Instant,
    /// When the last answer came.
    last: Instant,
    bytes: usize,
    answers: usize,
    /// The shortest wait of an answer.
    shortest: Option<Duration>,
    /// Whether the window has been what held up the sender all the time.
    is_full: bool,
    /// Whether it was found too large.
    is_judged: bool,
    /// Answers that have waited for longer than [`QUIET`].
    loud: usize,
    /// What all answers together have waited.
    waits: Duration,
}

impl Round {
    fn starting(now: Instant) -> Self {
        Self {
            since: now,
            last: now,
            bytes: 0,
            answers: 0,
            shortest: None,
            is_full: true,
            is_judged: false,
            loud: 0,
            waits: Duration::ZERO,
        }
    }

    fn add(&mut self, block: &Answered) {
        self.last = block.now;
        self.bytes += block.size;
        self.answers += 1;
        self.shortest = Some(self.shortest.map_or(block.queued, |shortest| shortest.min(block.queued)));
        self.is_full &= block.full.is_some();
        self.loud += usize::from(block.queued > QUIET);
        self.waits += block.wait;
    }

    /// Whether the window held up the sender all the time, and hardly anything waited.
    fn is_quiet(&self) -> bool {
        self.is_full && self.answers >= QUIET_ANSWERS && 2 * self.loud <= self.answers
    }

    /// Whether even the fastest answer has waited.
    fn has_waited(&self) -> bool {
        self.shortest.is_some_and(is_queue)
    }

    /// The rate, once in a round, if the queue is far too long.
    fn judge(&mut self, block: &Answered) -> Option<f64> {
        let is_long_enough = self.last - self.since >= block.base;
        if self.is_judged || block.queued <= LONG_QUEUE || !is_long_enough {
            return None;
        }
        let rate = self.rate()?;
        self.is_judged = true;
        Some(rate)
    }

    /// Bytes a second; none while it was too short to tell, or while something else than the window held up the sender.
    fn rate(&self) -> Option<f64> {
        let time = self.last.saturating_duration_since(self.since);
        (self.is_full && time >= LATE).then(|| self.bytes as f64 / time.as_secs_f64())
    }
}

/// Whether so long a wait shows a queue.
fn is_queue(wait: Duration) -> bool {
    wait > LATE
}

impl SlowStart {
    /// Of a window that has been open and is too small by now.
    fn again() -> Self {
        Self { is_careful: true, ..Self::resumed() }
    }

    /// Goes on after an end that came too early. The burst of a shaper counts as passed.
    pub(super) fn resumed() -> Self {
        Self { answered: SHAPER_BURST + 1, ..Self::default() }
    }

    /// From now on the window grows with care.
    pub(super) fn set_careful(&mut self) {
        self.is_careful = true;
    }

    pub(super) fn is_careful(&self) -> bool {
        self.is_careful
    }

    /// How long answers waited on average in a round of which it has just become clear that there was no queue.
    pub(super) fn take_wait_without_queue(&mut self) -> Option<Duration> {
        self.wait_without_queue.take()
    }

    pub(super) fn on_answered(&mut self, block: &Answered) -> Verdict {
        self.answered += block.size;
        self.since.get_or_insert(block.sent);
        if let Some(over) = take_over(&mut self.round, block) {
            self.waited = if over.has_waited() { self.waited + over.answers } else { 0 };
            let is_growing = self.note_rate(&over);
            let wait = over.shortest.unwrap_or_default();
            let is_over = self.waited >= WAITED_ANSWERS && !is_growing && !self.may_be_burst(block, wait);
            if let Some(rate) = over.rate().filter(|_| is_over) {
                return Verdict::Enough(Some(rate));
            }
        }
        if block.is_near() && is_queue(block.queued) {
            return Verdict::Enough(None);
        }
        let round = self.round.get_or_insert_with(|| Round::starting(block.now));
        round.add(block);
        if let Some(rate) = round.judge(block).filter(|_| !self.may_be_burst(block, block.wait)) {
            return Verdict::TooLarge(rate);
        }
        if block.base > PROMPT_ROUND_TRIP && self.answered <= SHAPER_BURST + block.size {
            return Verdict::Burst(self.burst_window(block));
        }
        let window = block.full.filter(|_| !is_queue(block.queued));
        Verdict::Grow(window.map_or(0, |window| self.growth(block, window)))
    }

    /// Whether the rate is still growing. Then the path was not full in the round before, and what answers waited for was no queue.
    fn note_rate(&mut self, over: &Round) -> bool {
        let Some(rate) = over.rate() else { return false };
        let known = self.known.replace((rate, over.waits / over.answers as u32));
        let slower = known.filter(|(before, _)| rate >= GROWN_RATE * before);
        self.wait_without_queue = slower.map(|(_, wait)| wait).or(self.wait_without_queue);
        slower.is_some()
    }

    /// Whether the window is small only because a shaper may begin soon. A longer wait than any jitter is a shaper's.
    fn may_be_burst(&self, block: &Answered, wait: Duration) -> bool {
        !block.is_near() && self.answered <= SHAPER_BURST && wait <= LONGEST_JITTER
    }

    /// Whether a shaper has had time to let more than one burst pass, so that nothing shows that there is none. Where answers are late
    /// for another reason, everything takes that long.
    fn was_slow(&self, block: &Answered) -> bool {
        let took = self.since.map(|since| block.now.saturating_duration_since(since));
        block.usual_wait <= LONG_QUEUE && took.is_some_and(|took| took > BURST_LASTS.max(6 * block.base))
    }

    /// The window of a path that is not prompt, until the burst is over that a shaper lets pass: what is left of the burst, but a first window
    /// at the least, so that no more than that waits if there is a shaper. Each answer makes room
    /// for four blocks more, so that the answers to a first window of four open all of it.
    fn burst_window(&self, block: &Answered) -> usize {
        let left = (SHAPER_BURST + INITIAL_WINDOW).saturating_sub(self.answered).max(INITIAL_WINDOW);
        match block.full.filter(|_| block.wait <= LONGEST_JITTER) {
            None => INITIAL_WINDOW,
            Some(window) if is_queue(block.queued) => left.min(window),
            Some(window) if self.answered > SHAPER_BURST => {
                if self.was_slow(block) {
                    window
                } else {
                    WINDOW_AFTER_BURST
                }
            }
            Some(window) => left.min(window + 4 * block.size),
        }
    }

    /// Shapers let a burst pass before they begin, and what is on its way when it ends has to wait. So the window of a prompt path grows only
    /// after that.
    fn growth(&self, block: &Answered, window: usize) -> usize {
        if self.answered <= SHAPER_BURST {
            0
        } else if block.is_near() || self.is_careful {
            block.size / 2
        } else if window < FAST_GROWTH && !is_queue(block.wait) {
            3 * block.size
        } else if window < FAST_GROWTH || block.queued <= QUIET {
            block.size
        } else {
            block.size / 2
        }
    }
}

/// The round that this block ends, unless nothing was on its way for some time, so that it tells nothing. The block is the first of the
/// next one.
fn take_over(round: &mut Option<Round>, block: &Answered) -> Option<Round> {
    let over = round.take_if(|round| block.sent >= round.since)?;
    if block.sent.saturating_duration_since(over.last) > LATE {
        return None;
    }
    *round = Some(Round::starting(over.last));
    Some(over)
}

/// Watches a far path whose rate is known for signs that it carries more: then its window opens again. Without that it would grow by a
/// sixth in a round trip.
#[derive(Debug, Default)]
pub(super) struct Reopening {
    round: Option<Round>,
    /// Rounds in a row in which hardly anything waited.
    quiet: u32,
}

impl Reopening {
    /// The slow start that is due after so many quiet rounds.
    pub(super) fn on_answered(&mut self, block: &Answered, rounds: u32) -> Option<SlowStart> {
        if let Some(over) = take_over(&mut self.round, block) {
            self.quiet = if over.is_quiet() { self.quiet + 1 } else { 0 };
        }
        self.round.get_or_insert_with(|| Round::starting(block.now)).add(block);
        (self.quiet >= rounds).then(|| {
            *self = Self::default();
            SlowStart::again()
        })
    }
}
