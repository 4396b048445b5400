//! Bootstrap, a file, and the end.

use std::time::Duration;

use hexchat_lab::fetch::fetch;
use hexchat_lab::process::ends_within;
use hexchat_lab::{ANONYMOUS, FileServer, Kind};

use crate::world::{World, transport};

const FILE: usize = 5_000_000;

/// Arti gives a transport five seconds to end.
const END: Duration = Duration::from_secs(5);

fn bootstrap_and_fetch(mut world: World) {
    let (proxy, web) = (world.client.socks(), world.web.address());
    let fetched = fetch(Some(proxy), web, FILE, Duration::from_secs(60)).unwrap();
    assert_eq!(fetched.sha256, FileServer::sha256(FILE));

    for tor in [&mut world.client, &mut world.bridge] {
        let transport = transport(tor);
        tor.process_mut().kill();
        assert!(ends_within(transport, END), "hexchat-pt outlives tor");
    }
}

#[test]
fn tor_bootstraps_and_fetches_through_prosody_and_takes_the_transports_with_it() {
    bootstrap_and_fetch(World::start(Kind::Prosody, ""));
}

#[test]
fn tor_bootstraps_and_fetches_through_ejabberd_and_takes_the_transports_with_it() {
    bootstrap_and_fetch(World::start(Kind::Ejabberd, ""));
}

#[test]
fn tor_bootstraps_and_fetches_without_an_account_over_prosody() {
    bootstrap_and_fetch(World::start_without_account(Kind::Prosody, ANONYMOUS));
}

#[test]
fn tor_bootstraps_and_fetches_without_an_account_over_ejabberd() {
    bootstrap_and_fetch(World::start_without_account(Kind::Ejabberd, ANONYMOUS));
}

#[test]
fn tor_bootstraps_and_fetches_with_an_account_that_was_registered_over_prosody() {
    bootstrap_and_fetch(World::start_without_account(Kind::Prosody, "new@chat.example"));
}

#[test]
fn tor_bootstraps_and_fetches_with_an_account_that_was_registered_over_ejabberd() {
    bootstrap_and_fetch(World::start_without_account(Kind::Ejabberd, "new@chat.example"));
}

#[test]
fn tor_bootstraps_and_fetches_by_the_classic_protocol() {
    bootstrap_and_fetch(World::start_classic(Kind::Prosody, ""));
}

#[test]
fn tor_bootstraps_and_fetches_through_a_bridge_that_owns_a_domain_of_prosodys() {
    bootstrap_and_fetch(World::start_component(Kind::Prosody, "bridge.chat.example"));
}

#[test]
fn tor_bootstraps_and_fetches_through_a_bridge_that_owns_a_domain_of_ejabberds() {
    bootstrap_and_fetch(World::start_component(Kind::Ejabberd, "bridge.chat.example"));
}
