//! A thousand streams at a time, and how fast the program starts.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hexchat_lab::process::Spawn;
use hexchat_lab::{ChatServer, Kind, Rate};

use crate::footprint::Footprint;
use crate::ours::{self, Pair, Protocol, Setup};
use crate::samples::Samples;
use crate::target::Echo;
use crate::{PATIENCE, say};

pub(crate) const STREAMS: usize = 1000;

/// Measures both.
pub(crate) fn measure(executable: &Path, target: SocketAddr, starts: usize, samples: &mut Samples) {
    say("many streams, and the start");
    if let Err(error) = streams(executable, target, samples) {
        samples.fail("streams.memory", &format!("{error:#}"));
    }
    for _ in 0..starts {
        let time = start(executable);
        samples.record("start", time);
    }
    let size = std::fs::metadata(executable).map(|file| file.len() as f64);
    samples.record("size", size.context("looking at the executable"));
}

fn streams(executable: &Path, target: SocketAddr, samples: &mut Samples) -> Result<()> {
    let users = ours::users(1);
    let users: Vec<_> = users.iter().map(String::as_str).collect();
    let chat = ChatServer::start(Kind::Prosody, Rate::Unlimited, &users)?;
    let (protocol, by_way_of) = (Protocol::Secure, None);
    let pair = Pair::start(Setup { executable, chat: &chat, protocol, accounts: 1, target, by_way_of })?;
    Echo::start(pair.entrance)?.time()?;
    let before = settled(&pair, None)?;
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let mut echo = Echo::start(pair.entrance)?;
        echo.send()?;
        open.push(echo);
    }
    let mut served = 0;
    for echo in &mut open {
        served += usize::from(echo.receive().is_ok());
    }
    samples.record("streams.served", Ok(served as f64));
    let during = looks(&pair)?;
    drop(open);
    let after = settled(&pair, Some(before))?;
    let most = |number: fn(Footprint, Footprint) -> f64, pairs: [[Footprint; 2]; 2]| {
        pairs[1].into_iter().zip(pairs[0]).map(|(now, then)| number(now, then)).fold(f64::MIN, f64::max)
    };
    let memory = |now: Footprint, then: Footprint| now.memory as f64 - then.memory as f64;
    samples.record("streams.memory", Ok(most(memory, [before, during]) / STREAMS as f64));
    let files = |now: Footprint, then: Footprint| now.files as f64 - then.files as f64;
    samples.record("streams.files_left", Ok(most(files, [before, after])));
    let threads = |now: Footprint, then: Footprint| now.threads as f64 - then.threads as f64;
    samples.record("streams.threads_left", Ok(most(threads, [before, after])));
    Ok(())
}

fn looks(pair: &Pair) -> Result<[Footprint; 2]> {
    Ok([Footprint::of(&pair.forward)?, Footprint::of(&pair.serve)?])
}

/// Both halves when no more is closed, or when as little is open as there was.
fn settled(pair: &Pair, wanted: Option<[Footprint; 2]>) -> Result<[Footprint; 2]> {
    let files = |looks: &[Footprint; 2]| looks.map(|look| look.files);
    let deadline = Instant::now() + PATIENCE / 2;
    let mut last = looks(pair)?;
    loop {
        thread::sleep(Duration::from_millis(500));
        let now = looks(pair)?;
        let is_settled = match &wanted {
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
