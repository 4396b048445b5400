//! Measurement of what a session carries: packets of nothing but padding, and how much of them has arrived.
//!
//! The protocol has all of it: a PING wants an acknowledgement, and what follows PADDING in a packet is nothing. So any peer acknowledges
//! such packets and keeps nothing of them; they go by the same windows and count against the same quotas as all others. Only what a client
//! sends can be measured so.

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Bytes of packets that have gone.
    pub sent: usize,
    /// Bytes of those that the peer has acknowledged.
    pub arrived: usize,
    /// Whether the peer knows files.
    pub knows_files: bool,
    /// Whether the peer knows relays.
    pub knows_relays: bool,
    /// Whether there is a relay among the paths that all of it goes by.
    pub by_relay: bool,
}

/// Padding that is to be sent, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Measuring {
    waits: usize,
    sent: usize,
    arrived: usize,
}

impl Measuring {
    /// So many bytes are to be sent from now on, whatever still was.
    pub(super) fn set(&mut self, bytes: usize) {
        self.waits = bytes;
    }

    /// How many bytes are to be sent.
    pub(super) fn waits(&self) -> usize {
        self.waits
    }

    /// A packet with so many has gone.
    pub(super) fn on_sent(&mut self, bytes: usize) {
        self.waits = self.waits.saturating_sub(bytes);
        self.sent = self.sent.saturating_add(bytes);
    }

    /// A packet with so many has arrived.
    pub(super) fn on_arrived(&mut self, bytes: usize) {
        self.arrived = self.arrived.saturating_add(bytes);
    }

    /// What became of all.
    pub(super) fn measured(&self) -> Measured {
        Measured { sent: self.sent, arrived: self.arrived, ..Measured::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_has_not_arrived_and_goes_no_second_time() {
        let mut measuring = Measuring::default();
        measuring.set(3000);
        measuring.on_sent(2000);
        measuring.on_sent(2000);
        measuring.on_arrived(2000);
        assert_eq!(measuring.waits(), 0);
        assert_eq!(measuring.measured(), Measured { sent: 4000, arrived: 2000, ..Measured::default() });
    }
}
