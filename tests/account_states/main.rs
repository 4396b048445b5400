//! Accounts against a server that does exactly what the test wants, on virtual time: what is acknowledged, what is lost, what is
//! final.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../mock/mod.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod mock;

mod acknowledging;
mod backlog;
mod before_tls;
mod bounds;
mod circles;
mod client;
mod components;
mod connects;
mod doubting;
mod large_answers;
mod logging_out;
mod pings;
mod presuming;
mod refusals;
mod registering;
mod removing;
mod resuming;
mod short_sessions;
mod siblings;
mod stream_errors;
