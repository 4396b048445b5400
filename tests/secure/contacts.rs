//! Servers that keep from their users what others than contacts send.

use hexchat_lab::{COMPONENT_SECRET, EchoServer, Kind, Rules};

use crate::harness::{Lab, PATIENCE, Route, echo, random_bytes};
use crate::pair::Bridge;

const MEGABYTE: usize = 1_000_000;

/// A bridge there is no user of the server, so that nothing is kept from it.
const DOMAIN: &str = "bridge.chat.example";

fn lab() -> Lab {
    let component = Some((DOMAIN, 1));
    Lab::with_rules(Kind::Prosody, Rules { contacts_only: true, component, ..Rules::default() })
}

#[test]
fn a_client_that_is_to_becomes_a_contact_and_gets_through_at_its_first_connection_and_later() {
    let (lab, target) = (lab(), EchoServer::start().unwrap());
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let config = lab.config(&["alice"], &Route::StartTls) + "roster = true\n";
    for _ in 0..2 {
        let forward = bridge.forward_configured(&config);
        echo(forward.entrance(), &random_bytes(MEGABYTE)).unwrap();
    }
}

#[test]
fn a_client_that_is_no_contact_of_a_bridge_whose_server_lets_only_those_through_is_told_so() {
    let (lab, target) = (lab(), EchoServer::start().unwrap());
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
    assert!(echo(forward.entrance(), &random_bytes(1000)).is_err());
    forward.says("or its chat server lets only contacts through", PATIENCE);
}

#[test]
fn a_client_whose_own_server_keeps_strangers_away_gets_through_without_any_contact() {
    let (lab, target) = (lab(), EchoServer::start().unwrap());
    let server = lab.server.component_address();
    let component = format!(
        "[component]\ndomain = \"{DOMAIN}\"\nsecret = \"{COMPONENT_SECRET}\"\nserver = \"{server}\"\n"
    );
    let bridge = Bridge::configured(component, target.address());
    let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
    echo(forward.entrance(), &random_bytes(MEGABYTE)).unwrap();
}
