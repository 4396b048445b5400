//! One bridge and thousands of clients, on virtual time.
//!
//! | module | what it is |
//! | --- | --- |
//! | `../simulation/over_ibb.rs` | an endpoint and its bytestreams |
//! | `../simulation/rng.rs` | random numbers that a seed replays |
//! | `uplink` | one account's connection to its chat server, which reads from it as slowly as Prosody does |
//! | `program` | our end of it: a pure core and its account or accounts |
//! | `world` | one bridge, its clients, their chat servers, and the clock |
//! | `figures` | what is measured |
//! | `many` | the stories |
//!
//! All ends are real [`Endpoint`](hexchat_pt::secure::Endpoint)s. `make scale` runs the large ones too, and prints what they
//! measure; `doc/scaling.md` has what that was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a test that meets something unexpected has failed, and says so"
)]

#[path = "../simulation/over_ibb.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod over_ibb;
#[path = "../simulation/rng.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod rng;

mod figures;
mod many;
mod program;
mod uplink;
mod world;
