//! Breaks of a path: times in which less is sent, so that its server comes to the end of what it has to read.

use std::time::{Duration, Instant};

use super::Window;
use crate::secure::tuning::{
    BREAK_INTERVAL_FAR, PROMPT_ROUND_TRIP, ROUND_TRIPS_BETWEEN_BREAKS, SHORTEST_BREAK, UNSHAPED_RATE,
};

/// A break, which is over when a block that was sent in it is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Break {
    pub(super) since: Instant,
    /// By how many bytes on the wire the window is smaller: far away by half of it at the most, near by all of it, which shows the delay
    /// of the empty path.
    pub(super) less: usize,
}

impl Window {
    /// Whether a break is due. `interval` is how long the last one must be ago on a near path with this delay; far ones have their own.
    pub(super) fn poll_break_due(
        &mut self,
        now: Instant,
        interval: impl FnOnce(Duration) -> Duration,
    ) -> bool {
        let last = *self.last_break.get_or_insert(now);
        let (is_worth_it, interval) = if self.is_far() {
            (
                self.is_fast() && self.slow_start.is_none(),
                BREAK_INTERVAL_FAR.max(ROUND_TRIPS_BETWEEN_BREAKS * self.round_trip().unwrap_or_default()),
            )
        } else {
            let is_prompt = self.round_trip().is_some_and(|delay| delay <= PROMPT_ROUND_TRIP);
            (is_prompt, interval(self.base.get().unwrap_or_default()))
        };
        self.takes_breaks && is_worth_it && now.saturating_duration_since(last) >= interval
    }

    /// Takes a break.
    pub(super) fn take_due_break(&mut self, now: Instant) {
        match self.rate() {
            Some(rate) if self.is_far() => self.take_far_break(now, rate),
            _ => {
                self.take_break(now, usize::MAX);
            }
        }
    }

    /// Takes a break on a path that is far away: the window becomes smaller by one and a half times what waits, and by what is carried in
    /// [`SHORTEST_BREAK`]. Shows what the jitter is.
    fn take_far_break(&mut self, now: Instant, rate: f64) {
        let queue = self.wait(self.round_trip().unwrap_or_default());
        let less = rate * (queue + queue / 2 + SHORTEST_BREAK).as_secs_f64();
        let less = (less as usize).min(self.limit / 2);
        if !self.take_break(now, less) {
            return;
        }
        let gone = now + Duration::from_secs_f64(less as f64 / rate);
        let left = self.queue_of((self.limit - less).max(self.two_blocks()), rate);
        self.jitter.on_break(gone, left);
    }

    /// The queue if the path carries this rate and so much is on its way.
    pub(super) fn queue_of(&self, bytes: usize, rate: f64) -> Duration {
        self.wait(Duration::from_secs_f64(bytes as f64 / rate))
    }

    /// Takes a break, unless nothing else is on its way. Whether it does.
    pub(super) fn take_break(&mut self, now: Instant, less: usize) -> bool {
        let is_busy = self.blocks > 1;
        if is_busy {
            (self.current_break, self.last_break) = (Some(Break { since: now, less }), Some(now));
        }
        is_busy
    }

    /// Whether an empty path takes so long that it cannot be left empty now and then.
    pub(super) fn is_far(&self) -> bool {
        self.base.get().is_some_and(|base| base > PROMPT_ROUND_TRIP)
    }

    /// Whether it carries so much in the long run that breaks and a wider window are worth their price.
    pub(super) fn is_fast(&self) -> bool {
        self.rate().is_some_and(|rate| rate >= UNSHAPED_RATE)
    }
}
