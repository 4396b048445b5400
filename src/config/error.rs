//! Configuration errors and warnings: a location, a key, and what is expected there.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::similar::Hint;
use crate::os;

/// A configuration or bridge line that cannot be used until somebody changes it; trying again cannot help.
///
/// Displayed on one line: the location, the key, what is expected. Neither [`Display`](fmt::Display) nor
/// [`Debug`] shows a value that the user wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {}{problem}", Prefix(key))]
pub struct ConfigError {
    /// Where the value stands, or where it is missing.
    pub location: Location,
    /// The key, with its section in a file: `[client] psk`. Empty when no key is to blame.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a file.
    File {
        /// The file.
        path: Arc<Path>,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
    },
    /// A file as a whole.
    WholeFile(Arc<Path>),
    /// An argument of a bridge line.
    BridgeLine,
    /// An option that torrc gives a bridge.
    ServerOptions,
}

/// As one says it to people.
fn in_plain_words(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => {
            format!(
                "permission denied; this process runs as {}, who must be able to read it and to look into its folder",
                os::user()
            )
        }
        kind => kind.to_string(),
    }
}

/// What a key that does not exist may be, as clauses to put behind that.
fn in_words(hint: Hint) -> String {
    match hint {
        Hint::None => " (the example file lists them all)".to_owned(),
        Hint::Spelling(meant) => format!("; did you mean {meant}? (the example file lists them all)"),
        Hint::Elsewhere(place) => format!(" here: it belongs to {place}"),
    }
}

/// The same of an argument of a bridge line. What is no name is mostly what tor has cut off a value at a blank.
fn about_argument(shown: &str, meant: Option<&'static str>) -> String {
    match meant {
        Some(meant) => format!("; did you mean {meant}?"),
        None if shown == UNPRINTABLE => {
            "; it may be the rest of a value with a blank in it, which is written %20 in a login".to_owned()
        }
        None => String::new(),
    }
}

/// What is wrong with a value. Holds nothing that was read: every text is one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A file cannot be read.
    #[error("the file cannot be read: {}", in_plain_words(*.0))]
    Unreadable(io::ErrorKind),
    /// The process may open no more files.
    #[error("the file cannot be opened: {}", os::out_of_descriptors())]
    NoDescriptor,
    /// A path leads to a directory, a pipe or a socket.
    #[error("this is not a regular file")]
    NotAFile,
    /// A file or a value is too long.
    #[error("longer than {max} bytes")]
    TooLong {
        /// The most that is read.
        max: usize,
    },
    /// Text in another encoding than UTF-8.
    #[error("not valid UTF-8")]
    NotUtf8,
    /// The file does not follow the grammar of TOML.
    #[error("not valid TOML: {0}")]
    Syntax(&'static str),
    /// A key or section that this version does not know.
    #[error("there is no such key{}", in_words(*.0))]
    UnknownKey(Hint),
    /// The same key twice.
    #[error("given twice")]
    Repeated,
    /// A value of another type.
    #[error("must be {0}")]
    WrongType(&'static str),
    /// A value of the right type that means nothing here.
    #[error("must be {0}")]
    Invalid(&'static str),
    /// One item of a comma-separated list.
    #[error("item {item} must be {expected}")]
    InvalidItem {
        /// Counted from 1.
        item: usize,
        /// What it must be.
        expected: &'static str,
    },
    /// A list with too many items.
    #[error("more than {max} items")]
    TooMany {
        /// The most that are accepted.
        max: usize,
    },
    /// A number outside its bounds.
    #[error("must be a whole number from {min} to {max}")]
    OutOfRange {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Something is not there; the text says what to add, and where.
    #[error("missing: {0}")]
    Missing(&'static str),
    /// A secret that is none.
    #[error(
        "is no secret: it is that of an example, or one byte all over; put in its place what `hexchat-pt gen-psk` prints"
    )]
    NoSecret,
    /// A public key that is nobody's.
    #[error(
        "is no bridge's key: it is that of an example, or one byte all over; copy the whole bridge line again"
    )]
    NobodysKey,
    /// Two settings that exclude each other; the text says which.
    #[error("{0}")]
    Conflict(&'static str),
}

/// Something to tell the user that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// An argument of the bridge line that this version does not know; it is ignored.
    #[error("bridge line: the argument {shown} is unknown and was ignored{}", about_argument(shown, *meant))]
    UnknownArgument {
        /// Its name, as far as it can be shown.
        shown: String,
        /// The argument that is spelled nearly so.
        meant: Option<&'static str>,
    },
    /// An argument of the bridge line that has nothing to apply to; it is ignored.
    #[error(
        "bridge line: {0} was ignored, because it applies to login= and the accounts come from the configuration file"
    )]
    NotApplied(&'static str),
    /// The classic protocol, which encrypts nothing between the two ends.
    #[error(
        "bridge line: mode is classic, so the chat servers can read and change what passes between you and the bridge; \
         only bridges with classic = true answer it, and others need their whole line, with key="
    )]
    Classic,
    /// A pin of the bridge line, beside a login with a password.
    #[error(
        "bridge line: pin says whom to believe to be the chat server of the login beside it, so whoever wrote the line can stand \
         between you and that account"
    )]
    PinBesidePassword,
    /// A file with a secret that others on this machine can read.
    #[error("{}: other users of this machine can read the secrets in this file; run `chmod 600` on it", .0.display())]
    Exposed(PathBuf),
}

impl ConfigError {
    /// An error about `key`, which may be empty.
    pub(super) fn new(location: Location, key: impl Into<String>, problem: Problem) -> Self {
        Self { location, key: key.into(), problem }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                write!(f, "{}, line {line}, column {column}", OneLine(path))
            }
            Self::WholeFile(path) => write!(f, "{}", OneLine(path)),
            Self::BridgeLine => f.write_str("bridge line"),
            Self::ServerOptions => f.write_str("ServerTransportOptions hexchat"),
        }
    }
}

/// `key: `, or nothing for an empty key.
struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

/// A path, whose name may hold line breaks.
struct OneLine<'a>(&'a Path);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.to_string_lossy();
        path.chars().try_for_each(|c| if c.is_control() { f.write_str("?") } else { write!(f, "{c}") })
    }
}

/// A key that somebody else chose, fit to be shown: names, and nothing that could be a pasted secret with its
/// punctuation or a whole line.
pub(super) fn shown_key(key: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let presentable = !key.is_empty() && key.len() <= 32 && key.chars().all(is_name);
    if presentable { key.to_owned() } else { UNPRINTABLE.to_owned() }
}

/// What is shown of a key that is no name.
const UNPRINTABLE: &str = "(unprintable)";
