//! Files as a lane of sessions: `forward` and `serve --secure` at stock servers with upload services, and what becomes of bulk there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "../halves/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other tests use more of it")]
mod harness;
#[path = "../secure/pair.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod pair;

mod carrying;
mod first_connection;
mod leaving;
mod overheard;
mod with_files;
