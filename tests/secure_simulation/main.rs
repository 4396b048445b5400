//! The secure protocol core against a simulated chat network, on virtual time.
//!
//! | module | what it is |
//! | --- | --- |
//! | `../simulation` | whatever the protocol: random numbers that a seed replays, the chat servers, the reference of what applications do and may read, and the clock |
//! | `letters` | what stanzas say |
//! | `ours` | our program with a driver that watches the wire |
//! | `setup` | worlds of a client on the left and a bridge on the right |
//! | `proxy` | a proxy that joins byte streams, and the drivers that call it |
//! | `upload_service` | where files can be put, and the drivers that do so |
//! | `random` | thousands of random worlds |
//! | `puppet` | a client that holds the bridge line and keeps to no rule |
//! | `../simulation/over_ibb` | an endpoint and its bytestreams |
//! | `../simulation/arena` | a bridge and several such clients, beside one that keeps to the protocol |
//! | `carrying`, `early`, `carriers`, `bounds`, `failing`, `files`, `relays`, `swallowing`, `traces`, `door`, `admission`, `hostile`, `hoarding` | one story each |
//!
//! `HEXCHAT_SEED=n` replays one random world, and `HEXCHAT_SEEDS=n` sets how many are tried.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that meets something unexpected has failed, and says so"
)]

#[path = "../simulation/arena.rs"]
#[allow(dead_code, reason = "the test of memory uses more of it")]
mod arena;
#[path = "../simulation/flow.rs"]
#[allow(dead_code, reason = "the classic protocol's tests use more of it")]
mod flow;
#[path = "../simulation/network.rs"]
#[allow(dead_code, reason = "the classic protocol's tests use more of it")]
mod network;
#[path = "../simulation/over_ibb.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod over_ibb;
#[path = "../simulation/program.rs"]
mod program;
#[path = "../simulation/rng.rs"]
#[allow(dead_code, reason = "the classic protocol's tests use more of it")]
mod rng;
#[path = "../simulation/seeds.rs"]
mod seeds;
#[path = "../simulation/world/mod.rs"]
#[allow(dead_code, reason = "the classic protocol's tests use more of it")]
mod world;

mod admission;
mod bounds;
mod carriers;
mod carrying;
mod door;
mod early;
mod failing;
mod files;
mod hoarding;
mod hostile;
mod hostile_relays;
mod hurry;
mod letters;
mod ours;
mod proxy;
mod puppet;
mod random;
mod relays;
mod setup;
mod slow_relays;
mod swallowing;
mod traces;
mod upload_service;
