//! The classic protocol core against a simulated chat network, on virtual time.
//!
//! | module | what it is |
//! | --- | --- |
//! | `rng` | random numbers that a seed replays |
//! | `network` | the chat servers: order, delay, shaping, bounces, resumption, faults |
//! | `program` | our program with a driver that watches the wire |
//! | `old_peer` | the program of 2013 |
//! | `flow` | the reference: what applications do and what they may read |
//! | `world` | all of it together, and the clock |
//! | `random` | thousands of random worlds |
//! | `connecting`, `carrying`, `failing`, `with_old_peer` | one story each |
//!
//! `HEXCHAT_SEED=n` replays one random world, and `HEXCHAT_SEEDS=n` sets how many are tried.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that meets something unexpected has failed, and says so"
)]

mod carrying;
mod connecting;
mod failing;
mod flow;
mod network;
mod old_peer;
mod program;
mod random;
mod rng;
mod with_old_peer;
mod world;
