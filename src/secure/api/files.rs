//! Files: what an endpoint and its driver say to each other about them (doc/lanes.md).

use std::time::Duration;

use bytes::Bytes;
use xmpp_parsers::jid::BareJid;

use crate::protocol::AccountId;
use crate::secure::ids::SessionKey;
use crate::secure::wire::file_frame::{FileUrl, SlotHeader};

/// Names a file of one endpoint. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileKey {
    pub(crate) session: SessionKey,
    /// Its number in the session.
    pub(crate) number: u64,
}

#[cfg(test)]
impl FileKey {
    /// That of a file with this number in a session with that one.
    pub(crate) fn of(session: u64, number: u64) -> Self {
        Self { session: SessionKey(session), number }
    }
}

/// Upload service of an account's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadService {
    /// What the account may put there within 24 hours, in bytes.
    pub daily: u64,
    /// What still counts of what it has put there, in bytes: slots count for 24 hours, used or not.
    pub used: u64,
    /// The largest file that it takes, in bytes, if it says so.
    pub max_file: Option<u64>,
}

/// What the driver is to do about a file. Each task but [`Cancel`](Self::Cancel) has an outcome that the endpoint is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileTask {
    /// Ask the upload service of an account's server for a slot; [`handle_slot`](crate::secure::Endpoint::handle_slot) takes the answer.
    Ask {
        /// Of which file.
        file: FileKey,
        /// Whose server.
        account: AccountId,
        /// How long the file will be, in bytes.
        size: usize,
    },
    /// Put a file; [`handle_file_sent`](crate::secure::Endpoint::handle_file_sent) is told when all of it is on its way, and
    /// [`handle_put`](crate::secure::Endpoint::handle_put) what became of it.
    Put {
        /// Which one.
        file: FileKey,
        /// Who vouches for the host.
        owner: SlotOwner,
        /// Where.
        url: FileUrl,
        /// With these headers.
        headers: Vec<SlotHeader>,
        /// How long it is, in bytes.
        size: usize,
        /// Its content, in pieces that follow each other.
        content: Vec<Bytes>,
    },
    /// Fetch a file, again for a while if it is not there: it may be on its way. [`handle_file_bytes`](crate::secure::Endpoint::handle_file_bytes) takes what comes, and
    /// [`handle_file_end`](crate::secure::Endpoint::handle_file_end) is told when no more does.
    Get {
        /// Which one.
        file: FileKey,
        /// Who vouches for the host.
        owner: SlotOwner,
        /// Where.
        url: FileUrl,
        /// How long it is, in bytes.
        size: usize,
    },
    /// Nobody waits any more for what was to be done with a file.
    Cancel {
        /// Which one.
        file: FileKey,
    },
}

impl FileTask {
    /// Which file it is about.
    pub(crate) fn file(&self) -> FileKey {
        match self {
            Self::Ask { file, .. }
            | Self::Put { file, .. }
            | Self::Get { file, .. }
            | Self::Cancel { file } => *file,
        }
    }
}

/// Whose server has given the slot of a file: the file is at one of its hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotOwner {
    /// On a client: an account of ours.
    Account(AccountId),
    /// On a bridge: the account that its client shook hands with, which its server vouches for.
    Client(BareJid),
}

/// A slot: a permission to put one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where the file is put.
    pub put: FileUrl,
    /// With these headers.
    pub headers: Vec<SlotHeader>,
    /// Where it can be fetched by whoever knows the URL.
    pub get: FileUrl,
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSlot {
    /// A fault that may pass.
    MayPass,
    /// The service wants to be left alone for so long.
    Enough(Duration),
    /// The file is too large: so many bytes are the most, where that is known.
    TooLarge(Option<u64>),
    /// The service is of no use until the account logs in anew.
    Useless,
}
