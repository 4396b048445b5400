//! Harness of tests with two halves at a chat server.

mod half;
mod lab;
mod target;
mod trace;
mod transfer;

pub(crate) use half::{Half, write_private};
pub(crate) use hexchat_lab::on_both_servers;
pub(crate) use lab::{Lab, Route};
pub(crate) use target::{Target, connect};
pub(crate) use trace::{called, trace_of};
pub(crate) use transfer::{
    Outcome, echo, random_bytes, transfer, transfer_despite, transfer_through_cuts, wait_until_closed,
    wait_until_it_works,
};

use std::time::Duration;

/// What no single step of a test may take longer than: after this time without a sign of life, both applications must
/// have seen their connections closed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
