//! Carrier: turns what the protocol cores want sent into stanzas, and decides for whom each stanza is that comes. Pure.
//!
//! | module | what it is |
//! | --- | --- |
//! | `desk` | both directions together: who gets a stanza that comes in, and what is answered |
//! | [`ibb`] | paths of the secure protocol: In-Band Bytestreams (XEP-0047) |
//! | `classic` | packets of the classic protocol |
//! | `ids` | ids of our IQs, which nobody can guess |
//! | `presences` | the presence of our own accounts |
//! | [`records`] | a path of the secure protocol on a byte stream of its own |
//! | [`services`] | services of accounts' servers: which there are, and all that is asked for there |
//! | [`upload`] | the upload service among them, and slots of it (XEP-0363) |
//! | [`relay`] | the proxy of bytestreams among them, and what joins two connections there (XEP-0065) |
//! | [`questions`] | what is asked by who examines an account |
//! | [`clock`] | the time of accounts' servers (XEP-0202) |
//! | `pending` | requests to them that wait for their answers |

pub(crate) mod classic;
pub mod clock;
mod desk;
pub mod ibb;
mod ids;
mod pending;
mod presences;
pub mod questions;
pub mod records;
pub mod relay;
pub mod services;
pub mod upload;

pub use desk::{Arrival, Decision, Desk, Recipient};
