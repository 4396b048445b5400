//! Relays: what an endpoint and its driver say to each other about them (doc/lanes.md).

use xmpp_parsers::jid::{BareJid, FullJid};

use crate::protocol::AccountId;
use crate::secure::crypto::relay::{RecordOpener, RecordSealer};
use crate::secure::ids::{PathId, SessionKey};
use crate::secure::wire::relay_frame::{RelayEndReason, Rendezvous};

/// Names a relay of one endpoint. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayKey {
    pub(crate) session: SessionKey,
    /// Its number in the session.
    pub(crate) number: u64,
}

impl RelayKey {
    /// One of many.
    #[cfg(test)]
    pub(crate) fn nth(number: u64) -> Self {
        Self { session: SessionKey(1), number }
    }

    /// Its number in its session.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// The path that a relay is, in the words that a carrier and the endpoint have for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayPath {
    /// The account that stands for the relay.
    pub account: AccountId,
    /// The path.
    pub path: PathId,
    /// What the other end is called on it.
    pub peer: FullJid,
}

/// What protects the byte stream of a relay, in both directions.
#[derive(Debug)]
pub struct RelaySeals {
    /// For what this end sends.
    pub sealer: RecordSealer,
    /// For what it receives.
    pub opener: RecordOpener,
}

/// What the driver is to do about a relay. Of all but [`Leave`](Self::Leave) the endpoint is told the outcome; whatever goes wrong, also
/// later, [`handle_relay_down`](crate::secure::Endpoint::handle_relay_down) is told.
#[derive(Debug)]
pub enum RelayTask {
    /// On a client: connect to the proxy of this account's server; [`handle_relay_found`](crate::secure::Endpoint::handle_relay_found).
    Find {
        /// Which relay.
        relay: RelayKey,
        /// Whose server.
        account: AccountId,
        /// The bridge's account with which that one speaks already: to the proxy, it is who connects at the other end.
        peer: FullJid,
    },
    /// On a bridge: connect to this proxy; [`handle_relay_joined`](crate::secure::Endpoint::handle_relay_joined). Once the first record has
    /// come, [`handle_relay_up`](crate::secure::Endpoint::handle_relay_up).
    Join {
        /// Which relay.
        relay: RelayKey,
        /// The account that its client shook hands with, whose server has the proxy.
        client: BareJid,
        /// Where.
        rendezvous: Rendezvous,
        /// What protects it.
        seals: RelaySeals,
    },
    /// On a client: have the proxy join the two connections; [`handle_relay_up`](crate::secure::Endpoint::handle_relay_up).
    Activate {
        /// Which relay.
        relay: RelayKey,
        /// What protects it.
        seals: RelaySeals,
    },
    /// It is over: nothing more is to be read, and what was to be written still goes.
    Leave {
        /// Which relay.
        relay: RelayKey,
        /// Why.
        reason: RelayEndReason,
        /// Whether the peer says so.
        by_peer: bool,
    },
}

impl RelayTask {
    /// Which relay it is about.
    pub(crate) fn relay(&self) -> RelayKey {
        match self {
            Self::Find { relay, .. }
            | Self::Join { relay, .. }
            | Self::Activate { relay, .. }
            | Self::Leave { relay, .. } => *relay,
        }
    }
}
