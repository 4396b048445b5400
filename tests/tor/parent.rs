//! Parents: what one does to its transport while it runs: tells it nothing, ends it, starts it anew.

use hexchat_lab::process::is_alive;
use hexchat_lab::server::DOMAIN;
use hexchat_lab::tor::Tor;
use hexchat_lab::{ChatServer, Kind};
use rustix::process::{Pid, Signal, kill_process};

use crate::SOON;
use crate::world::{World, eventually, transport, wait_for_another};

fn send(signal: Signal, pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// What tor runs as the transport, as its option has it.
fn plugin(client: &Tor) -> String {
    let lines = client.control().unwrap().command("GETCONF ClientTransportPlugin").unwrap();
    lines[0].strip_prefix("ClientTransportPlugin=").unwrap().to_owned()
}

/// Whoever signals all processes of a service at once reaches the transport too.
#[test]
fn a_tor_that_reads_its_configuration_anew_leaves_its_transport_alone() {
    let world = World::start(Kind::Prosody, "");
    let tors = [&world.client, &world.bridge];
    let (transports, sessions, logins) = (tors.map(transport), world.sessions(), world.logins());
    assert_eq!((sessions.len(), logins), (2, 2), "one login for each half");
    for n in 1..=5 {
        for tor in tors {
            tor.process().signal(Signal::HUP);
            send(Signal::HUP, transport(tor));
            let read =
                || tor.process().lines().iter().filter(|line| line.contains("Received reload")).count();
            assert!(eventually(|| read() == n), "{}", tor.process().lines().join("\n"));
        }
        world.fetch();
        assert_eq!(tors.map(transport), transports, "after {n} times");
    }
    assert_eq!((world.sessions(), world.logins()), (sessions, logins));
}

#[test]
fn a_client_that_goes_offline_ends_its_transport_and_comes_back_with_a_new_one() {
    let world = World::start(Kind::Prosody, "");
    let (mut old, sessions) = (transport(&world.client), world.sessions());
    let mut control = world.client.control().unwrap();
    for _ in 0..2 {
        control.set_conf("DisableNetwork", "1").unwrap();
        assert!(eventually(|| world.client.transports().is_empty() && !is_alive(old)), "it goes on");
        // It has logged out: nothing is left of it that a server would keep.
        world.wait_for_sessions(&sessions[1..]);
        control.set_conf("DisableNetwork", "0").unwrap();
        old = wait_for_another(&world.client, old);
        world.fetch();
        world.wait_for_sessions(&sessions);
    }
}

#[test]
fn a_transport_that_is_configured_anew_is_started_anew_and_one_that_is_taken_away_is_gone() {
    let world = World::start(Kind::Prosody, "");
    let (first, sessions) = (transport(&world.client), world.sessions());
    let mut control = world.client.control().unwrap();
    let plugin = plugin(&world.client);

    control.set_conf("ClientTransportPlugin", &format!("{plugin} --log-level debug")).unwrap();
    let second = wait_for_another(&world.client, first);
    world.fetch();
    world.wait_for_sessions(&sessions);

    control.command("RESETCONF ClientTransportPlugin").unwrap();
    assert!(eventually(|| world.client.transports().is_empty() && !is_alive(second)), "it goes on");
    world.wait_for_sessions(&sessions[1..]);

    control.set_conf("ClientTransportPlugin", &plugin).unwrap();
    wait_for_another(&world.client, second);
    world.fetch();
    world.wait_for_sessions(&sessions);
}

/// The lost login is one that the server keeps for a while, so that it can be resumed: the new one must replace it.
#[test]
fn a_transport_that_is_killed_is_started_again_and_takes_the_place_of_the_old_one() {
    let world = World::start(Kind::Prosody, "");
    let sessions = world.sessions();
    for tor in [&world.client, &world.bridge] {
        let old = transport(tor);
        send(Signal::KILL, old);
        wait_for_another(tor, old);
        world.fetch();
        world.wait_for_sessions(&sessions);
    }
}

/// Nothing is known of a client but its transport: the address is the transport's own.
#[test]
fn a_bridge_counts_its_clients_by_transport_and_publishes_nothing_secret() {
    let world = World::start(Kind::Prosody, "Log [general]debug stdout");
    let seen = |line: &str| line.contains("Seen client from '127.0.0.1' with transport 'hexchat'");
    world.bridge.process().wait_for_line(seen, SOON).unwrap();

    let published = world.bridge.control().unwrap().get_info("status/fresh-relay-descs").unwrap();
    let lines: Vec<&str> = published.lines().filter(|line| line.starts_with("transport")).collect();
    let version = format!("transport-info version={} implementation=hexchat-pt", env!("CARGO_PKG_VERSION"));
    assert_eq!(lines, ["transport hexchat 127.0.0.1:1", &version]);
    let chat_server = world.chat.address().to_string();
    for secret in [DOMAIN, "alice", "bridge@", &ChatServer::password("bridge"), &chat_server, ".toml"] {
        assert!(!published.contains(secret), "{secret} is in\n{published}");
    }
}
