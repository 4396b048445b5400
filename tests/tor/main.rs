//! Real tor, through a real chat server, behind the executable.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is how a fault is reported")]

mod faults;
mod found;
mod parent;
mod plain;
mod traffic;
mod unlaunched;
mod world;

use std::path::PathBuf;
use std::time::Duration;

/// The transport.
fn executable() -> PathBuf {
    hexchat_lab::executable(env!("CARGO_BIN_EXE_hexchat-pt"))
}

/// How long the first bootstrap may take on a busy machine.
const BOOTSTRAP: Duration = Duration::from_secs(120);

/// What a person should see within that time.
const SOON: Duration = Duration::from_secs(40);
