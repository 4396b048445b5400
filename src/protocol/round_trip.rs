//! Round-trip estimate: how long answers take, and how much that varies, as in RFC 6298.

use std::time::Duration;

/// What answers have taken of late.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrip {
    /// The smoothed round trip, and its mean deviation.
    observed: Option<(Duration, Duration)>,
}

impl RoundTrip {
    /// An answer took so long.
    pub(crate) fn update(&mut self, delay: Duration) {
        self.observed = Some(match self.observed {
            None => (delay, delay / 2),
            Some((smoothed, deviation)) => {
                ((smoothed * 7 + delay) / 8, (deviation * 3 + smoothed.abs_diff(delay)) / 4)
            }
        });
    }

    /// What an answer takes.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.observed.map(|(smoothed, _)| smoothed)
    }

    /// How long an answer may take before it is missed: the smoothed round trip and four times its mean deviation, but at least twice the
    /// round trip. Many samples in one round trip shorten the estimate's memory, and the deviation can become next to nothing.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.observed.map(|(smoothed, deviation)| smoothed + (4 * deviation).max(smoothed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(delays: impl IntoIterator<Item = Duration>) -> RoundTrip {
        let mut estimate = RoundTrip::default();
        delays.into_iter().for_each(|delay| estimate.update(delay));
        estimate
    }

    #[test]
    fn nothing_is_known_before_there_was_an_answer() {
        assert_eq!((RoundTrip::default().smoothed(), RoundTrip::default().timeout()), (None, None));
    }

    #[test]
    fn the_first_answer_counts_whole_and_may_be_off_by_half() {
        let estimate = after([100 * MS]);
        assert_eq!((estimate.smoothed(), estimate.timeout()), (Some(100 * MS), Some(300 * MS)));
    }

    #[test]
    fn one_answer_that_is_much_later_than_others_makes_it_patient_at_once() {
        let estimate = after([10 * MS; 100].into_iter().chain([12_000 * MS]));
        assert!(estimate.timeout() > Some(12_000 * MS), "{estimate:?}");
    }

    proptest! {
        #[test]
        fn answers_that_take_up_to_twice_as_long_as_the_fastest_are_never_missed(
            fastest in 1_u32..20_000,
            extra in prop::collection::vec(0.0_f64..1.0, 1..200),
        ) {
            let mut estimate = RoundTrip::default();
            for share in extra {
                let delay = (fastest * MS).mul_f64(1.0 + share);
                prop_assert!(estimate.timeout().is_none_or(|timeout| delay <= timeout + MS / 1000), "{estimate:?}, {delay:?}");
                estimate.update(delay);
            }
        }

        #[test]
        fn where_all_answers_take_as_long_a_silence_of_three_round_trips_is_missed(delay in 1_u32..20_000) {
            let estimate = after(std::iter::repeat_n(delay * MS, 50));
            prop_assert!(estimate.timeout() <= Some(3 * delay * MS));
        }
    }
}
