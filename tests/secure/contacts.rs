//! Servers that keep from their users what others than contacts send.

use hexchat_lab::{EchoServer, Kind, Rules};

use crate::harness::{Lab, Route, echo, random_bytes};
use crate::pair::Bridge;

const MEGABYTE: usize = 1_000_000;

fn lab() -> Lab {
    Lab::with_rules(Kind::Prosody, Rules { contacts_only: true, ..Rules::default() })
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
fn a_client_that_is_no_contact_gets_nowhere() {
    let (lab, target) = (lab(), EchoServer::start().unwrap());
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
    assert!(echo(forward.entrance(), &random_bytes(1000)).is_err());
}
