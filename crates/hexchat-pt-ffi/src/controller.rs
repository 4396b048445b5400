//! Controller: what UniFFI makes Kotlin, Swift and Python of.

#![allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "what UniFFI's macros write")]
#![allow(clippy::needless_pass_by_value, reason = "what comes from another language is ours")]

use std::path::PathBuf;
use std::sync::Arc;

use hexchat_pt::embedded::{self, Settings, StartError};
use hexchat_pt::logging::Severity;

/// The version of the transport.
#[uniffi::export]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Is told what happens to the transport, by a thread of its own: switch to your thread for the user interface yourself. Nothing here may
/// wait for whoever calls `stop`. The next event comes when the last one has returned.
#[uniffi::export(with_foreign)]
pub trait OnTransportEvents: Send + Sync {
    /// A session with a bridge is up: the first, and each that is made or taken up again later.
    fn connected(&self);

    /// Something does not work, in a sentence for the user, as the log has it. The transport tries again by itself where that can help,
    /// and says the same again every hour at most.
    fn error(&self, sentence: String);

    /// The transport has ended. No event follows before the next `start`.
    fn stopped(&self);
}

/// Why the transport was not started, or could not be made. The message is a sentence for the user.
#[derive(Debug, thiserror::Error, uniffi::Error)]
#[uniffi(flat_error)]
pub enum ControllerError {
    /// It runs, or is just being started or stopped.
    #[error("{0}")]
    AlreadyRunning(String),
    /// The configuration cannot be used; the sentence says where and why, and no secret.
    #[error("{0}")]
    Config(String),
    /// The URL of the proxy cannot be used.
    #[error("{0}")]
    Proxy(String),
    /// The level is none of `error`, `warning`, `notice`, `info`, `debug`.
    #[error("{0}")]
    LogLevel(String),
    /// The system does not give what is needed: a thread, a port, a file descriptor.
    #[error("{0}")]
    System(String),
    /// A fault in this library.
    #[error("{0}")]
    Internal(String),
}

impl From<StartError> for ControllerError {
    fn from(error: StartError) -> Self {
        let sentence = error.to_string();
        match error {
            StartError::AlreadyRunning => Self::AlreadyRunning(sentence),
            StartError::Config(_) => Self::Config(sentence),
            StartError::Proxy(_) => Self::Proxy(sentence),
            StartError::System(..) => Self::System(sentence),
            StartError::Panicked => Self::Internal(sentence),
        }
    }
}

/// The transport, which can be started and stopped any number of times. Every function may be called by any thread.
#[derive(Debug, uniffi::Object)]
pub struct Controller {
    inner: embedded::Controller,
}

#[uniffi::export]
impl Controller {
    /// One that does nothing yet. `state_dir` is the app's own folder for what is kept between runs, and is made if it is not there.
    /// With `enable_logging`, lines from `log_level` on (`error`, `warning`, `notice`, `info`, `debug`; empty is `notice`) go to
    /// `hexchat-pt.log` in it, warnings in any case. `unsafe_logging` shows JIDs and addresses in the log and in errors.
    ///
    /// # Errors
    ///
    /// When there is no such level.
    #[uniffi::constructor]
    pub fn new(
        state_dir: String,
        enable_logging: bool,
        unsafe_logging: bool,
        log_level: String,
        transport_events: Option<Arc<dyn OnTransportEvents>>,
    ) -> Result<Arc<Self>, ControllerError> {
        let settings = settings(state_dir, enable_logging.then_some(&log_level), unsafe_logging)?;
        let inner = embedded::Controller::new(settings, Arc::new(Heard(transport_events)));
        Ok(Arc::new(Self { inner }))
    }

    /// Starts the transport: when this returns, it takes SOCKS connections at [`port`](Self::port). `config` is the text of a configuration
    /// file (TOML), if bridge lines do not say everything; `proxy` is what to go through, such as `socks5://127.0.0.1:1080`. It reads and
    /// writes files, and does not wait for the network.
    ///
    /// # Errors
    ///
    /// When something that was given cannot be used, or the system does not give what is needed. No event is called then.
    #[uniffi::method(default(config = None, proxy = None))]
    pub fn start(&self, config: Option<String>, proxy: Option<String>) -> Result<(), ControllerError> {
        let proxy = proxy.as_deref().filter(|proxy| !proxy.is_empty());
        self.inner.start(config.as_deref(), proxy)?;
        Ok(())
    }

    /// Ends the transport: closes streams, logs out, and returns when the last event was called and its threads have ended, after six
    /// seconds at most and as long as the last events take. Call it off the thread of the user interface.
    pub fn stop(&self) {
        self.inner.stop();
    }

    /// The port of 127.0.0.1 where it takes SOCKS connections; 0 where it does not run.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.address().map_or(0, |address| address.port())
    }

    /// The address with the port, for torrc; empty where it does not run.
    #[must_use]
    pub fn local_address(&self) -> String {
        self.inner.address().map(|address| address.to_string()).unwrap_or_default()
    }

    /// The folder that was given.
    #[must_use]
    pub fn state_dir(&self) -> String {
        self.inner.state_dir().to_string_lossy().into_owned()
    }
}

/// What both faces are given, as the transport takes it. No `log_level` is no log.
pub(crate) fn settings(
    state_dir: impl Into<PathBuf>,
    log_level: Option<&String>,
    unsafe_logging: bool,
) -> Result<Settings, ControllerError> {
    let level = |level: &String| match level.to_lowercase().as_str() {
        "" => Ok(Severity::Notice),
        level => level.parse(),
    };
    let log = log_level.map(level).transpose();
    let log = log.map_err(|error| ControllerError::LogLevel(error.to_string()))?;
    Ok(Settings { state_dir: state_dir.into(), log, unsafe_logging })
}

/// Passes events on to who hears them, if anybody does.
struct Heard(Option<Arc<dyn OnTransportEvents>>);

impl embedded::Events for Heard {
    fn connected(&self) {
        self.0.iter().for_each(|events| events.connected());
    }

    fn error(&self, sentence: &str) {
        self.0.iter().for_each(|events| events.error(sentence.to_owned()));
    }

    fn stopped(&self) {
        self.0.iter().for_each(|events| events.stopped());
    }
}
