//! Lines with a delay, jitter and a rate: when the bytes that enter one leave it. Pure.

use std::time::{Duration, Instant};

use crate::random::Random;

/// What a line of a limited rate keeps before it takes no more: as much as it carries in 200 ms, a common size of a router's buffer.
const BUFFER: Duration = Duration::from_millis(200);

/// A line between a client and its server, the same in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// From one end to the other: half of a round trip.
    pub delay: Duration,
    /// At random up to so much more. Bytes stay in order.
    pub jitter: Duration,
    /// The bytes that it carries in a second; without limit if none.
    pub rate: Option<u32>,
}

impl Line {
    /// One on which there and back takes so long, and nothing else is amiss.
    pub fn of_round_trip(time: Duration) -> Self {
        Self { delay: time / 2, ..Self::default() }
    }
}

/// One direction of a connection through a line.
#[derive(Debug)]
pub(crate) struct Direction {
    line: Line,
    /// Nothing enters before the connection is open at its client, which takes a round trip (TCP's handshake).
    opened: Instant,
    /// When the line has taken in all that it was given.
    is_free_at: Instant,
    /// When the latest byte leaves.
    latest: Instant,
    random: Random,
}

impl Direction {
    /// Of a connection that is asked for now. The same seed gives the same jitter.
    pub(crate) fn new(line: Line, now: Instant, seed: u64) -> Self {
        let opened = now + 2 * line.delay;
        Self { line, opened, is_free_at: opened, latest: opened, random: Random(seed) }
    }

    /// When the line takes more.
    pub(crate) fn takes_more_at(&self) -> Instant {
        self.is_free_at.checked_sub(BUFFER).unwrap_or(self.opened)
    }

    /// When so many bytes that are given to it now have left it.
    pub(crate) fn leave_at(&mut self, now: Instant, length: usize) -> Instant {
        let begun = self.is_free_at.max(now).max(self.opened);
        let time = self
            .line
            .rate
            .map_or(Duration::ZERO, |rate| Duration::from_secs_f64(length as f64 / f64::from(rate)));
        self.is_free_at = begun + time;
        self.latest = self.latest.max(self.is_free_at + self.line.delay + self.next_jitter());
        self.latest
    }

    /// Up to the line's jitter.
    fn next_jitter(&mut self) -> Duration {
        let share = self.random.next() >> 32;
        self.line.jitter.mul_f64(share as f64 / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A direction of a connection that has been open for long.
    fn open(line: Line) -> (Direction, Instant) {
        let now = Instant::now();
        (Direction::new(line, now, 7), now + 10 * line.delay)
    }

    #[test]
    fn a_connection_takes_a_round_trip_before_its_first_byte_goes() {
        let now = Instant::now();
        let mut direction = Direction::new(Line::of_round_trip(100 * MS), now, 7);
        assert_eq!(direction.leave_at(now, 1), now + 150 * MS);
        assert_eq!(direction.leave_at(now + 200 * MS, 1), now + 250 * MS);
    }

    #[test]
    fn a_rate_spreads_bytes_and_a_full_buffer_takes_no_more() {
        let (mut direction, now) = open(Line { delay: 10 * MS, rate: Some(100_000), ..Line::default() });
        assert!(direction.takes_more_at() <= now);
        assert_eq!(direction.leave_at(now, 10_000), now + 110 * MS);
        assert_eq!(direction.leave_at(now, 20_000), now + 310 * MS);
        assert_eq!(direction.takes_more_at(), now + 100 * MS);
        assert_eq!(direction.leave_at(now + 1000 * MS, 1000), now + 1020 * MS, "an empty line owes nothing");
    }

    #[test]
    fn jitter_delays_and_never_overtakes() {
        let (mut direction, start) = open(Line { delay: 10 * MS, jitter: 20 * MS, ..Line::default() });
        let mut last = start;
        let mut delays = Vec::new();
        for n in 0..1000 {
            let now = start + n * 50 * MS;
            let left = direction.leave_at(now, 1);
            assert!(left >= last);
            delays.push(left - now);
            last = left;
        }
        assert!(delays.iter().all(|delay| (10 * MS..=30 * MS).contains(delay)));
        assert!(delays.iter().any(|delay| *delay < 12 * MS) && delays.iter().any(|delay| *delay > 28 * MS));
    }
}
