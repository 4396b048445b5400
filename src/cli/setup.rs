//! Setup shared by the commands: configuration, runtime, state, limits, signals.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::{EXIT_FAULT, EXIT_OK, EXIT_USAGE, Options};
use crate::classic;
use crate::config::{Config, Limits};
use crate::descriptors;
use crate::logging;
use crate::protocol;
use crate::session;
use crate::state::{self, StateDir, StateError};
use crate::tunnel::{Protocols, Tunnel};
use crate::xmpp::AccountId;

/// The pause after a connection could not be taken: 1 second, in which descriptors can become free.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How long a process that is ending may hold on to its state directory: 5 seconds, twice what its end may take.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How long what is being written to the disk may take when the program ends: half a second.
const LAST_WORK: Duration = Duration::from_millis(500);

/// How long streams that are being closed may take when the program ends: 2 seconds.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// Runs one command of a person: `prepare` finds the faults of what was written (exit status 2), `work` does the rest
/// until a signal comes.
pub(super) fn run_command<T, W>(
    options: &Options,
    prepare: impl FnOnce(Config) -> anyhow::Result<T>,
    work: impl FnOnce(T) -> W,
) -> u8
where
    W: Future<Output = anyhow::Result<()>>,
{
    let prepared = match start(options).and_then(prepare) {
        Ok(prepared) => prepared,
        Err(error) => return complain(&error, EXIT_USAGE),
    };
    match runtime().and_then(|runtime| run_to_end(runtime, work(prepared))) {
        Ok(()) => EXIT_OK,
        Err(error) => complain(&error, EXIT_FAULT),
    }
}

fn start(options: &Options) -> anyhow::Result<Config> {
    logging::init(options.logging(logging::Sink::Stderr)).context("setting up the log")?;
    let config = load_config(options)?;
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(config)
}

fn load_config(options: &Options) -> anyhow::Result<Config> {
    let mut config = match &options.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    fit_to_descriptors(&mut config.limits);
    Ok(config)
}

/// Each stream has a connection of its own: no more are taken than there are descriptors for.
pub(super) fn fit_to_descriptors(limits: &mut Limits) {
    let most = descriptors::for_streams(descriptors::limit());
    if limits.max_streams > most {
        tracing::warn!(
            "no more than {most} streams are taken at a time, and not {}, because this process may only have {} files open \
             (see `ulimit -n`, and LimitNOFILE of systemd)",
            limits.max_streams,
            descriptors::limit()
        );
        limits.max_streams = most;
    }
}

/// Worker threads: 1. Everything passes through several tasks in a row, and waking another thread for each costs more
/// than it gains.
const WORKERS: usize = 1;

/// The file descriptors that the runtime takes: 8, its signal handlers and standard input included.
const OF_RUNTIME: usize = 8;

/// What runs everything else.
///
/// # Errors
/// When there are too few file descriptors: without its own, the runtime panics here or there.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    check_descriptors()
        .and_then(|()| {
            tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()
        })
        .context("starting the runtime")
}

fn check_descriptors() -> io::Result<()> {
    let spare: io::Result<Vec<_>> =
        (0..OF_RUNTIME).map(|_| io::stdin().as_fd().try_clone_to_owned()).collect();
    spare.map(drop)
}

/// Does `work`, then ends without waiting for what blocks a thread of its own: looking up a name can take minutes.
pub(super) fn run_to_end<T>(runtime: Runtime, work: impl Future<Output = T>) -> T {
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}

/// The last words of a command that failed.
pub(super) fn complain(error: &anyhow::Error, status: u8) -> u8 {
    // If standard error is gone, there is nobody to tell.
    let _ = writeln!(io::stderr(), "hexchat-pt: {error:#}");
    status
}

/// Says on standard output that a command is ready, for whoever started it.
pub(super) fn announce(line: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("writing to standard output")
}

/// The next connection. For want of file descriptors, perhaps, it may have to be tried again: that passes.
pub(super) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut said = false;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                if !said {
                    tracing::warn!("a connection could not be taken: {error}; trying again");
                }
                said = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// How a client speaks: nobody is let in.
pub(super) fn client_protocols(limits: &Limits) -> Protocols {
    Protocols { classic: classic_config(limits, &[]), secure: secure_config(limits), service: None }
}

/// The bounds of the classic core, for connects at `accept_on`.
pub(super) fn classic_config(limits: &Limits, accept_on: &[AccountId]) -> classic::Config {
    classic::Config {
        accept_on: accept_on.iter().map(|id| protocol::AccountId(id.get())).collect(),
        max_streams: limits.max_streams,
        max_streams_per_peer: limits.max_streams_per_peer,
        max_half_open: limits.max_half_open,
        send_buffer: limits.send_buffer,
        receive_buffer: limits.receive_buffer,
        connect_timeout: limits.connect_timeout,
        silence_timeout: limits.silence_timeout,
    }
}

/// The bounds of the secure core.
pub(super) fn secure_config(limits: &Limits) -> session::Config {
    session::Config {
        max_streams: limits.max_streams,
        max_streams_per_session: limits.max_streams_per_session,
        max_sessions: limits.max_sessions,
        max_half_open_sessions: limits.max_half_open_sessions,
        handshakes_per_minute_per_jid: limits.handshakes_per_minute_per_jid,
        handshakes_per_minute: limits.handshakes_per_minute,
        // One stream that its application does not read must not stop all others of its session.
        queue_per_stream: limits.queue_per_stream.min(limits.queue_per_session / 2),
        queue_per_session: limits.queue_per_session,
        queue_total: limits.queue_total,
        reorder_window: limits.reorder_window,
        connect_timeout: limits.connect_timeout,
        session_timeout: limits.session_timeout,
    }
}

/// Opens the state directory of a server, whose peers must find it again under the same resource. A process that is
/// just ending may still hold it.
pub(super) async fn open_state(path: &Path) -> Result<StateDir, StateError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match StateDir::open(path) {
            Err(error) if error.can_pass() && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            outcome => return outcome,
        }
    }
}

/// As [`open_state`], but waits for as long as another process uses it: Tor never tries again what it was once told
/// cannot be.
pub(super) async fn wait_for_state(path: &Path) -> Result<StateDir, StateError> {
    let mut said = false;
    loop {
        match open_state(path).await {
            Err(error) if error.can_pass() => {
                if !said {
                    tracing::warn!("waiting for another process to end: {error}");
                }
                said = true;
            }
            outcome => return outcome,
        }
    }
}

/// The state directory of a command.
pub(super) fn state_dir(given: Option<PathBuf>) -> Option<PathBuf> {
    given.or_else(|| state::default_dir(|name| std::env::var_os(name)))
}

/// Runs `work` until it ends or a signal comes, then closes the streams and logs out.
pub(super) async fn until_stopped(
    tunnel: &Tunnel,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let outcome = tokio::select! {
        outcome = work => outcome,
        stopped = stopped() => stopped,
    };
    tunnel.shutdown(FAREWELL).await;
    outcome
}

/// Waits for SIGINT, SIGTERM or SIGHUP.
async fn stopped() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut hang_up = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    tokio::select! {
        _ = hang_up.recv() => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Waits until no account can come online any more, which the log has explained by then.
pub(super) async fn all_rejected(tunnel: &Tunnel, accounts: &[AccountId]) -> anyhow::Error {
    tunnel.all_failed(accounts).await;
    anyhow::anyhow!("there is no account left to log in with")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_keeps_half_of_what_its_session_may_and_no_more() {
        for (per_stream, expected) in [(65_536, 65_536), (1 << 20, 131_072)] {
            let limits =
                Limits { queue_per_stream: per_stream, queue_per_session: 262_144, ..Limits::default() };
            assert_eq!(secure_config(&limits).queue_per_stream, expected);
        }
    }
}
