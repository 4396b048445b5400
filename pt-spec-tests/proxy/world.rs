//! Network of the proxy tests: on the near host is the client half and nothing else; on the far one the proxy, the chat server
//! and the bridge's half, all of which but the proxy listen on its loopback.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};

use hexchat_lab::netns::{Capture, Packet};
use hexchat_lab::{ChatServer, TcpCutter};

use crate::child::{Child, Launch};
use crate::halves;
use crate::hosts::{FAR, Hosts, ip};

/// Where a client connects that knows nothing but the domain of its account (RFC 6120 section 3.2.2), on the far host.
const XMPP: &str = "127.0.0.1:5222";

pub(crate) struct World {
    pub(crate) hosts: Hosts,
    pub(crate) chat: ChatServer,
    /// Between the proxy and the chat server.
    pub(crate) gate: TcpCutter,
    _bridge: Child,
}

/// A client half on the near host, and where it listens there.
pub(crate) struct NearClient<'a> {
    world: &'a World,
    pub(crate) child: Child,
    socks: SocketAddr,
    capture: Capture,
}

impl World {
    pub(crate) fn new() -> Self {
        let hosts = Hosts::new();
        let (chat, gate, bridge) = hosts.far.run(|| {
            let chat = halves::chat_server();
            let gate = TcpCutter::start_at(XMPP.parse().unwrap(), chat.address()).unwrap();
            let target = halves::echo_server().to_string();
            let bridge = halves::start_online(halves::bridge_launch(&chat, 30).set("TOR_PT_ORPORT", &target));
            (chat, gate, bridge)
        });
        Self { hosts, chat, gate, _bridge: bridge }
    }

    /// Where a proxy listens.
    pub(crate) fn proxy_address(&self) -> SocketAddr {
        SocketAddr::new(ip(FAR[0]), 8080)
    }

    /// Starts a client half that is to use this proxy, if any, and notes where its packets go. A request fails after
    /// `seconds`.
    pub(crate) fn client(&self, proxy: Option<&str>, seconds: u32) -> NearClient<'_> {
        let launch = halves::client_launch(&self.chat, seconds);
        self.start(proxy.into_iter().fold(launch, |launch, uri| launch.set("TOR_PT_PROXY", uri)))
    }

    fn start(&self, launch: Launch) -> NearClient<'_> {
        let capture = Capture::start(&self.hosts.near).unwrap();
        let child = self.hosts.near.run(|| launch.start());
        let socks = child.socks();
        NearClient { world: self, child, socks, capture }
    }
}

impl NearClient<'_> {
    /// Asks it for a connection, as tor does; the code of the reply when it is refused.
    pub(crate) fn request(&self, more: &str) -> Result<TcpStream, u8> {
        let arguments = halves::arguments(&self.world.chat) + more;
        self.world.hosts.near.run(|| halves::request(self.socks, &arguments))
    }

    /// Ends it, and tells which packets there were on the near host but for those between tor and it.
    pub(crate) fn packets(self) -> BTreeSet<Packet> {
        drop(self.child);
        let of_socks =
            |packet: &Packet| packet.protocol == 6 && (packet.to == self.socks || packet.from == self.socks);
        let packets = self.capture.finish().unwrap();
        packets.into_iter().filter(|packet| !of_socks(packet)).collect()
    }
}
