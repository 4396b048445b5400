//! Vocabulary: what an endpoint and its driver say to each other.

pub mod files;
pub(crate) mod news;
pub mod relays;
pub mod stats;
pub mod trace;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use xmpp_parsers::jid::{BareJid, FullJid};

use crate::protocol::AccountId;
use crate::secure::crypto::credential::Credential;
use crate::secure::crypto::handshake::Lanes;
use crate::secure::crypto::line::{BridgeLine, Identity};
use crate::secure::delivery::Token;
use crate::secure::ids::PathId;
use crate::secure::sizes::Sizes;

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
    /// How long a session outlives the last packet from its peer.
    pub session_timeout: Duration,
    /// Which lanes it knows (doc/lanes.md). They are used where its peer knows them, too.
    pub lanes: Lanes,
    /// The sizes of blocks and of all else that the carrier sends. They are one for all paths, because an account has one window and one
    /// size of blocks for all paths that share it; carriers that differ in what is best for them would each need accounts of their own.
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
    /// Further logins of those accounts, at which clients are let in as well. They come and go, so clients are told of them last.
    pub siblings: Vec<AccountId>,
    /// The handshakes that were accepted by earlier processes, and their minutes.
    pub accepted: Vec<(Credential, u64)>,
}

/// A handshake to be remembered, across restarts too, before it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeRecord {
    pub(crate) path: PathId,
    /// What the client said.
    pub credential: Credential,
    /// When it said so, in minutes since 1970.
    pub minute: u64,
}

/// The carrier's handle for something of a peer's that is to be answered. The core gives it back with the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(String);

impl Receipt {
    /// One with a name of the carrier's choice.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn into_name(self) -> String {
        self.0
    }

    /// How long the name is, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What the carrier of an account is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The account that does it.
    pub via: AccountId,
    /// With whom.
    pub to: FullJid,
    /// What to do.
    pub action: Outgoing,
}

/// What a carrier does for a path, and for its peer. Of what has a token, the peer takes it or not, and the carrier says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Asks the peer for a path.
    Open {
        /// The path's name from now on.
        path: PathId,
        /// By which the outcome is told.
        token: Token,
        /// What shows that we may ask.
        credential: Credential,
    },
    /// Sends a block by an open path. Blocks arrive in their order, or the path is broken.
    Block {
        /// Which path.
        path: PathId,
        /// By which the outcome is told.
        token: Token,
        /// The block.
        data: Bytes,
    },
    /// Tells the peer that a path is closed. It is the last that is said of the path.
    Close {
        /// Which path.
        path: PathId,
        /// Nobody waits for the outcome.
        token: Token,
    },
    /// Forgets a path without a word to the peer. It is the last that is said of the path.
    Forget {
        /// Which path.
        path: PathId,
    },
    /// Tells the peer that something of its was taken.
    Taken {
        /// What it was.
        receipt: Receipt,
    },
    /// Tells the peer what it would hear if we had no idea what it wants.
    Refused {
        /// What it was.
        receipt: Receipt,
    },
}

/// What a carrier has to tell, beside [opens](crate::secure::Endpoint::handle_open). What has a receipt is answered at most
/// once; when its path is gone, perhaps never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A block came by a path.
    Block {
        /// Which path.
        path: PathId,
        /// For the answer.
        receipt: Receipt,
        /// The block.
        data: Vec<u8>,
    },
    /// A block came by a path, but not the next one: one is missing or came twice, and nothing can come by the path any more.
    Gap {
        /// Which path.
        path: PathId,
        /// For the answer.
        receipt: Receipt,
    },
    /// The peer has closed a path.
    Closed {
        /// Which path.
        path: PathId,
        /// For the answer.
        receipt: Receipt,
    },
    /// A request that nothing here knows.
    Unknown {
        /// For the answer.
        receipt: Receipt,
    },
    /// The peer has taken something of ours.
    Taken {
        /// What it was.
        token: Token,
    },
    /// Something of ours was refused, by the peer or by a server on the way.
    Refused {
        /// What it was.
        token: Token,
    },
    /// Something of ours came back: our server cannot reach the peer's.
    Unreachable {
        /// What it was.
        token: Token,
    },
    /// Something of ours came back: a server says that nobody is there.
    Undelivered {
        /// What it was.
        token: Token,
    },
}

/// How much of its daily quota an account has in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// A login of it.
    pub account: AccountId,
    /// The account.
    pub name: BareJid,
    /// In hundredths.
    pub percent: u8,
    /// In bytes on the wire.
    pub bytes: u64,
}

/// What some of our accounts have to send.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Whether an application has more to write than is taken from it.
    pub is_blocked: bool,
    /// Bytes that were taken and not sent yet, by any path.
    pub unsent: usize,
    /// Bytes on the wire that the accounts carry in a second, together, where that is known of any.
    pub rate: Option<f64>,
    /// Whether bulk goes by files, whose announcements and what answers them go by the accounts.
    pub is_by_files: bool,
}

/// What an endpoint keeps at one moment. It is logged when the program ends, and tests compare it with their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Sessions, those included that are still being made.
    pub sessions: usize,
    /// Entries of all tables together: paths, streams, what is on its way, what waits. They grow and shrink with the sessions.
    pub entries: usize,
    /// Bytes that are charged for all that is kept, at the prices by which the limits are kept: data of applications, and what has to
    /// be remembered beside them.
    pub charged: usize,
}
