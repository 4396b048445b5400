//! Errors of a state directory: what is wrong with it, and what helps.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Why a state directory cannot be used, or not any more.
///
/// The text says what is wrong; [`advice`](Self::advice) says what can help, and
/// [`advice_on_forgetting`](Self::advice_on_forgetting) what helps whoever wants to have something forgotten there.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No directory was named, and there is no home directory to find one in.
    #[error("there is no state directory")]
    Nowhere,
    /// Another process uses it. It may be about to end: trying again can help.
    #[error("the state directory {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A directory that other users share. Making it private would lock them out.
    #[error("{} is shared with other users", .0.display())]
    Shared(PathBuf),
    /// A directory of another user's, who could read and change what is in it.
    #[error("{} belongs to another user", .0.display())]
    Foreign(PathBuf),
    /// It is a file, or what it is to lie in is one.
    #[error("a file is in the way of the state directory {}", .0.display())]
    FileInTheWay(PathBuf),
    /// What should be a regular file is a directory, a pipe or a device.
    #[error("{} should be a regular file, and is not one", .0.display())]
    NotAFile(PathBuf),
    /// A link to something that is not there, perhaps on a disk that is not mounted. It is left as it is: what was kept may come back.
    #[error("{} is a link that leads nowhere", .0.display())]
    DeadLink(PathBuf),
    /// The operating system refused. Trying again can help when a disk was full.
    #[error("{action} {}: {error}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said; part of the text, and so not a source as well.
        error: io::Error,
    },
    /// The file is not what this program writes. It is left as it is.
    #[error("{} is damaged{}", path.display(), At(*line, *column))]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Counted from 1; 0 when it is the file as a whole.
        line: usize,
        /// Counted from 1; 0 when it is the line as a whole.
        column: usize,
    },
    /// The memory of handshakes is not what this program writes. It is left as it is.
    #[error("{} is damaged{}", path.display(), At(*line, 0))]
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
    #[error("too many handshakes in a few minutes")]
    TooManyHandshakes,
    /// The file was written by a later version of this program. It is left as it is.
    #[error("{} was written by a later version of hexchat-pt", .0.display())]
    TooNew(PathBuf),
}

/// What stands where a file should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Obstacle {
    /// Neither a file nor something that the system refuses to open.
    #[error("this is not a regular file")]
    NotRegular,
    /// A link to something that is not there.
    #[error("this is a link that leads nowhere")]
    DeadLink,
}

impl Obstacle {
    /// What stands there, if that is why it cannot be opened: a pipe that nobody reads cannot be, for writing.
    pub(super) fn at(path: &Path, error: &io::Error) -> Option<Self> {
        match fs::metadata(path) {
            Ok(metadata) => (!metadata.is_file()).then_some(Self::NotRegular),
            Err(_) => is_dead_link(path, error.kind()).then_some(Self::DeadLink),
        }
    }
}

/// Whether there is a link of which this fault is the fault.
fn is_dead_link(path: &Path, fault: ErrorKind) -> bool {
    fault != ErrorKind::PermissionDenied && path.is_symlink()
}

impl StateError {
    /// The fault of what was being done to a file.
    pub(super) fn of_file(action: &'static str, path: PathBuf, error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Obstacle>()) {
            Some(Obstacle::DeadLink) => Self::DeadLink(path),
            Some(Obstacle::NotRegular) => Self::NotAFile(path),
            None if error.kind() == ErrorKind::IsADirectory => Self::NotAFile(path),
            None => Self::Io { action, path, error },
        }
    }

    /// The fault of making the directory.
    pub(super) fn of_making(path: PathBuf, error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::AlreadyExists if !path.exists() && path.is_symlink() => Self::DeadLink(path),
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => Self::FileInTheWay(path),
            _ => Self::Io { action: "creating the state directory", path, error },
        }
    }

    /// Whether the same call can succeed a little later without anybody acting.
    #[must_use]
    pub fn can_pass(&self) -> bool {
        matches!(self, Self::Locked(_))
    }

    /// Whether the directory cannot be written, and perhaps can be read.
    pub(super) fn is_about_writing(&self) -> bool {
        matches!(self, Self::Io { error, .. } if is_refused(error.kind()) || is_full(error.kind()))
    }

    /// What can help, as a clause to put behind the text.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Nowhere | Self::NotKept => "give one with --state, or set XDG_STATE_HOME or HOME",
            Self::Locked(_) => "give each its own",
            Self::Shared(_) | Self::Foreign(_) => "give hexchat-pt a directory of its own",
            Self::FileInTheWay(_) | Self::NotAFile(_) => "move it away, or use another state directory",
            Self::DeadLink(_) => "put back what it leads to, or use another state directory",
            Self::Io { error, .. } if is_refused(error.kind()) => {
                "let this user read and write there, or use another state directory"
            }
            Self::Io { error, .. } if is_full(error.kind()) => {
                "make room there, or use another state directory"
            }
            Self::Io { .. } => "mend that, or use another state directory",
            Self::Corrupt { .. } => RESTORE,
            Self::DamagedHandshakes { .. } => {
                "move it away (what was recorded of handshakes in the last 20 minutes could then be repeated to find this bridge)"
            }
            Self::TooManyHandshakes => "trying again later can help",
            Self::TooNew(_) => "use that one, or another state directory",
        }
    }

    /// What helps whoever wants to have something forgotten there, to whom another directory is of no use; as a clause like that.
    #[must_use]
    pub fn advice_on_forgetting(&self) -> &'static str {
        match self {
            Self::Locked(_) => "end that first (perhaps tor)",
            Self::Shared(_) => "close it to them first (chmod 700)",
            Self::Foreign(_) => "run this as that user",
            Self::FileInTheWay(_) => "name the directory that the account was registered with (--state)",
            Self::NotAFile(_) => "put back what was there before, if there is a copy",
            Self::DeadLink(_) => "put back what it leads to",
            Self::Io { error, .. } if is_refused(error.kind()) => "let this user read and write there",
            Self::Io { error, .. } if is_full(error.kind()) => "make room there",
            Self::Io { .. } => "mend that first",
            Self::TooNew(_) => "run this with that one",
            Self::Nowhere
            | Self::NotKept
            | Self::Corrupt { .. }
            | Self::DamagedHandshakes { .. }
            | Self::TooManyHandshakes => self.advice(),
        }
    }

    /// The text, and what can help behind it.
    #[must_use]
    pub fn with_advice(&self) -> String {
        format!("{self}; {}", self.advice())
    }
}

/// What helps against a file that is damaged.
const RESTORE: &str = "restore it from a backup, or move it away to start anew (a bridge has another bridge line then, and a client does \
                       not know the accounts that it has registered)";

fn is_refused(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
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
        assert_eq!(text(0, 0), "/s is damaged");
        assert_eq!(text(1, 0), "/s is damaged at line 1");
        assert_eq!(text(2, 7), "/s is damaged at line 2, column 7");
        let handshakes = |line| StateError::DamagedHandshakes { path: "/s".into(), line }.to_string();
        assert_eq!([handshakes(0), handshakes(3)], ["/s is damaged", "/s is damaged at line 3"]);
    }

    #[test]
    fn a_full_disk_and_a_directory_that_is_not_ours_to_write_each_say_what_helps() {
        for (kind, help) in [
            (ErrorKind::StorageFull, "make room there"),
            (ErrorKind::QuotaExceeded, "make room there"),
            (ErrorKind::PermissionDenied, "let this user read and write there"),
            (ErrorKind::ReadOnlyFilesystem, "let this user read and write there"),
        ] {
            let error = refused(kind);
            assert!(error.is_about_writing() && error.advice_on_forgetting() == help, "{error}");
            assert_eq!(error.advice(), format!("{help}, or use another state directory"));
        }
        let other = refused(ErrorKind::NotADirectory);
        assert!(!other.is_about_writing() && !other.advice().contains("this user"), "{other}");
    }

    /// What was registered is in that one.
    #[test]
    fn nobody_who_wants_something_forgotten_is_told_to_take_another_state_directory() {
        for error in [
            StateError::Locked("/s".into()),
            StateError::Foreign("/s".into()),
            StateError::Shared("/s".into()),
            StateError::FileInTheWay("/s".into()),
            StateError::NotAFile("/s/f".into()),
            StateError::DeadLink("/s/f".into()),
            StateError::TooNew("/s/f".into()),
            refused(ErrorKind::ReadOnlyFilesystem),
            refused(ErrorKind::StorageFull),
            refused(ErrorKind::Other),
        ] {
            let advice = error.advice_on_forgetting();
            assert!(!advice.contains("another") && !advice.contains("of its own"), "{error}; {advice}");
        }
    }

    #[test]
    fn what_is_no_file_is_told_from_what_cannot_be_read() {
        for error in [io::Error::other(Obstacle::NotRegular), ErrorKind::IsADirectory.into()] {
            let error = StateError::of_file("reading", "/s/f".into(), error);
            assert_eq!(
                error.with_advice(),
                "/s/f should be a regular file, and is not one; move it away, or use another state directory"
            );
        }
        let other = StateError::of_file("reading", "/s/f".into(), ErrorKind::PermissionDenied.into());
        assert!(matches!(other, StateError::Io { .. }), "{other}");
    }

    #[test]
    fn a_file_where_the_directory_or_one_above_it_should_be_is_in_the_way() {
        for kind in [ErrorKind::AlreadyExists, ErrorKind::NotADirectory] {
            assert_eq!(
                StateError::of_making("/s".into(), kind.into()).with_advice(),
                "a file is in the way of the state directory /s; move it away, or use another state directory"
            );
        }
        let other = StateError::of_making("/s".into(), ErrorKind::PermissionDenied.into());
        assert!(matches!(other, StateError::Io { .. }), "{other}");
    }
}
