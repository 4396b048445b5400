//! Scale: a thousand streams at a time, in one session and in many, and how fast the program starts.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hexchat_lab::process::Spawn;
use hexchat_lab::{ChatServer, Kind, Process, Rate};

use crate::footprint::Footprint;
use crate::ours::{self, Crowd, Pair, Protocol, Setup};
use crate::samples::Samples;
use crate::target::Echo;
use crate::{PATIENCE, say};

pub(crate) const STREAMS: usize = 1000;

/// The same streams in many sessions, and on how many accounts these are.
pub(crate) const SESSIONS: usize = 50;
pub(crate) const BRIDGE_ACCOUNTS: usize = 8;

/// Measures all of that.
pub(crate) fn measure(executable: &Path, target: SocketAddr, starts: usize, samples: &mut Samples) {
    say("many streams, and the start");
    if let Err(error) = streams(executable, target, samples) {
        samples.fail("streams.memory", &format!("{error:#}"));
    }
    if let Err(error) = crowd(executable, target, samples) {
        samples.fail("crowd.stream", &format!("{error:#}"));
    }
    for _ in 0..starts {
        let time = start(executable);
        samples.record("start", time);
    }
    let size = std::fs::metadata(executable).map(|file| file.len() as f64);
    samples.record("size", size.context("looking at the executable"));
}

/// All in one session.
fn streams(executable: &Path, target: SocketAddr, samples: &mut Samples) -> Result<()> {
    let chat = server(&ours::users(1))?;
    let pair = Pair::start(setup(executable, &chat, 1, target))?;
    Echo::start(pair.entrance)?.time()?;
    let halves = [&pair.forward, &pair.serve];
    let before = settled(&halves, None)?;
    let (open, served) = echoes(std::iter::repeat_n(pair.entrance, STREAMS))?;
    samples.record("streams.served", Ok(served as f64));
    let during = looks(&halves)?;
    samples.record("streams.memory", Ok(growth(&before, &during, |look| look.memory) / STREAMS as f64));
    drop(open);
    leftovers("streams", &before, &settled(&halves, Some(&before))?, samples);
    Ok(())
}

/// In many sessions, of which each has one account of its own. What is looked at is the bridge.
fn crowd(executable: &Path, target: SocketAddr, samples: &mut Samples) -> Result<()> {
    let chat = server(&Crowd::users(SESSIONS, BRIDGE_ACCOUNTS))?;
    let crowd = Crowd::start(setup(executable, &chat, BRIDGE_ACCOUNTS, target), SESSIONS)?;
    let serve = [&crowd.serve];
    let entrances = || crowd.forwards.iter().map(|(_, entrance)| *entrance);
    // After the first handshake a bridge keeps a file of them open. That session does not count.
    echoes(entrances().take(1))?;
    let before = settled(&serve, None)?;
    let (mut open, mut served) = echoes(entrances())?;
    let sessions = settled(&serve, None)?;
    samples
        .record("crowd.session", Ok(growth(&before, &sessions, |look| look.memory) / (SESSIONS - 1) as f64));
    let (more, more_served) = echoes(entrances().cycle().take(STREAMS - SESSIONS))?;
    open.extend(more);
    served += more_served;
    samples.record("crowd.served", Ok(served as f64));
    let during = looks(&serve)?;
    samples.record("crowd.stream", Ok(growth(&before, &during, |look| look.memory) / STREAMS as f64));
    drop(open);
    leftovers("crowd", &before, &settled(&serve, Some(&before))?, samples);
    Ok(())
}

fn server(users: &[String]) -> Result<ChatServer> {
    ours::server(Kind::Prosody, Rate::Unlimited, users)
}

fn setup<'a>(executable: &'a Path, chat: &'a ChatServer, accounts: usize, target: SocketAddr) -> Setup<'a> {
    Setup { executable, chat, protocol: Protocol::Secure, accounts, target, sessions: None, by_way_of: None }
}

/// Opens a stream at each entrance and sends a cell, then waits for all to come back. They stay open; how many have come
/// back is said as well.
fn echoes(entrances: impl Iterator<Item = SocketAddr>) -> Result<(Vec<Echo>, usize)> {
    let mut open = Vec::new();
    for entrance in entrances {
        let mut echo = Echo::start(entrance)?;
        echo.send()?;
        open.push(echo);
    }
    let served = open.iter_mut().map(|echo| usize::from(echo.receive().is_ok())).sum();
    Ok((open, served))
}

/// Of the process where it is most.
fn growth(before: &[Footprint], after: &[Footprint], number: fn(&Footprint) -> u64) -> f64 {
    let grown = after.iter().zip(before).map(|(now, then)| number(now) as f64 - number(then) as f64);
    grown.fold(f64::MIN, f64::max)
}

fn leftovers(whose: &str, before: &[Footprint], after: &[Footprint], samples: &mut Samples) {
    let files = growth(before, after, |look| look.files as u64);
    let threads = growth(before, after, |look| look.threads as u64);
    samples.record(format!("{whose}.files_left"), Ok(files));
    samples.record(format!("{whose}.threads_left"), Ok(threads));
}

fn looks(processes: &[&Process]) -> Result<Vec<Footprint>> {
    processes.iter().map(|process| Footprint::of(process)).collect()
}

/// The processes when no more is closed, or when as little is open as there was.
fn settled(processes: &[&Process], wanted: Option<&[Footprint]>) -> Result<Vec<Footprint>> {
    let files = |looks: &[Footprint]| looks.iter().map(|look| look.files).collect::<Vec<_>>();
    let deadline = Instant::now() + PATIENCE / 2;
    let mut last = looks(processes)?;
    loop {
        thread::sleep(Duration::from_millis(500));
        let now = looks(processes)?;
        let is_settled = match wanted {
            Some(wanted) => files(&now).iter().zip(files(wanted)).all(|(now, wanted)| *now <= wanted),
            None => files(&now) == files(&last),
        };
        if is_settled || Instant::now() > deadline {
            return Ok(now);
        }
        last = now;
    }
}

/// From its start to the end of what it tells Tor, in seconds.
fn start(executable: &Path) -> Result<f64> {
    let state = tempfile::tempdir()?;
    let spawn = Spawn::new("hexchat-pt", executable)
        .clean_env()
        .env("TOR_PT_MANAGED_TRANSPORT_VER", "1")
        .env("TOR_PT_STATE_LOCATION", state.path())
        .env("TOR_PT_CLIENT_TRANSPORTS", "hexchat")
        .env("TOR_PT_EXIT_ON_STDIN_CLOSE", "1")
        .stdin();
    let started = Instant::now();
    let mut process = spawn.start()?;
    process.wait_for_line(|line| line == "CMETHODS DONE", PATIENCE)?;
    let time = started.elapsed();
    process.close_stdin();
    ensure!(process.wait(PATIENCE)?.success(), "it did not end well");
    Ok(time.as_secs_f64())
}
