//! Executable under test: what Cargo has built for the test, or another that is to do the same.

use std::env;
use std::path::PathBuf;

/// The variable that names another executable, for instance one that was built for any system (`make portable`).
const OTHER: &str = "HEXCHAT_PT";

/// Where the executable is: where `HEXCHAT_PT` says, else at `built`, which in a test of this workspace is
/// `env!("CARGO_BIN_EXE_hexchat-pt")`.
#[must_use]
pub fn executable(built: impl Into<PathBuf>) -> PathBuf {
    env::var_os(OTHER).map_or_else(|| built.into(), PathBuf::from)
}
