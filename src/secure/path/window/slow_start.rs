//! Slow start: how a window opens while the rate of its path is not known.
//!
//! As in TCP (RFC 5681 section 3.1) the window grows by what is answered, so that it doubles with each round trip, near by half of
//! that, and far away by twice as much as long as it is small. As in HyStart++ (RFC 9406) it has grown enough when even
//! the fastest answer of a round, which is a round trip of the window, has waited. A single late answer says little: a server may
//! rest for a moment. It only holds the growth up.

use std::time::{Duration, Instant};

use crate::secure::tuning::{
    FAST_GROWTH, HEADROOM, INITIAL_WINDOW, LONG_QUEUE, PROMPT_ROUND_TRIP, SHAPER_BURST,
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
    /// The window, in bytes on the wire, if it was what held up the sender: otherwise it need not be larger.
    pub(super) full: Option<usize>,
}

/// What becomes of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It becomes larger by so many bytes on the wire.
    Grow(usize),
    /// It is too large for now: so many bytes a second are answered.
    TooLarge(f64),
    /// It is large enough, where so many bytes a second are answered.
    Enough(f64),
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
    /// The shortest wait of an answer.
    shortest: Option<Duration>,
    bytes: usize,
}

impl Round {
    fn starting(now: Instant) -> Self {
        Self { since: now, shortest: None, bytes: 0 }
    }

    /// Bytes a second until now; none while that is too short a time.
    fn rate(&self, now: Instant) -> Option<f64> {
        let time = now.saturating_duration_since(self.since);
        (time >= HEADROOM).then(|| self.bytes as f64 / time.as_secs_f64())
    }
}

/// Whether what waited so long was in a queue that need not be longer.
fn is_queue(wait: Duration) -> bool {
    wait > HEADROOM
}

impl SlowStart {
    pub(super) fn on_answered(&mut self, block: &Answered) -> Verdict {
        self.answered += block.size;
        let round = self.round.get_or_insert_with(|| Round::starting(block.sent));
        if block.sent >= round.since {
            let over = std::mem::replace(round, Round::starting(block.now));
            if let Some(rate) = over.rate(block.now).filter(|_| over.shortest.is_some_and(is_queue)) {
                return Verdict::Enough(rate);
            }
        }
        round.bytes += block.size;
        round.shortest = Some(round.shortest.map_or(block.queued, |shortest| shortest.min(block.queued)));
        if block.queued > LONG_QUEUE
            && let Some(rate) = round.rate(block.now)
        {
            return Verdict::TooLarge(rate);
        }
        let window = block.full.filter(|_| !is_queue(block.queued));
        Verdict::Grow(window.map_or(0, |window| self.growth(block, window)))
    }

    /// Shapers let a burst pass before they begin, and what is on its way when it ends has to wait. So the window grows only after
    /// that, but for one step where a round trip is long.
    fn growth(&self, block: &Answered, window: usize) -> usize {
        let is_first_window = self.answered <= INITIAL_WINDOW;
        if is_first_window && block.base > PROMPT_ROUND_TRIP {
            block.size
        } else if self.answered <= SHAPER_BURST {
            0
        } else if block.base <= HEADROOM {
            block.size / 2
        } else if window < FAST_GROWTH {
            2 * block.size
        } else {
            block.size
        }
    }
}
