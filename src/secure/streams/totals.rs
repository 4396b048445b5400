//! Totals: what all streams of a session keep and have used, without asking each of them.

use crate::secure::streams::stream::Stream;

/// Sums over all streams, those that are gone included where they never become less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Streams that count in the limit.
    pub(super) in_use: usize,
    pub(super) queued: usize,
    /// What the bytes that are queued cost, and what was received, at their prices.
    pub(super) send_cost: usize,
    pub(super) receive_cost: usize,
    /// Of what is queued, what was never sent and may be, by the stream's own credit.
    pub(super) unsent: u64,
    /// What must be sent again.
    pub(super) lost: u64,
    /// Streams whose application waits for room to write.
    pub(super) blocked: usize,
    pub(super) unread: usize,
    /// What peers may send unread beyond each stream's first credit.
    pub(super) widened: u64,
    pub(super) fragments: usize,
    /// Streams that the peer has used and not opened.
    pub(super) unopened: usize,
    /// Offsets that we have used.
    pub(super) sent: u64,
    /// Offsets that the peer has used, and those of them that take up no room any more.
    pub(super) received: u64,
    pub(super) consumed: u64,
}

impl Totals {
    /// The sums of a stream that is gone: what it has used stays used.
    pub(super) fn when_gone(&self) -> Self {
        let Self { sent, received, consumed, .. } = *self;
        Self { sent, received, consumed, ..Self::default() }
    }

    pub(super) fn of(stream: &Stream) -> Self {
        Self {
            in_use: usize::from(stream.is_in_use()),
            queued: stream.send.len(),
            send_cost: stream.send.cost(),
            receive_cost: stream.receive.cost(),
            unsent: stream.unsent(),
            lost: stream.send.lost_len(),
            blocked: usize::from(stream.write_blocked),
            unread: stream.receive.len(),
            widened: stream.receive.credit.extra(),
            fragments: stream.receive.fragments(),
            unopened: usize::from(stream.is_unopened()),
            sent: stream.send.sent(),
            received: stream.receive.highest(),
            consumed: stream.receive.consumed(),
        }
    }

    /// A stream has changed.
    pub(super) fn replace(&mut self, before: &Self, after: &Self) {
        self.in_use = self.in_use - before.in_use + after.in_use;
        self.queued = self.queued - before.queued + after.queued;
        self.send_cost = self.send_cost - before.send_cost + after.send_cost;
        self.receive_cost = self.receive_cost - before.receive_cost + after.receive_cost;
        self.unsent = self.unsent - before.unsent + after.unsent;
        self.lost = self.lost - before.lost + after.lost;
        self.blocked = self.blocked - before.blocked + after.blocked;
        self.unread = self.unread - before.unread + after.unread;
        self.widened = self.widened - before.widened + after.widened;
        self.fragments = self.fragments - before.fragments + after.fragments;
        self.unopened = self.unopened - before.unopened + after.unopened;
        self.sent += after.sent - before.sent;
        self.received += after.received - before.received;
        self.consumed += after.consumed - before.consumed;
    }
}
