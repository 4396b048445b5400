//! Vocabulary: the words between [`Streams`](crate::secure::streams::Streams) and its user.

use crate::protocol::{Address, CloseReason};

/// Which side this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Opens streams.
    Client,
    /// Accepts them.
    Bridge,
}

/// What may be kept, in bytes unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamLimits {
    /// Written to one stream and not known to have arrived.
    pub send_buffer: usize,
    /// Received and not read: what the peer is given credit for at first.
    pub first_credit: Credit,
    /// The same at most, where the peer is fast and far away and there is room.
    pub largest_credit: Credit,
    /// Written to all streams together and not known to have arrived.
    pub session_queue: usize,
    /// Streams, as a count.
    pub max_streams: usize,
    /// Small pieces of received bytes that wait for what comes before them, on all streams, as a count.
    pub max_fragments: usize,
}

/// How much may be sent that the other end has not read, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credit {
    /// On each stream.
    pub stream: u64,
    /// On all together.
    pub session: u64,
}

impl Credit {
    /// What everyone gets at first, where no limit is less: 1 MiB for a stream, what a path of 10 MB/s and a round trip of 0.1 seconds
    /// holds, and 8 MiB for a session, since all sessions have that whether they need it or not.
    pub(crate) const FIRST: Self = Self { stream: 1 << 20, session: 8 << 20 };
}

/// What the application should know about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamEvent {
    /// The client asks for a connection: accept or refuse it.
    Incoming {
        /// The stream's number on the wire.
        id: u64,
        /// Where to.
        target: Address,
    },
    /// The bridge has reached the target.
    Connected(u64),
    /// There is something to read: bytes, the end, or the reason why there will be no more.
    Readable(u64),
    /// There is room to write again, or writing fails from now on.
    Writable(u64),
    /// The stream is over in both directions. Bytes that came before can still be read.
    Closed(u64, CloseReason),
}

impl StreamEvent {
    /// The stream that it is about.
    pub(crate) fn id(&self) -> u64 {
        match self {
            Self::Incoming { id, .. }
            | Self::Connected(id)
            | Self::Readable(id)
            | Self::Writable(id)
            | Self::Closed(id, _) => *id,
        }
    }
}

/// The peer broke the protocol: the session must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer broke the protocol: {0}")]
pub(crate) struct ProtocolViolation(pub(super) &'static str);
