//! The executable as Tor sees it: its environment, its standard output, its SOCKS port.
//!
//! Black-box: the grammar is the specification's and that of the two programs that launch transports, written down again
//! in [`parents`]; whatever any child of this suite says must pass both. README.md beside this file says which
//! requirement is tested where.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a panic is how a fault is reported"
)]

mod addresses;
mod bind;
mod bridge;
mod burst;
mod chat_server;
mod child;
mod ending;
mod environment;
mod files;
mod halves;
mod hostile;
mod hosts;
mod launch;
mod log;
mod newcomer;
mod orport;
mod parents;
mod pipe;
mod privacy;
mod properties;
mod proxy;
mod reports;
mod server;
mod shared_login;
mod socks;
mod state;
mod status;
mod table;
mod text;
mod version;
