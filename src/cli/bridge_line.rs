//! `hexchat-pt bridge-line`: what a bridge's operator hands out.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};

use super::qr::Modules;
use super::setup::{advised, announce, complain, open_state, runtime, state_dir};
use super::{BridgeLine, EXIT_FAULT, EXIT_OK, EXIT_USAGE, Rotate};
use crate::config::{MAX_ARGUMENTS, arguments_length, is_fingerprint, plain_bridge_line, read_bridge_line};
use crate::os;
use crate::state::{BRIDGE_LINE_FILE, StateError};

/// What stands in a line for a fingerprint that we do not know.
const UNKNOWN: &str = "<FINGERPRINT>";

/// Prints the line that the bridge has written. The bridge may be running: nothing is locked or changed.
pub(super) fn run(command: BridgeLine) -> u8 {
    let Some(directory) = state_dir(command.state.state) else {
        return complain(&advised(StateError::Nowhere), EXIT_USAGE);
    };
    let done = match command.action {
        Some(Rotate::Rotate) => rotate(&directory),
        None => line(&directory, command.plain).and_then(|line| show(&line, command.qr)),
    };
    match done {
        Ok(()) => EXIT_OK,
        Err(error) => complain(&error, EXIT_FAULT),
    }
}

/// Prints the line, or draws it, and says how much room is left in it.
fn show(line: &str, qr: Option<Option<PathBuf>>) -> anyhow::Result<()> {
    match qr {
        None => announce(line)?,
        Some(None) => announce(&Modules::of(line)?.for_terminal())?,
        Some(Some(path)) => write_image(&path, line)?,
    }
    let length = arguments_length(line)?;
    let left = if length < MAX_ARGUMENTS {
        "the user's login takes up what is left"
    } else {
        "no login fits in: give the bridge fewer accounts, or shorter names"
    };
    // If standard error is gone, there is nobody to tell.
    let _ = writeln!(
        io::stderr(),
        "its arguments take {length} of the {MAX_ARGUMENTS} bytes that tor carries; {left}"
    );
    if line.contains(UNKNOWN) {
        let _ = writeln!(
            io::stderr(),
            "tor's fingerprint was not found, and has to take the place of {UNKNOWN}: it is in the file `fingerprint` of tor's DataDirectory"
        );
    }
    Ok(())
}

/// For the owner alone, since whoever has the line can use the bridge. What is there already stays.
fn write_image(path: &Path, line: &str) -> anyhow::Result<()> {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    let image = match extension.to_str() {
        Some("png") => Modules::of(line)?.to_png()?,
        Some("svg") => Modules::of(line)?.to_svg().into_bytes(),
        _ => bail!("a QR code is written as PNG or SVG: give it a name that ends in .png or .svg"),
    };
    let action = || format!("writing {}", path.display());
    let mut options = OpenOptions::new();
    let mut file = os::open_private(options.write(true).create_new(true), path).with_context(action)?;
    file.write_all(&image).with_context(action)
}

/// Gives the bridge another key, and its accounts other resources.
fn rotate(directory: &Path) -> anyhow::Result<()> {
    ensure!(directory.exists(), "there is no {}: no bridge has run with it", directory.display());
    // One that is just ending still holds it.
    let state = runtime()?.block_on(open_state(directory)).map_err(|error| match error {
        StateError::Locked(_) => anyhow!("the bridge is running: end it first ({error})"),
        error => advised(error),
    })?;
    ensure!(
        state.renew_identity().map_err(advised)?,
        "there is no bridge's key in {}: nothing was changed",
        directory.display()
    );
    announce(
        "The bridge has another key, and its accounts have other resources, but for those whose `jid` names one. The old bridge line is \
         worthless. The bridge writes its new one when it starts; every user needs that.",
    )
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
