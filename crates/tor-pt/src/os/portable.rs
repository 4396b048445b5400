//! Any system: what the standard library and tokio know of it.
//!
//! Such a system tells nothing of the parent. There the end of standard input is what says that Tor has gone, and both
//! C tor and Arti ask for that to be heeded.

use std::fs::File;
use std::future::pending;
use std::io::{self, Stdin, Stdout};
use std::path::Path;

use super::Signal;

/// Ctrl-C, the one signal that every system has. It ends nothing by itself any more once the first was waited for.
pub(crate) struct Signals;

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// The next signal. Waits for ever where there are none.
    pub(crate) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => pending().await,
        }
    }
}

/// A process of which nothing is known: always the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent;

/// The process that this one is the child of.
pub(crate) fn parent() -> Parent {
    Parent
}

/// Tells when to look whether the parent is still the same: never.
pub(crate) struct DeathHint;

impl DeathHint {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// The next hint.
    pub(crate) async fn next(&mut self) {
        pending::<()>().await;
    }
}

/// Opens a file for reading.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Standard input.
pub(crate) fn stdin() -> io::Result<Stdin> {
    Ok(io::stdin())
}

/// Standard output.
pub(crate) fn stdout() -> io::Result<Stdout> {
    Ok(io::stdout())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::Read as _;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_parent_stays_the_same_and_gives_no_hint() {
        assert_eq!(parent(), parent());
        assert!(DeathHint::listen().unwrap().next().now_or_never().is_none());
    }

    #[test]
    fn a_file_is_opened_for_reading() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "text").unwrap();
        let mut text = String::new();
        open_without_waiting(file.path()).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert!(open_without_waiting(&file.path().join("none")).is_err());
    }

    #[test]
    fn the_standard_streams_can_be_had_more_than_once() {
        for _ in 0..2 {
            assert!(stdin().is_ok() && stdout().is_ok());
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_interrupt_is_heard() {
        use rustix::process::{getpid, kill_process};
        let mut signals = Signals::listen().unwrap();
        // Polled in this order: whoever is interrupted before it listens ends.
        let interrupt = async { kill_process(getpid(), rustix::process::Signal::INT).unwrap() };
        let (heard, ()) = tokio::join!(biased; signals.next(), interrupt);
        assert_eq!(heard, Signal::Interrupt);
    }
}
