//! Apps in Python and C that have the transport in them, with real chat servers, a real bridge and real tor.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is how a fault is reported")]

mod c;
mod left;
mod library;
mod python;
mod world;

use std::time::Duration;

/// How long an app may take for what it does next, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
