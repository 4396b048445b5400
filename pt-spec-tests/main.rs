//! The executable as Tor sees it: its environment, its standard output, its SOCKS port.
//!
//! Black-box: the grammar is the specification's, written down again in [`child`] and [`socks`], and none of the
//! program's own types is used. README.md beside this file says which requirement is tested where.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is how a fault is reported")]

mod addresses;
mod bind;
mod bridge;
mod chat_server;
mod child;
mod client;
mod ending;
mod environment;
mod halves;
mod hostile;
mod hosts;
mod log;
mod orport;
mod privacy;
mod proxy;
mod reports;
mod server;
mod socks;
