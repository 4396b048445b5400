//! Finding a chat server as its domain says: the executable asks a DNS server of the test's own, then logs in at a real chat server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod dns_faults;
mod faults;
mod proxied;
mod proxy_faults;
mod refusals;
mod sent_elsewhere;
mod subject;
mod web_server;
mod web_socket;

use std::net::Ipv4Addr;

use hexchat_lab::dns::Record;
use hexchat_lab::{DnsServer, TcpCutter};

use subject::{Subject, chat_server, login};

const HERE: Record = Record::A(Ipv4Addr::LOCALHOST);
const DIRECT: &str = "_xmpps-client._tcp.chat.example";
const START_TLS: &str = "_xmpp-client._tcp.chat.example";

#[test]
fn a_server_of_another_name_and_port_is_found_and_spoken_to_by_direct_tls() {
    let server = chat_server();
    let port = server.tls_address().port();
    let dns = DnsServer::start(&[
        (DIRECT, Record::srv(1, port, "host7.hosting.example")),
        (START_TLS, Record::srv(5, 1, "host8.hosting.example")),
        ("host7.hosting.example", HERE),
        ("host8.hosting.example", HERE),
    ])
    .unwrap();
    Subject::start(&dns, &login(&server, "bob")).is_online();
    assert!(!dns.asked().iter().any(|question| question.ends_with(" chat.example")), "{:?}", dns.asked());
}

#[test]
fn a_server_is_found_by_the_records_for_starttls() {
    let server = chat_server();
    let port = server.address().port();
    let dns = DnsServer::start(&[
        (START_TLS, Record::srv(1, port, "host7.hosting.example")),
        ("host7.hosting.example", HERE),
    ])
    .unwrap();
    Subject::start(&dns, &login(&server, "bob")).is_online();
}

#[test]
fn behind_a_dead_machine_and_one_that_says_nothing_the_next_is_tried() {
    let server = chat_server();
    let silent = TcpCutter::start(server.tls_address()).unwrap();
    silent.stall(true);
    let dns = DnsServer::start(&[
        (DIRECT, Record::srv(0, 1, "dead.example")),
        (DIRECT, Record::srv(1, silent.address().port(), "silent.example")),
        (DIRECT, Record::srv(2, server.address().port(), "other.example")),
        (START_TLS, Record::srv(3, server.address().port(), "alive.example")),
        ("dead.example", HERE),
        ("silent.example", HERE),
        ("other.example", HERE),
        ("alive.example", HERE),
    ])
    .unwrap();
    let subject = Subject::start(&dns, &login(&server, "bob"));
    subject.is_online();
    assert_eq!(silent.accepted(), 1);
    assert_eq!(subject.count("cannot log in"), 0, "it took more than one attempt");
}

#[test]
fn an_account_that_was_cut_finds_its_server_again_without_asking() {
    let server = chat_server();
    let cutter = TcpCutter::start(server.tls_address()).unwrap();
    let dns = DnsServer::start(&[
        (DIRECT, Record::srv(1, cutter.address().port(), "host7.hosting.example")),
        ("host7.hosting.example", HERE),
    ])
    .unwrap();
    let subject = Subject::start(&dns, &login(&server, "bob"));
    subject.is_online();
    let asked = dns.asked();
    cutter.cut();
    subject.says("lost its connection");
    subject.says_again("is online as", 2);
    assert_eq!((dns.asked(), cutter.accepted()), (asked, 2));
}

#[test]
fn what_tls_says_decides_which_records_are_asked_for() {
    let server = chat_server();
    let dns = DnsServer::start(&[
        (DIRECT, Record::srv(1, server.tls_address().port(), "direct.example")),
        (START_TLS, Record::srv(1, server.address().port(), "starttls.example")),
        ("direct.example", HERE),
        ("starttls.example", HERE),
    ])
    .unwrap();
    let mut asked = Vec::new();
    for tls in ["direct", "starttls"] {
        Subject::start(&dns, &format!("{}tls = \"{tls}\"\n", login(&server, "bob"))).is_online();
        let names = dns.asked().split_off(asked.len());
        let other = if tls == "direct" { START_TLS } else { DIRECT };
        assert!(!names.iter().any(|name| name.ends_with(other)), "{names:?}");
        asked = dns.asked();
    }
}

#[test]
fn where_a_server_is_given_no_srv_records_are_asked_for() {
    let server = chat_server();
    let dns = DnsServer::start(&[("host7.hosting.example", HERE)]).unwrap();
    let port = server.address().port();
    let config = format!("{}server = \"host7.hosting.example:{port}\"\n", login(&server, "bob"));
    Subject::start(&dns, &config).is_online();
    assert!(
        dns.asked().iter().all(|question| question.ends_with(" host7.hosting.example")),
        "{:?}",
        dns.asked()
    );
}

#[test]
fn the_name_of_a_server_that_is_given_may_have_an_underscore() {
    let server = chat_server();
    let dns = DnsServer::start(&[("chat_server", HERE)]).unwrap();
    let port = server.address().port();
    let config = format!("{}server = \"chat_server:{port}\"\n", login(&server, "bob"));
    Subject::start(&dns, &config).is_online();
}

#[test]
fn a_server_on_this_machine_needs_no_dns_server() {
    let server = chat_server();
    let dns = DnsServer::start(&[]).unwrap();
    let config = format!("{}server = \"localhost:{}\"\n", login(&server, "bob"), server.address().port());
    Subject::start(&dns, &config).is_online();
    assert_eq!(dns.asked(), Vec::<String>::new());
}

#[test]
fn a_key_that_is_pinned_is_trusted_whoever_signed_it_and_no_other_is() {
    let server = chat_server();
    let dns = DnsServer::start(&[]).unwrap();
    let address = server.tls_address();
    let config = |pin: &str| {
        let login = "[[account]]\njid = \"bob@chat.example\"\npassword = \"secret-of-bob\"\n";
        format!("{login}server = \"{address}\"\ntls = \"direct\"\npin = \"{pin}\"\n")
    };
    Subject::start(&dns, &config(server.pin())).is_online();
    let other = Subject::start(&dns, &config(&"A".repeat(43)));
    other.says("its certificate does not have the key that `pin` says");
    let unpinned = config(server.pin()).replace("pin = ", "#pin = ");
    Subject::start(&dns, &unpinned).says("its certificate is from an unknown authority");
}
