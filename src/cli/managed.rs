//! Launched by Tor.

use super::Options;

pub(super) fn run(_options: &Options) -> u8 {
    super::EXIT_USAGE
}
