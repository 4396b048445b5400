//! Measurements at servers with the limits that Debian's packages set, and what else takes its time without a processor: all at
//! once, each with a server of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use hexchat_lab::{ChatServer, Kind, Rate};

use crate::footprint::Footprint;
use crate::only::Only;
use crate::ours::{self, Pair, Protocol, Setup};
use crate::plan::Plan;
use crate::samples::{Samples, spread_evenly};
use crate::target::{Download, Echo};
use crate::{name_of, say, scale, wire};

/// How many accounts each half has.
pub(crate) const ACCOUNTS: [usize; 4] = [1, 2, 4, 8];
/// How many sessions one account has.
pub(crate) const SESSIONS: [u8; 3] = [1, 2, 4];
/// What cells meet: how it is called, at which server, and how many sessions one account has.
const CELLS_DURING_BULK: [(&str, Kind, u8); 3] = [
    ("loaded", Kind::Prosody, 1),
    ("sessions.loaded", Kind::Prosody, 4),
    ("sessions.ejabberd.loaded", Kind::Ejabberd, 4),
];
/// Until four sessions are there, one after the other, and their windows have opened: 25 seconds.
const SESSIONS_SETTLE: Duration = Duration::from_secs(25);
/// From one cell to the next at least 2 seconds: they shall measure the bulk transfer, not be another.
const BETWEEN_CELLS: Duration = Duration::from_secs(2);
/// From one cell to the next up to 1 second more, more than a pause of the server's and the time between two.
const CELL_JITTER: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(30);

/// Something that is measured on its own.
type Job<'a> = Box<dyn FnOnce(&mut Samples) + Send + 'a>;

/// Measures what of that is wanted.
pub(crate) fn measure(
    only: &Only,
    executable: &Path,
    target: SocketAddr,
    plan: &Plan,
    samples: &mut Samples,
) {
    say("servers with limits, all at once");
    let lab = Lab { executable, target, plan };
    let mut jobs: Vec<(String, Job)> = Vec::new();
    for (kind, counts) in [(Kind::Prosody, &ACCOUNTS[..]), (Kind::Ejabberd, plan.ejabberd_accounts)] {
        for accounts in counts {
            let name = format!("limited.{}.{accounts}", name_of(kind));
            jobs.push((name, Box::new(move |samples| lab.bulk(kind, *accounts, samples))));
        }
    }
    for sessions in SESSIONS {
        let name = format!("sessions.prosody.{sessions}");
        jobs.push((name, Box::new(move |samples| lab.sessions(sessions, samples))));
    }
    for _ in 0..plan.lanes {
        for (name, kind, sessions) in CELLS_DURING_BULK {
            jobs.push((
                name.into(),
                Box::new(move |samples| lab.cells_during_bulk(name, kind, sessions, samples)),
            ));
        }
    }
    // These need a processor, for less time than the servers' limits need to settle.
    let scale = move |samples: &mut Samples| scale::measure(executable, target, plan.starts, samples);
    jobs.push(("scale".into(), Box::new(scale)));
    jobs.push(("idle".into(), Box::new(move |samples| lab.idle(samples))));
    jobs.push(("wire.slow".into(), Box::new(move |samples| lab.slow_wire(samples))));
    jobs.retain(|(name, _)| only.wants(name));
    let all = Mutex::new(samples);
    thread::scope(|scope| {
        for (_, job) in jobs {
            let all = &all;
            scope.spawn(move || {
                let mut samples = Samples::default();
                job(&mut samples);
                all.lock().unwrap_or_else(PoisonError::into_inner).merge(samples);
            });
        }
    });
}

#[derive(Clone, Copy)]
struct Lab<'a> {
    executable: &'a Path,
    target: SocketAddr,
    plan: &'a Plan,
}

impl Lab<'_> {
    fn server(&self, kind: Kind, rate: Rate, accounts: usize) -> Result<ChatServer> {
        ours::server(kind, rate, &ours::users(accounts))
    }

    fn setup<'a>(&'a self, chat: &'a ChatServer, accounts: usize, sessions: u8) -> Setup<'a> {
        let Self { executable, target, .. } = *self;
        Setup {
            executable,
            chat,
            protocol: Protocol::Secure,
            accounts,
            target,
            sessions: Some(sessions),
            by_way_of: None,
        }
    }

    fn bulk(&self, kind: Kind, accounts: usize, samples: &mut Samples) {
        let rate = self.rate(kind, (accounts, 1), self.plan.settle);
        samples.record(format!("limited.{}.{accounts}", name_of(kind)), rate);
    }

    /// One account a side, which logs in so many times.
    fn sessions(&self, sessions: u8, samples: &mut Samples) {
        let rate = self.rate(Kind::Prosody, (1, sessions), SESSIONS_SETTLE);
        samples.record(format!("sessions.prosody.{sessions}"), rate);
    }

    /// What a download carries after so long.
    fn rate(&self, kind: Kind, (accounts, sessions): (usize, u8), settle: Duration) -> Result<f64> {
        let chat = self.server(kind, Rate::Stock, accounts)?;
        let pair = Pair::start(self.setup(&chat, accounts, sessions))?;
        let arrivals = Arrivals::default();
        arrivals.collect(pair.entrance, settle + self.plan.limited)?;
        arrivals.rate(settle, settle + self.plan.limited)
    }

    fn cells_during_bulk(&self, name: &str, kind: Kind, sessions: u8, samples: &mut Samples) {
        match self.time_cells(kind, sessions) {
            Ok((alone, loaded, times)) => {
                samples.record(format!("{name}.kept"), Ok(loaded / alone));
                samples.record(format!("{name}.bulk_alone"), Ok(alone));
                samples.record(format!("{name}.bulk"), Ok(loaded));
                times.iter().for_each(|time| samples.add(format!("{name}.cell.times"), *time));
            }
            Err(error) => samples.fail(format!("{name}.cell.times"), &format!("{error:#}")),
        }
    }

    /// The rate of the bulk transfer alone and with cells, and the times of the cells.
    fn time_cells(&self, kind: Kind, sessions: u8) -> Result<(f64, f64, Vec<f64>)> {
        let Plan { settle, alone, loaded, .. } = *self.plan;
        let settle = if sessions > 1 { settle.max(SESSIONS_SETTLE) } else { settle };
        let chat = self.server(kind, Rate::Stock, 1)?;
        let pair = Pair::start(self.setup(&chat, 1, sessions))?;
        let arrivals = Arrivals::default();
        let end = settle + alone + loaded;
        thread::scope(|scope| {
            let bulk = scope.spawn(|| arrivals.collect(pair.entrance, end));
            let started = Instant::now();
            thread::sleep(settle + alone);
            let mut echo = Echo::start(pair.entrance)?;
            let mut times = Vec::new();
            while started.elapsed() + BETWEEN_CELLS + CELL_JITTER < end {
                let begun = Instant::now();
                times.push(echo.time()?);
                thread::sleep(until_next_cell(times.len()).saturating_sub(begun.elapsed()));
            }
            bulk.join().map_err(|_| anyhow!("a thread panicked"))??;
            let before = arrivals.rate(settle, settle + alone)?;
            Ok((before, arrivals.rate(settle + alone, end)?, times))
        })
    }

    /// What two halves do when nothing happens.
    fn idle(&self, samples: &mut Samples) {
        let cpu = || {
            let chat = self.server(Kind::Prosody, Rate::Unlimited, 1)?;
            let pair = Pair::start(self.setup(&chat, 1, 1))?;
            let mut echo = Echo::start(pair.entrance)?;
            echo.time()?;
            // What follows a handshake is not idleness.
            thread::sleep(Duration::from_secs(5));
            let look = || anyhow::Ok([&pair.forward, &pair.serve].map(Footprint::of));
            let (before, started) = (look()?, Instant::now());
            thread::sleep(IDLE);
            let (after, elapsed) = (look()?, started.elapsed().as_secs_f64());
            let mut most = 0.0_f64;
            for (before, after) in before.into_iter().zip(after) {
                most = most.max((after?.cpu - before?.cpu) / elapsed);
            }
            Ok(most)
        };
        samples.record("idle.cpu", cpu());
    }

    fn slow_wire(&self, samples: &mut Samples) {
        match self.server(Kind::Prosody, Rate::Unlimited, 1) {
            Ok(chat) => wire::measure_slow(self.setup(&chat, 1, 1), self.plan, samples),
            Err(error) => samples.fail("wire.slow.serve", &format!("{error:#}")),
        }
    }
}

/// How long the next cell goes after the one before, when `count` cells went. The server's pauses recur every 0.4 to 0.8 seconds: at a
/// fixed interval cells would meet them at the same moment each time.
fn until_next_cell(count: usize) -> Duration {
    BETWEEN_CELLS + CELL_JITTER.mul_f64(spread_evenly(count))
}

/// When how much of a download had come.
#[derive(Default)]
struct Arrivals(Mutex<Vec<(Duration, u64)>>);

impl Arrivals {
    /// Downloads for so long.
    fn collect(&self, entrance: SocketAddr, time: Duration) -> Result<()> {
        let mut download = Download::start(entrance, u64::MAX)?;
        while download.started.elapsed() < time {
            let received = download.more()?.context("the download ended")?;
            let arrival = (download.started.elapsed(), received);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
        }
        Ok(())
    }

    /// In bytes a second, from the first arrival after `from` to the last one before `to`: whatever stands between two
    /// arrivals belongs to the second.
    fn rate(&self, from: Duration, to: Duration) -> Result<f64> {
        let arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut within = arrivals.iter().filter(|(when, _)| (from..=to).contains(when));
        let (Some(first), Some(last)) = (within.next(), within.next_back()) else {
            bail!("hardly anything arrived");
        };
        Ok((last.1 - first.1) as f64 / (last.0 - first.0).as_secs_f64())
    }
}
