//! One measurement alone, for as long as it takes to look at it: who needs how much of a processor.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hexchat_lab::{ChatServer, Rate};

use crate::footprint::Footprint;
use crate::kind_of;
use crate::ours::{self, Pair, Protocol, Setup};
use crate::samples::{quantile, sorted};
use crate::target::{Download, Echo};
use crate::unlimited::IDLE;

/// Until windows and sizes of blocks have settled.
const WARM_UP: Duration = Duration::from_secs(6);

/// What is looked at.
struct Subject<'a> {
    chat: &'a ChatServer,
    pair: &'a Pair,
}

/// Runs `load` (`bulk`, `cells` or `idle`, which is cells with a pause before each) over an unlimited `server` with
/// `protocol` and so many `accounts` a side, for so many `seconds`, and prints what each process took. The process ids are
/// printed before, for a profiler.
pub(crate) fn run(executable: &Path, target: SocketAddr, words: &[&str]) -> Result<()> {
    let [server, protocol, load, accounts, seconds] = words else { bail!("five words are wanted") };
    let kind = kind_of(server)?;
    let protocol = match *protocol {
        "secure" => Protocol::Secure,
        "classic" => Protocol::Classic,
        _ => bail!("the protocol is secure or classic"),
    };
    let accounts = accounts.parse().context("the number of accounts")?;
    let time = Duration::from_secs(seconds.parse().context("the number of seconds")?);
    let chat = ours::server(kind, Rate::Unlimited, &ours::users(accounts))?;
    let pair = Pair::start(Setup {
        executable,
        chat: &chat,
        protocol,
        accounts,
        target,
        sessions: None,
        by_way_of: None,
    })?;
    let subject = Subject { chat: &chat, pair: &pair };
    match *load {
        "bulk" => subject.bulk(time),
        "cells" => subject.cells(time, Duration::ZERO),
        "idle" => subject.cells(time, IDLE),
        _ => bail!("the load is bulk, cells or idle"),
    }
}

impl Subject<'_> {
    fn bulk(&self, time: Duration) -> Result<()> {
        let mut download = Download::start(self.pair.entrance, u64::MAX)?;
        let mut received = 0;
        while download.started.elapsed() < WARM_UP {
            received = download.more()?.context("the download ended")?;
        }
        let (before, started, first) = (self.look()?, Instant::now(), received);
        while started.elapsed() < time {
            received = download.more()?.context("the download ended")?;
        }
        let (elapsed, megabytes) = (started.elapsed().as_secs_f64(), (received - first) as f64 / 1e6);
        println!("{:.2} MB/s", megabytes / elapsed);
        self.tell(&before, elapsed, megabytes, "MB")
    }

    /// One cell after the other, with a `pause` between two.
    fn cells(&self, time: Duration, pause: Duration) -> Result<()> {
        let mut echo = Echo::start(self.pair.entrance)?;
        echo.times(100, Duration::ZERO)?;
        let (before, started) = (self.look()?, Instant::now());
        let mut times = Vec::new();
        while started.elapsed() < time {
            times.extend(echo.times(1, pause)?);
        }
        let elapsed = started.elapsed().as_secs_f64();
        let times = sorted(&times);
        let [p50, p99] = [0.5, 0.99].map(|share| quantile(&times, share) * 1e3);
        println!("p50 {p50:.3} ms, p99 {p99:.3} ms");
        self.tell(&before, elapsed, times.len() as f64, "cell")
    }

    fn look(&self) -> Result<[(&'static str, Footprint); 3]> {
        let pids = [
            ("server", self.chat.pid().context("the server has ended")?),
            ("serve", self.pair.serve.pid()),
            ("forward", self.pair.forward.pid()),
        ];
        eprintln!("{pids:?}");
        let [server, serve, forward] = pids.map(|(name, pid)| anyhow::Ok((name, Footprint::of_pid(pid)?)));
        Ok([server?, serve?, forward?])
    }

    /// Of a processor, and for each unit of what was carried.
    fn tell(
        &self,
        before: &[(&'static str, Footprint); 3],
        elapsed: f64,
        units: f64,
        unit: &str,
    ) -> Result<()> {
        for ((name, before), (_, after)) in before.iter().zip(self.look()?) {
            let cpu = after.cpu - before.cpu;
            println!("{name:<8} {:5.1} % {:9.1} µs/{unit}", cpu / elapsed * 100.0, cpu / units * 1e6);
        }
        Ok(())
    }
}
