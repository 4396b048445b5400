//! Servers that are found, under tor: neither half is told where the server is, nor how it is to be spoken to.

use std::net::{Ipv4Addr, SocketAddr};

use hexchat_lab::dns::Record;
use hexchat_lab::ports::random_loopback;
use hexchat_lab::{ChatServer, DnsServer, FileServer, Halves, Kind, Rate, TcpCutter};

use crate::world::network;
use crate::{BOOTSTRAP, SOON, executable};

const FILE: usize = 200_000;

fn chat_server(kind: Kind) -> ChatServer {
    ChatServer::start(kind, Rate::Unlimited, &["bridge", "alice"]).unwrap()
}

/// Tor bootstraps and fetches a file.
fn bootstrap_and_fetch(chat: &ChatServer, dns: &DnsServer) {
    let folder = tempfile::tempdir().unwrap();
    let program = dns.program(&executable(), folder.path()).unwrap();
    let network = network();
    let halves = Halves { network: &network, chat, executable: &program };

    let server = format!("server = \"{}\"\n", chat.address());
    let account = chat.account_section("bridge", chat.address()).replace(&server, "");
    let config = halves.write_config("bridge", &account).unwrap();
    let plugin = format!("ExtORPort auto\nServerTransportPlugin hexchat exec {}", halves.command(&config));
    let bridge = network.bridge(&plugin).unwrap();
    let login = Halves::login("alice", &ChatServer::password("alice"));
    let torrc = halves.client(&bridge, &login).unwrap().replace(&format!(" server={}", chat.address()), "");
    let client = network.client(&torrc).unwrap();
    client.wait_until_bootstrapped(BOOTSTRAP, |_| {}).unwrap();

    let web = FileServer::start().unwrap();
    let fetched = hexchat_lab::fetch::fetch(Some(client.socks()), web.address(), FILE, SOON).unwrap();
    assert_eq!(fetched.sha256, FileServer::sha256(FILE));
    assert!(!torrc.contains("server=") && !account.contains("server"), "{torrc}\n{account}");
}

#[test]
fn tor_bootstraps_over_direct_tls_at_a_server_that_srv_records_name() {
    let chat = chat_server(Kind::Prosody);
    let dns = DnsServer::start(&[
        (
            "_xmpps-client._tcp.chat.example",
            Record::srv(0, chat.tls_address().port(), "host7.hosting.example"),
        ),
        ("host7.hosting.example", Record::A(Ipv4Addr::LOCALHOST)),
    ])
    .unwrap();
    bootstrap_and_fetch(&chat, &dns);
    let asked = dns.asked();
    assert!(asked.iter().any(|question| question == "33 _xmpps-client._tcp.chat.example"), "{asked:?}");
}

/// The domain's address has two ports open: that of its web server, and that of the WebSocket which it names.
#[test]
fn tor_bootstraps_over_a_websocket_that_the_domain_names_where_its_other_ports_are_closed() {
    let chat = chat_server(Kind::Ejabberd);
    let web = chat.web_address();
    let address = random_loopback();
    let open = |port| TcpCutter::start_at(SocketAddr::from((address, port)), web).unwrap();
    let (asked, carries) = (open(443), open(web.port()));
    let dns = DnsServer::start(&[("chat.example", Record::A(address))]).unwrap();
    bootstrap_and_fetch(&chat, &dns);
    assert_eq!((asked.accepted(), carries.accepted()), (2, 2), "once for each half");
}
