//! Looks of an account of ours: an ordinary idle chat client, to everybody without the bridge line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod answers;
mod grammar;
mod last_word;
mod leaks;
mod odd;
mod outgoing;
mod plainly;
mod prober;
mod probes;
mod statistics;
mod steady;
mod storm;
mod subject;
mod timing;
mod unharmed;
