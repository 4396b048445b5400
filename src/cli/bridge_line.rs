//! `hexchat-pt bridge-line`: what a bridge's operator hands out.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::setup::{announce, complain, state_dir};
use super::{EXIT_FAULT, EXIT_OK, EXIT_USAGE};
use crate::config::read_bridge_line;
use crate::state::{BRIDGE_LINE_FILE, StateError};

/// Prints the line that the bridge has written. The bridge may be running: nothing is locked or changed.
pub(super) fn run(state: Option<PathBuf>) -> u8 {
    let Some(directory) = state_dir(state) else {
        return complain(&StateError::Nowhere.into(), EXIT_USAGE);
    };
    match print(&directory.join(BRIDGE_LINE_FILE)) {
        Ok(()) => EXIT_OK,
        Err(error) => complain(&error, EXIT_FAULT),
    }
}

fn print(path: &Path) -> anyhow::Result<()> {
    ensure!(
        path.exists(),
        "there is no {}: a bridge writes it when it starts with the secure protocol (under Tor, its state directory is \
         pt_state in the DataDirectory)",
        path.display()
    );
    announce(&read_bridge_line(path).context("reading the bridge line")?)
}
