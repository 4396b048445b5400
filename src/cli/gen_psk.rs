//! `hexchat-pt gen-psk`: a secret for a private bridge.

use super::setup::{announce, complain};
use super::{EXIT_FAULT, EXIT_OK};
use crate::config::PresharedKey;

/// Prints one that nobody else has.
pub(super) fn run() -> u8 {
    match announce(&PresharedKey::from_bytes(rand::random()).to_text()) {
        Ok(()) => EXIT_OK,
        Err(error) => complain(&error, EXIT_FAULT),
    }
}
