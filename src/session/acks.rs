//! When to acknowledge.
//!
//! The answer to each IQ is the path's clock; an acknowledgement only frees the sender's buffers. So it mostly rides on
//! packets that go anyway, and goes alone only when much has come or some time has passed.

use std::time::{Duration, Instant};

/// An acknowledgement is due after this many bytes of packets,
const BYTES: usize = 32 * 1024;
/// or this many packets,
const PACKETS: usize = 16;
/// or this long.
const DELAY: Duration = Duration::from_millis(200);

/// What was not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct AckSchedule {
    bytes: usize,
    packets: usize,
    deadline: Option<Instant>,
}

impl AckSchedule {
    /// A packet that wants an acknowledgement has come.
    pub(super) fn on_received(&mut self, now: Instant, bytes: usize) {
        self.bytes += bytes;
        self.packets += 1;
        self.deadline.get_or_insert(now + DELAY);
    }

    /// The acknowledgement of everything that has come is on its way.
    pub(super) fn on_sent(&mut self) {
        *self = Self::default();
    }

    /// Whether it is worth a few bytes in a packet that goes anyway.
    pub(super) fn is_useful(&self) -> bool {
        self.packets > 0
    }

    /// Whether it must go, alone if need be.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.bytes >= BYTES
            || self.packets >= PACKETS
            || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.deadline
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
        acks.on_received(now, 100);
        assert!(acks.is_useful() && !acks.is_due(now));
        assert!(acks.is_due(acks.next_timeout().unwrap()));
    }

    #[test]
    fn many_packets_or_many_bytes_do_not_wait() {
        let now = Instant::now();
        for (packets, bytes) in [(PACKETS, 1), (2, BYTES / 2)] {
            let mut acks = AckSchedule::default();
            (0..packets).for_each(|_| acks.on_received(now, bytes));
            assert!(acks.is_due(now));
            acks.on_sent();
            assert!(!acks.is_due(now + DELAY) && acks.next_timeout().is_none());
        }
    }
}
