//! Row 13: where outgoing connections come from.

use std::net::{IpAddr, SocketAddr, TcpListener};

use crate::child::Launch;
use crate::halves::{
    accept, arguments, bridge_launch, chat_server, client_launch, echo, echo_server, request, start_online,
};
use crate::hosts::{FAR, Hosts, NEAR, ip};
use crate::log::warns;

const V4: &str = "TOR_PT_OUTBOUND_BIND_ADDRESS_V4";
const V6: &str = "TOR_PT_OUTBOUND_BIND_ADDRESS_V6";

/// No machine has these.
const NOBODY: [(&str, &str); 2] = [(V4, "192.0.2.1"), (V6, "[2001:db8::bad]")];

/// Where an account's connection to `server` on the far host comes from, when the client's half is launched on the near
/// host with these variables.
fn source_of_a_client(hosts: &Hosts, server: IpAddr, variables: &[(&'static str, &str)]) -> IpAddr {
    let listener = hosts.far.run(|| TcpListener::bind(SocketAddr::new(server, 0)).unwrap());
    let arguments = format!("mode=classic;jid=b@x;login=a@x:y;server={}", listener.local_addr().unwrap());
    let launch = Launch::client().config("[limits]\nconnect_timeout = 1\n");
    let child = hosts.near.run(|| with(launch, variables).start());
    std::thread::scope(|scope| {
        // The server says nothing.
        scope.spawn(|| hosts.near.run(|| request(child.socks(), &arguments)).map(drop));
        accept(&listener).peer_addr().unwrap().ip()
    })
}

fn with(launch: Launch, variables: &[(&'static str, &str)]) -> Launch {
    variables.iter().fold(launch, |launch, (name, value)| launch.set(name, value))
}

#[test]
fn row_13_connections_come_from_the_address_of_their_family_that_was_asked_for() {
    let hosts = Hosts::new();
    let [far_v4, far_v6] = FAR.map(ip);
    let [first_v4, first_v6, second_v4, second_v6] = NEAR.map(ip);
    let [first_bracketed, bracketed] = [first_v6, second_v6].map(|address| format!("[{address}]"));
    let both = [(V4, NEAR[2]), (V6, bracketed.as_str())];
    let from = |server, variables: &[_]| source_of_a_client(&hosts, server, variables);
    assert_eq!(from(far_v4, &[]), first_v4);
    assert_eq!(from(far_v4, &both), second_v4);
    assert_eq!(from(far_v4, &both[..1]), second_v4);
    assert_eq!(from(far_v4, &both[1..]), first_v4);
    assert_eq!(from(far_v4, &[(V4, ""), (V6, "")]), first_v4);
    // Of several addresses Linux takes the last one that was added.
    assert_eq!(from(far_v6, &[(V6, first_bracketed.as_str())]), first_v6);
    assert_eq!(from(far_v6, &both), second_v6);
}

#[test]
fn row_13_a_bridges_connections_come_from_there_too() {
    let hosts = Hosts::new();
    let listener = hosts.far.run(|| TcpListener::bind(SocketAddr::new(ip(FAR[0]), 0)).unwrap());
    let server = listener.local_addr().unwrap();
    let launch = Launch::server().config(&format!(
        "[[account]]\njid = \"b@x\"\npassword = \"y\"\nserver = \"{server}\"\n[bridge]\nclassic = true\n"
    ));
    let _child = hosts.near.run(|| launch.set(V4, NEAR[2]).start());
    assert_eq!(accept(&listener).peer_addr().unwrap().ip(), ip(NEAR[2]));
}

#[test]
fn row_13_so_do_those_to_a_proxy() {
    let hosts = Hosts::new();
    let listener = hosts.far.run(|| TcpListener::bind(SocketAddr::new(ip(FAR[0]), 0)).unwrap());
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let launch = Launch::client().config("[limits]\nconnect_timeout = 1\n").set("TOR_PT_PROXY", &uri);
    let child = hosts.near.run(|| launch.set(V4, NEAR[2]).start());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            hosts.near.run(|| request(child.socks(), "mode=classic;jid=b@x;login=a@x:y")).map(drop)
        });
        assert_eq!(accept(&listener).peer_addr().unwrap().ip(), ip(NEAR[2]));
    });
}

#[test]
fn row_13_for_loopback_it_does_not_apply() {
    let chat = chat_server();
    let target = echo_server().to_string();
    let _bridge = start_online(with(bridge_launch(&chat, 60), &NOBODY).set("TOR_PT_ORPORT", &target));
    let client = with(client_launch(&chat, 60), &NOBODY).start();
    let arguments = format!("{};server={}", arguments(&chat), chat.address());
    echo(&request(client.socks(), &arguments).unwrap(), 10_000);
}

#[test]
fn row_13_an_address_that_is_not_there_is_named_as_the_reason() {
    let hosts = Hosts::new();
    let launch = with(Launch::client().config("[limits]\nconnect_timeout = 2\n"), &NOBODY);
    let child = hosts.near.run(|| launch.start());
    // Different users, lest the second finds the login of the first.
    for (far, user) in FAR.into_iter().zip(["a", "b"]) {
        let server = SocketAddr::new(ip(far), 5222);
        let arguments = format!("mode=classic;jid=c@x;login={user}@x:y;server={server}");
        let code = hosts.near.run(|| request(child.socks(), &arguments)).unwrap_err();
        assert!(
            [GENERAL_FAILURE, ADDRESS_NOT_SUPPORTED].contains(&code),
            "{far}: {code}, {:?}",
            child.process.lines()
        );
    }
    let line = warns(&child, "the source address that Tor demands cannot be used");
    assert!(line.contains("OutboundBindAddress") && !line.contains("192.0.2.1"), "{line}");
}

/// SOCKS5's codes (RFC 1928 section 6); neither says it exactly.
const GENERAL_FAILURE: u8 = 1;
const ADDRESS_NOT_SUPPORTED: u8 = 8;

#[test]
fn row_13_what_is_no_address_is_an_env_error() {
    for (name, value) in [
        (V4, "planted"),
        (V4, "192.0.2.1:9"),
        (V4, "[192.0.2.1]"),
        (V4, "2001:db8::1"),
        (V4, "192.0.2"),
        (V6, "planted"),
        (V6, "192.0.2.1"),
        (V6, "[192.0.2.1]"),
        (V6, "[2001:db8::1"),
        (V6, "[2001:db8::1]:9"),
    ] {
        for launch in [Launch::client(), Launch::server()] {
            let mut child = launch.set(name, value).start();
            assert_eq!(child.status(), 2, "{name}={value}");
            let lines = child.greeting();
            assert!(lines[0].starts_with("ENV-ERROR ") && lines[0].contains(name), "{value}: {lines:?}");
            assert!(!lines[0].contains("planted") && !lines[0].contains("db8"), "{lines:?}");
        }
    }
}
