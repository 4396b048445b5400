//! Names of sessions, paths and legs within one endpoint, and what goes by a path.

use crate::protocol::AccountId;
use crate::secure::client_tag::ClientTag;

/// Names a session. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionKey(pub(crate) u64);

/// Names a path of one endpoint. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathId(pub(crate) u64);

/// Names the leg between two servers, within one endpoint. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LegId(pub(crate) u64);

/// What many share, and where those who find it full wait for their turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// An account of ours.
    Account(AccountId),
    /// What is between its server and the peer's.
    Leg(LegId),
}

/// By whom, for whom and by which path something is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    /// Our account.
    pub(crate) via: AccountId,
    /// Whose share of the account it takes up.
    pub(crate) client: ClientTag,
    pub(crate) path: PathId,
    /// Between the two servers, if they are two.
    pub(crate) leg: Option<LegId>,
}

/// The most accounts of a peer that are remembered, and of our own that are used: 16, as many as a client opens paths.
pub(crate) const MAX_JIDS_USED: usize = 16;
