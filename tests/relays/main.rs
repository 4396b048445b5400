//! Relays: sessions that go through proxies of bytestreams of real chat servers (XEP-0065).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "../chat_server/mod.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod chat_server;
#[path = "../halves/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other tests use more of it")]
mod harness;
#[path = "../secure/pair.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod pair;

mod carrying;
mod client;
mod leaving;
mod proxies;
mod shares;
mod with_relay;
