//! `make demo`: Tor through a private chat server, all on loopback.
//!
//! The demonstration runs in a process of its own and keeps everything in one temporary folder. This process waits for it,
//! ends what it left running and removes the folder, also when it is interrupted: then it kills the demonstration first.

#![allow(clippy::print_stderr, reason = "it is there to be read")]

use std::env;
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hexchat_lab::fetch::{Fetched, fetch};
use hexchat_lab::orphans::Orphans;
use hexchat_lab::process::Spawn;
use hexchat_lab::tor::Tor;
use hexchat_lab::{ChatServer, FileServer, Halves, Kind, Process, Rate, TorNetwork};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;

/// Set for the process that demonstrates.
const WORKER: &str = "HEXCHAT_DEMO_WORKER";
/// How much is fetched through Tor, in bytes.
const FILE: usize = 5_000_000;
const BOOTSTRAP_PATIENCE: Duration = Duration::from_secs(120);
const FETCH_PATIENCE: Duration = Duration::from_secs(60);
const LAST_LINES: usize = 8;
const ROUTE: &str = "
The file came: web server - exit - bridge's tor - hexchat-pt - chat server - hexchat-pt - client's tor.
The chat server saw who talks to whom, and standard In-Band Bytestreams with random content.";

fn main() -> ExitCode {
    let Some(executable) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: demo PATH-OF-HEXCHAT-PT");
        return ExitCode::from(2);
    };
    let outcome = if env::var_os(WORKER).is_some() {
        demonstrate(&executable).map(|()| ExitCode::SUCCESS)
    } else {
        supervise(&executable)
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("\nThe demonstration failed: {error:#}");
        ExitCode::FAILURE
    })
}

/// Runs the demonstration, and cleans up after it whatever happens.
fn supervise(executable: &Path) -> Result<ExitCode> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("listening for signals")?;
    let orphans = Orphans::adopt()?;
    let folder = tempfile::Builder::new().prefix("hexchat-demo-").tempdir().context("making a folder")?;
    let mut worker = Spawn::new("the demonstration", env::current_exe()?)
        .arg(executable)
        .env(WORKER, "1")
        .env("TMPDIR", make_enterable(folder.path())?)
        .inherit_output()
        .start()?;
    let end = wait_for_end(&mut worker, &mut signals);
    drop(worker);
    orphans.end_all();
    remove(folder)?;
    match end {
        End::Signal(signal) => Ok(ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))),
        End::Exit(status) if status.success() => Ok(ExitCode::SUCCESS),
        // It has said why.
        End::Exit(_) => Ok(ExitCode::FAILURE),
    }
}

/// Why it is over.
enum End {
    /// The demonstration has ended.
    Exit(ExitStatus),
    /// This signal has interrupted it.
    Signal(i32),
}

fn wait_for_end(worker: &mut Process, signals: &mut Signals) -> End {
    loop {
        if let Some(signal) = signals.pending().next() {
            // Nobody may be there to read it: the terminal is gone after a SIGHUP.
            let _ = say("\nInterrupted: cleaning up.");
            worker.kill();
            return End::Signal(signal);
        }
        if let Ok(status) = worker.wait(Duration::from_millis(100)) {
            return End::Exit(status);
        }
    }
}

/// Prosody runs as a user of its own.
fn make_enterable(folder: &Path) -> Result<&Path> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711))?;
    Ok(folder)
}

/// Removes the folder. Nobody writes into it any more.
fn remove(folder: TempDir) -> Result<()> {
    let path = folder.path().to_owned();
    folder.close().with_context(|| format!("removing {}", path.display()))
}

/// Shows a line. When nobody reads it any more, there is nothing left to demonstrate.
fn say(line: impl Display) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("writing what happens")
}

fn demonstrate(executable: &Path) -> Result<()> {
    let started = Instant::now();
    say("hexchat-pt: Tor through a chat server, all on this machine\n")?;
    step("chat server", "a private Prosody with two accounts, bridge and alice")?;
    let chat = ChatServer::start(Kind::Prosody, Rate::Unlimited, &["bridge", "alice"])?;
    step("Tor network", "three authorities and exits of its own (takes a few seconds)")?;
    let network = TorNetwork::start()?;
    step("bridge", "tor with hexchat-pt, logged in as bridge, listening on no port")?;
    let halves = Halves { network: &network, chat: &chat, executable };
    let bridge = network.bridge(&halves.bridge("bridge")?)?;
    step("client", "tor with hexchat-pt, logged in as alice")?;
    let login = Halves::login("alice", &ChatServer::password("alice"));
    let client = network.client(&halves.client(&bridge, &login)?)?;
    let (bootstrap, fetched) = use_it(&client).inspect_err(|_| show_logs(&bridge, &client))?;
    report(bootstrap, &fetched, started.elapsed())
}

fn step(what: &str, how: &str) -> Result<()> {
    say(format_args!("  {what:<16}  {how}"))
}

/// Bootstraps, and fetches a file.
fn use_it(client: &Tor) -> Result<(Duration, Fetched)> {
    say("")?;
    let bootstrap = client.wait_until_bootstrapped(BOOTSTRAP_PATIENCE, |progress| {
        // The next step says whether anybody reads it.
        let _ = say(format_args!("    {progress}"));
    })?;
    let web = FileServer::start()?;
    let fetched =
        fetch(Some(client.socks()), web.address(), FILE, FETCH_PATIENCE).context("fetching through Tor")?;
    ensure!(fetched.sha256 == FileServer::sha256(FILE), "the file arrived damaged");
    Ok((bootstrap, fetched))
}

#[expect(clippy::cast_precision_loss, reason = "a few million bytes")]
fn report(bootstrap: Duration, fetched: &Fetched, everything: Duration) -> Result<()> {
    let megabytes = fetched.length as f64 / 1e6;
    let seconds = fetched.total.as_secs_f64();
    say(format_args!("\n  bootstrapped in   {:.1} s", bootstrap.as_secs_f64()))?;
    say(format_args!(
        "  fetched           {megabytes:.1} MB in {seconds:.1} s: {:.2} MB/s",
        megabytes / seconds
    ))?;
    say(format_args!("  first byte after  {:.0} ms", fetched.first_byte.as_secs_f64() * 1e3))?;
    say(format_args!("  SHA-256           as it should be ({}…)", &fetched.sha256[..16]))?;
    say(format_args!("  everything took   {:.1} s", everything.as_secs_f64()))?;
    say(ROUTE)
}

/// What the two tors said of their transports, and their last words.
fn show_logs(bridge: &Tor, client: &Tor) {
    for (name, tor) in [("bridge", bridge), ("client", client)] {
        eprintln!("\n{name}:");
        let lines = tor.process().lines();
        let tail = lines.len().saturating_sub(LAST_LINES);
        let matters = |(n, line): &(usize, &String)| *n >= tail || line.contains("proxy");
        lines.iter().enumerate().filter(matters).for_each(|(_, line)| eprintln!("  {line}"));
    }
}
