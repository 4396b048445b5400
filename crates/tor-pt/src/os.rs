//! Operating system: what differs between systems, behind the same functions on all of them.
//!
//! `unix` serves Unix. `portable` needs the standard library and tokio alone and serves every other system. So that it
//! cannot rot where nobody has another system, its tests run on Unix as well, and `--cfg portable_os` puts it in the
//! place of `unix`: a configuration and not a feature of the crate, so that nobody chooses it by accident.

#[cfg(any(not(unix), portable_os, test))]
mod portable;
#[cfg(all(unix, not(portable_os)))]
mod unix;

#[cfg(any(not(unix), portable_os))]
pub(crate) use portable::{DeathHint, Signals, open_without_waiting, parent, stdin, stdout};
#[cfg(all(unix, not(portable_os)))]
pub(crate) use unix::{DeathHint, Signals, open_without_waiting, parent, stdin, stdout};

/// What somebody else asks of this process by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(not(unix), portable_os), expect(dead_code, reason = "the portable signals are Ctrl-C alone"))]
pub(crate) enum Signal {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    HangUp,
}
