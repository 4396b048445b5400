//! Vocabulary: what an endpoint and its driver say to each other.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use xmpp_parsers::jid::FullJid;

use crate::protocol::AccountId;
use crate::secure::crypto::credential::Credential;
use crate::secure::crypto::line::{BridgeLine, Identity};
use crate::secure::ids::PathId;
use crate::secure::iq::IqId;
use crate::secure::sizes::Sizes;

/// The largest block that we send or take, in bytes before base64. Servers refuse stanzas above some size; none that is
/// in use refuses this one.
pub(crate) const BLOCK_SIZE: u16 = 65_535;

/// Bounds and timeouts. `[limits]` has their defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Streams at a time, of all sessions. On a bridge, one client may have as many as are still free, or
    /// take some of whoever has most.
    pub max_streams: usize,
    /// Streams at a time in one session.
    pub max_streams_per_session: usize,
    /// Sessions at a time.
    pub max_sessions: usize,
    /// Clients at a time that were let in and have not shown yet that they hold the keys.
    pub max_half_open_sessions: usize,
    /// Handshakes that one account may begin in a minute.
    pub handshakes_per_minute_per_jid: usize,
    /// Handshakes that all accounts together may begin in a minute.
    pub handshakes_per_minute: usize,
    /// Bytes that one stream keeps, in either direction.
    pub queue_per_stream: usize,
    /// Bytes that all streams of a session keep, in either direction.
    pub queue_per_session: usize,
    /// Bytes that all sessions together keep: half of it for what applications write, half for what peers send and for
    /// whatever else they make us keep, each thing at its price.
    pub queue_total: usize,
    /// Frames of a session that wait for what comes before them.
    pub reorder_window: usize,
    /// How long a connect may take.
    pub connect_timeout: Duration,
    /// How long a session outlives the last word from its peer.
    pub session_timeout: Duration,
    /// How large what the carrier sends is.
    pub sizes: &'static Sizes,
}

/// A bridge, and how a client reaches it.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// What proves to it that we may, and by which it proves itself.
    pub line: BridgeLine,
    /// Its accounts.
    pub peers: BTreeSet<FullJid>,
    /// Ours.
    pub accounts: Vec<AccountId>,
}

/// What a bridge needs to let clients in.
#[derive(Debug)]
pub struct Service {
    /// By which it proves itself.
    pub identity: Identity,
    /// The secret that its clients have to know, if there is one.
    pub psk: Option<[u8; 32]>,
    /// The accounts at which clients are let in.
    pub accounts: Vec<AccountId>,
    /// The handshakes that were accepted by earlier processes, and their minutes.
    pub accepted: Vec<(Credential, u64)>,
}

/// A handshake to be remembered, across restarts too, before it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memento {
    pub(crate) path: PathId,
    /// What the client said.
    pub credential: Credential,
    /// When it said so, in minutes since 1970.
    pub minute: u64,
}

/// A stanza to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The account that sends it.
    pub via: AccountId,
    /// Who gets it.
    pub to: FullJid,
    /// What to send.
    pub stanza: Outgoing,
}

/// The kinds of stanza that are sent (XEP-0047).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// An IQ set with `<open/>`, for a bytestream in IQ stanzas.
    Open {
        /// Its answer names it.
        iq: IqId,
        /// The bytestream's id.
        sid: String,
        /// The largest block that will be sent either way, in bytes before base64.
        block_size: u16,
    },
    /// An IQ set with `<data/>`.
    Data {
        /// Its answer names it.
        iq: IqId,
        /// The bytestream's id.
        sid: String,
        /// The block's number, counted for each direction from 0 and modulo 2^16.
        seq: u16,
        /// The block.
        data: Bytes,
    },
    /// An IQ set with `<close/>`.
    Close {
        /// Its answer names it.
        iq: IqId,
        /// The bytestream's id.
        sid: String,
    },
    /// The empty result that answers an IQ of the peer's.
    Result {
        /// The id of that IQ.
        id: String,
    },
    /// What a chat client answers that knows no In-Band Bytestreams: the same as to anything unknown.
    Refusal {
        /// The id of the IQ that it answers.
        id: String,
    },
}

/// The longest id of an IQ set about a bytestream that we answer, in bytes. It comes back in the answer; clients' are a third of that,
/// and servers let pass ids of any length.
pub(crate) const LONGEST_ID: usize = 128;

/// A stanza that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// An IQ set with `<open/>`.
    Open {
        /// The IQ's id.
        id: String,
        /// The bytestream's id.
        sid: String,
        /// The largest block that the peer will send or take.
        block_size: u16,
    },
    /// An IQ set with `<data/>`.
    Data {
        /// The IQ's id.
        id: String,
        /// The bytestream's id.
        sid: String,
        /// The block's number.
        seq: u16,
        /// The block.
        data: Vec<u8>,
    },
    /// An IQ set with `<close/>`.
    Close {
        /// The IQ's id.
        id: String,
        /// The bytestream's id.
        sid: String,
    },
    /// A request that nothing here knows.
    Unknown {
        /// The IQ's id.
        id: String,
    },
    /// The result of an IQ of ours.
    Result {
        /// Which one.
        iq: IqId,
    },
    /// An IQ of ours was refused, by the peer or by a server on the way.
    Error {
        /// Which one.
        iq: IqId,
    },
    /// An IQ of ours came back: a server says that nobody is there.
    Undelivered {
        /// Which one.
        iq: IqId,
    },
}
