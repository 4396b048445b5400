//! Trace of what the secure core does, event by event and without names, as lines of JSON in a file (`doc/trace.md`).
//!
//! The core makes the events, as plain data ([`secure::trace`](crate::secure::trace)); here they get their words ([`json`]) and a file
//! ([`writer`]). A thread of its own writes: a slow disk holds up nobody, and what waits for it for too long is left out and counted.

mod json;
mod writer;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Instant, SystemTime};

use crate::os;
use crate::tunnel::Tunnel;
use writer::Writer;

/// A trace has 64 MiB at most, all its runs together: half a million events, days of a client's and hours of a busy bridge's.
const MOST_BYTES: u64 = 64 << 20;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    /// The file cannot be opened; trying again can help once somebody has seen to it.
    #[error("the trace file {path} cannot be written: {error}")]
    Io {
        /// Which one.
        path: String,
        error: io::Error,
    },
    /// What is there is no file of its own.
    #[error(
        "the trace file {0} is no file but a symbolic link, a device or something else: name another one"
    )]
    NoFile(String),
    /// It has as much as it may have.
    #[error("the trace file {0} is full, at 64 MiB: move it away, or name another one")]
    Full(String),
}

/// The file of a trace that has not begun.
#[derive(Debug)]
pub(crate) struct TraceFile {
    writer: Writer<File>,
    /// How the log calls it.
    name: String,
}

impl TraceFile {
    /// Opens the file, for its owner alone, and writes behind what it has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn open(path: &Path) -> Result<Self, TraceError> {
        let name = path.to_string_lossy().replace(char::is_control, "?");
        let fault = |error| TraceError::Io { path: name.clone(), error };
        if path.is_symlink() {
            return Err(TraceError::NoFile(name));
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = os::open_private_unfollowed(&mut options, path).map_err(fault)?;
        let metadata = file.metadata().map_err(fault)?;
        if !metadata.is_file() {
            return Err(TraceError::NoFile(name));
        }
        os::close_to_others(&file).map_err(fault)?;
        let is_torn = ends_within_a_line(&mut file).map_err(fault)?;
        let mut writer = Writer::new(file, (metadata.len(), MOST_BYTES), Instant::now());
        if writer.is_full() {
            return Err(TraceError::Full(name));
        }
        writer.begin(SystemTime::now(), is_torn).map_err(fault)?;
        Ok(Self { writer, name })
    }

    /// Writes down what the tunnel does, until it is shut down. Must be called within a Tokio runtime, before the first account is online.
    pub(crate) fn follow(self, tunnel: &Tunnel) {
        let Self { mut writer, name } = self;
        let mut events = tunnel.trace();
        // What it takes to end is waited for at the end of the program, for a moment.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = writer.write_all(&mut events) {
                tracing::warn!(
                    "the trace file {name} cannot be written to ({}); the trace ends",
                    error.kind()
                );
            }
        });
    }
}

/// Opens the file that somebody wants, if anybody does: the one of the command line, else that of the configuration.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn open(given: Option<&Path>, configured: Option<&Path>) -> Result<Option<TraceFile>, TraceError> {
    given.or(configured).map(TraceFile::open).transpose()
}

/// The same for whom the rest matters more: what is wrong is logged.
pub(crate) fn open_or_warn(configured: Option<&Path>) -> Option<TraceFile> {
    open(None, configured).unwrap_or_else(|error| {
        tracing::warn!("there is no trace: {error}");
        None
    })
}

/// Whether a line was begun and not ended, as by a process that was killed.
fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn in_folder(name: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        (folder, path)
    }

    #[test]
    fn each_run_begins_with_a_line_of_its_own_behind_what_is_there() {
        let (_folder, path) = in_folder("trace");
        drop(TraceFile::open(&path).unwrap());
        let first = fs::read_to_string(&path).unwrap();
        fs::write(&path, first.clone() + "{\"ms\":1").unwrap();
        drop(TraceFile::open(&path).unwrap());
        let both = fs::read_to_string(&path).unwrap();
        let starts: Vec<_> = both.lines().filter(|line| line.starts_with("{\"format\":")).collect();
        assert_eq!(starts.len(), 2, "{both}");
        assert!(both.starts_with(&first) && both.ends_with('\n'));
    }

    #[test]
    fn a_file_that_is_full_is_told_from_one_that_cannot_be_written() {
        let (folder, path) = in_folder("trace");
        File::create(&path).unwrap().set_len(MOST_BYTES).unwrap();
        assert!(matches!(TraceFile::open(&path), Err(TraceError::Full(_))));
        let nowhere = folder.path().join("none/trace");
        let error = TraceFile::open(&nowhere).unwrap_err();
        assert!(
            matches!(error, TraceError::Io { .. }) && error.to_string().contains("none/trace"),
            "{error}"
        );
        assert!(matches!(TraceFile::open(folder.path()), Err(TraceError::Io { .. })));
    }

    #[test]
    fn a_file_of_the_command_line_wins_and_none_is_opened_for_nobody() {
        let (_folder, path) = in_folder("trace");
        let other = path.with_extension("other");
        assert!(open(None, None).unwrap().is_none() && open_or_warn(None).is_none());
        assert!(open(Some(&path), Some(&other)).unwrap().is_some());
        assert!(path.exists() && !other.exists());
        assert!(open_or_warn(Some(&other)).is_some() && other.exists());
    }
}
