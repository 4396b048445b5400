//! The private Tor network by itself, so that a fault of the lab is not taken for one of a transport.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is how a fault is reported")]

use std::time::{Duration, Instant};

use hexchat_lab::fetch::fetch;
use hexchat_lab::{FileServer, TorNetwork};

/// How long a bootstrap may take on a busy machine.
const BOOTSTRAP: Duration = Duration::from_secs(120);
const FILE: usize = 1_000_000;

#[test]
fn a_client_bootstraps_and_fetches_through_a_plain_bridge_and_obeys_its_control_port() {
    let network = TorNetwork::start().unwrap();
    let bridge = network.bridge("").unwrap();
    let line = format!("Bridge {} {}", bridge.or_address(), bridge.fingerprint().unwrap());
    let client = network.client(&line).unwrap();
    let mut steps = Vec::new();
    client.wait_until_bootstrapped(BOOTSTRAP, |step| steps.push(step.to_owned())).unwrap();
    assert!(steps.len() > 2 && steps.last().is_some_and(|step| step.starts_with("100%")), "{steps:?}");
    assert!(client.transports().is_empty(), "no transport was asked for");

    let web = FileServer::start().unwrap();
    let fetched = fetch(Some(client.socks()), web.address(), FILE, Duration::from_secs(60)).unwrap();
    assert_eq!(fetched.sha256, FileServer::sha256(FILE));

    let mut control = client.control().unwrap();
    assert!(control.get_info("status/bootstrap-phase").unwrap().contains("PROGRESS=100"));
    assert!(control.get_info("config-text").unwrap().lines().any(|option| option == line));
    control.set_conf("MaxCircuitDirtiness", "77 seconds").unwrap();
    assert_eq!(control.command("GETCONF MaxCircuitDirtiness").unwrap(), ["MaxCircuitDirtiness=77"]);
    control.signal("HUP").unwrap();
    client.process().wait_for_line(|line| line.contains("Received reload signal"), BOOTSTRAP).unwrap();
}

#[test]
fn a_client_with_a_bridge_line_that_tor_refuses_fails_at_once_with_the_reason() {
    let network = TorNetwork::start().unwrap();
    let client = network.client("Bridge not-an-address").unwrap();
    let started = Instant::now();
    let error = client.wait_until_bootstrapped(BOOTSTRAP, |_| {}).unwrap_err();
    assert!(format!("{error:#}").contains("Bridge line did not parse"), "{error:#}");
    assert!(started.elapsed() < BOOTSTRAP / 2, "it waited for a tor that had ended");
}
