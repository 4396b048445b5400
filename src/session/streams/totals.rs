//! What all streams of a session keep and have used, without asking each of them.

use crate::session::stream::Stream;

/// Sums over all streams, those that are gone included where they never become less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) live: usize,
    pub(super) queued: usize,
    /// Of what is queued, what was never sent and may be, by the stream's own credit.
    pub(super) unsent: u64,
    /// Streams whose application waits for room to write.
    pub(super) blocked: usize,
    pub(super) unread: usize,
    pub(super) fragments: usize,
    /// Offsets that we have used.
    pub(super) sent: u64,
    /// Offsets that the peer has used, and those of them that take up no room any more.
    pub(super) received: u64,
    pub(super) consumed: u64,
}

impl Totals {
    pub(super) fn of(stream: &Stream) -> Self {
        Self {
            live: usize::from(stream.is_live()),
            queued: stream.send.len(),
            unsent: stream.unsent(),
            blocked: usize::from(stream.write_blocked),
            unread: stream.receive.len(),
            fragments: stream.receive.fragments(),
            sent: stream.send.sent(),
            received: stream.receive.highest(),
            consumed: stream.receive.consumed(),
        }
    }

    /// A stream has changed.
    pub(super) fn replace(&mut self, before: &Self, after: &Self) {
        self.live = self.live - before.live + after.live;
        self.queued = self.queued - before.queued + after.queued;
        self.unsent = self.unsent - before.unsent + after.unsent;
        self.blocked = self.blocked - before.blocked + after.blocked;
        self.unread = self.unread - before.unread + after.unread;
        self.fragments = self.fragments - before.fragments + after.fragments;
        self.sent += after.sent - before.sent;
        self.received += after.received - before.received;
        self.consumed += after.consumed - before.consumed;
    }
}
