//! Siege: hostile clients, which hold the bridge line, against the executable: `serve --secure` at a real chat server, genuine
//! clients of it beside them, and its memory as the kernel counts it.
//!
//! | module | what it is |
//! | --- | --- |
//! | `intruder` | a hostile client: logs in, shakes hands, and sends whatever frames and stanzas an attack wants |
//! | `attacks` | what hostile clients do, each attack a function that goes on until it is told to stop |
//! | `deeds` | what they have done and what became of it, so that an attack that took no hold shows |
//! | `genuine` | a genuine client, and what it gets: rate, latency, whether it gets in at all |
//! | `target` | what streams lead to |
//! | `siege` | bridge, genuine clients and attack together, and the figures before and meanwhile |
//! | `stories` | the tests: which attack, over which server, and what has to hold |
//!
//! Rates are compared, so the machine must do nothing else: `make siege` runs these tests, and `make test` leaves them out. It
//! takes ten minutes for each attack; `HEXCHAT_SIEGE_SECONDS=10 make siege` takes seconds. The limits of the bridge are small, so
//! that what would take an attacker minutes shows in seconds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a test that meets something unexpected has failed, and says so"
)]

mod attacks;
mod deeds;
mod genuine;
#[path = "../halves/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "the tests of both protocols use more of it")]
mod harness;
mod intruder;
#[path = "../looks/prober.rs"]
#[allow(dead_code, reason = "those who compare our looks use more of it")]
mod prober;
mod siege;
mod stories;
mod target;
