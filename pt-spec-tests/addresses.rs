//! A chat server's name that stands for more than one address.

use std::net::{SocketAddr, TcpListener};

use hexchat_lab::server::DOMAIN;

use crate::child::Launch;
use crate::halves::{accept, request};
use crate::hosts::{FAR, Hosts, ip, knowing};

/// Nobody answers at these, as where IPv6 is only believed to work.
const SILENT: [&str; 3] = ["2001:db8:dead::1", "2001:db8:dead::2", "2001:db8:dead::3"];

/// Had each of the silent ones its full time, the login would be given up before their turn is over.
#[test]
fn silent_addresses_do_not_keep_a_chat_server_from_being_reached() {
    let hosts = Hosts::new();
    // Without a route it would say that there is none.
    hosts.far.swallow("2001:db8:dead::/48").unwrap();
    let listener = hosts.far.run(|| TcpListener::bind(SocketAddr::new(ip(FAR[0]), 5222)).unwrap());
    let launch = Launch::client().config("[limits]\nconnect_timeout = 1\n");
    let file = launch.state().join("hosts");
    let names: String =
        SILENT.into_iter().chain([FAR[0]]).map(|address| format!("{address} {DOMAIN}\n")).collect();
    std::fs::write(&file, names).unwrap();
    let child = hosts.near.run(|| launch.wrapped(knowing(&file)).start());
    let arguments = format!("mode=classic;jid=b@{DOMAIN};login=a@{DOMAIN}:x");
    hosts.near.run(|| request(child.socks(), &arguments)).unwrap_err();
    accept(&listener);
}
