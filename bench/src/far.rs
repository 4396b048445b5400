//! Far away: both halves at lines with a delay, on which time is counted in round trips.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hexchat_lab::{ChatServer, Kind, Line, Rate, TcpCutter};

use crate::kind_of;
use crate::ours::{self, Pair, Protocol, Setup};
use crate::samples::{quantile, sorted};
use crate::target::{self, Echo};

/// 3 cold starts and 3 cuts in one measurement: each is shown by itself.
const TIMES: usize = 3;

/// 30 cells in one measurement, of which the median counts.
const CELLS: usize = 30;

/// 50 ms from one cell to the next, and before a cut: what came before is over by then.
const PAUSE: Duration = Duration::from_millis(50);

/// A transfer takes 20 seconds, so that the window has long opened also where a round trip is half a second.
const BULK: Duration = Duration::from_secs(20);

/// What was measured. Times are in round trips of one leg.
#[derive(Debug)]
struct Far {
    /// From the start of the client's half to the first cell's echo.
    first_cell: Vec<f64>,
    /// A cell there and back while nothing else is going on. There are two legs.
    cell: f64,
    /// From a cut of the client's line to the echo of a cell that was sent right after it.
    back: Vec<f64>,
    /// Bytes a second.
    bulk: f64,
}

/// Shows what the words ask for: the server, and the round trip of each leg in milliseconds.
pub(crate) fn run(executable: &Path, words: &[&str]) -> Result<()> {
    let [kind, round_trip] = words else { bail!("the server and the round trip") };
    let kind = kind_of(kind)?;
    let round_trip = Duration::from_millis(round_trip.parse().context("the round trip in milliseconds")?);
    let far = measure(kind, executable, target::start()?, round_trip)?;
    println!("first cell: {:.1?} round trips", far.first_cell);
    println!("a cell:     {:.2} times the two legs", far.cell / 2.0);
    println!("back:       {:.1?} round trips", far.back);
    println!("bulk:       {:.3} MB/s", far.bulk / 1e6);
    Ok(())
}

/// Measures with both halves so far from a server without limits.
fn measure(kind: Kind, executable: &Path, target: SocketAddr, round_trip: Duration) -> Result<Far> {
    let chat = ours::server(kind, Rate::Unlimited, &ours::users(1))?;
    let line = Line::of_round_trip(round_trip);
    let lines = [TcpCutter::start_on(line, chat.address())?, TcpCutter::start_on(line, chat.address())?];
    let lab = Lab { executable, chat: &chat, target, lines: &lines };
    let unit = round_trip.max(Duration::from_millis(1)).as_secs_f64();
    let in_round_trips = |times: Vec<f64>| times.into_iter().map(|time| time / unit).collect();
    let first_cell = in_round_trips((0..TIMES).map(|_| lab.first_cell()).collect::<Result<_>>()?);
    let pair = lab.pair()?;
    let mut echo = Echo::start(pair.entrance)?;
    let cell = quantile(&sorted(&echo.settled_times(CELLS, PAUSE)?), 0.5) / unit;
    let back = in_round_trips((0..TIMES).map(|_| lab.back(&mut echo)).collect::<Result<_>>()?);
    let bulk = target::rate_for(pair.entrance, BULK)?;
    Ok(Far { first_cell, cell, back, bulk })
}

struct Lab<'a> {
    executable: &'a Path,
    chat: &'a ChatServer,
    target: SocketAddr,
    /// The client's and the bridge's.
    lines: &'a [TcpCutter; 2],
}

impl Lab<'_> {
    fn pair(&self) -> Result<Pair> {
        let Self { executable, chat, target, lines } = *self;
        let by_way_of = Some(lines.each_ref().map(TcpCutter::address));
        Pair::start(Setup { executable, chat, protocol: Protocol::Secure, accounts: 1, target, by_way_of })
    }

    fn first_cell(&self) -> Result<f64> {
        let pair = self.pair()?;
        let mut echo = Echo::start(pair.entrance)?;
        echo.time()?;
        Ok(pair.forward_started.elapsed().as_secs_f64())
    }

    fn back(&self, echo: &mut Echo) -> Result<f64> {
        thread::sleep(PAUSE);
        echo.time()?;
        let [client, _] = self.lines;
        let cut = Instant::now();
        client.cut();
        echo.time()?;
        Ok(cut.elapsed().as_secs_f64())
    }
}
