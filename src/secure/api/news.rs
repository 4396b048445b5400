//! News of sessions: what somebody who waits for the first connection wants to know.

use crate::protocol::AccountId;

/// Something that has come about on a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The bridge has answered what was sent by this account of ours.
    BridgeFound(AccountId),
    /// The handshake that went by this account is done, and there is a session.
    SessionUp(AccountId),
}

impl News {
    /// The account by which it came about.
    #[must_use]
    pub fn account(self) -> AccountId {
        match self {
            Self::BridgeFound(account) | Self::SessionUp(account) => account,
        }
    }
}
