//! Acknowledgements: when one is due.
//!
//! The answer to each IQ is the path's clock; an acknowledgement only frees the sender's buffers. So it mostly rides on
//! packets that go anyway, and goes alone only when much has come or some time has passed: alone it takes as much of the
//! way as half a kilobyte.

use std::time::{Duration, Instant};

/// An acknowledgement is due after so much, however fast it came,
const MUCH: usize = 192 * 1024;
/// or after this long when it was so much, or when the peer waits for it,
const SOME: usize = 64 * 1024;
const SHORTLY: Duration = Duration::from_millis(200);
/// or at last after this long.
const AT_LAST: Duration = Duration::from_secs(2);

/// What a packet counts at least: each costs the sender memory, however small it is.
const PACKET: usize = 1024;

/// What was not acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct AckSchedule {
    /// How much has come.
    weight: usize,
    /// When the first of it came.
    since: Option<Instant>,
    /// The peer waits for it.
    is_awaited: bool,
}

impl AckSchedule {
    /// A packet of so many bytes that wants an acknowledgement has come, which the peer may wait for.
    pub(crate) fn on_received(&mut self, now: Instant, bytes: usize, is_awaited: bool) {
        self.weight += bytes.max(PACKET);
        self.since.get_or_insert(now);
        self.is_awaited |= is_awaited;
    }

    /// The acknowledgement of everything that has come is on its way.
    pub(crate) fn on_sent(&mut self) {
        *self = Self::default();
    }

    /// Whether it is worth a few bytes in a packet that goes anyway.
    pub(crate) fn is_useful(&self) -> bool {
        self.since.is_some()
    }

    /// Whether it must go, alone if need be.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.weight >= MUCH || self.next_timeout().is_some_and(|at| at <= now)
    }

    /// When it must go, if nothing more comes.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let delay = if self.is_awaited || self.weight >= SOME { SHORTLY } else { AT_LAST };
        self.since.map(|since| since + delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_packet_waits_for_company() {
        let now = Instant::now();
        let mut acks = AckSchedule::default();
        assert!(!acks.is_useful());
        acks.on_received(now, 100, false);
        assert!(acks.is_useful() && !acks.is_due(now + SHORTLY));
        assert_eq!(acks.next_timeout(), Some(now + AT_LAST));
        assert!(acks.is_due(now + AT_LAST));
    }

    #[test]
    fn what_somebody_waits_for_and_what_comes_fast_wait_less() {
        let now = Instant::now();
        for (bytes, is_awaited) in [(100, true), (SOME, false)] {
            let mut acks = AckSchedule::default();
            acks.on_received(now, bytes, is_awaited);
            assert!(!acks.is_due(now));
            assert!(acks.is_due(now + SHORTLY), "{bytes} {is_awaited}");
        }
    }

    #[test]
    fn much_does_not_wait_however_large_its_packets_are() {
        let now = Instant::now();
        for bytes in [1, 4096, MUCH] {
            let mut acks = AckSchedule::default();
            (0..MUCH / bytes.max(PACKET)).for_each(|_| acks.on_received(now, bytes, false));
            assert!(acks.is_due(now), "{bytes}");
            acks.on_sent();
            assert!(!acks.is_due(now + AT_LAST) && acks.next_timeout().is_none());
        }
    }
}
