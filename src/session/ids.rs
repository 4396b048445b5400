//! Names of sessions and paths within one endpoint, and what goes by a path.

use super::client_tag::ClientTag;
use crate::protocol::AccountId;

/// Names a session. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionKey(pub(super) u64);

/// Names a path. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PathId(pub(super) u64);

/// By whom, for whom and by which path something is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    /// Our account.
    pub(super) via: AccountId,
    /// Whose share of the account it takes up.
    pub(super) client: ClientTag,
    pub(super) path: PathId,
}
