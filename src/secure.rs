//! The secure protocol, pure: sessions that outlive what chat servers do to them.
//!
//! A *session* joins one client and one bridge. It is made by a Noise handshake on the bridge's key, carries any number
//! of *streams*, and travels over *paths*: In-Band Bytestreams (XEP-0047) between one of the client's accounts and one of
//! the bridge's. Paths come and go; the session goes on. `doc/protocol.md` is the complete wire format.

mod accounts;
mod api;
mod budget;
mod client_tag;
pub mod crypto;
mod endpoint;
mod ids;
mod iq;
mod path;
mod session;
mod shared;
mod sizes;
pub mod streams;
mod tuning;
#[cfg(test)]
mod vectors;
pub mod wire;

pub use api::{Bridge, Config, Incoming, Memento, Outgoing, Service, Transmit};
pub use crypto::credential::Credential;
pub use crypto::line::{BridgeLine, Identity};
pub use endpoint::{Endpoint, Remembered};
pub use iq::IqId;
pub use sizes::Sizes;
