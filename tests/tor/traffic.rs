//! Bootstrap, a file, and the end.

use std::time::{Duration, Instant};

use hexchat_lab::fetch::fetch;
use hexchat_lab::{ChatServer, FileServer, Halves, Kind, Rate, TorNetwork};

use crate::{BOOTSTRAP, executable};

const FILE: usize = 5_000_000;

fn bootstrap_and_fetch(kind: Kind) {
    let chat = ChatServer::start(kind, Rate::Unlimited, &["bridge", "alice"]).unwrap();
    let network = TorNetwork::start().unwrap();
    let halves = Halves { network: &network, chat: &chat, executable: executable() };
    let mut bridge = network.bridge(&halves.bridge("bridge").unwrap()).unwrap();
    let login = Halves::login("alice", &ChatServer::password("alice"));
    let torrc = halves.client(&bridge.fingerprint().unwrap(), "bridge", &login).unwrap();
    let mut client = network.client(&torrc).unwrap();
    client.wait_until_bootstrapped(BOOTSTRAP, |_| {}).unwrap();

    let web = FileServer::start().unwrap();
    let fetched = fetch(Some(client.socks()), web.address(), FILE, Duration::from_secs(60)).unwrap();
    assert_eq!(fetched.sha256, FileServer::sha256(FILE));

    for tor in [&mut client, &mut bridge] {
        let transports = tor.transports();
        assert_eq!(transports.len(), 1, "tor runs hexchat-pt");
        tor.process_mut().kill();
        assert!(eventually(|| transports.iter().all(|pid| !is_alive(*pid))), "hexchat-pt outlives tor");
    }
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Arti gives a transport five seconds to end.
fn eventually(holds: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn tor_bootstraps_and_fetches_through_prosody_and_takes_the_transports_with_it() {
    bootstrap_and_fetch(Kind::Prosody);
}

#[test]
fn tor_bootstraps_and_fetches_through_ejabberd_and_takes_the_transports_with_it() {
    bootstrap_and_fetch(Kind::Ejabberd);
}
