//! Slow start: how a window opens while the rate of its path is not known.
//!
//! As in TCP (RFC 5681 section 3.1) the window grows by what is answered, so that it doubles with each round trip, near by half of
//! that, and far away by twice as much as long as it is small. As in HyStart++ (RFC 9406) it has grown enough when even
//! the fastest answer of a round, which is a round trip of the window, has waited. A single late answer only holds the growth up: a
//! server may rest for a moment. Near it is enough, since a shaper is the likelier reason there, and what is lost is soon regained.

use std::time::{Duration, Instant};

use crate::secure::tuning::{FAST_GROWTH, INITIAL_WINDOW, LATE, LONG_QUEUE, PROMPT_ROUND_TRIP, SHAPER_BURST};

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
    round: Option<Round>,
}

/// The answers to what was sent within a round trip.
#[derive(Debug)]
struct Round {
    /// What is sent from then on belongs to the next one.
    since: Instant,
    /// When the last answer came.
    last: Instant,
    bytes: usize,
    /// The shortest wait of an answer.
    shortest: Option<Duration>,
    /// Whether the window has been what held up the sender all the time.
    is_full: bool,
    /// Whether it was found too large.
    is_judged: bool,
}

impl Round {
    fn starting(now: Instant) -> Self {
        Self { since: now, last: now, bytes: 0, shortest: None, is_full: true, is_judged: false }
    }

    fn add(&mut self, block: &Answered) {
        self.last = block.now;
        self.bytes += block.size;
        self.shortest = Some(self.shortest.map_or(block.queued, |shortest| shortest.min(block.queued)));
        self.is_full &= block.full.is_some();
    }

    /// Whether even the fastest answer has waited.
    fn has_waited(&self) -> bool {
        self.shortest.is_some_and(is_queue)
    }

    /// Bytes a second; none while it was too short to tell, or while something else than the window held up the sender.
    fn rate(&self) -> Option<f64> {
        let time = self.last.saturating_duration_since(self.since);
        (self.is_full && time >= LATE).then(|| self.bytes as f64 / time.as_secs_f64())
    }
}

/// Whether what waited so long was in a queue that need not be longer.
fn is_queue(wait: Duration) -> bool {
    wait > LATE
}

impl SlowStart {
    pub(super) fn on_answered(&mut self, block: &Answered) -> Verdict {
        self.answered += block.size;
        if let Some(rate) =
            self.take_round_that_is_over(block).filter(Round::has_waited).and_then(|over| over.rate())
        {
            return Verdict::Enough(Some(rate));
        }
        if block.base <= LATE && is_queue(block.queued) {
            return Verdict::Enough(None);
        }
        let round = self.round.get_or_insert_with(|| Round::starting(block.now));
        round.add(block);
        if block.queued > LONG_QUEUE
            && !round.is_judged
            && round.last - round.since >= block.base
            && let Some(rate) = round.rate()
        {
            round.is_judged = true;
            return Verdict::TooLarge(rate);
        }
        let window = block.full.filter(|_| !is_queue(block.queued));
        Verdict::Grow(window.map_or(0, |window| self.growth(block, window)))
    }

    /// The round that this block ends, as the first of the next one.
    fn take_round_that_is_over(&mut self, block: &Answered) -> Option<Round> {
        let over = self.round.take_if(|round| block.sent >= round.since)?;
        self.round = Some(Round::starting(over.last));
        // Where nothing was on its way for some time, the round tells nothing.
        let is_idle = block.sent.saturating_duration_since(over.last) > LATE;
        if is_idle {
            self.round = None;
        }
        (!is_idle).then_some(over)
    }

    /// Shapers let a burst pass before they begin, and what is on its way when it ends has to wait. So the window grows only after
    /// that, but for one step where a round trip is long.
    fn growth(&self, block: &Answered, window: usize) -> usize {
        let is_first_window = self.answered <= INITIAL_WINDOW;
        if is_first_window && block.base > PROMPT_ROUND_TRIP {
            block.size
        } else if self.answered <= SHAPER_BURST {
            0
        } else if block.base <= LATE {
            block.size / 2
        } else if window < FAST_GROWTH {
            2 * block.size
        } else {
            block.size
        }
    }
}
