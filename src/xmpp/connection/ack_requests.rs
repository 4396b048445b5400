//! Requests for acknowledgements (XEP-0198 section 4): when the server is asked how much it has handled.
//!
//! It is asked behind all that is written in one go, and then only when it has answered: where a path is slow, a request for each block
//! of 4 KiB and its answer would be a fiftieth of what goes over the line.

/// After 128 stanzas the server is asked again, answered or not.
pub(super) const MOST_STANZAS: usize = 128;

/// So it is after 32 KiB: a server that reads 3 kB a second (stock ejabberd) then answers every 11 seconds, and is not taken for dead.
pub(super) const MOST_BYTES: usize = 32 * 1024;

/// What was sent since the server was asked last, and whether it has answered.
#[derive(Debug, Default)]
pub(super) struct AckRequests {
    stanzas: usize,
    /// Of these stanzas.
    bytes: usize,
    is_unanswered: bool,
    /// Whether a sign of life is wanted, whatever was sent.
    is_owed: bool,
}

impl AckRequests {
    /// A stanza of so many bytes.
    pub(super) fn on_sent(&mut self, bytes: usize) {
        self.stanzas += 1;
        self.bytes += bytes;
    }

    pub(super) fn on_asked(&mut self) {
        *self = Self { is_unanswered: true, ..Self::default() };
    }

    pub(super) fn on_answered(&mut self) {
        self.is_unanswered = false;
    }

    /// The server shall give a sign of life.
    pub(super) fn owe(&mut self) {
        self.is_owed = true;
    }

    /// Whether a request goes right behind the last stanza, whatever waits behind it.
    pub(super) fn is_overdue(&self) -> bool {
        self.stanzas >= MOST_STANZAS || self.bytes >= MOST_BYTES
    }

    /// Whether a request goes now. `is_written`: nearly all that waited is.
    pub(super) fn is_due(&self, is_written: bool) -> bool {
        self.is_owed || self.stanzas > 0 && is_written && !self.is_unanswered
    }
}
