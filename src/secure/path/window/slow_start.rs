//! Slow start: how a window opens while the rate of its path is not known.
//!
//! As in TCP (RFC 5681 section 3.1) the window grows with each answer, by as many bytes as were answered, so that it doubles in a round
//! trip. On a near path it grows by half as much; on others by three times as much while it is small, and by half as much when a queue
//! begins to show or the window has been open before: what is sent too much waits for as long as it takes to notice.
//!
//! As in HyStart++ (RFC 9406) it is large enough when even the fastest answer of a round has waited; a round is what is sent within one
//! round trip, and two or more count together where they are small. A single late answer only holds the growth up, since a server may
//! rest for a moment. On a near path a single late answer ends slow start: there a shaper is the likelier reason. A queue that is far too
//! long makes the window smaller before its round is over.

use std::time::{Duration, Instant};

use crate::secure::tuning::{
    FAST_GROWTH, INITIAL_WINDOW, LATE, LONG_QUEUE, NEAR, PROMPT_ROUND_TRIP, QUIET, QUIET_ANSWERS,
    SHAPER_BURST, WAITED_ANSWERS,
};

/// A block that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) now: Instant,
    pub(super) sent: Instant,
    /// How long it waited.
    pub(super) queued: Duration,
    /// What the path takes there and back while nothing is queued.
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
    /// Answers of the latest rounds, in all of which even the fastest has waited.
    waited: usize,
    round: Option<Round>,
    /// The rate was known once.
    is_again: bool,
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
        }
    }

    fn add(&mut self, block: &Answered) {
        self.last = block.now;
        self.bytes += block.size;
        self.answers += 1;
        self.shortest = Some(self.shortest.map_or(block.queued, |shortest| shortest.min(block.queued)));
        self.is_full &= block.full.is_some();
        self.loud += usize::from(block.queued > QUIET);
    }

    /// Whether the window held up the sender all the time, and hardly anything waited.
    fn is_quiet(&self) -> bool {
        self.is_full && self.answers >= QUIET_ANSWERS && 4 * self.loud <= self.answers
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
        Self { answered: SHAPER_BURST + 1, is_again: true, ..Self::default() }
    }

    pub(super) fn is_again(&self) -> bool {
        self.is_again
    }

    pub(super) fn on_answered(&mut self, block: &Answered) -> Verdict {
        self.answered += block.size;
        if let Some(over) = take_over(&mut self.round, block) {
            self.waited = if over.has_waited() { self.waited + over.answers } else { 0 };
            if let Some(rate) = over.rate().filter(|_| self.waited >= WAITED_ANSWERS) {
                return Verdict::Enough(Some(rate));
            }
        }
        if block.is_near() && is_queue(block.queued) {
            return Verdict::Enough(None);
        }
        let round = self.round.get_or_insert_with(|| Round::starting(block.now));
        round.add(block);
        if let Some(rate) = round.judge(block) {
            return Verdict::TooLarge(rate);
        }
        let window = block.full.filter(|_| !is_queue(block.queued));
        Verdict::Grow(window.map_or(0, |window| self.growth(block, window)))
    }

    /// Shapers let a burst pass before they begin, and what is on its way when it ends has to wait. So the window grows only after
    /// that; where a round trip is long it becomes as large as the rest of the burst at once.
    fn growth(&self, block: &Answered, window: usize) -> usize {
        if self.answered <= SHAPER_BURST {
            let rest = (SHAPER_BURST + INITIAL_WINDOW).saturating_sub(self.answered + window);
            // The answers to one window of four blocks open it for the rest.
            if block.base > PROMPT_ROUND_TRIP { rest.min(4 * block.size) } else { 0 }
        } else if block.is_near() {
            block.size / 2
        } else if window < FAST_GROWTH && !self.is_again {
            3 * block.size
        } else if block.queued <= QUIET && !self.is_again {
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
