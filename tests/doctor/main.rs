//! `hexchat-pt doctor`, as a person runs it and as a program does: sound configurations, and many ways to break one, each of which has to
//! be told at its stage and in its sentence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "../halves/mod.rs"]
#[allow(dead_code, unused_imports, reason = "those who carry something use more of it")]
mod harness;
#[path = "../secure/pair.rs"]
#[allow(dead_code, reason = "those who carry something use more of it")]
mod pair;

mod accounts;
mod bridges;
mod configurations;
mod examination;
mod scripted;
mod sound;
