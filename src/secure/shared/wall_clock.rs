//! Wall clock: what it shows, without looking at it.

use std::time::Instant;

/// A reading of the wall clock, and when it was taken.
#[derive(Debug, Default)]
pub(crate) struct WallClock {
    reading: Option<(Instant, u64)>,
}

impl WallClock {
    /// The clock shows `seconds` since 1970.
    pub(crate) fn set(&mut self, now: Instant, seconds: u64) {
        self.reading = Some((now, seconds));
    }

    /// Minutes since 1970; before any reading, 0, at which nobody proves anything.
    pub(crate) fn minute(&self, now: Instant) -> u64 {
        self.reading.map_or(0, |(at, seconds)| (seconds + now.saturating_duration_since(at).as_secs()) / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_goes_on_between_readings() {
        let now = Instant::now();
        let mut clock = WallClock::default();
        assert_eq!(clock.minute(now), 0);
        clock.set(now, 6000);
        assert_eq!(clock.minute(now + Duration::from_secs(59)), 100);
        assert_eq!(clock.minute(now + Duration::from_secs(60)), 101);
    }
}
