//! The secure protocol, pure: sessions that outlive what chat servers do to them.
//!
//! A *session* joins one client and one bridge. It is made by a Noise handshake on the bridge's key, carries any number
//! of *streams*, and travels over *paths* between one of the client's accounts and one of the bridge's. A path is opened with a
//! credential, takes blocks up to a size, and says of each whether it was taken; how blocks travel is the carrier's affair. Paths come
//! and go; the session goes on. `doc/protocol.md` is the complete wire format.

mod accounts;
mod api;
pub(crate) mod budget;
mod client_tag;
pub mod crypto;
mod delivery;
mod endpoint;
mod ids;
mod path;
mod session;
mod shared;
mod sizes;
mod streams;
mod tuning;
#[cfg(test)]
mod vectors;
pub mod wire;

pub use api::news::News;
pub use api::{
    Bridge, Config, HandshakeRecord, Incoming, Load, Outgoing, QuotaUse, Receipt, Service, Statistics,
    Transmit,
};
pub use api::{files, relays, stats, trace};
pub use crypto::credential::Credential;
pub use crypto::handshake::{Lanes, PROTOCOL_VERSION};
pub use crypto::line::{BridgeLine, Identity};
pub use delivery::Token;
pub use endpoint::{Endpoint, MOST_FIRST_BYTES, Persisted};
pub use ids::PathId;
pub use session::Measured;
pub use sizes::Sizes;
