//! Setup shared by the commands: configuration, runtime, state, limits, signals.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use tokio::runtime::Runtime;
use tor_pt::{Phase, Shutdown};

use super::{EXIT_FAULT, EXIT_OK, EXIT_USAGE, Options};
use crate::config::{Config, Limits};
use crate::logging;
use crate::os;
use crate::state::{self, StateDir, StateError};
use crate::tunnel::{FAREWELL, Tunnel};
use crate::xmpp::AccountId;

/// How long a process that is ending may hold on to its state directory: 5 seconds, about what its end may take.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How long what is being written to the disk may take when the program ends: half a second.
const LAST_WORK: Duration = Duration::from_millis(500);

/// How a command ends that has no error to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its work is done, or it was asked to end.
    Done,
    /// No account can come online any more. The log has said of each why.
    NoAccountLeft,
}

/// Runs one command of a person: `prepare` finds the faults of what was written (exit status 2), `work` does the rest
/// until a signal comes.
pub(super) fn run_command<T, W>(
    options: &Options,
    prepare: impl FnOnce(Config) -> anyhow::Result<T>,
    work: impl FnOnce(T) -> W,
) -> u8
where
    W: Future<Output = anyhow::Result<Ending>>,
{
    let prepared = match start(options).and_then(prepare) {
        Ok(prepared) => prepared,
        Err(error) => return complain(&error, EXIT_USAGE),
    };
    match runtime().and_then(|runtime| run_to_end(runtime, work(prepared))) {
        Ok(Ending::Done) => EXIT_OK,
        Ok(Ending::NoAccountLeft) => EXIT_FAULT,
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
    os::check_spare_descriptors(OF_RUNTIME)
        .and_then(|()| {
            tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()
        })
        .context("starting the runtime")
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

/// Prints what a command was asked for; its exit status.
pub(super) fn print(text: &str) -> u8 {
    match announce(text) {
        Ok(()) => EXIT_OK,
        Err(error) => complain(&error, EXIT_FAULT),
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
                    tracing::warn!("waiting for another process to end: {}", error.with_advice());
                }
                said = true;
            }
            outcome => return outcome,
        }
    }
}

/// An error of the state directory, with what can help.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` gives it by value")]
pub(super) fn advised(error: StateError) -> anyhow::Error {
    anyhow!(error.with_advice())
}

/// The proxy that `TOR_PT_PROXY` names to a command of a person's, as Tor writes it.
pub(super) fn proxy_of_person() -> anyhow::Result<Option<tor_pt::Proxy>> {
    Ok(tor_pt::env::proxy_from_env(|name| std::env::var_os(name))?)
}

/// The state directory of a command.
pub(super) fn state_dir(given: Option<PathBuf>) -> Option<PathBuf> {
    given.or_else(|| state::default_dir(|name| std::env::var_os(name)))
}

/// Runs `work` until it ends or a signal comes, then closes the streams and logs out.
pub(super) async fn until_stopped(
    tunnel: &Tunnel,
    work: impl Future<Output = anyhow::Result<Ending>>,
) -> anyhow::Result<Ending> {
    let outcome = tokio::select! {
        outcome = work => outcome,
        stopped = stopped() => stopped.map(|()| Ending::Done),
    };
    tunnel.shutdown(FAREWELL).await;
    outcome
}

/// Takes no more streams than there are descriptors for, and says so.
pub(super) fn fit_to_descriptors(limits: &mut Limits) {
    let (wanted, descriptors) = (limits.max_streams, os::descriptor_limit());
    if let Some(most) = limits.fit_to_descriptors(descriptors) {
        tracing::warn!(
            "no more than {most} streams are taken at a time, and not {wanted}, because this process may only have {descriptors} files open \
             (see `ulimit -n`, and LimitNOFILE of systemd)"
        );
    }
}

/// Waits for a signal that asks this process to end.
async fn stopped() -> anyhow::Result<()> {
    let shutdown = Shutdown::by_signals().context("listening for signals")?;
    shutdown.reached(Phase::Drain).await;
    Ok(())
}

/// Waits until no account can come online any more, which the log has explained by then.
pub(super) async fn all_rejected(tunnel: &Tunnel, accounts: &[AccountId]) -> Ending {
    tunnel.all_failed(accounts).await;
    Ending::NoAccountLeft
}
