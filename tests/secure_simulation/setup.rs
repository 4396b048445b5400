//! Worlds with a client on the left and a bridge on the right.

use std::collections::BTreeSet;
use std::time::Duration;

use hexchat_pt::config::Limits;
use hexchat_pt::protocol::AccountId;
use hexchat_pt::secure::{Bridge, Config, Identity, Lanes, Service};
use hexchat_pt::tunnel::bounds;
use xmpp_parsers::jid::FullJid;

use crate::letters::Body;
use crate::network::{Conditions, Side};
use crate::ours::{Machine, Ours};
use crate::program::Program;
use crate::proxy::{Caller, Proxy};
use crate::rng::Rng;
use crate::upload_service::{Porter, Uploads};
use crate::world::{self, Stage};

pub(crate) type World = world::World<Body>;

/// What such a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    /// How many accounts each side has.
    pub(crate) accounts: [u64; 2],
    /// How many of the bridge's accounts the bridge line names.
    pub(crate) named: u64,
    pub(crate) psk: Option<[u8; 32]>,
    /// Whether the two sides have different servers.
    pub(crate) is_federated: bool,
    pub(crate) conditions: Conditions,
    pub(crate) config: Config,
    /// Where files can be put, and which sides know files.
    pub(crate) uploads: Option<(Uploads, [bool; 2])>,
    /// The proxy that joins byte streams, and which sides know relays.
    pub(crate) proxy: Option<(Proxy, [bool; 2])>,
    pub(crate) keep_log: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 1,
            accounts: [1, 1],
            named: 1,
            psk: None,
            is_federated: false,
            conditions: Conditions::default(),
            config: defaults(),
            uploads: None,
            proxy: None,
            keep_log: true,
        }
    }
}

/// What 20 cells of this flow take from the bridge to the client, from the fastest to the slowest. They are longer and longer after each other, by
/// `pause` at a time.
pub(crate) fn times_of_cells(world: &mut World, cells: usize, pause: Duration) -> Vec<Duration> {
    let mut times: Vec<_> = (1..=20)
        .map(|n| {
            let begin = world.now();
            world.write_more(cells, Side::Right, 514);
            while world.app(cells, Side::Left).read < (n + 1) * 514 {
                world.run_for(Duration::from_millis(10));
            }
            let took = world.now() - begin;
            world.run_for(n as u32 * pause);
            took
        })
        .collect();
    times.sort();
    times
}

/// The bounds of a program without configuration.
pub(crate) fn defaults() -> Config {
    bounds::secure(&Limits::default())
}

/// The bridge's key in every world.
pub(crate) fn identity() -> Identity {
    Identity::from_bytes([7; 32])
}

impl World {
    /// A world in which every account is about to log in.
    pub(crate) fn new(setup: Setup) -> Self {
        Self::with_machine(setup, Machine::default())
    }

    /// The same, with the bridge's disk at hand.
    pub(crate) fn with_machine(setup: Setup, machine: Machine) -> Self {
        let Setup { seed, accounts, named, psk, is_federated, conditions, config, uploads, proxy, keep_log } =
            setup;
        let domains = if is_federated { ["x", "y"] } else { ["x"; 2] };
        let stage = Stage { seed, accounts, one_bare_jid: false, domains, conditions, keep_log };
        let mut seeds = Rng::new(seed ^ 0x5eed);
        let entropy: [u64; 2] = [seeds.next(), seeds.next()];
        let incarnations = std::cell::Cell::new(0);
        let make = move |side: Side| -> Box<dyn Program<Body>> {
            incarnations.set(incarnations.get() + 1);
            let entropy = Rng::new(entropy[side as usize] + incarnations.get());
            let (service, bridge) = match side {
                Side::Left => (None, Some(bridge(accounts[0], (named, domains[1]), psk))),
                Side::Right => (Some(service(accounts[1], psk, &machine)), None),
            };
            let porter = uploads.as_ref().filter(|(_, files)| files[side as usize]);
            let proxy = proxy.as_ref().filter(|(_, relays)| relays[side as usize]);
            let lanes = Lanes { files: porter.is_some(), relays: proxy.is_some() };
            let config = Config { lanes, ..config.clone() };
            let mut ours = Ours::new(config, service, bridge, machine.clone(), entropy);
            if let Some((uploads, _)) = porter {
                ours = ours.with_porter(Porter::new(uploads.clone()));
            }
            if let Some((proxy, _)) = proxy {
                ours = ours.with_caller(Caller::new(proxy.clone(), side));
            }
            Box::new(ours)
        };
        Self::on(stage, Box::new(make))
    }
}

fn bridge(ours: u64, (named, domain): (u64, &str), psk: Option<[u8; 32]>) -> Bridge {
    let peers: BTreeSet<FullJid> =
        (0..named).map(|n| FullJid::new(&format!("right{n}@{domain}/r{n}")).expect("a JID")).collect();
    Bridge { line: identity().line(psk), peers, accounts: (0..ours).map(AccountId).collect() }
}

fn service(accounts: u64, psk: Option<[u8; 32]>, machine: &Machine) -> Service {
    Service {
        identity: identity(),
        psk,
        accounts: (0..accounts).map(AccountId).collect(),
        siblings: Vec::new(),
        accepted: machine.accepted.borrow().clone(),
    }
}
