//! Rows 22 and 48: everything goes through the proxy or nowhere, names included.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use hexchat_lab::netns::Packet;

use super::servers::{Kind, PASSWORD, RealProxy, USER};
use super::world::{NearClient, World};
use crate::halves::{echo, eventually};
use crate::log::{message, warns};

/// SOCKS5's "general failure": what the user's network does not do has no code of its own.
const GENERAL_FAILURE: u8 = 1;

/// Enough to fill more than one buffer on the way.
const SOME: usize = 100_000;

/// That there were packets to and from the proxy, over TCP, and no others.
fn only_with(proxy: SocketAddr, packets: &BTreeSet<Packet>) {
    let elsewhere: Vec<&Packet> = packets
        .iter()
        .filter(|packet| packet.protocol != 6 || (packet.to != proxy && packet.from != proxy))
        .collect();
    assert!(elsewhere.is_empty(), "went around the proxy: {elsewhere:?}");
    assert!(packets.iter().any(|packet| packet.to == proxy), "nothing went to the proxy");
}

/// That every line of the log is well-formed and nothing that was planted is in it.
fn is_discreet(client: &NearClient<'_>) {
    for line in client.child.process.lines() {
        if line.starts_with("LOG ") {
            message(&line);
        }
        let planted = [USER, PASSWORD, "10.77.0", "chat.example", "alice", "bob"];
        assert!(!planted.iter().any(|planted| line.contains(planted)), "{line}");
    }
}

/// Logs in, moves bytes, reconnects when the proxy's connection to the chat server ends and when the proxy does.
fn goes_through(kind: Kind) {
    let world = World::new();
    let mut proxy = RealProxy::start(kind, &world);
    let client = world.client(Some(&proxy.uri()), 60);
    let stream = client.request("").unwrap();
    echo(&stream, SOME);
    assert_eq!(world.gate.accepted(), 1);
    world.gate.cut();
    echo(&stream, SOME);
    assert_eq!(world.gate.accepted(), 2, "it came back through the proxy");
    proxy.kill();
    proxy.restart();
    echo(&stream, SOME);
    assert_eq!(world.gate.accepted(), 3, "it came back through the new proxy");
    is_discreet(&client);
    only_with(world.proxy_address(), &client.packets());
}

#[test]
fn rows_22_and_48_only_an_http_proxy_is_spoken_to() {
    goes_through(Kind::Http);
}

#[test]
fn rows_22_and_48_only_an_http_proxy_with_a_password_is_spoken_to() {
    goes_through(Kind::HttpWithPassword);
}

#[test]
fn rows_22_and_48_only_a_socks4a_proxy_is_spoken_to() {
    goes_through(Kind::Socks4a);
}

#[test]
fn rows_22_and_48_only_a_socks5_proxy_is_spoken_to() {
    goes_through(Kind::Socks5);
}

#[test]
fn rows_22_and_48_only_a_socks5_proxy_with_a_password_is_spoken_to() {
    goes_through(Kind::Socks5WithPassword);
}

/// Without this the tests above would prove nothing.
#[test]
fn without_a_proxy_what_goes_elsewhere_is_seen() {
    let world = World::new();
    let client = world.client(None, 6);
    let stranger: SocketAddr = "198.51.100.1:5222".parse().unwrap();
    client.request(&format!(";server={stranger}")).unwrap_err();
    let packets = client.packets();
    assert!(packets.iter().any(|packet| packet.to == stranger), "{packets:?}");
}

#[test]
fn row_22_while_the_proxy_is_down_requests_fail_and_nothing_goes_elsewhere() {
    let world = World::new();
    let mut proxy = RealProxy::start(Kind::Socks5WithPassword, &world);
    let client = world.client(Some(&proxy.uri()), 6);
    proxy.kill();
    assert_eq!(client.request("").unwrap_err(), GENERAL_FAILURE);
    warns(&client.child, "dialling the chat server: cannot reach the proxy: connection refused");
    proxy.restart();
    let mut stream = None;
    eventually("no request succeeds", || {
        stream = client.request("").ok();
        stream.is_some()
    });
    let stream = stream.unwrap();
    echo(&stream, SOME);
    // Now while it is in use: the next request must not find another way either.
    proxy.kill();
    client.request(";unknown=1").unwrap_err();
    is_discreet(&client);
    only_with(world.proxy_address(), &client.packets());
}

#[test]
fn row_22_a_proxy_that_refuses_us_is_named_without_what_we_said() {
    let world = World::new();
    for (kind, scheme) in [(Kind::HttpWithPassword, "http"), (Kind::Socks5WithPassword, "socks5")] {
        let _proxy = RealProxy::start(kind, &world);
        let uri = format!("{scheme}://{USER}:wrongsesame@{}", world.proxy_address());
        let client = world.client(Some(&uri), 6);
        assert_eq!(client.request("").unwrap_err(), GENERAL_FAILURE);
        let line = warns(&client.child, "dialling the chat server: the proxy refused our credentials");
        assert!(!line.contains("wrongsesame"), "{line}");
        is_discreet(&client);
        only_with(world.proxy_address(), &client.packets());
    }
    assert_eq!(world.gate.accepted(), 0);
}
