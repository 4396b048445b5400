//! `hexchat-pt gen-psk`: a secret for a private bridge.

use super::setup::print;
use crate::config::PresharedKey;

/// Prints one that nobody else has.
pub(super) fn run() -> u8 {
    print(&PresharedKey::from_bytes(rand::random()).to_text())
}
