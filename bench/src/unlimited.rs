//! Measurements at servers without limits: bulk and delay, ours and the peers', taking turns.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use hexchat_lab::{ChatServer, Kind, Rate};

use crate::only::Only;
use crate::ours::{self, Pair, Protocol, Setup};
use crate::plan::Plan;
use crate::raw::Records;
use crate::samples::{Samples, quantile, sorted};
use crate::slixmpp::{self, Slixmpp};
use crate::target::{self, Echo};
use crate::{name_of, raw, say, wire};

const SLIXMPP: [&str; 2] = ["carol", "dave"];
const NEWEST_SLIXMPP: [&str; 2] = ["ivan", "judy"];
/// Begins the names of what the newest one did, as those of Debian's begin with `slixmpp`.
const NEWEST: &str = "slixmpp-1.17";
const RAW: [[&str; 2]; 2] = [["erin", "frank"], ["grace", "heidi"]];
/// From the end of one cell to the next, where it is the only thing that is going on.
pub(crate) const IDLE: Duration = Duration::from_millis(20);
/// So many of each kind in a row. On which core each program is woken, and whether that one has to be woken first, is as
/// much as what it does, and stays as it is for a while: so the kinds take turns often.
const IDLE_TURN: usize = 50;
/// The block in which a cell goes, in bytes.
const CELL_BLOCK: usize = 640;
/// After each measurement, for what is still on its way.
const PAUSE: Duration = Duration::from_millis(200);

/// Two halves of ours that are measured again and again.
struct Contender {
    name: &'static str,
    pair: Pair,
    /// What it carried before it was measured, in bytes a second: how much it is given to carry.
    expected: f64,
}

/// Measures everything that there is to measure over such a server.
pub(crate) fn measure(
    only: &Only,
    kind: Kind,
    executable: &Path,
    target: SocketAddr,
    plan: &Plan,
    samples: &mut Samples,
) {
    say(&format!("{} without limits", name_of(kind)));
    let mut users = ours::users(2);
    users.extend(SLIXMPP.iter().chain(&NEWEST_SLIXMPP).chain(RAW.as_flattened()).map(ToString::to_string));
    let chat = match ours::server(kind, Rate::Unlimited, &users) {
        Ok(chat) => chat,
        Err(error) => return samples.fail(name_of(kind), &format!("{error:#}")),
    };
    let mut run = Run { only, kind, chat: &chat, executable, target, plan, samples };
    let mut contenders = run.contenders();
    let mut peers = run.peers();
    for round in 1..=plan.rounds {
        say(&format!(" round {round} of {}", plan.rounds));
        contenders.iter_mut().for_each(|contender| run.bulk(contender));
        run.raw();
        peers.iter_mut().for_each(|(name, peer)| run.peer(name, peer));
        run.delays(contenders.first());
    }
}

/// What goes over the wire where large blocks are best.
pub(crate) fn measure_wire(
    only: &Only,
    executable: &Path,
    target: SocketAddr,
    plan: &Plan,
    samples: &mut Samples,
) {
    say("bytes on the wire");
    let kind = Kind::Ejabberd;
    match ours::server(kind, Rate::Unlimited, &ours::users(1)) {
        Ok(chat) => {
            let run = Run { only, kind, chat: &chat, executable, target, plan, samples };
            wire::measure_fast(run.setup(Protocol::Secure, 1), plan, run.samples);
        }
        Err(error) => samples.fail("wire.fast.serve", &format!("{error:#}")),
    }
}

struct Run<'a> {
    only: &'a Only,
    kind: Kind,
    chat: &'a ChatServer,
    executable: &'a Path,
    target: SocketAddr,
    plan: &'a Plan,
    samples: &'a mut Samples,
}

impl<'a> Run<'a> {
    fn name(&self, what: &str) -> String {
        format!("{}.{what}", name_of(self.kind))
    }

    fn wants(&self, what: &str) -> bool {
        self.only.wants_some_of(&self.name(what))
    }

    fn setup(&self, protocol: Protocol, accounts: usize) -> Setup<'a> {
        let (executable, chat, target) = (self.executable, self.chat, self.target);
        Setup { executable, chat, protocol, accounts, target, sessions: None, by_way_of: None }
    }

    /// Those that could be started, each with a first idea of what it can carry.
    fn contenders(&mut self) -> Vec<Contender> {
        let wanted = match self.kind {
            Kind::Prosody | Kind::ProsodyModules => &[
                ("secure.1", Protocol::Secure, 1),
                ("secure.2", Protocol::Secure, 2),
                ("classic.1", Protocol::Classic, 1),
            ][..],
            Kind::Ejabberd => &[("secure.1", Protocol::Secure, 1)],
        };
        let mut started = Vec::new();
        for &(name, protocol, accounts) in wanted {
            // Cells go through it as well.
            let is_for_cells = name == "secure.1" && self.wants("cell");
            if !self.wants(name) && !is_for_cells {
                continue;
            }
            let setup = self.setup(protocol, accounts);
            let start = || {
                let pair = Pair::start(setup)?;
                let expected = target::rate_within(pair.entrance, self.plan.warm_up)?;
                anyhow::Ok(Contender { name, pair, expected })
            };
            match start() {
                Ok(contender) => started.push(contender),
                Err(error) => self.samples.fail(self.name(name), &format!("{error:#}")),
            }
            std::thread::sleep(PAUSE);
        }
        started
    }

    /// Debian's slixmpp, and the newest one where it is there, each by its name.
    fn peers(&mut self) -> Vec<(&'static str, Slixmpp)> {
        let mut wanted = vec![("slixmpp", PathBuf::from(slixmpp::DEBIAN), SLIXMPP)];
        if self.kind == Kind::Prosody && self.wants(NEWEST) {
            match slixmpp::newest() {
                Some(python) => wanted.push((NEWEST, python, NEWEST_SLIXMPP)),
                None => say("  slixmpp 1.17 is left out: `make slixmpp` installs it"),
            }
        }
        wanted.retain(|(name, ..)| self.wants(name));
        let mut started = Vec::new();
        for (name, python, users) in wanted {
            match Slixmpp::start(&python, self.chat, users) {
                Ok(peer) => started.push((name, peer)),
                Err(error) => self.samples.fail(self.name(name), &format!("{error:#}")),
            }
        }
        started
    }

    fn bulk(&mut self, contender: &mut Contender) {
        let length = (contender.expected * self.plan.bulk.as_secs_f64()) as u64;
        let rate = target::rate_of(contender.pair.entrance, length);
        self.samples.record(self.name(contender.name), rate);
        std::thread::sleep(PAUSE);
    }

    fn raw(&mut self) {
        let Plan { prosody_raw, prosody_aligned, ejabberd_raw, .. } = *self.plan;
        match self.kind {
            Kind::Prosody | Kind::ProsodyModules => {
                for pairs in 1..=RAW.len() {
                    self.raw_blocks("raw", Records::Plain, pairs, prosody_raw);
                    self.raw_blocks("aligned", Records::Aligned, pairs, prosody_aligned);
                }
            }
            Kind::Ejabberd => self.raw_blocks("raw", Records::Plain, 1, ejabberd_raw),
        }
    }

    fn raw_blocks(&mut self, what: &str, records: Records, pairs: usize, blocks: &[usize]) {
        for block in blocks {
            let name = format!("{what}.{pairs}.{block}");
            if self.wants(&name) {
                let rate = raw::rate(self.chat, &RAW[..pairs], records, *block, self.plan.peer_bulk);
                self.samples.record(self.name(&name), rate);
            }
        }
    }

    fn peer(&mut self, name: &str, slixmpp: &mut Slixmpp) {
        for (block, at_once) in self.plan.slixmpp {
            let name = format!("{name}.{at_once}.{block}");
            if self.wants(&name) {
                let rate = slixmpp.rate(*block, *at_once, self.plan.peer_bulk);
                self.samples.record(self.name(&name), rate);
            }
        }
    }

    /// A Tor cell through ours, a ready stanza of its size without it, and a ping: when nothing else is going on, and one
    /// right after the other.
    fn delays(&mut self, ours: Option<&Contender>) {
        if !self.wants("cell") {
            return;
        }
        let Plan { echoes, idle_turns, .. } = *self.plan;
        let (mut cells, mut raw_cells, mut pings) = (Ok(Vec::new()), Ok(Vec::new()), Ok(Vec::new()));
        for _ in 0..idle_turns {
            if let Some(contender) = ours {
                gather(&mut cells, || cell_times(contender, IDLE_TURN, IDLE));
            }
            let (users, often) = (RAW[0], (IDLE_TURN, IDLE));
            gather(&mut raw_cells, || raw::cell_times(self.chat, users, self.target, CELL_BLOCK, often));
            gather(&mut pings, || raw::ping_times(self.chat, users, IDLE_TURN, IDLE));
        }
        self.keep_delays("raw_cell", &raw_cells);
        self.keep_delays("ping", &pings);
        if let Some(contender) = ours {
            self.keep_delays("cell", &cells);
            self.keep_delays("busy_cell", &cell_times(contender, echoes, Duration::ZERO));
        }
        let raw_cells = raw::cell_times(self.chat, RAW[0], self.target, CELL_BLOCK, (echoes, Duration::ZERO));
        self.keep_delays("busy_raw_cell", &raw_cells);
        self.keep_delays("busy_ping", &raw::ping_times(self.chat, RAW[0], echoes, Duration::ZERO));
    }

    fn keep_delays(&mut self, what: &str, times: &Result<Vec<f64>>) {
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let value = times.as_ref().map(|times| quantile(&sorted(times), share));
            let value = value.map_err(|error| anyhow::anyhow!("{error:#}"));
            self.samples.record(self.name(&format!("{what}.{name}")), value);
        }
        // For the plot, as many of them as it shows.
        let times = sorted(times.as_deref().unwrap_or_default());
        for share in (1..100).filter(|_| !times.is_empty()) {
            let time = quantile(&times, f64::from(share) / 100.0);
            self.samples.add(self.name(&format!("{what}.times")), time);
        }
    }
}

/// Times of so many Tor cells there and back through ours, with a pause before each, in seconds.
fn cell_times(ours: &Contender, count: usize, pause: Duration) -> Result<Vec<f64>> {
    Echo::start(ours.pair.entrance)?.settled_times(count, pause)
}

/// Puts more to what there is, until something fails.
fn gather(all: &mut Result<Vec<f64>>, more: impl FnOnce() -> Result<Vec<f64>>) {
    if let Ok(gathered) = all {
        match more() {
            Ok(more) => gathered.extend(more),
            Err(error) => *all = Err(error),
        }
    }
}
