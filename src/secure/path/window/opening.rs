//! Opening of a window: slow start and its end, and that of a window that has become too small for its path.

use std::time::Instant;

use super::slow_start::{Answered, SlowStart, Verdict};
use super::{PeakRate, Window};
use crate::secure::tuning::{
    BELOW_TOO_LARGE, INITIAL_WINDOW, LARGEST_WINDOW, QUIET_ROUNDS, QUIET_ROUNDS_ABOVE, SHAPER_BURST,
    UNSHAPED_RATE,
};

impl Window {
    /// What follows from a block that is answered now, while the rate of the path is not known.
    pub(super) fn open_slowly(&mut self, now: Instant, sent: Instant, bytes: usize) {
        let size = self.wire_size(bytes);
        let is_used = self.is_used() && self.was_filled_since(sent);
        let delay = now.saturating_duration_since(sent);
        let base = self.base.get().map_or(delay, |base| base.min(delay));
        let full = is_used.then_some(self.limit);
        let wait = delay - base;
        let queued = wait.saturating_sub(self.jitter());
        let usual_wait = self.wait(self.round_trip().unwrap_or_default());
        let answered = Answered { now, sent, wait, usual_wait, queued, base, size, full };
        // Only the breaks of a far path show when there is no jitter any more.
        let has_breaks = self.takes_breaks && self.is_far();
        let Some(slow_start) = &mut self.slow_start else {
            if has_breaks {
                self.reopen(&answered);
            }
            return;
        };
        let verdict = slow_start.on_answered(&answered);
        if let Some(wait) = slow_start.take_wait_without_queue().filter(|_| has_breaks) {
            self.jitter.on_wait_without_queue(wait);
        }
        self.follow(verdict, &answered);
    }

    fn follow(&mut self, verdict: Verdict, answered: &Answered) {
        match verdict {
            Verdict::Burst(limit) => {
                self.limit = limit;
                self.size.suit_window(answered.now, limit);
            }
            Verdict::Grow(0) => {}
            Verdict::Grow(bytes) => self.grow(answered.now, bytes),
            Verdict::TooLarge(rate) => {
                self.note_too_large();
                self.shrink_to(rate, answered);
            }
            Verdict::Enough(rate) => {
                self.slow_start = None;
                if let Some(rate) = rate {
                    self.shrink_to(rate, answered);
                }
            }
        }
    }

    /// Makes the window larger. One that opens again does so as far as its ceiling.
    fn grow(&mut self, now: Instant, bytes: usize) {
        self.limit = (self.limit + bytes).min(LARGEST_WINDOW);
        let is_careful = self.slow_start.as_ref().is_some_and(SlowStart::is_careful);
        if is_careful && self.ceiling.is_some_and(|ceiling| self.limit >= ceiling) {
            self.slow_start = None;
        }
        self.size.suit_window(now, self.limit);
    }

    /// The window was found too large. The first time, a server may just have rested. When it happens again at about the same size, that is what
    /// the path holds, and the window grows with care from then on.
    fn note_too_large(&mut self) {
        let is_confirmed = self.ceiling.is_some_and(|ceiling| self.limit <= 2 * ceiling);
        if let Some(slow_start) = self.slow_start.as_mut().filter(|_| is_confirmed) {
            slow_start.set_careful();
        }
        self.ceiling = Some((self.limit as f64 * BELOW_TOO_LARGE) as usize);
    }

    /// Opens the window again if it holds less than the path: soon as far as it was too large, and farther when there was no queue for long.
    fn reopen(&mut self, answered: &Answered) {
        let is_above = self.ceiling.is_some_and(|ceiling| self.limit >= ceiling);
        let rounds = if is_above || !self.is_fast() { QUIET_ROUNDS_ABOVE } else { QUIET_ROUNDS };
        let Some(again) = self.reopening.on_answered(answered, rounds) else { return };
        self.ceiling = self.ceiling.filter(|_| !is_above);
        self.start_slowly(again);
    }

    /// Makes the window as small as suits this rate. It keeps half of its size, since a server may just have rested, and where there is no
    /// shaper, what a shaper would let pass. On a far path, what answers wait for from then on shows whether it was too large at all.
    fn shrink_to(&mut self, rate: f64, answered: &Answered) {
        let is_unshaped = rate >= UNSHAPED_RATE;
        let least = if is_unshaped { SHAPER_BURST + INITIAL_WINDOW } else { 0 };
        self.limit = self.limit.min(self.limit_at(rate).max(self.limit / 2).max(least));
        if is_unshaped && self.takes_breaks && self.is_far() {
            // The queue goes within its own length, which is less than half a round trip for most; what is sent in the next one shows.
            let gone = answered.now + answered.base / 2;
            let left = self.queue_of(self.limit, rate);
            self.jitter.on_shrunk((gone, gone + answered.base), left, answered.wait);
            self.last_break = Some(answered.now);
        }
    }

    /// The window was made smaller for jitter that was taken for a queue.
    pub(super) fn resume_slow_start(&mut self) {
        self.ceiling = None;
        self.start_slowly(SlowStart::resumed());
    }

    /// The window opens, whatever rates have shown: they were no more than it let through.
    fn start_slowly(&mut self, slow_start: SlowStart) {
        self.slow_start = Some(slow_start);
        self.peak = PeakRate::default();
    }
}
