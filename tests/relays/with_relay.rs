//! Halves at a stock server with a proxy of bytestreams, which each of them reaches through a SOCKS5 proxy of its own.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hexchat_lab::server::{RELAY, Upload};
use hexchat_lab::{Kind, Line, Names, Rules};

use crate::harness::{Half, Lab, PATIENCE, Route, Target, random_bytes, transfer};
use crate::pair::Bridge;

/// A server that takes files as well: 10 MB each, as a stock Prosody does, and ten of them in a day.
pub(crate) const FILES: Upload = Upload { max_file: 10 << 20, daily: 100 << 20 };

/// What `[lanes]` says beside the bridge's proxy.
#[derive(Clone, Copy)]
pub(crate) struct Lanes {
    pub(crate) client: &'static str,
    pub(crate) bridge: &'static str,
}

impl Lanes {
    /// Both use relays, and no files.
    pub(crate) const RELAY: Self = Self::both("relay = true\nupload = false");

    pub(crate) const fn both(lanes: &'static str) -> Self {
        Self { client: lanes, bridge: lanes }
    }
}

/// Both halves, one account each.
pub(crate) struct WithRelay {
    lab: Lab,
    bridge: Bridge,
    /// What `[lanes]` of clients says.
    of_lanes: &'static str,
    pub(crate) forward: Half,
    target: Target,
    entrance: SocketAddr,
    /// The SOCKS5 proxies that dial for the client, and for the bridge.
    pub(crate) of_client: Names,
    pub(crate) of_bridge: Names,
}

impl WithRelay {
    pub(crate) fn start(kind: Kind) -> Self {
        Self::with(kind, Lanes::RELAY)
    }

    pub(crate) fn with(kind: Kind, lanes: Lanes) -> Self {
        Self::on(kind, lanes, Line::default())
    }

    pub(crate) fn far(kind: Kind, round_trip: Duration) -> Self {
        Self::on(kind, Lanes::RELAY, Line::of_round_trip(round_trip))
    }

    fn on(kind: Kind, lanes: Lanes, line: Line) -> Self {
        let rules = Rules { upload: Some(FILES), relay: Some(RELAY), ..Rules::default() };
        let lab = Lab::stock_with_rules(kind, rules);
        let (of_client, of_bridge) = (Names::start_on(line).unwrap(), Names::start_on(line).unwrap());
        let target = Target::start();
        let config = lab.config(&["bob"], &Route::StartTls)
            + &format!("[lanes]\nproxy = \"{}\"\n{}\n", of_bridge.uri(), lanes.bridge);
        let bridge = Bridge::configured(config, target.address());
        let config = lab.config(&["alice"], &Route::StartTls) + &format!("[lanes]\n{}\n", lanes.client);
        let forward = bridge.forward_through(&of_client.uri(), &config);
        let entrance = forward.entrance();
        Self { lab, bridge, of_lanes: lanes.client, forward, target, entrance, of_client, of_bridge }
    }

    /// One more client, with this account.
    pub(crate) fn another_client(&self, user: &str) -> Half {
        let config = self.lab.config(&[user], &Route::StartTls) + &format!("[lanes]\n{}\n", self.of_lanes);
        self.bridge.forward_through(&self.of_client.uri(), &config)
    }

    /// A stream of that one: the application's end, and the target's.
    pub(crate) fn stream_of(&self, client: &Half) -> (TcpStream, TcpStream) {
        self.target.connect_through(client.entrance())
    }

    /// A stream: the application's end, and the target's.
    pub(crate) fn stream(&self) -> (TcpStream, TcpStream) {
        self.target.connect_through(self.entrance)
    }

    /// A stream of a session that goes by a relay by now.
    pub(crate) fn stream_by_relay(&self) -> (TcpStream, TcpStream) {
        let stream = self.stream();
        self.forward.says("goes by a relay of its server", PATIENCE);
        stream
    }
}

/// How long so many bytes take from one end to the other.
pub(crate) fn time(from: TcpStream, to: TcpStream, bytes: usize) -> Duration {
    let start = Instant::now();
    transfer(from, to, &random_bytes(bytes));
    start.elapsed()
}
