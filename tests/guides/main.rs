//! Guides: whatever README.md and the documents for users, operators and contributors tell people to write or run is written and run here.
//!
//! Every block of code in them has a language, and each language has one test:
//!
//! | language | what is done with it |
//! | --- | --- |
//! | `sh` | `hexchat-pt …` is run with real servers (`runs`), what a shell can do here is run by one (`shell`), and everything else is on the list in `elsewhere`, with the reason and the place where it is tried |
//! | `toml` | read by the program as its configuration; `arti` only has to be TOML, since `tests/arti` tries it |
//! | `torrc` | accepted by `tor --verify-config`, and the bridge lines by the program |
//! | `prosody`, `ejabberd` | `prosodyctl check config`; an ejabberd that starts with it |
//! | `prometheus` | YAML that scrapes the address at which the same document has the numbers served |
//! | `arguments` | read by the program as arguments of a bridge line |
//! | `log` | lines that a real run writes (`seen`): digits may be others, and `…` stands for anything; so are those in the picture of the doctor |
//! | `heartbeat` | what the unit test of `src/bridge/heartbeat.rs` sees |
//! | `drawing` | nothing: a picture in letters, or a calculation |
//!
//! A fenced block says its language behind the fence. An indented one is recognised by how it begins (`blocks::guess`). A block without
//! a language, and a command that is neither run nor listed, fail `every_block_has_a_language` and `every_command_is_run_or_listed`.
//! Inline code that begins with `hexchat-pt` has to name commands and options that exist, and what stands in the first column of a table
//! headed "what is said" has to stand in the sources.
//!
//! Links between the documents have to lead somewhere (`links`).
//!
//! Placeholders (`…`, `<FINGERPRINT>`, names of files and folders, addresses) are filled in by `filling` and `runs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "../halves/mod.rs"]
#[allow(dead_code, unused_imports, reason = "those who carry something use more of it")]
mod harness;

mod blocks;
mod commands;
mod elsewhere;
mod filling;
mod fragments;
mod links;
mod runs;
mod seen;
mod servers;
mod shell;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// What no single step may take longer than.
const PATIENCE: Duration = Duration::from_secs(90);

/// The top of the sources.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Writes a file that nobody else can read, instead of an earlier one.
fn write_private(folder: &Path, name: &str, text: &str) -> PathBuf {
    let _ = std::fs::remove_file(folder.join(name));
    harness::write_private(folder, name, text)
}

fn executable() -> PathBuf {
    hexchat_lab::executable(env!("CARGO_BIN_EXE_hexchat-pt"))
}
