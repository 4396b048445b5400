//! Row 48 over a WebSocket: the host of a URL is for the proxy to resolve, as any other.

use super::servers::{Kind, RealProxy};
use super::world::World;
use crate::halves::echo;

/// Enough to fill more than one buffer on the way.
const SOME: usize = 100_000;

fn goes_through(kind: Kind) {
    let world = World::new();
    let proxy = RealProxy::start(kind, &world);
    let client = world.client(Some(&proxy.uri()), 60);
    let port = world.chat.web_address().port();
    let path = world.chat.web_socket_path();
    let stream = client.request(&format!(";server=wss://chat.example:{port}{path}")).unwrap();
    echo(&stream, SOME);
    assert_eq!(world.gate.accepted(), 0, "nothing went to the port for streams");
    let packets = client.packets();
    let proxy = world.proxy_address();
    assert!(packets.iter().all(|packet| packet.to == proxy || packet.from == proxy), "{packets:?}");
}

#[test]
fn row_48_a_websocket_goes_through_an_http_proxy() {
    goes_through(Kind::Http);
}

#[test]
fn row_48_a_websocket_goes_through_a_socks5_proxy() {
    goes_through(Kind::Socks5);
}
