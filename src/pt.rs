//! Tor's side of the pluggable transport specification, version 1: usable on its own.

pub mod args;
pub mod env;
pub mod extor;
pub mod message;
pub mod name;
pub mod proxy;
pub mod shutdown;
pub mod socks;
pub mod stdout;
