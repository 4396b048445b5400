//! Costs of the protocol cores, away from sockets and clocks.
//!
//! A [`Pair`](pair::Pair) is two ends that carry blocks to each other, on virtual time. Whoever wants to know
//! what one of the ends costs hands in a [`Meter`](pair::Meter): a stopwatch (`benches/speed.rs`) or a count of allocations
//! (`tests/allocations.rs`).
//!
//! | module | what it is |
//! | --- | --- |
//! | [`wire`] | a core's words as bytes of an XML stream, and back: all that knows of stanzas |
//! | [`end`] | one end of a protocol, whichever it is, with its wire |
//! | [`secure`], [`classic`] | the ends of the two protocols |
//! | [`pair`] | two ends, the server between them, and its clock |
//! | [`block`] | the sizes that are measured |

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "nothing comes from outside: what goes wrong ends the measurement"
)]

pub mod block;
pub mod classic;
pub mod end;
pub mod pair;
pub mod secure;
pub mod wire;
