//! Trace of an endpoint: what it decides and what happens to it, as plain data without names, for whoever looks for a fault.
//!
//! Sessions and paths are called by the numbers that the endpoint counts them with, so that none of them tells anything beyond this process.
//! No packet has an event of its own. `doc/trace.md` has the list.

use std::time::{Duration, Instant};

use crate::protocol::{AccountId, CloseReason};
use crate::secure::api::stats::Lane;
use crate::secure::wire::relay_frame::RelayEndReason;

/// An event, and when it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traced {
    /// By the clock that the endpoint is told.
    pub at: Instant,
    /// What it was.
    pub event: TraceEvent,
}

/// What can happen. `session` and `path` are numbers, which no other session and no other path has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TraceEvent {
    /// An account of ours is online.
    AccountOnline {
        /// Which one.
        account: AccountId,
        /// Whether nothing is lost that was on its way before.
        resumed: bool,
    },
    /// An account of ours is offline; it may come back.
    AccountSuspended {
        /// Which one.
        account: AccountId,
    },
    /// An account of ours is gone for good.
    AccountGone {
        /// Which one.
        account: AccountId,
    },
    /// Another tenth is used of what an account may send in a day.
    BudgetUsed {
        /// A login of it.
        account: AccountId,
        /// What the budget is for.
        lane: Lane,
        /// How much is used, in hundredths.
        percent: u8,
    },
    /// Both ends have the keys of a new session; a bridge has no word under them yet.
    SessionOpened {
        /// Its number.
        session: u64,
        /// Whether both ends know files.
        files: bool,
        /// Whether both ends know relays.
        relays: bool,
    },
    /// On a bridge: the client has shown that it holds the keys.
    SessionConfirmed {
        /// Which one.
        session: u64,
    },
    /// A session was taken up again by a new handshake.
    SessionResumed {
        /// Which one.
        session: u64,
        /// By which path.
        path: u64,
    },
    /// A session is over, and so are its paths.
    SessionEnded {
        /// Which one.
        session: u64,
        /// Why, as its streams are told.
        cause: CloseReason,
        /// Whether the peer has ended it.
        by_peer: bool,
    },
    /// A client asks for a path.
    PathAsked {
        /// For which session, be it one that there is not yet.
        session: u64,
        /// The path.
        path: u64,
        /// Our account.
        account: AccountId,
        /// Whether it is to lead to a handshake.
        handshake: bool,
    },
    /// Packets may go by a path.
    PathOpened {
        /// Of which session.
        session: u64,
        /// The path.
        path: u64,
        /// Our account; none where a relay carries it.
        account: Option<AccountId>,
        /// What carries it.
        lane: Lane,
    },
    /// There was no answer by a path for so long that what is on its way goes by another one as well, if there is one.
    PathStalled {
        /// Of which session.
        session: u64,
        /// The path.
        path: u64,
        /// Whether our account is offline, so that it need not be the path's fault.
        suspended: bool,
        /// What is on its way, in bytes on the wire.
        in_flight: usize,
    },
    /// There is an answer again by a path that had stalled.
    PathRecovered {
        /// Of which session.
        session: u64,
        /// The path.
        path: u64,
    },
    /// A path is over that was asked for and was never open.
    PathFailed {
        /// Of which session.
        session: u64,
        /// The path.
        path: u64,
        /// Why.
        cause: PathEnd,
    },
    /// A path is over that was open, before its session is.
    PathLost {
        /// Of which session.
        session: u64,
        /// The path.
        path: u64,
        /// Why.
        cause: PathEnd,
    },
    /// The congestion window of a path has changed by a quarter or more since it was last told.
    WindowChanged {
        /// Of which session.
        session: u64,
        /// The path.
        path: u64,
        /// How much may be on its way, in bytes on the wire.
        bytes: usize,
        /// What it takes there and back of late.
        round_trip: Option<Duration>,
        /// What the path carries in the long run, in bytes on the wire a second, where that is known.
        rate: Option<f64>,
    },
    /// A path goes on with another size of its blocks: to see whether it is better, or because it was.
    BlockSizeTried {
        /// Of which session.
        session: u64,
        /// The path.
        path: u64,
        /// The size, in bytes.
        bytes: usize,
    },
    /// What this end has to send in bulk goes by this lane from now on.
    LaneChosen {
        /// Of which session.
        session: u64,
        /// The lane.
        lane: Lane,
    },
    /// A file is filled with what waits, and is to be put.
    FileMade {
        /// Of which session.
        session: u64,
        /// Its number in the session.
        file: u64,
        /// How much waited, in bytes.
        waiting: usize,
    },
    /// Something went wrong with a file or a slot of an account's.
    FileTrouble {
        /// Of which session.
        session: u64,
        /// Whose slot it was.
        account: AccountId,
        /// Whether its service is left alone from now on.
        rests: bool,
    },
    /// The two ends begin to make a relay.
    RelayBegun {
        /// Of which session.
        session: u64,
        /// Its number in the session.
        relay: u64,
    },
    /// A relay is over, whether it carried or not.
    RelayEnded {
        /// Of which session.
        session: u64,
        /// Its number in the session.
        relay: u64,
        /// Why, as one end has told the other; with its session it is done.
        cause: RelayEndReason,
    },
    /// Bytes of streams are taken as lost, and go again.
    Retransmitted {
        /// Of which session.
        session: u64,
        /// How many.
        bytes: u64,
    },
    /// Events are missing here, because nobody took those before in time.
    Dropped {
        /// How many.
        events: u64,
    },
}

/// Why a path is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathEnd {
    /// Something was left unanswered for too long.
    Silent,
    /// Something that went by it was refused.
    Refused,
    /// Something that went by it found nobody.
    Undelivered,
    /// Something that went by it did not reach the peer's server.
    Unreachable,
    /// A block may have been too large for a server on the way.
    TooLarge,
    /// What came by it was damaged, was no next block, or was no half of the handshake.
    Damaged,
    /// The peer has closed it.
    Closed,
    /// Our account has lost what was on its way.
    AccountReset,
    /// Our account is gone for good.
    AccountGone,
    /// Another path took its place.
    Replaced,
    /// The peer called for more answers than there is room for, or for more paths.
    Crowded,
    /// The relay is over that carried it.
    RelayOver,
}

impl PathEnd {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Silent,
        Self::Refused,
        Self::Undelivered,
        Self::Unreachable,
        Self::TooLarge,
        Self::Damaged,
        Self::Closed,
        Self::AccountReset,
        Self::AccountGone,
        Self::Replaced,
        Self::Crowded,
        Self::RelayOver,
    ];
}

impl TraceEvent {
    /// Our account that it is about, if it is about one.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::AccountOnline { account, .. }
            | Self::AccountSuspended { account }
            | Self::AccountGone { account }
            | Self::BudgetUsed { account, .. }
            | Self::PathAsked { account, .. }
            | Self::FileTrouble { account, .. } => Some(*account),
            Self::PathOpened { account, .. } => *account,
            _ => None,
        }
    }
}
