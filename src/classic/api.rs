//! Vocabulary: what an endpoint and its driver say to each other.

use std::time::Duration;

use xmpp_parsers::jid::{FullJid, Jid};

use crate::classic::stanza::Payload;
use crate::protocol::{AccountId, CloseReason};

/// One IQ of ours, whether it will be answered or not; unique in the life of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId(pub u64);

/// Bounds and timeouts. `[limits]` has their defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The accounts on which connects from outside are considered; who connects to one of them learns all of them. Empty:
    /// nobody can connect to us.
    pub accept_on: Vec<AccountId>,
    /// Connections at a time, both directions together.
    pub max_streams: usize,
    /// Connections at a time that one account of a peer has asked for.
    pub max_streams_per_peer: usize,
    /// Connects from outside that wait for the application's decision at a time.
    pub max_half_open: usize,
    /// A stream's unacknowledged and unsent bytes.
    pub send_buffer: usize,
    /// A stream's unread bytes, above which the peer is slowed down.
    pub receive_buffer: usize,
    /// How long a connect may take.
    pub connect_timeout: Duration,
    /// A peer from which nothing has come for this long is dead.
    pub silence_timeout: Duration,
    /// What the carrier says of stanzas.
    pub sizes: &'static Sizes,
}

/// What a carrier says of stanzas on a fast connection.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// How much data packets should carry, in bytes, the smallest first.
    pub chunks: &'static [usize],
    /// How much data packets may carry where a server takes less: sizes to choose from, in bytes, the smallest first, those above included.
    pub ladder: &'static [usize],
    /// What a packet with so much data takes up on the wire.
    pub on_wire: fn(usize) -> usize,
    /// How long after a break, in which nothing is on its way, a fast connection should make the next one, by its round trip while nothing
    /// is queued.
    pub break_interval: fn(Duration) -> Duration,
}

/// A stanza that came in.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// A message.
    Message {
        /// What it says.
        payload: Payload,
        /// Whether the server kept it for us while we were offline (XEP-0203).
        delayed: bool,
    },
    /// A message of ours came back.
    MessageBounce {
        /// What it said, where the server repeats that.
        payload: Option<Payload>,
        /// Who is not there.
        missing: Missing,
    },
    /// An IQ set.
    Set {
        /// Its id, for the answer.
        id: String,
        /// What it says.
        payload: Payload,
    },
    /// An IQ result.
    Result {
        /// Which IQ of ours it answers, if any.
        set: Option<SetId>,
        /// What it says.
        payload: Option<Payload>,
    },
    /// An IQ error.
    Error {
        /// Which IQ of ours it answers.
        set: SetId,
        /// Who is not there, as a server says; none when a peer that is there does not understand.
        missing: Option<Missing>,
    },
}

/// Who is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The peer.
    Peer,
    /// The peer's server, which ours cannot reach.
    Server,
}

impl Missing {
    /// Why a stream is over that was to be opened with it.
    pub(super) fn reason(self) -> CloseReason {
        match self {
            Self::Peer => CloseReason::PeerUnavailable,
            Self::Server => CloseReason::PeerServerUnreachable,
        }
    }
}

/// A stanza to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The account that sends it.
    pub via: AccountId,
    /// Who gets it.
    pub to: Jid,
    /// What to send.
    pub stanza: Outgoing,
}

/// The kinds of stanza that are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// `<message type="chat"/>` without body or id.
    Message(Payload),
    /// An IQ set; the server's acknowledgement of it (XEP-0198) is of interest.
    Set(SetId, Payload),
    /// An IQ result that answers no IQ, and has a number all the same.
    Unsolicited(SetId, Payload),
    /// The empty result that answers the IQ with this id.
    Answer(String),
    /// An IQ get with a XEP-0199 ping.
    Ping(SetId),
}

/// The answer to an IQ set of the peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) via: AccountId,
    pub(super) to: FullJid,
    pub(super) id: String,
}
