//! Back-off: how long to wait before the next attempt. Pure: randomness comes in, durations go out.

use std::time::{Duration, Instant};

/// The first delay, before jitter: 1 second. It doubles with each failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest delay: 30 seconds, so that a user waits no longer for a server that is back.
const LONGEST: Duration = Duration::from_secs(30);
/// Between two attempts that are made at once there are 10 seconds: where each session ends as soon as it is open, a server gets one more
/// login in that time, and after that as many as the delays allow, which grow.
const BETWEEN_IMMEDIATE: Duration = Duration::from_secs(10);

/// The shortest delay: 100 ms, so that jitter never lets one attempt follow another at once.
const SHORTEST: Duration = Duration::from_millis(100);

/// A server that has had too much is left alone for 1 hour at least: as long as ejabberd's mod_fail2ban shuts an address out.
const SHORTEST_REST: Duration = Duration::from_secs(3600);
/// And for 3 hours at most, so that those who were refused together do not come back together.
const LONGEST_REST: Duration = Duration::from_secs(3 * 3600);
/// A refusal within an hour of the last is one that does not pass.
const REPEATED: Duration = Duration::from_secs(3600);

/// Exponential back-off with full jitter.
///
/// The `n`th delay lies anywhere up to `2^n` seconds, at most 30 seconds: so the many clients of a server that restarts come back evenly
/// spread, and not in waves. Once it is exhausted it is 15 seconds at least.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// When an attempt was made at once.
    immediate: Option<Instant>,
    /// When the server refused us last, for what may not pass.
    refused: Option<Instant>,
    /// The next delay, where it is one of hours.
    rest: Option<Duration>,
}

impl Backoff {
    /// The delay before the next attempt. `random` is uniform in `0.0..1.0`.
    pub(super) fn next_delay(&mut self, random: f64) -> Duration {
        if let Some(rest) = self.rest.take() {
            return rest;
        }
        let full = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
        let shortest = if self.failures == u32::MAX { full / 2 } else { SHORTEST };
        self.failures = self.failures.saturating_add(1);
        shortest + (full - shortest).mul_f64(random.clamp(0.0, 1.0))
    }

    /// The delay before the next attempt where that may well succeed at once: none, or the usual one if there was an attempt at once not
    /// long ago.
    pub(super) fn short_delay(&mut self, now: Instant, random: f64) -> Duration {
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

    /// The server has refused us and does not say why: go to the longest delay, and rest where it is not the first time.
    /// `random` is uniform in `0.0..1.0`.
    pub(super) fn on_refused(&mut self, now: Instant, random: f64) {
        self.exhaust();
        self.rest = self.refused.filter(|at| now < *at + REPEATED).map(|_| draw_rest(random));
        self.refused = Some(now);
    }

    /// The server has had too much: the next delay is one of hours. `random` is uniform in `0.0..1.0`.
    pub(super) fn on_too_much(&mut self, random: f64) {
        self.exhaust();
        self.rest = Some(draw_rest(random));
    }

    /// The next delay, where it is one of hours.
    pub(super) fn rest(&self) -> Option<Duration> {
        self.rest
    }
}

/// A delay of hours; `random` is uniform in `0.0..1.0`.
fn draw_rest(random: f64) -> Duration {
    SHORTEST_REST + (LONGEST_REST - SHORTEST_REST).mul_f64(random.clamp(0.0, 1.0))
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
    fn the_first_attempt_is_made_at_once_and_further_ones_are_not() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        assert_eq!(backoff.short_delay(start, 1.0), Duration::ZERO);
        assert_eq!(backoff.short_delay(start, 1.0), FIRST, "again so soon");
        assert_eq!(backoff.short_delay(start + FIRST, 1.0), 2 * FIRST, "and again");
        assert_eq!(backoff.short_delay(start + BETWEEN_IMMEDIATE, 1.0), Duration::ZERO);
        assert_eq!(backoff.short_delay(start + BETWEEN_IMMEDIATE, 1.0), 4 * FIRST, "it was no success yet");
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

    #[test]
    fn a_server_that_has_had_too_much_is_left_alone_for_hours_once() {
        let mut backoff = Backoff::default();
        for (random, hours) in [(0.0, 1), (1.0, 3)] {
            backoff.on_too_much(random);
            assert_eq!(backoff.rest(), Some(Duration::from_secs(hours * 3600)));
            assert_eq!(backoff.next_delay(1.0), Duration::from_secs(hours * 3600));
            assert_eq!(backoff.rest(), None);
            assert_eq!(backoff.next_delay(1.0), LONGEST);
        }
    }

    #[test]
    fn a_refusal_without_a_reason_is_left_alone_for_hours_when_it_comes_again() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        backoff.on_refused(start, 1.0);
        assert_eq!(backoff.next_delay(1.0), LONGEST);
        backoff.on_refused(start + REPEATED, 1.0);
        assert_eq!(backoff.next_delay(1.0), LONGEST);
        backoff.reset();
        backoff.on_refused(start + REPEATED + LONGEST, 1.0);
        assert_eq!(backoff.next_delay(1.0), LONGEST_REST);
    }
}
