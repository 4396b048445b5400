//! The protocol document (`hexchat:connect`, `connect_ack`, `packet`, `disconnect`), pure.
//!
//! [`Endpoint`] is one end of the protocol, for any number of connections, which it calls streams. It
//! has no socket, clock, task, channel or randomness: time and events are handed in, and what is to be
//! done about them is polled out. A driver turns the crank:
//!
//! 1. hand in what happened: [`Core::handle_account`], [`Endpoint::handle_stanza`],
//!    [`Endpoint::handle_server_ack`], [`Core::handle_timeout`];
//! 2. pass on what the applications want: [`Endpoint::connect`], [`Core::accept`], [`Core::write`],
//!    [`Core::read`], [`Core::finish`], [`Core::release`];
//! 3. send every [`Transmit`] of [`Endpoint::poll_transmit`];
//! 4. tell the applications every [`Event`] of [`Core::poll_event`];
//! 5. sleep until something happens or [`Core::poll_timeout`] has passed.
//!
//! [`Core`]: crate::protocol::Core
//! [`Core::handle_account`]: crate::protocol::Core::handle_account
//! [`Core::handle_timeout`]: crate::protocol::Core::handle_timeout
//! [`Core::accept`]: crate::protocol::Core::accept
//! [`Core::write`]: crate::protocol::Core::write
//! [`Core::read`]: crate::protocol::Core::read
//! [`Core::finish`]: crate::protocol::Core::finish
//! [`Core::release`]: crate::protocol::Core::release
//! [`Core::poll_event`]: crate::protocol::Core::poll_event
//! [`Core::poll_timeout`]: crate::protocol::Core::poll_timeout
//!
//! What goes beyond the protocol document, and never disturbs a peer that knows only the document:
//! every set of a known connection is answered with an empty result; late answers are the flow
//! control (`recv`); the account's send window follows the delay (`window`); a packet that bounced
//! or was lost with an account is sent again under the same id; a peer is declared dead when it has
//! been silent for [`Config::silence_timeout`].

mod endpoint;
mod link;
mod recv;
pub mod reorder;
mod routing;
mod send;
pub mod seq;
pub mod stanza;
mod stream;
mod timers;
mod window;

use std::time::Duration;

use xmpp_parsers::jid::{FullJid, Jid};

use crate::protocol::{AccountId, Address, CloseReason, Event, StreamId};
pub use endpoint::Endpoint;
pub use stanza::{Aliases, Header, Payload};

/// One IQ of ours, whether it will be answered or not; unique in the life of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId(pub u64);

/// Bounds and timeouts. `[limits]` has their defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The accounts on which connects from outside are considered, each the peer's way to all of them.
    /// Empty: nobody can connect to us.
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
        /// True when the server says that nobody is there; false when a peer that is there does not
        /// understand.
        nobody_there: bool,
    },
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
struct Answer {
    via: AccountId,
    to: FullJid,
    id: String,
}
