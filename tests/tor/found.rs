//! Server that is found by SRV records, under tor.

use std::net::Ipv4Addr;

use hexchat_lab::dns::Record;
use hexchat_lab::{ChatServer, DnsServer, FileServer, Halves, Kind, Rate};

use crate::world::network;
use crate::{BOOTSTRAP, SOON, executable};

const FILE: usize = 200_000;

/// Neither half is told where the server is, nor that it wants direct TLS.
#[test]
fn tor_bootstraps_over_direct_tls_at_a_server_that_srv_records_name() {
    let chat = ChatServer::start(Kind::Prosody, Rate::Unlimited, &["bridge", "alice"]).unwrap();
    let dns = DnsServer::start(&[
        (
            "_xmpps-client._tcp.chat.example",
            Record::srv(0, chat.tls_address().port(), "host7.hosting.example"),
        ),
        ("host7.hosting.example", Record::A(Ipv4Addr::LOCALHOST)),
    ])
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = dns.program(&executable(), folder.path()).unwrap();
    let network = network();
    let halves = Halves { network: &network, chat: &chat, executable: &program };

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
    let asked = dns.asked();
    assert!(asked.iter().any(|question| question == "33 _xmpps-client._tcp.chat.example"), "{asked:?}");
    assert!(!torrc.contains("server=") && !account.contains("server"), "{torrc}\n{account}");
}
