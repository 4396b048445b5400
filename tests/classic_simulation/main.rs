//! The classic protocol core against a simulated chat network, on virtual time.
//!
//! | module | what it is |
//! | --- | --- |
//! | `../simulation` | whatever the protocol: random numbers that a seed replays, the chat servers, the reference of what applications do and may read, and the clock |
//! | `letters` | what stanzas say |
//! | `ours` | our program with a driver that watches the wire |
//! | `old_peer` | the program of 2013 |
//! | `setup` | worlds of such programs |
//! | `random` | thousands of random worlds |
//! | `connecting`, `carrying`, `failing`, `with_old_peer`, `reflecting` | one story each |
//!
//! `HEXCHAT_SEED=n` replays one random world, and `HEXCHAT_SEEDS=n` sets how many are tried.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that meets something unexpected has failed, and says so"
)]

#[path = "../simulation/flow.rs"]
mod flow;
#[path = "../simulation/network.rs"]
mod network;
#[path = "../simulation/program.rs"]
mod program;
#[path = "../simulation/rng.rs"]
mod rng;
#[path = "../simulation/seeds.rs"]
mod seeds;
#[path = "../simulation/world/mod.rs"]
#[allow(dead_code, reason = "the secure protocol's tests use more of it")]
mod world;

mod carrying;
mod connecting;
mod failing;
mod letters;
mod old_peer;
mod ours;
mod random;
mod reflecting;
mod setup;
mod with_old_peer;
