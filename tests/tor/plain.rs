//! Another transport, made of `tor-pt` alone.

use std::path::PathBuf;
use std::time::Duration;

use hexchat_lab::FileServer;
use hexchat_lab::fetch::fetch;
use hexchat_lab::ports::{free_port, loopback};

use crate::BOOTSTRAP;
use crate::world::network;

const FILE: usize = 200_000;

/// Cargo builds the examples for a complete test run, beside the tests, and tells no test where.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "run `cargo build --package tor-pt --examples` first");
    path
}

#[test]
fn tor_bootstraps_and_fetches_through_a_transport_that_another_author_would_write() {
    let (client, server) = (example("plain_client"), example("plain_server"));
    let network = network();
    let address = loopback(free_port().unwrap());
    let bridge = network
        .bridge(&format!(
            "ServerTransportPlugin plain exec {}\nServerTransportListenAddr plain {address}\nExtORPort auto\n\
             Log [general]debug stdout",
            server.display()
        ))
        .unwrap();
    let fingerprint = bridge.fingerprint().unwrap();
    let client = client.display();
    let torrc = format!("ClientTransportPlugin plain exec {client}\nBridge plain {address} {fingerprint}");
    let client = network.client(&torrc).unwrap();
    client.wait_until_bootstrapped(BOOTSTRAP, |_| {}).unwrap();

    let web = FileServer::start().unwrap();
    let fetched = fetch(Some(client.socks()), web.address(), FILE, Duration::from_secs(60)).unwrap();
    assert_eq!(fetched.sha256, FileServer::sha256(FILE));
    let seen = |line: &str| line.contains("with transport 'plain'");
    bridge.process().wait_for_line(seen, Duration::from_secs(10)).unwrap();
}
