//! Acknowledgements: when one is due.
//!
//! The answer to each block is the path's clock; an acknowledgement only frees the sender's buffers. So it mostly rides on
//! packets that go anyway, and goes alone only when much has come or some time has passed: alone it takes as much of the
//! path as half a kilobyte.

use std::time::Instant;

use crate::secure::tuning::{ACK_AT_LAST, ACK_BYTES, ACK_PACKET, ACK_SOON, ACK_SOON_BYTES};

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
        self.weight += bytes.max(ACK_PACKET);
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
        self.weight >= ACK_BYTES || self.next_timeout().is_some_and(|at| at <= now)
    }

    /// When it must go, if nothing more comes.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let delay = if self.is_awaited || self.weight >= ACK_SOON_BYTES { ACK_SOON } else { ACK_AT_LAST };
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
        assert!(acks.is_useful() && !acks.is_due(now + ACK_SOON));
        assert_eq!(acks.next_timeout(), Some(now + ACK_AT_LAST));
        assert!(acks.is_due(now + ACK_AT_LAST));
    }

    #[test]
    fn what_somebody_waits_for_and_what_comes_fast_wait_less() {
        let now = Instant::now();
        for (bytes, is_awaited) in [(100, true), (ACK_SOON_BYTES, false)] {
            let mut acks = AckSchedule::default();
            acks.on_received(now, bytes, is_awaited);
            assert!(!acks.is_due(now));
            assert!(acks.is_due(now + ACK_SOON), "{bytes} {is_awaited}");
        }
    }

    #[test]
    fn much_does_not_wait_however_large_its_packets_are() {
        let now = Instant::now();
        for bytes in [1, 4096, ACK_BYTES] {
            let mut acks = AckSchedule::default();
            (0..ACK_BYTES / bytes.max(ACK_PACKET)).for_each(|_| acks.on_received(now, bytes, false));
            assert!(acks.is_due(now), "{bytes}");
            acks.on_sent();
            assert!(!acks.is_due(now + ACK_AT_LAST) && acks.next_timeout().is_none());
        }
    }
}
