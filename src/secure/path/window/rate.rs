//! Rate of a path, from the answers that come while there is always something on it.

use std::time::Duration;

use crate::secure::tuning::{RATE_MEMORY, RATE_OBSERVED, RATE_SAMPLE, RATE_SAMPLES};

/// The rate in the long run. Bursts and pauses of a shaper even out.
#[derive(Debug, Default)]
pub(crate) struct LastingRate {
    bytes: f64,
    seconds: f64,
}

impl LastingRate {
    /// `bytes` were answered after the path was busy for `busy`.
    pub(crate) fn update(&mut self, busy: Duration, bytes: usize) {
        let seconds = busy.as_secs_f64();
        let kept = 1.0 / (1.0 + seconds / RATE_MEMORY.as_secs_f64());
        self.bytes = self.bytes * kept + bytes as f64;
        self.seconds = self.seconds * kept + seconds;
    }

    /// In bytes a second.
    pub(crate) fn get(&self) -> Option<f64> {
        (self.seconds >= RATE_OBSERVED.as_secs_f64()).then(|| self.bytes / self.seconds)
    }
}

/// The highest rate of the last few samples: what the path can do, whatever it does at this very moment.
#[derive(Debug, Default)]
pub(super) struct PeakRate {
    samples: [f64; RATE_SAMPLES],
    next: usize,
    busy: Duration,
    bytes: usize,
    /// The shortest queue since the last sample.
    queue: Option<Duration>,
}

impl PeakRate {
    /// `bytes` were answered after the path was busy for `busy`, and were `queued` for so long. A sample takes a round
    /// trip at least. A queue that never went below `tolerance` says that the path has become slower than it was.
    pub(super) fn update(
        &mut self,
        (busy, bytes): (Duration, usize),
        round_trip: Duration,
        queued: Duration,
        tolerance: impl Fn(f64) -> Duration,
    ) {
        self.busy += busy;
        self.bytes += bytes;
        let queue = self.queue.map_or(queued, |shortest| shortest.min(queued));
        self.queue = Some(queue);
        if self.busy >= RATE_SAMPLE.max(round_trip) {
            let rate = self.bytes as f64 / self.busy.as_secs_f64();
            if queue > tolerance(rate) {
                self.samples = [0.0; RATE_SAMPLES];
            }
            self.samples[self.next] = rate;
            self.next = (self.next + 1) % RATE_SAMPLES;
            (self.busy, self.bytes, self.queue) = (Duration::ZERO, 0, None);
        }
    }

    /// In bytes a second.
    pub(super) fn get(&self) -> Option<f64> {
        let peak = self.samples.iter().copied().fold(0.0, f64::max);
        (peak > 0.0).then_some(peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_and_pauses_even_out_in_the_lasting_rate() {
        let mut rate = LastingRate::default();
        for _ in 0..20 {
            rate.update(Duration::from_secs(1), 5000);
            rate.update(Duration::ZERO, 5000);
        }
        assert!((9_000.0..11_000.0).contains(&rate.get().unwrap()), "{rate:?}");
    }

    fn sample(rate: &mut PeakRate, bytes: usize, queued: Duration) {
        rate.update((RATE_SAMPLE, bytes), Duration::ZERO, queued, |_| RATE_SAMPLE);
    }

    #[test]
    fn the_peak_outlives_a_few_slow_samples_and_no_more() {
        let mut rate = PeakRate::default();
        sample(&mut rate, 25_000, Duration::ZERO);
        for _ in 1..RATE_SAMPLES {
            sample(&mut rate, 2500, Duration::ZERO);
        }
        assert!((rate.get().unwrap() - 100_000.0).abs() < 1.0);
        sample(&mut rate, 2500, Duration::ZERO);
        assert!((rate.get().unwrap() - 10_000.0).abs() < 1.0);
    }

    #[test]
    fn the_peak_does_not_outlive_a_queue_that_stays() {
        let mut rate = PeakRate::default();
        sample(&mut rate, 25_000, Duration::ZERO);
        sample(&mut rate, 2500, 2 * RATE_SAMPLE);
        assert!((rate.get().unwrap() - 10_000.0).abs() < 1.0);
    }

    #[test]
    fn nothing_is_known_at_first() {
        assert_eq!(LastingRate::default().get(), None);
        assert_eq!(PeakRate::default().get(), None);
    }
}
