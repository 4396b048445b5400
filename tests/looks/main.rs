//! To everybody without the bridge line, an account of ours is an ordinary idle chat client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod answers;
mod leaks;
mod plainly;
mod prober;
mod probes;
mod statistics;
mod subject;
mod timing;
