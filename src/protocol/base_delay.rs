//! Base delay: what a connection takes there and back when nothing is queued on it.

use std::time::{Duration, Instant};

/// The shortest delay of the last one to two lifetimes.
#[derive(Debug)]
pub(crate) struct BaseDelay {
    /// For how long a delay is believed, at least.
    lifetime: Duration,
    previous: Option<Duration>,
    current: Option<(Instant, Duration)>,
}

impl BaseDelay {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { lifetime, previous: None, current: None }
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        let current = self.current.map(|(_, lowest)| lowest);
        [self.previous, current].into_iter().flatten().min()
    }

    /// Takes note of a delay. True when a lifetime is over: unless the queue is emptied now and then, it would in the
    /// end be taken for part of the connection's.
    pub(crate) fn update(&mut self, now: Instant, delay: Duration) -> bool {
        match &mut self.current {
            Some((since, lowest)) if now.saturating_duration_since(*since) < self.lifetime => {
                *lowest = delay.min(*lowest);
                false
            }
            current => {
                let is_over = current.is_some();
                self.previous = current.map(|(_, lowest)| lowest);
                *current = Some((now, delay));
                is_over
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_became_longer_is_believed_after_two_lifetimes() {
        let start = Instant::now();
        let [short, long] = [10, 500].map(Duration::from_millis);
        let mut base = BaseDelay::new(Duration::from_secs(30));
        assert!(!base.update(start, short));
        let renewals: Vec<_> =
            (1..=61).filter(|n| base.update(start + *n * Duration::from_secs(1), long)).collect();
        assert_eq!(renewals, [30, 60]);
        assert_eq!(base.get(), Some(long));
    }
}
