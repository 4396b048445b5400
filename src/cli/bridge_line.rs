//! `hexchat-pt bridge-line`: what a bridge's operator hands out.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::setup::{advised, announce, complain, state_dir};
use super::{BridgeLine, EXIT_FAULT, EXIT_OK, EXIT_USAGE};
use crate::config::{is_fingerprint, plain_bridge_line, read_bridge_line};
use crate::os;
use crate::state::{BRIDGE_LINE_FILE, StateError};

/// What stands in a line for a fingerprint that we do not know.
const UNKNOWN: &str = "<FINGERPRINT>";

/// Prints the line that the bridge has written. The bridge may be running: nothing is locked or changed.
pub(super) fn run(command: BridgeLine) -> u8 {
    let Some(directory) = state_dir(command.state.state) else {
        return complain(&advised(StateError::Nowhere), EXIT_USAGE);
    };
    match line(&directory, command.plain).and_then(|line| announce(&line)) {
        Ok(()) => EXIT_OK,
        Err(error) => complain(&error, EXIT_FAULT),
    }
}

fn line(directory: &Path, plain: bool) -> anyhow::Result<String> {
    let path: PathBuf = directory.join(BRIDGE_LINE_FILE);
    match fs::metadata(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::PermissionDenied => bail!(
            "cannot look into the folder {}: permission denied; this process runs as {}: run it as the user that the bridge runs as, \
             or as root",
            directory.display(),
            os::user()
        ),
        Err(_) => bail!(
            "there is no {}: a bridge writes it when it starts with the secure protocol (under Tor, its state directory is \
             pt_state in the DataDirectory)",
            path.display()
        ),
    }
    let line = read_bridge_line(&path).context("reading the bridge line")?;
    let fingerprint = fingerprint(directory);
    if plain {
        return plain_bridge_line(&line, fingerprint.as_deref()).context("spelling the bridge line plainly");
    }
    Ok(fingerprint.map_or_else(|| line.clone(), |known| line.replace(UNKNOWN, &known)))
}

/// Tor's own fingerprint, where its state is around ours and can be read: a nickname, and then that.
fn fingerprint(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.parent()?.join("fingerprint")).ok()?;
    text.split_whitespace().find(|word| is_fingerprint(word)).map(str::to_owned)
}
