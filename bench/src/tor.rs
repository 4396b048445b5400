//! Tor's download through ours and through obfs4, in turns: a private Tor network, and a bridge and a client for each.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hexchat_lab::fetch::fetch;
use hexchat_lab::ports::{free_port, loopback};
use hexchat_lab::tor::Tor;
use hexchat_lab::{ChatServer, FileServer, Halves, Kind, Rate, TorNetwork};

use crate::only::Only;
use crate::plan::Plan;
use crate::samples::Samples;
use crate::{PATIENCE, name_of, say};

/// 10 MB: what tor takes to open a stream and its windows is little of that.
const FILE: usize = 10_000_000;

/// Debian's package of this name.
const OBFS4PROXY: &str = "/usr/bin/obfs4proxy";

/// Between two tries of the first download, 200 ms: tor refuses until it has a circuit.
const RETRY: Duration = Duration::from_millis(200);

const USERS: [&str; 2] = ["bridge", "alice"];

/// Who carries tor's bytes to the bridge.
#[derive(Clone, Copy)]
enum Carrier {
    Ours(Kind),
    Obfs4,
    /// Tor's own connection.
    Nobody,
}

const CARRIERS: [Carrier; 4] =
    [Carrier::Ours(Kind::Ejabberd), Carrier::Ours(Kind::Prosody), Carrier::Obfs4, Carrier::Nobody];

impl Carrier {
    fn name(self) -> String {
        let carrier = match self {
            Self::Ours(kind) => name_of(kind),
            Self::Obfs4 => "obfs4",
            Self::Nobody => "plain",
        };
        format!("tor.{carrier}")
    }
}

/// Measures under names like `tor.obfs4`.
pub(crate) fn measure(only: &Only, executable: &Path, plan: &Plan, samples: &mut Samples) {
    say("tor's downloads");
    if let Err(error) = measure_rounds(only, executable, plan, samples) {
        samples.fail(Carrier::Obfs4.name(), &format!("{error:#}"));
    }
}

fn measure_rounds(only: &Only, executable: &Path, plan: &Plan, samples: &mut Samples) -> Result<()> {
    let (network, web) = (TorNetwork::start()?, FileServer::start()?);
    let lab = Lab { network: &network, web: &web, executable, sha256: FileServer::sha256(FILE) };
    let mut contenders = Vec::new();
    for carrier in CARRIERS.into_iter().filter(|carrier| only.wants(&carrier.name())) {
        match lab.contender(carrier) {
            Ok(contender) => contenders.push(contender),
            Err(error) => samples.fail(carrier.name(), &format!("{error:#}")),
        }
    }
    for _ in 0..plan.downloads {
        for contender in &contenders {
            samples.record(contender.carrier.name(), lab.rate(contender));
        }
    }
    Ok(())
}

struct Lab<'a> {
    network: &'a TorNetwork,
    web: &'a FileServer,
    executable: &'a Path,
    /// Of the file.
    sha256: String,
}

/// A client and its bridge. Who dials ends before who is dialled.
struct Contender {
    carrier: Carrier,
    client: Tor,
    _bridge: Tor,
    _chat: Option<ChatServer>,
}

impl Lab<'_> {
    /// Starts one, which has bootstrapped and has fetched the file once.
    fn contender(&self, carrier: Carrier) -> Result<Contender> {
        let (client, bridge, chat) = match carrier {
            Carrier::Ours(kind) => {
                let chat = ChatServer::start(kind, Rate::Unlimited, &USERS)?;
                let [client, bridge] = self.ours(&chat)?;
                (client, bridge, Some(chat))
            }
            Carrier::Obfs4 => {
                let [client, bridge] = self.obfs4()?;
                (client, bridge, None)
            }
            Carrier::Nobody => {
                let bridge = self.network.bridge("")?;
                let line = format!("Bridge {} {}", bridge.or_address(), bridge.fingerprint()?);
                (self.network.client(&line)?, bridge, None)
            }
        };
        client.wait_until_bootstrapped(PATIENCE, |_| ())?;
        let contender = Contender { carrier, client, _bridge: bridge, _chat: chat };
        let started = Instant::now();
        while let Err(error) = self.rate(&contender) {
            ensure!(started.elapsed() < PATIENCE, "{error:#}");
            thread::sleep(RETRY);
        }
        Ok(contender)
    }

    /// The client and the bridge.
    fn ours(&self, chat: &ChatServer) -> Result<[Tor; 2]> {
        let Self { network, executable, .. } = *self;
        let halves = Halves { network, chat, executable };
        let [bridge, client] = USERS;
        let login = Halves::login(client, &ChatServer::password(client));
        let bridge = network.bridge(&halves.bridge(bridge)?)?;
        Ok([network.client(&halves.client(&bridge, &login)?)?, bridge])
    }

    /// The client and the bridge.
    fn obfs4(&self) -> Result<[Tor; 2]> {
        ensure!(Path::new(OBFS4PROXY).exists(), "install Debian's package obfs4proxy");
        let address = loopback(free_port()?);
        let torrc = format!(
            "ExtORPort auto\nServerTransportPlugin obfs4 exec {OBFS4PROXY}\nServerTransportListenAddr obfs4 {address}"
        );
        let bridge = self.network.bridge(&torrc)?;
        let file = bridge.data().join("pt_state/obfs4_bridgeline.txt");
        let text = fs::read_to_string(file).context("reading the bridge line of obfs4")?;
        let line = text.lines().find(|line| line.starts_with("Bridge ")).context("no bridge line")?;
        let line = line.replace("<IP ADDRESS>:<PORT>", &address.to_string());
        let line = line.replace("<FINGERPRINT>", &bridge.fingerprint()?);
        let torrc = format!("ClientTransportPlugin obfs4 exec {OBFS4PROXY}\n{line}");
        Ok([self.network.client(&torrc)?, bridge])
    }

    /// Of one download, from the request to the last byte.
    fn rate(&self, contender: &Contender) -> Result<f64> {
        let fetched = fetch(Some(contender.client.socks()), self.web.address(), FILE, PATIENCE)?;
        ensure!(fetched.sha256 == self.sha256, "the file arrived damaged");
        Ok(fetched.length as f64 / fetched.total.as_secs_f64())
    }
}
