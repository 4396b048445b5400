//! Rate of a leg: the most that it has carried within a round trip of late.

use std::time::{Duration, Instant};

use crate::secure::tuning::LEG_RATE_LIFETIME;

/// The highest rate of the last one to two lifetimes, in bytes on the wire a second. Where delays vary a single round trip says little.
#[derive(Debug, Default)]
pub(super) struct LegRate {
    previous: Option<f64>,
    current: Option<(Instant, f64)>,
}

impl LegRate {
    pub(super) fn get(&self) -> Option<f64> {
        let current = self.current.map(|(_, highest)| highest);
        [self.previous, current].into_iter().flatten().max_by(f64::total_cmp)
    }

    /// So much is carried in a second now.
    pub(super) fn update(&mut self, now: Instant, rate: f64) {
        match &mut self.current {
            Some((since, highest)) if now.saturating_duration_since(*since) < LEG_RATE_LIFETIME => {
                *highest = rate.max(*highest);
            }
            current => {
                self.previous = current.map(|(_, highest)| highest);
                *current = Some((now, rate));
            }
        }
    }
}

/// What a round trip shows: `delivered` was answered in `time`, and `most` was on its way while answers took `delay` on average. Of the two
/// rates (the second by Little's law) the lower one: answers that come in bursts make the one too high, and a window that was not always
/// full the other.
pub(super) fn shown(delivered: usize, time: Duration, most: usize, delay: Duration) -> f64 {
    let rate = |bytes: usize, time: Duration| bytes as f64 / time.as_secs_f64().max(1e-6);
    rate(delivered, time).min(rate(most, delay))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_that_became_slower_is_believed_after_two_lifetimes() {
        let (start, mut rate) = (Instant::now(), LegRate::default());
        rate.update(start, 200e3);
        let after = |lifetimes| start + LEG_RATE_LIFETIME * lifetimes;
        rate.update(after(1), 20e3);
        assert_eq!(rate.get(), Some(200e3));
        rate.update(after(2), 20e3);
        assert_eq!(rate.get(), Some(20e3));
    }

    #[test]
    fn a_burst_of_answers_and_a_window_that_was_full_for_a_moment_show_no_higher_rate() {
        let second = Duration::from_secs(1);
        assert_eq!(shown(10_000, second / 100, 10_000, second), 10_000.0);
        assert_eq!(shown(10_000, second, 50_000, second), 10_000.0);
    }
}
