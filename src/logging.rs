//! Log lines for Tor, a person or a file, with private data scrubbed.
//!
//! Modules log with the macros of `tracing`. One event becomes one line, `message key=value …`, without spans. What a
//! level means is fixed by its first reader, Tor, whose users see `notice` and above:
//!
//! | macro | [`Severity`] | for |
//! | --- | --- | --- |
//! | `error!` | `error` | somebody must act, or nothing works |
//! | `warn!` | `warning` | somebody should act |
//! | `info!` | `notice` | what a user wants to see: started, logged in, reconnected |
//! | `debug!` | `info` | what an operator wants to see of every stream |
//! | `trace!` | `debug` | what a developer wants to see |
//!
//! Two rules keep secrets out. Only events of this crate pass, whatever level is asked for: the libraries log
//! credentials. And what identifies a user or a bridge (JIDs, addresses) is wrapped in `safelog::sensitive` where it is
//! logged, which shows `[scrubbed]` unless [`Options::unsafe_logging`] is set; passwords and keys are never logged.

mod layer;
mod line;
mod panic;
mod repeats;
mod thread_log;
mod timestamp;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tracing::{Level, Subscriber};
use tracing_subscriber::layer::SubscriberExt as _;

use self::layer::LineLayer;
pub use self::repeats::{PAUSE, Repeats};
pub use self::thread_log::ThreadLog;

/// How much an event matters, in Tor's words (pt-spec section 3.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `debug`: `trace!`.
    Debug,
    /// `info`: `debug!`.
    Info,
    /// `notice`: `info!`.
    Notice,
    /// `warning`: `warn!`.
    Warning,
    /// `error`: `error!`.
    Error,
}

/// Receives every line: how much it matters, and its text without a line break.
///
/// It must not log, and should not block.
pub type LineSink = Box<dyn Fn(Severity, String) + Send + Sync>;

/// Who reads the log as it is written.
pub enum Sink {
    /// A person, on stderr.
    Stderr,
    /// Tor, through whoever writes its `LOG` lines.
    Lines(LineSink),
}

/// What to log, and to whom.
pub struct Options {
    /// The least that is shown.
    pub level: Severity,
    /// A file that gets all lines as well, with the time in UTC.
    pub file: Option<PathBuf>,
    /// Shows JIDs and addresses.
    pub unsafe_logging: bool,
    /// Who reads along.
    pub sink: Sink,
}

/// [`init`] was called before, and what it set up stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("logging is set up already")]
pub struct SetUpAlready;

/// Sets up logging for the rest of the process, and turns panics into log lines.
///
/// A file that cannot be opened or written to stops nothing: the sink is told once, whatever the level.
///
/// # Errors
/// When called again.
pub fn init(options: Options) -> Result<(), SetUpAlready> {
    let unsafe_logging = options.unsafe_logging;
    tracing::subscriber::set_global_default(subscriber(options)).map_err(|_| SetUpAlready)?;
    if unsafe_logging {
        let guard = safelog::disable_safe_logging().map_err(|_| SetUpAlready)?;
        // Dropping the guard would scrub again.
        std::mem::forget(guard);
    }
    panic::log_panics(unsafe_logging);
    Ok(())
}

/// What [`init`] installs.
fn subscriber(options: Options) -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry().with(LineLayer::new(options.level, options.sink, options.file))
}

impl Severity {
    /// As Tor writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warning,
            Level::INFO => Self::Notice,
            Level::DEBUG => Self::Info,
            Level::TRACE => Self::Debug,
        }
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::ERROR,
            Severity::Warning => Self::WARN,
            Severity::Notice => Self::INFO,
            Severity::Info => Self::DEBUG,
            Severity::Debug => Self::TRACE,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The level on a command line is none that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a log level is error, warning, notice, info or debug")]
pub struct UnknownSeverity;

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "error" => Ok(Self::Error),
            "warn" | "warning" => Ok(Self::Warning),
            "notice" => Ok(Self::Notice),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err(UnknownSeverity),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stderr => "Stderr",
            Self::Lines(_) => "Lines(..)",
        })
    }
}

#[cfg(test)]
mod tests;
