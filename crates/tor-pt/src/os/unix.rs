//! Unix: signals, the parent's process id, and file descriptors.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::process::{Pid, getppid};
use tokio::signal::unix::{SignalKind, signal};

use super::Signal;

/// The signals that ask this process to end. Those that are listened for end nothing by themselves any more.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    /// Must be called within a tokio runtime, with I/O enabled.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hang_up.recv() => Signal::HangUp,
        }
    }
}

/// The process that this one is the child of: another one once it has died.
pub(crate) fn parent() -> Option<Pid> {
    getppid()
}

/// Tells when to look whether the parent is still the same.
///
/// Linux sends the signal also when only the thread that started this process has ended, as threads of a runtime do; so
/// it is no more than a hint, and a signal that others ignore by default. Other systems have none.
pub(crate) struct DeathHint(tokio::signal::unix::Signal);

impl DeathHint {
    /// Must be called within a tokio runtime, with I/O enabled.
    pub(crate) fn listen() -> io::Result<Self> {
        let hint = rustix::process::Signal::URG;
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(hint))?;
        Ok(Self(signal(SignalKind::from_raw(hint.as_raw()))?))
    }

    /// The next hint.
    pub(crate) async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// Opens a file for reading. Without O_NONBLOCK, a pipe that nobody writes to would hold up everything.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(nonblocking).open(path)
}

/// Standard input, past the standard library's lock: a thread that is stuck in a read must not keep others out.
pub(crate) fn stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Standard output, past the standard library's lock, for the same reason.
pub(crate) fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}
