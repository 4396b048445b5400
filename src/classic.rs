//! The classic protocol, pure: the protocol document's `hexchat:connect`, `connect_ack`, `packet` and `disconnect`.
//!
//! [`Endpoint`] is one end of the protocol, for any number of connections, which it calls streams. It
//! has no socket, clock, task, channel or randomness: time and events are handed in, and what is to be
//! done about them is polled out. The driver's loop:
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
//! [`Event`]: crate::protocol::Event
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

mod api;
mod endpoint;
mod link;
mod recv;
mod reorder;
mod routing;
mod send;
pub mod seq;
mod stanza;
mod stream;
mod timers;
mod window;

pub use api::{Config, Incoming, Missing, Outgoing, SetId, Sizes, Transmit};
pub use endpoint::Endpoint;
pub use stanza::{Aliases, Header, Payload};
