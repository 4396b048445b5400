//! Size of answers: the largest stanza that a server takes as an answer to somebody else's. Pure.
//!
//! Whoever asks writes the id that is repeated in the answer, and an answer says more than a request has to. So somebody could ask for one
//! that our server does not take, and that would end the connection. slixmpp sends it.

use super::error::AccountError;
use crate::protocol::size_limits::EVERYBODY_TAKES;

/// Stock servers take 262,144 bytes (Prosody 0.12, ejabberd 23.01).
const STOCK: usize = 262_144;

/// What is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerSize {
    /// In bytes.
    most: usize,
}

impl Default for AnswerSize {
    fn default() -> Self {
        Self { most: STOCK }
    }
}

impl AnswerSize {
    /// Whether one of so many bytes can go.
    pub(super) fn allows(self, bytes: usize) -> bool {
        bytes <= self.most
    }

    /// The server says that it takes no more than so many bytes.
    pub(super) fn on_told(&mut self, bytes: usize) {
        self.most = self.most.min(bytes.max(EVERYBODY_TAKES));
    }

    /// The connection has ended. Where that was over something that the server does not allow, it may have been an answer, in whatever
    /// words the server says so.
    pub(super) fn on_closed(&mut self, reason: &AccountError) {
        if let AccountError::StanzaTooLarge
        | AccountError::LoginTooLarge(_)
        | AccountError::OverLimit(..)
        | AccountError::StreamError(_, "policy-violation", _) = reason
        {
            self.most = EVERYBODY_TAKES;
        }
    }
}
