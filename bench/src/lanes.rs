//! Lanes: real tor at servers with stock limits, by stanzas alone, with files beside them, and by a relay, near and far.
//!
//! Client and bridge have an account each, and lines of the same length to the chat server, its upload service and its proxy. Tor's network
//! is a private one on loopback: what takes time is the server's limit on stanzas, and the lines.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use hexchat_lab::fetch::{Fetched, fetch};
use hexchat_lab::server::{ONE_LOGIN, RELAY, Upload};
use hexchat_lab::tor::Tor;
use hexchat_lab::{ChatServer, FileServer, Halves, Kind, Line, Names, Rate, Rules, TcpCutter, TorNetwork};

use crate::only::Only;
use crate::plan::Plan;
use crate::samples::Samples;
use crate::{kind_of, name_of, say};

/// Round trips from each half to its server, in milliseconds.
pub(crate) const DISTANCES: [u64; 2] = [0, 100];

/// Nobody waits longer for the next step: 5 minutes. At 3 kB/s tor takes one to bootstrap, and the least that is fetched by stanzas alone
/// another.
const PATIENCE: Duration = Duration::from_secs(300);

/// 2.5 MB: a consensus, which a cold tor fetches first; the private network's own has 2 kB.
const CONSENSUS: usize = 2_500_000;

/// 20 MB in one stream.
const DOWNLOAD: usize = 20_000_000;

/// By stanzas alone 150 kB: their rate is the same for more.
const BY_STANZAS: usize = 150_000;

/// A page: 60 objects of 42 kB, 2.5 MB in all, of which a browser fetches 6 at a time from one host.
const OBJECTS: usize = 60;
const OBJECT: usize = 41_667;
const AT_A_TIME: usize = 6;

/// The upload service takes files of 10 MiB, as a stock Prosody does, and 100 MiB in a day.
const UPLOAD: Upload = Upload { max_file: 10 << 20, daily: 100 << 20 };

const BRIDGE: &str = "bridge";
const CLIENT: &str = "alice";

/// Measures under names like `lanes.prosody.100.files`.
pub(crate) fn measure(only: &Only, executable: &Path, plan: &Plan, samples: &mut Samples) {
    for kind in [Kind::Prosody, Kind::Ejabberd] {
        for distance in plan.lanes_distances {
            let name = format!("lanes.{}.{distance}", name_of(kind));
            if only.wants(&name) {
                say(&name);
                measure_at((kind, *distance), executable, &LANES, &name, samples);
            }
        }
    }
}

/// Shows what the words ask for: the server, the round trip of each line in milliseconds, and one lane, if not all.
pub(crate) fn run(executable: &Path, words: &[&str]) -> Result<()> {
    let ([server, distance], lanes) = match words {
        [server, distance] => ([server, distance], LANES.to_vec()),
        [server, distance, lane] => {
            ([server, distance], LANES.into_iter().filter(|one| one.name == *lane).collect())
        }
        _ => bail!("the server, the round trip, and a lane or none"),
    };
    ensure!(!lanes.is_empty(), "there is no such lane");
    let distance = distance.parse().context("the round trip in milliseconds")?;
    measure_at((kind_of(server)?, distance), executable, &lanes, "lanes", &mut Samples::default());
    Ok(())
}

fn measure_at(
    (kind, distance): (Kind, u64),
    executable: &Path,
    lanes: &[Lane],
    name: &str,
    samples: &mut Samples,
) {
    let lab = Lab { kind, executable, line: Line::of_round_trip(Duration::from_millis(distance)) };
    // Both mostly wait.
    let (stanzas, others) = thread::scope(|scope| {
        let stanzas = scope.spawn(|| lab.by_stanzas());
        let others: Vec<_> = lanes.iter().map(|lane| lab.by(lane, name, samples)).collect();
        (stanzas.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked"))), others)
    });
    samples.record(format!("{name}.stanzas"), stanzas);
    for (lane, outcome) in lanes.iter().zip(others) {
        if let Err(error) = outcome {
            samples.fail(format!("{name}.{}", lane.name), &format!("{error:#}"));
        }
    }
}

/// A lane beside stanzas.
#[derive(Clone, Copy)]
struct Lane {
    name: &'static str,
    /// What both halves have in `[lanes]`.
    config: &'static str,
    /// Before the names of its measures.
    prefix: &'static str,
}

const LANES: [Lane; 2] = [
    Lane { name: "files", config: "", prefix: "" },
    Lane { name: "relay", config: "relay = true\n", prefix: "relay_" },
];

#[derive(Clone, Copy)]
struct Lab<'a> {
    kind: Kind,
    executable: &'a Path,
    line: Line,
}

/// A client and its bridge, with all that they need. Who dials ends before who is dialled.
struct World {
    client: Tor,
    client_started: Instant,
    _bridge: Tor,
    _lines: (Names, Names, TcpCutter),
    _chat: ChatServer,
    _network: TorNetwork,
    web: FileServer,
}

impl Lab<'_> {
    /// The rate of a download by one login of the bridge.
    fn by_stanzas(&self) -> Result<f64> {
        let world = self.start(ONE_LOGIN, "upload = false\n")?;
        let fetched = world.fetch(BY_STANZAS)?;
        Ok(BY_STANZAS as f64 / fetched.total.as_secs_f64())
    }

    fn by(
        &self,
        Lane { name: lane, config, prefix }: &Lane,
        name: &str,
        samples: &mut Samples,
    ) -> Result<()> {
        let world = self.start("", config)?;
        world.fetch(CONSENSUS)?;
        samples.record(format!("{name}.{prefix}cold"), Ok(world.client_started.elapsed().as_secs_f64()));
        let (first, all) = world.page()?;
        samples.record(format!("{name}.{prefix}first_byte"), Ok(first));
        samples.record(format!("{name}.{prefix}page"), Ok(all));
        let fetched = world.fetch(DOWNLOAD)?;
        samples.record(format!("{name}.{lane}"), Ok(DOWNLOAD as f64 / fetched.total.as_secs_f64()));
        Ok(())
    }

    /// Starts everything; `sessions` is what the section of the bridge's account has, `lanes` what both halves have in theirs.
    fn start(&self, sessions: &str, lanes: &str) -> Result<World> {
        let rules = Rules { upload: Some(UPLOAD), relay: Some(RELAY), ..Rules::default() };
        let chat = ChatServer::start_with(self.kind, Rate::Stock, &[BRIDGE, CLIENT], rules)?;
        let network = TorNetwork::start()?;
        let halves = Halves { network: &network, chat: &chat, executable: self.executable };
        let [of_client, of_bridge] = [Names::start_on(self.line)?, Names::start_on(self.line)?];
        let to_bridge = TcpCutter::start_on(self.line, chat.address())?;
        let config = chat.account_section(BRIDGE, to_bridge.address()).replacen(ONE_LOGIN, sessions, 1)
            + &format!("[lanes]\nproxy = \"{}\"\n{lanes}", of_bridge.uri());
        let command = halves.command(&halves.write_config(BRIDGE, &config)?);
        let bridge =
            network.bridge(&format!("ExtORPort auto\nServerTransportPlugin hexchat exec {command}"))?;
        let login = Halves::login(CLIENT, &ChatServer::password(CLIENT));
        let torrc = halves.client_with_lanes(&bridge, &login, lanes)?;
        let client_started = Instant::now();
        // All that the client's half dials goes through it.
        let client = network.client(&format!("{torrc}\nSocks5Proxy {}", of_client.address()))?;
        client.wait_until_bootstrapped(PATIENCE, |_| ())?;
        let web = FileServer::start()?;
        let lines = (of_client, of_bridge, to_bridge);
        Ok(World {
            client,
            client_started,
            _bridge: bridge,
            _lines: lines,
            _chat: chat,
            _network: network,
            web,
        })
    }
}

impl World {
    fn fetch(&self, length: usize) -> Result<Fetched> {
        let fetched = fetch(Some(self.client.socks()), self.web.address(), length, PATIENCE)?;
        ensure!(fetched.sha256 == FileServer::sha256(length), "the file arrived damaged");
        Ok(fetched)
    }

    /// Until the first byte of a page has come, and until all of it has, in seconds.
    fn page(&self) -> Result<(f64, f64)> {
        let started = Instant::now();
        let firsts = thread::scope(|scope| {
            let fetch_some = || -> Result<Duration> {
                let first = self.fetch(OBJECT)?.first_byte;
                (1..OBJECTS / AT_A_TIME).try_for_each(|_| self.fetch(OBJECT).map(drop))?;
                Ok(first)
            };
            let fetchers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(fetch_some)).collect();
            let join = |fetcher: thread::ScopedJoinHandle<'_, _>| {
                fetcher.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked")))
            };
            fetchers.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?;
        let first = firsts.into_iter().min().context("nothing was fetched")?;
        Ok((first.as_secs_f64(), started.elapsed().as_secs_f64()))
    }
}
