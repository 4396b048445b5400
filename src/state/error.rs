//! Errors of a state directory: what is wrong with it, and what helps.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Why a state directory cannot be used, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No directory was named, and there is no home directory to find one in.
    #[error("there is no state directory: give one with --state, or set XDG_STATE_HOME or HOME")]
    Nowhere,
    /// Another process uses it. It may be about to end: trying again can help.
    #[error("the state directory {} is in use by another process; give each its own", .0.display())]
    Locked(PathBuf),
    /// A directory that other users share. Making it private would lock them out.
    #[error("{} is shared with other users; give hexchat-pt a directory of its own", .0.display())]
    Shared(PathBuf),
    /// A directory of another user's, who could read and change what is in it.
    #[error("{} belongs to another user; give hexchat-pt a directory of its own", .0.display())]
    Foreign(PathBuf),
    /// The operating system refused. Trying again can help when a disk was full.
    #[error("{action} {}: {error}{}", path.display(), advice_on(error))]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said; part of the text, and so not a source as well.
        error: io::Error,
    },
    /// The file is not what this program writes. It is left as it is.
    #[error(
        "{} is damaged{}; restore it from a backup, or move it away to start anew (a bridge has another bridge line then, and a \
         client does not know the accounts that it has registered)", path.display(), At(*line, *column)
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Counted from 1; 0 when it is the file as a whole.
        line: usize,
        /// Counted from 1; 0 when it is the line as a whole.
        column: usize,
    },
    /// The memory of handshakes is not what this program writes. It is left as it is.
    #[error(
        "{} is damaged{}; move it away (what was recorded of handshakes in the last 20 minutes could then \
         be repeated to find this bridge)", path.display(), At(*line, 0)
    )]
    DamagedHandshakes {
        /// The file.
        path: PathBuf,
        /// Counted from 1; 0 when it is the file as a whole.
        line: usize,
    },
    /// There is no directory for what must be kept.
    #[error("a bridge has to keep its key and its handshakes, and there is no state directory")]
    NotKept,
    /// The memory of handshakes is full. That passes in some minutes.
    #[error("too many handshakes in a few minutes; trying again later can help")]
    TooManyHandshakes,
    /// The file was written by a later version of this program. It is left as it is.
    #[error("{} was written by a later version of hexchat-pt; use that one, or another state directory", .0.display())]
    TooNew(PathBuf),
}

impl StateError {
    /// Whether the same call can succeed a little later without anybody acting.
    #[must_use]
    pub fn can_pass(&self) -> bool {
        matches!(self, Self::Locked(_))
    }

    /// Whether the directory cannot be written, and perhaps can be read.
    pub(super) fn is_about_writing(&self) -> bool {
        matches!(self, Self::Io { error, .. } if is_refused(error.kind()) || is_full(error.kind()))
    }
}

fn is_refused(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// What helps against what the system said, as a clause behind that.
fn advice_on(error: &io::Error) -> &'static str {
    match error.kind() {
        kind if is_refused(kind) => "; let this user read and write there, or use another state directory",
        kind if is_full(kind) => "; make room there, or use another state directory",
        _ => "",
    }
}

/// A line of a file and a column in it, as far as they are known: those that are not are 0.
struct At(usize, usize);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(0, _) => Ok(()),
            Self(line, 0) => write!(f, " at line {line}"),
            Self(line, column) => write!(f, " at line {line}, column {column}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: ErrorKind) -> StateError {
        StateError::Io { action: "writing", path: "/s/f".into(), error: kind.into() }
    }

    #[test]
    fn a_place_that_is_not_known_is_not_named() {
        let text = |line, column| StateError::Corrupt { path: "/s".into(), line, column }.to_string();
        assert!(text(0, 0).starts_with("/s is damaged; restore it"), "{}", text(0, 0));
        assert!(text(1, 0).starts_with("/s is damaged at line 1; "), "{}", text(1, 0));
        assert!(text(2, 7).starts_with("/s is damaged at line 2, column 7; "), "{}", text(2, 7));
        let handshakes = |line| StateError::DamagedHandshakes { path: "/s".into(), line }.to_string();
        assert!(!handshakes(0).contains("line 0") && handshakes(3).contains(" at line 3;"));
    }

    #[test]
    fn a_full_disk_and_a_directory_that_is_not_ours_to_write_each_say_what_helps() {
        for (kind, help) in [
            (ErrorKind::StorageFull, "make room"),
            (ErrorKind::QuotaExceeded, "make room"),
            (ErrorKind::PermissionDenied, "let this user read and write there"),
            (ErrorKind::ReadOnlyFilesystem, "let this user read and write there"),
        ] {
            let error = refused(kind);
            assert!(error.is_about_writing() && error.to_string().contains(help), "{error}");
        }
        let other = refused(ErrorKind::NotADirectory);
        assert!(!other.is_about_writing() && !other.to_string().contains("state directory"), "{other}");
    }
}
