//! hexchat-pt as a library for apps: start, stop, port and events, in the shape of IPtProxy's `Controller`.
//!
//! There are two faces of one thing, [`hexchat_pt::embedded`]: [`controller`], from which UniFFI makes Kotlin, Swift and Python, and [`c`],
//! which `include/hexchat-pt.h` declares. The `README.md` of this crate says what an app has to do.

pub mod c;
pub mod controller;

pub use controller::{Controller, ControllerError, OnTransportEvents, version};

mod scaffolding {
    #![allow(
        unsafe_code,
        missing_docs,
        clippy::undocumented_unsafe_blocks,
        reason = "UniFFI writes what stands here"
    )]
    uniffi::setup_scaffolding!("hexchat_pt");
}
use scaffolding::UniFfiTag;
