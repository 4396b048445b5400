//! Embedded: the client's half inside another program, such as an app: the SOCKS port of the transport, for the program's own Tor.
//!
//! A [`Controller`] is started and stopped, any number of times, and says what happens to an [`Events`]. All of it runs in two threads of
//! its own, one for the transport and one that calls the events, and both have ended when [`Controller::stop`] returns; of some that compute,
//! write or look up a name, one that waits for the system's resolver may end a minute later. It has no say in the process around it: no
//! signals, no standard output, no limits, no log but its own file.

mod events;
mod running;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

pub use self::events::Events;
use self::running::{Plan, Running};
use crate::config::{Config, ConfigError};
use crate::logging::Severity;

/// The log, in the state directory.
pub const LOG_FILE: &str = "hexchat-pt.log";

/// What there is to decide about a transport before it is first started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is kept between runs, the log included; made if it is not there. No two may run with the same one.
    pub state_dir: PathBuf,
    /// Lines from here on go to [`LOG_FILE`], warnings in any case, and nobody makes it shorter; `None` is no log.
    pub log: Option<Severity>,
    /// Shows JIDs and addresses in the log and in the sentences of errors.
    pub unsafe_logging: bool,
}

/// Why a transport was not started. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It runs, or is just being started or stopped.
    #[error("it is running already")]
    AlreadyRunning,
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The URL of the proxy cannot be used.
    #[error("the proxy: {0}")]
    Proxy(String),
    /// The system does not give what is needed.
    #[error("{0}: {1}")]
    System(&'static str, std::io::Error),
    /// A fault in this program.
    #[error("a fault in this program; please report it")]
    Panicked,
}

/// A transport that can be started and stopped. All its functions may be called by any thread.
pub struct Controller {
    settings: Settings,
    events: Arc<dyn Events>,
    state: Mutex<State>,
}

enum State {
    Stopped,
    /// Being started or stopped by somebody, who holds no lock meanwhile: events may ask for the port.
    Changing,
    Running(Running),
    /// An event has stopped it, and the thread of the events has not ended yet.
    Ending(JoinHandle<()>),
}

impl Controller {
    /// One that does nothing yet.
    #[must_use]
    pub fn new(settings: Settings, events: Arc<dyn Events>) -> Self {
        Self { settings, events, state: Mutex::new(State::Stopped) }
    }

    /// Starts it: when this returns, it listens at [`address`](Self::address). `config` is the text of a configuration file, in which
    /// relative paths start at the state directory; without it bridge lines say everything. `proxy` is what it goes through to chat
    /// servers, as Tor writes it: `socks5://127.0.0.1:1080`. Reads and writes files, and does not wait for the network.
    ///
    /// # Errors
    ///
    /// When something that was given cannot be used, or it cannot listen. No event is called then. An event can stop it and not start it
    /// again: for that thread it is running until its last event has returned.
    pub fn start(&self, config: Option<&str>, proxy: Option<&str>) -> Result<SocketAddr, StartError> {
        match self.take(|state| matches!(state, State::Stopped)) {
            Some(State::Ending(events)) => wait_for(events),
            Some(_) => {}
            None => return Err(StartError::AlreadyRunning),
        }
        let started = self.plan(config, proxy).and_then(|plan| Running::start(plan, &self.events));
        let (state, outcome) = match started {
            Ok(running) => {
                let address = running.address();
                (State::Running(running), Ok(address))
            }
            Err(error) => (State::Stopped, Err(error)),
        };
        *self.state() = state;
        outcome
    }

    /// Closes its streams, logs out and ends its threads, which takes six seconds at most and as long as its last events do;
    /// then it can be started again. The last event
    /// has been called when this returns, so that no event may wait for whoever stops it. Called by an event, it returns before the rest
    /// of the events; where it does not run, or somebody else is just starting or stopping it, it does nothing.
    pub fn stop(&self) {
        let left = match self.take(|state| matches!(state, State::Running(_))) {
            Some(State::Running(running)) => running.stop(),
            Some(State::Ending(events)) => {
                wait_for(events);
                None
            }
            _ => return,
        };
        *self.state() = left.map_or(State::Stopped, State::Ending);
    }

    /// Takes the state for a change if it is one that is `wanted`, or if events of the last run are to be waited for, which none of them can.
    fn take(&self, wanted: impl Fn(&State) -> bool) -> Option<State> {
        let mut state = self.state();
        let is_free = match &*state {
            State::Ending(events) => events.thread().id() != thread::current().id(),
            state => wanted(state),
        };
        is_free.then(|| std::mem::replace(&mut *state, State::Changing))
    }

    /// Where it takes SOCKS connections, while it runs.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &*self.state() {
            State::Running(running) => Some(running.address()),
            State::Stopped | State::Changing | State::Ending(_) => None,
        }
    }

    /// What is kept between runs.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.settings.state_dir
    }

    fn plan(&self, config: Option<&str>, proxy: Option<&str>) -> Result<Plan, StartError> {
        let name = self.settings.state_dir.join("hexchat-pt.toml");
        let config = config.map(|text| Config::parse(text, &name)).transpose()?.unwrap_or_default();
        let proxy = proxy.map(tor_pt::Proxy::parse).transpose();
        let proxy = proxy.map_err(|error| StartError::Proxy(error.to_string()))?;
        Ok(Plan { settings: self.settings.clone(), config, proxy })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a thread, of which a panic was caught.
fn wait_for(thread: JoinHandle<()>) {
    let _ = thread.join();
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
