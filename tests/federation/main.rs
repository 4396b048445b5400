//! Federation: client and bridge have accounts at two servers, a Prosody and an ejabberd, that speak to each other over TLS with
//! certificates that verify. Both are found by SRV records, at port 443.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "../halves/mod.rs"]
#[allow(dead_code, unused_imports, reason = "tests with one server use more of it")]
mod harness;

mod carrying;
mod faults;
#[path = "../secure/pair.rs"]
#[allow(dead_code, reason = "tests with one server use more of it")]
mod pair;
#[path = "../looks/prober.rs"]
#[allow(dead_code, reason = "tests of looks use more of it")]
mod prober;
mod small_stanzas;
mod strangers;
mod tor;

use hexchat_lab::Federation;
use hexchat_lab::federation::Terms;

/// Two servers with nothing unusual about them.
fn federation() -> Federation {
    Federation::start(Terms::default(), Terms::default()).unwrap()
}
