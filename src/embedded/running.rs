//! Running: the two threads of a transport that was started, from its first to its last moment.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::events::{Events, Mailbox, mailbox};
use super::{LOG_FILE, Settings, StartError};
use crate::client::SocksPort;
use crate::config::Config;
use crate::dialer::core_dialer;
use crate::logging::{self, Severity, Sink, ThreadLog};
use crate::os;
use crate::state::StateDir;
use crate::trace;
use crate::tunnel::FAREWELL;

/// The file descriptors that a runtime takes: 8, more than it has today.
const OF_RUNTIME: usize = 8;

/// How long threads that compute, write or look up something are waited for at the end: half a second.
const LAST_WORK: Duration = Duration::from_millis(500);

/// Threads that compute, write or look up something, at most: 8. There is one at each login with a password, and a name that the system
/// looks up can hold one for a minute.
const HELPERS: usize = 8;

/// How long such a thread waits for other work: 1 second.
const HELPER_IDLE: Duration = Duration::from_secs(1);

/// What is to be started.
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) config: Config,
    pub(super) proxy: Option<tor_pt::Proxy>,
}

/// A transport that runs.
pub(super) struct Running {
    address: SocketAddr,
    /// Dropping it is the sign to end.
    stop: oneshot::Sender<()>,
    transport: JoinHandle<()>,
    events: JoinHandle<()>,
}

impl Running {
    /// Returns when it listens.
    pub(super) fn start(plan: Plan, events: &Arc<dyn Events>) -> Result<Self, StartError> {
        let (mailbox, inbox) = mailbox();
        // Opening the directory makes it, so that there is a place for the log.
        let state = StateDir::open_or_ephemeral(Some(&plan.settings.state_dir));
        let log = log(&plan.settings, mailbox.clone());
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = sync_channel(1);
        let transport = {
            let (mailbox, log) = (mailbox.clone(), log.clone());
            let work = move || log.run(|| run(plan, state, &log, &mailbox, (&tell, stopped)));
            spawn("hexchat-pt", work)?
        };
        let address = match told.recv() {
            Ok(Ok(address)) => address,
            Ok(Err(error)) => return Err(ended(transport, error)),
            Err(_) => return Err(ended(transport, StartError::Panicked)),
        };
        let events = Arc::clone(events);
        match spawn("hexchat-events", move || inbox.deliver_to(&*events, &log)) {
            Ok(events) => Ok(Self { address, stop, transport, events }),
            Err(error) => {
                drop(stop);
                Err(ended(transport, error))
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when both threads have ended. Where the one of the events calls, that goes on: it is handed over.
    pub(super) fn stop(self) -> Option<JoinHandle<()>> {
        drop(self.stop);
        // A panic was caught there.
        let _ = self.transport.join();
        if self.events.thread().id() == thread::current().id() {
            return Some(self.events);
        }
        let _ = self.events.join();
        None
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let spawned = Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(|error| StartError::System("starting a thread", error))
}

/// Waits for a thread that was started in vain.
fn ended(thread: JoinHandle<()>, error: StartError) -> StartError {
    let _ = thread.join();
    error
}

/// The log has warnings at least: they are events.
fn log(settings: &Settings, mailbox: Mailbox) -> ThreadLog {
    let file = settings.log.map(|_| settings.state_dir.join(LOG_FILE));
    let level = settings.log.unwrap_or(Severity::Warning).min(Severity::Warning);
    let sink = Sink::Lines(mailbox.into_sink());
    ThreadLog::new(logging::Options { level, file, unsafe_logging: settings.unsafe_logging, sink })
}

type Signals<'a> = (&'a SyncSender<Result<SocketAddr, StartError>>, oneshot::Receiver<()>);

/// The whole life of the transport, in its thread.
fn run(plan: Plan, state: StateDir, log: &ThreadLog, mailbox: &Mailbox, (tell, stopped): Signals<'_>) {
    let work = AssertUnwindSafe(|| {
        let runtime = match runtime(log) {
            Ok(runtime) => runtime,
            Err(error) => return tell_error(tell, StartError::System("starting the runtime", error)),
        };
        runtime.block_on(serve(plan, state, mailbox, (tell, stopped)));
        runtime.shutdown_timeout(LAST_WORK);
    });
    // The hook for panics has said it.
    let _ = catch_unwind(work);
    mailbox.stopped();
}

fn tell_error(tell: &SyncSender<Result<SocketAddr, StartError>>, error: StartError) {
    // Whoever starts it waits for this.
    let _ = tell.send(Err(error));
}

/// Everything runs in the thread that calls; helpers have the same log.
fn runtime(log: &ThreadLog) -> io::Result<Runtime> {
    os::check_spare_descriptors(OF_RUNTIME)?;
    let log = log.clone();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(HELPERS)
        .thread_keep_alive(HELPER_IDLE)
        .thread_name("hexchat-helper")
        .on_thread_start(move || log.stay())
        .build()
}

async fn serve(plan: Plan, state: StateDir, mailbox: &Mailbox, (tell, stopped): Signals<'_>) {
    let Plan { mut config, proxy, .. } = plan;
    if let Some(most) = config.limits.fit_to_descriptors(os::descriptor_limit()) {
        tracing::info!(
            "no more than {most} streams are taken at a time, since the program may have no more files open"
        );
    }
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if let Some(reason) = state.ephemeral_because() {
        tracing::warn!("nothing will be kept for the next run: {}", reason.with_advice());
    }
    let trace = trace::open_or_warn(config.trace.as_deref());
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let dialer = core_dialer(tor_pt::Dialer::through(proxy));
    let port = match SocksPort::open(listen, config, state, dialer).await {
        Ok(port) => port,
        Err(error) => return tell_error(tell, StartError::System("listening", error)),
    };
    if let Some(trace) = trace {
        trace.follow(port.tunnel());
    }
    tracing::info!("listening at {}", port.address());
    let mut sessions = port.tunnel().sessions_up();
    let _ = tell.send(Ok(port.address()));
    let say_connected = async {
        while sessions.changed().await.is_ok() {
            mailbox.connected();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = port.serve() => {}
        () = say_connected => {}
        _ = stopped => {}
    }
    port.tunnel().shutdown(FAREWELL).await;
    tracing::info!("stopped");
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}
