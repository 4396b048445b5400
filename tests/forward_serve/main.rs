//! `forward` and `serve` as their users run them: two processes, accounts at a real chat server, applications at both
//! ends. Every test has a chat server of its own, so that all run side by side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod carrying;
mod cuts;
mod faults;
#[path = "../halves/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the secure protocol's tests use more of it")]
mod harness;
mod killed;
mod leaks;
mod outage;
mod small_stanzas;
mod stopping;
