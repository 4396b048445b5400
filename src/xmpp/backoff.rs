//! Back-off: how long to wait before the next attempt. Pure: randomness comes in, durations go out.

use std::time::{Duration, Instant};

/// The first delay, before jitter: 1 second. It doubles with each failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest delay: 30 seconds, so that a user waits no longer for a server that is back.
const LONGEST: Duration = Duration::from_secs(30);
/// Between two attempts that are made at once after a cut there are 10 seconds: where each connection is cut as soon as it is made, a
/// server gets one more login in that time, and no more.
const BETWEEN_IMMEDIATE: Duration = Duration::from_secs(10);

/// The shortest delay: 100 ms, so that jitter never lets one attempt follow another at once.
const SHORTEST: Duration = Duration::from_millis(100);

/// Exponential back-off with full jitter.
///
/// The `n`th delay lies anywhere up to `2^n` seconds, at most 30 seconds: so the many clients of a server that restarts come back evenly
/// spread, and not in waves. Once it is exhausted it is 15 seconds at least.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// When an attempt was made at once.
    immediate: Option<Instant>,
}

impl Backoff {
    /// The delay before the next attempt. `random` is uniform in `0.0..1.0`.
    pub(super) fn next_delay(&mut self, random: f64) -> Duration {
        let full = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
        let shortest = if self.failures == u32::MAX { full / 2 } else { SHORTEST };
        self.failures = self.failures.saturating_add(1);
        shortest + (full - shortest).mul_f64(random.clamp(0.0, 1.0))
    }

    /// The delay before the next attempt when a connection that worked was cut: none, or the one after a first failure if there was an
    /// attempt at once not long ago. The delays that follow grow from there.
    pub(super) fn delay_after_cut(&mut self, now: Instant, random: f64) -> Duration {
        self.reset();
        if self.immediate.is_some_and(|at| now < at + BETWEEN_IMMEDIATE) {
            return self.next_delay(random);
        }
        self.immediate = Some(now);
        Duration::ZERO
    }

    /// All is well: begin at the shortest delay next time.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Go to the longest delay at once, and stay there until [`reset`](Self::reset).
    pub(super) fn exhaust(&mut self) {
        self.failures = u32::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_one_second_to_half_a_minute() {
        let mut backoff = Backoff::default();
        let delays: Vec<u64> = (0..9).map(|_| backoff.next_delay(1.0).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30, 30, 30]);
    }

    #[test]
    fn jitter_takes_nearly_all_but_half_of_the_delay_of_those_who_are_exhausted() {
        assert_eq!(Backoff::default().next_delay(0.0), SHORTEST);
        assert_eq!(Backoff::default().next_delay(0.5), Duration::from_millis(550));
        let mut backoff = Backoff::default();
        backoff.exhaust();
        assert_eq!(backoff.next_delay(0.0), LONGEST / 2);
    }

    #[test]
    fn after_a_cut_the_first_attempt_is_made_at_once_and_further_ones_are_not() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        assert_eq!(backoff.delay_after_cut(start, 1.0), Duration::ZERO);
        assert_eq!(backoff.next_delay(1.0), FIRST);
        assert_eq!(backoff.delay_after_cut(start + FIRST, 1.0), FIRST, "again so soon");
        assert_eq!(backoff.next_delay(1.0), 2 * FIRST);
        assert_eq!(backoff.delay_after_cut(start + BETWEEN_IMMEDIATE, 1.0), Duration::ZERO);
    }

    #[test]
    fn success_begins_anew_and_exhaustion_does_not_overflow() {
        let mut backoff = Backoff::default();
        backoff.exhaust();
        assert_eq!(backoff.next_delay(1.0), LONGEST);
        assert_eq!(backoff.next_delay(1.0), LONGEST);
        backoff.reset();
        assert_eq!(backoff.next_delay(1.0), FIRST);
    }
}
