//! The secure protocol as its users run it: `forward` and `serve --secure`, accounts at a real chat server, applications
//! at both ends, and everything that chat servers do to them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "../halves/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the classic protocol's tests use more of it")]
mod harness;

mod carrying;
mod component;
mod contacts;
mod dialling;
mod metrics;
mod overheard;
#[allow(dead_code, reason = "those who have no account use more of it")]
mod pair;
#[path = "../looks/prober.rs"]
#[allow(dead_code, reason = "those who compare our looks use more of it")]
mod prober;
mod questions;
mod sessions;
mod slow_reader;
mod small_stanzas;
mod strangers;
mod swallowed;
mod traces;
mod trouble;
