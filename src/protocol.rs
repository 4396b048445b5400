//! Vocabulary: what a protocol core and its driver say to each other, whichever protocol it is.

pub(crate) mod base_delay;
mod core;
pub(crate) mod round_trip;
pub(crate) mod size_limits;
pub(crate) mod timers;

use std::fmt;

use xmpp_parsers::jid::FullJid;

pub use self::core::Core;
pub use self::size_limits::SizeLimit;

/// Longer host names and addresses do not exist (RFC 1035 section 2.3.4).
const MAX_HOST_LENGTH: usize = 255;
/// The 2013 program accepts no more digits in a port.
const MAX_PORT_LENGTH: usize = 6;

/// One of our accounts. The pool of accounts counts them from 1 and never uses a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u64);

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// One end of a tunnelled TCP connection.
///
/// Both fields are kept as they were written: in the classic protocol they are part of the routing key and compare as
/// exact strings.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    host: String,
    port: String,
}

impl Address {
    /// An address from its two fields, unless one of them cannot be one: a host is 1 to 255
    /// visible characters, a port is a decimal of at most 6 digits.
    pub fn new(host: impl Into<String>, port: impl Into<String>) -> Option<Self> {
        let (host, port) = (host.into(), port.into());
        let host_fits =
            (1..=MAX_HOST_LENGTH).contains(&host.len()) && host.chars().all(|c| c.is_ascii_graphic());
        let port_fits =
            (1..=MAX_PORT_LENGTH).contains(&port.len()) && port.bytes().all(|digit| digit.is_ascii_digit());
        (host_fits && port_fits).then_some(Self { host, port })
    }

    /// The host name or IP address; IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port as it was written.
    pub fn port_text(&self) -> &str {
        &self.port
    }

    /// The port, unless it is one that no TCP connection can have.
    pub fn port(&self) -> Option<u16> {
        self.port.parse().ok().filter(|port| *port != 0)
    }
}

impl From<std::net::SocketAddr> for Address {
    fn from(address: std::net::SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port().to_string() }
    }
}

impl fmt::Debug for Address {
    /// Addresses are private: nothing is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(..)")
    }
}

/// What happened to one of our accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// It is logged in.
    Online {
        /// Its address.
        jid: FullJid,
        /// Whether everything that was sent before is still on its way (XEP-0198); otherwise it is
        /// lost, or may be.
        resumed: bool,
    },
    /// Its connection broke; it may come back.
    Suspended,
    /// It will not come back.
    Gone,
}

/// What an application should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Someone asks for a connection: accept or refuse it.
    Incoming {
        /// The stream to be.
        stream: StreamId,
        /// Where to.
        target: Address,
    },
    /// A connect of ours succeeded.
    Connected(StreamId),
    /// There is something to read: bytes, the end, or the reason why there will be no more.
    Readable(StreamId),
    /// There is room to write again.
    Writable(StreamId),
    /// The stream is over, in the given way. Bytes that came before can still be read.
    Closed(StreamId, CloseReason),
}

impl Event {
    /// The stream that it is about.
    pub fn stream(&self) -> StreamId {
        match self {
            Self::Incoming { stream, .. }
            | Self::Connected(stream)
            | Self::Readable(stream)
            | Self::Writable(stream)
            | Self::Closed(stream, _) => *stream,
        }
    }
}

/// Why a stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// Both ends are done with it, or the peer is.
    #[error("the connection was closed")]
    Finished,
    /// The peer answered that it cannot reach the target or does not allow it.
    #[error("the bridge refused the connection or cannot reach its target")]
    Refused,
    /// The server says that the peer's account is not there.
    #[error(
        "the bridge's account is not online, or its chat server lets only contacts through: ask the bridge's operator for the \
         former; `roster = true` helps against the latter; trying again later can help"
    )]
    PeerUnavailable,
    /// The peer's account is there, and says that it knows nothing of what we want, as a bridge does to whoever has not proved that he has
    /// its bridge line, or whose clock is wrong; and as any other program does.
    #[error(
        "the bridge's account is online and does not accept the bridge line: copy the whole line again (its key, psk and jid belong \
         together), and check the clock of this machine; if both are right, the bridge has a new line, a wrong clock or no room: \
         ask its operator, and trying again later can help"
    )]
    LineRefused,
    /// The server of our account cannot reach the one of the peer's.
    #[error(
        "the chat server of our account cannot reach the bridge's chat server: check the bridge line; another account, at \
         another server, can help, and so can trying again later"
    )]
    PeerServerUnreachable,
    /// A connect was not answered in time.
    #[error("the bridge did not answer in time; trying again later can help")]
    ConnectTimedOut,
    /// The peer has not been heard of for too long.
    #[error("the peer has fallen silent; connecting again can help")]
    PeerSilent,
    /// The peer has restarted, or given up the session that the stream was in.
    #[error("the bridge does not know the session any more; connecting again can help")]
    SessionLost,
    /// Nothing has come from the peer for too long, by any path.
    #[error("no way to the bridge has worked for too long; trying again later can help")]
    NoPath,
    /// The peer broke the protocol: a packet that was lost or came twice, or is not readable.
    #[error("a packet was damaged, lost or repeated on the way; connecting again can help")]
    ProtocolViolation,
    /// The peer sent more than the application read.
    #[error("the peer sent more than was read")]
    Overflow,
    /// The application broke it off.
    #[error("the connection was broken off")]
    Aborted,
    /// All accounts that the connection could use are gone for good.
    #[error("no account of ours is left for the connection")]
    NoAccount,
    /// There are as many connections as the limits allow.
    #[error("too many connections are open; trying again later can help")]
    TooManyStreams,
}

/// The outcome of reading from a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// These bytes.
    Data(bytes::Bytes),
    /// Nothing yet; [`Event::Readable`] will tell.
    Blocked,
    /// The peer has closed the stream and everything was read.
    End,
    /// The stream broke and everything was read.
    Broken(CloseReason),
}
