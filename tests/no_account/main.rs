//! People without an account: anonymous logins and registration, at real chat servers, through both halves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "../halves/mod.rs"]
#[allow(dead_code, unused_imports, reason = "those who have accounts use more of it")]
mod harness;
#[path = "../secure/pair.rs"]
#[allow(dead_code, reason = "those who have accounts use more of it")]
mod pair;

mod anonymous;
mod forgetting;
mod registering;
mod unusable_state;
