//! XMPP over WebSocket, at real chat servers that have one, and at web servers that have none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod carrying;
mod faults;
mod found;
#[path = "../halves/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other tests use more of it")]
mod harness;
mod web_server;
