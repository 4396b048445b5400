//! Far away: both halves at lines with a delay, on which time is counted in round trips.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hexchat_lab::{ChatServer, Kind, Line, Rate, TcpCutter};

use crate::only::Only;
use crate::ours::{self, Pair, Protocol, Setup, Tls, Ways};
use crate::plan::Plan;
use crate::samples::{Samples, quantile, sorted};
use crate::target::{self, Echo};
use crate::{kind_of, name_of, say};

/// 3 cold starts and 3 cuts in one measurement: each is shown by itself.
const TIMES: usize = 3;

/// 30 cells in one measurement, of which the median counts.
const CELLS: usize = 30;

/// 50 ms from one cell to the next, and before a cut: what came before is over by then.
const PAUSE: Duration = Duration::from_millis(50);

/// 11 seconds from one cut to the next: after another one within 10 a client waits before it dials.
const BETWEEN_CUTS: Duration = Duration::from_secs(11);

/// A transfer takes 20 seconds, so that the window has long opened also where a round trip is half a second.
const BULK: Duration = Duration::from_secs(20);

/// A chat server that both halves are far from, and how they connect to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) tls: Tls,
}

/// Those of which there are rows. A server with SASL2 is new, and such a one takes TLS at once, too, as its SRV records say.
pub(crate) const SERVERS: [Server; 4] = [
    Server { kind: Kind::Prosody, tls: Tls::Start },
    Server { kind: Kind::ProsodyModules, tls: Tls::Start },
    Server { kind: Kind::ProsodyModules, tls: Tls::Direct },
    Server { kind: Kind::Ejabberd, tls: Tls::Start },
];

impl Server {
    pub(crate) fn name(self) -> String {
        match self.tls {
            Tls::Start => name_of(self.kind).to_owned(),
            Tls::Direct => format!("{}{DIRECT}", name_of(self.kind)),
        }
    }

    fn called(name: &str) -> Result<Self> {
        match name.strip_suffix(DIRECT) {
            Some(kind) => Ok(Self { kind: kind_of(kind)?, tls: Tls::Direct }),
            None => Ok(Self { kind: kind_of(name)?, tls: Tls::Start }),
        }
    }

    fn address(self, chat: &ChatServer) -> SocketAddr {
        match self.tls {
            Tls::Start => chat.address(),
            Tls::Direct => chat.tls_address(),
        }
    }
}

/// What the names of servers end in that take TLS at once.
const DIRECT: &str = "-direct";

/// Measures at each distance of the plan, under names like `far.prosody.200.bulk`. Times are in round trips of one leg.
pub(crate) fn measure(
    only: &Only,
    executable: &Path,
    target: SocketAddr,
    plan: &Plan,
    samples: &mut Samples,
) {
    for server in SERVERS {
        for distance in plan.distances {
            let name = format!("far.{}.{distance}", server.name());
            if only.wants(&name) {
                say(&name);
                if let Err(error) =
                    measure_at(server, executable, target, *distance, Parts::All, &name, samples)
                {
                    samples.fail(format!("{name}.first_cell"), &format!("{error:#}"));
                }
            }
        }
    }
}

/// Shows what the words ask for: the server, the round trip of each leg in milliseconds, and `bulk` where the rest is not wanted.
pub(crate) fn run(executable: &Path, words: &[&str]) -> Result<()> {
    let ([server, distance] | [server, distance, "bulk"]) = words else {
        bail!("the server and the round trip")
    };
    let server = Server::called(server)?;
    let distance = distance.parse().context("the round trip in milliseconds")?;
    let parts = if words.len() > 2 { Parts::Bulk } else { Parts::All };
    measure_at(server, executable, target::start()?, distance, parts, "far", &mut Samples::default())
}

/// What is measured at one distance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    All,
    Bulk,
}

/// Measures with both halves `distance` milliseconds (there and back) from a server without limits.
fn measure_at(
    server: Server,
    executable: &Path,
    target: SocketAddr,
    distance: u64,
    parts: Parts,
    name: &str,
    samples: &mut Samples,
) -> Result<()> {
    let chat = ours::server(server.kind, Rate::Unlimited, &ours::users(1))?;
    let address = server.address(&chat);
    let line = Line::of_round_trip(Duration::from_millis(distance));
    let lines = [TcpCutter::start_on(line, address)?, TcpCutter::start_on(line, address)?];
    let lab = Lab { executable, chat: &chat, tls: server.tls, target, lines: &lines };
    // Where there is no distance times are in milliseconds.
    let unit = distance.max(1) as f64 / 1e3;
    if parts == Parts::All {
        lab.round_trips(unit, name, samples)?;
    }
    let pair = lab.pair()?;
    samples.record(format!("{name}.bulk"), target::rate_for(pair.entrance, BULK));
    Ok(())
}

struct Lab<'a> {
    executable: &'a Path,
    chat: &'a ChatServer,
    tls: Tls,
    target: SocketAddr,
    /// The client's and the bridge's.
    lines: &'a [TcpCutter; 2],
}

impl Lab<'_> {
    fn pair(&self) -> Result<Pair> {
        let Self { executable, chat, tls, target, lines } = *self;
        let by_way_of = Some(Ways { addresses: lines.each_ref().map(TcpCutter::address), tls });
        Pair::start(Setup {
            executable,
            chat,
            protocol: Protocol::Secure,
            accounts: 1,
            target,
            sessions: None,
            by_way_of,
        })
    }

    /// Starts, cells and cuts, in round trips, of which each takes `unit` seconds.
    fn round_trips(&self, unit: f64, name: &str, samples: &mut Samples) -> Result<()> {
        for _ in 0..TIMES {
            samples.record(format!("{name}.first_cell"), self.first_cell().map(|time| time / unit));
        }
        let pair = self.pair()?;
        let mut echo = Echo::start(pair.entrance)?;
        let cell = quantile(&sorted(&echo.settled_times(CELLS, PAUSE)?), 0.5);
        samples.record(format!("{name}.cell"), Ok(cell / unit));
        for count in 0..TIMES {
            if count > 0 {
                thread::sleep(BETWEEN_CUTS);
            }
            let time = self.back(&mut echo);
            samples.record(format!("{name}.back"), time.map(|time| time / unit));
        }
        Ok(())
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
