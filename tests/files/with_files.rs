//! Halves at a stock server with an upload service, which either reaches through a proxy of its own.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::server::Upload;
use hexchat_lab::{Kind, Names, Rules};

use crate::harness::{Half, Lab, PATIENCE, Route, Target};
use crate::pair::Bridge;

/// A server that takes files of 10 MB, as a stock Prosody does, and ten of them in a day.
const TAKES: Upload = Upload { max_file: 10 << 20, daily: 100 << 20 };

/// What `[lanes]` says beside the bridge's proxy.
#[derive(Clone, Copy, Default)]
pub(crate) struct Lanes {
    pub(crate) client: &'static str,
    pub(crate) bridge: &'static str,
}

/// Both halves, one account each.
pub(crate) struct WithFiles {
    _lab: Lab,
    pub(crate) bridge: Bridge,
    pub(crate) forward: Half,
    pub(crate) entrance: SocketAddr,
    target: Target,
    /// What finds the names that the client dials, and the bridge.
    pub(crate) of_client: Names,
    pub(crate) of_bridge: Names,
}

impl WithFiles {
    pub(crate) fn start(kind: Kind) -> Self {
        Self::with(kind, TAKES, Lanes::default())
    }

    pub(crate) fn with(kind: Kind, upload: Upload, lanes: Lanes) -> Self {
        let lab = Lab::stock_with_rules(kind, Rules { upload: Some(upload), ..Rules::default() });
        let (of_client, of_bridge) = (Names::start().unwrap(), Names::start().unwrap());
        let target = Target::start();
        let config = lab.config(&["bob"], &Route::StartTls)
            + &format!("[lanes]\nproxy = \"{}\"\n{}\n", of_bridge.uri(), lanes.bridge);
        let bridge = Bridge::configured(config, target.address());
        let config = lab.config(&["alice"], &Route::StartTls) + &format!("[lanes]\n{}\n", lanes.client);
        let forward = bridge.forward_through(&of_client.uri(), &config);
        let entrance = forward.entrance();
        Self { _lab: lab, bridge, forward, entrance, target, of_client, of_bridge }
    }

    /// A stream: the application's end, and the target's.
    pub(crate) fn stream(&self) -> (TcpStream, TcpStream) {
        self.target.connect_through(self.entrance)
    }

    /// Waits until the bridge has called the upload service.
    pub(crate) fn wait_until_the_bridge_calls(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.of_bridge.asked().is_empty() {
            assert!(Instant::now() < deadline, "the bridge puts no file");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The same, once the client has found its server's service.
    pub(crate) fn stream_with_service(&self) -> (TcpStream, TcpStream) {
        let stream = self.stream();
        self.forward.says("its server takes files", PATIENCE);
        stream
    }
}
