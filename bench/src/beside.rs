//! Tor cells beside a bulk transfer, over servers without limits: what they wait, and what they leave of the transfer.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use hexchat_lab::{Kind, Rate};

use crate::ours::{self, Pair, Protocol, Setup};
use crate::plan::Plan;
use crate::samples::{Samples, spread_evenly};
use crate::target::{Download, Echo};
use crate::{name_of, say};

/// 200 cells in each round.
const CELLS: usize = 200;
/// 20 ms at least from one cell to the next, or as long as that one takes: a connection that somebody types on, not another transfer.
const BETWEEN_CELLS: Duration = Duration::from_millis(20);
/// Up to 10 ms more, so that cells do not meet what recurs at the same moment each time.
const CELL_JITTER: Duration = Duration::from_millis(10);

/// Measures over such a server, under names like `beside.prosody.kept`.
pub(crate) fn measure(kind: Kind, executable: &Path, target: SocketAddr, plan: &Plan, samples: &mut Samples) {
    let name = format!("beside.{}", name_of(kind));
    say(&name);
    if let Err(error) = measure_rounds(kind, executable, target, plan, &name, samples) {
        samples.fail(format!("{name}.cell.times"), &format!("{error:#}"));
    }
}

/// One transfer goes all the time. Each round with cells stands between two without, so that a server that becomes slower does not
/// count as what the cells take.
fn measure_rounds(
    kind: Kind,
    executable: &Path,
    target: SocketAddr,
    plan: &Plan,
    name: &str,
    samples: &mut Samples,
) -> Result<()> {
    let chat = ours::server(kind, Rate::Unlimited, &ours::users(1))?;
    let setup = Setup {
        executable,
        chat: &chat,
        protocol: Protocol::Secure,
        accounts: 1,
        target,
        sessions: None,
        by_way_of: None,
    };
    let pair = Pair::start(setup)?;
    let bulk = Bulk::default();
    thread::scope(|scope| {
        let download = scope.spawn(|| bulk.run(pair.entrance));
        let outcome = (|| {
            let mut echo = Echo::start(pair.entrance)?;
            thread::sleep(plan.warm_up);
            let alone = || {
                bulk.rate_during(|| {
                    thread::sleep(plan.bulk);
                    Ok(())
                })
            };
            let (mut before, ()) = alone()?;
            samples.add(format!("{name}.bulk_alone"), before);
            for _ in 0..plan.rounds {
                let (loaded, times) = bulk.rate_during(|| cells(&mut echo))?;
                let (after, ()) = alone()?;
                let kept = loaded / ((before + after) / 2.0);
                samples.record(format!("{name}.kept"), Ok(kept));
                samples.add(format!("{name}.bulk"), loaded);
                samples.add(format!("{name}.bulk_alone"), after);
                times.into_iter().for_each(|time| samples.add(format!("{name}.cell.times"), time));
                before = after;
            }
            Ok(())
        })();
        bulk.is_over.store(true, Ordering::Relaxed);
        download.join().map_err(|_| anyhow!("a thread panicked"))?.and(outcome)
    })
}

/// Times of the cells of one round, in seconds.
fn cells(echo: &mut Echo) -> Result<Vec<f64>> {
    let mut time = |count| {
        let begun = Instant::now();
        let time = echo.time()?;
        let next = BETWEEN_CELLS + CELL_JITTER.mul_f64(spread_evenly(count));
        thread::sleep(next.saturating_sub(begun.elapsed()));
        Ok(time)
    };
    (0..CELLS).map(&mut time).collect()
}

/// A transfer that goes on until it is told to end.
#[derive(Default)]
struct Bulk {
    received: AtomicU64,
    is_over: AtomicBool,
}

impl Bulk {
    fn run(&self, entrance: SocketAddr) -> Result<()> {
        let mut download = Download::start(entrance, u64::MAX)?;
        while !self.is_over.load(Ordering::Relaxed) {
            let received = download.more()?.context("the download ended")?;
            self.received.store(received, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What arrives while something else goes on, in bytes a second; and what came of that.
    fn rate_during<T>(&self, what: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
        let (before, started) = (self.received.load(Ordering::Relaxed), Instant::now());
        let outcome = what()?;
        let received = self.received.load(Ordering::Relaxed) - before;
        Ok((received as f64 / started.elapsed().as_secs_f64(), outcome))
    }
}
