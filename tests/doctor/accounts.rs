//! Accounts that cannot log in, each at the stage where it shows.

use std::net::{Ipv4Addr, TcpListener};

use hexchat_lab::dns::Record;
use hexchat_lab::{DnsServer, Kind, TcpCutter};

use crate::examination::Call;
use crate::harness::{Lab, Route};

/// Alice's account with something else in the place of something.
fn alice_but(lab: &Lab, from: &str, to: &str) -> String {
    let config = lab.config(&["alice"], &Route::StartTls);
    assert!(config.contains(from), "{config}");
    config.replace(from, to)
}

/// A server of one's own making for all these.
#[test]
fn what_keeps_an_account_from_its_server_is_told_at_its_stage() {
    let lab = Lab::start(Kind::Prosody);
    let blames = |config: String, stage: &str, words: &str| Call::with(&config).report().blames(stage, words);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let config = alice_but(&lab, "secret-of-alice", "secret-of-nobody");
            blames(config, "login", "wrong user name or password; correct the login");
        });
        scope.spawn(|| blames(alice_but(&lab, "alice@", "nobody@"), "login", "wrong user name or password"));
        // Its port is for STARTTLS.
        let direct = lab.config(&["alice"], &Route::StartTls) + "tls = \"direct\"\n";
        scope.spawn(|| blames(direct, "TLS", "check `tls` and the port in `server`"));
        // And this one is not.
        let starttls = lab.config(&["alice"], &Route::DirectTls).replace("tls = \"direct\"\n", "");
        scope.spawn(|| blames(starttls, "TLS", "tls = \"direct\""));
        let config = lab.config(&["alice"], &Route::StartTls);
        let unknown: String = config
            .lines()
            .filter(|line| !line.starts_with("ca_file"))
            .map(|line| line.to_owned() + "\n")
            .collect();
        scope.spawn(|| blames(unknown, "TLS", "its certificate is from an unknown authority"));
        let other = alice_but(&lab, "@chat.example", "@other.example");
        scope.spawn(|| blames(other, "TLS", "the server does not serve the domain of the account"));
        let named = lab.config(&["alice"], &Route::DirectTls).replace("@chat.example", "@other.example");
        scope.spawn(|| blames(named, "TLS", "it has no certificate for the domain of the account"));
        let pinned = lab.config(&["alice"], &Route::StartTls)
            + "pin = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\n";
        scope.spawn(|| blames(pinned, "TLS", "does not have the key that `pin` says"));
        scope.spawn(|| {
            let report = Call::with(&lab.config(&["alice"], &Route::StartTls))
                .env("TOR_PT_PROXY", "socks5://127.0.0.1:1")
                .report();
            report.blames("TCP", "cannot reach the proxy");
        });
    });
}

#[test]
fn a_server_that_is_down_refuses_the_connection() {
    let config = "[[account]]\njid = \"alice@chat.example\"\npassword = \"secret-of-alice\"\nserver = \"127.0.0.1:1\"\n";
    let report = Call::with(config).report();
    report.blames("TCP", "connection refused; check");
    assert_eq!(report.at("DNS")["ok"], true);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    // Nobody takes what the system has accepted.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let config = format!(
        "[[account]]\njid = \"alice@chat.example\"\npassword = \"secret-of-alice\"\nserver = \"{server}\"\n"
    );
    Call::with(&config).report().blames("TLS", "no answer in time");
}

#[test]
fn a_server_that_falls_silent_behind_the_login_lets_nobody_in() {
    let lab = Lab::start(Kind::Prosody);
    let cutter = TcpCutter::start(lab.server.address()).unwrap();
    cutter.stall(true);
    let config = lab.config(&["alice"], &Route::Through(cutter.address()));
    Call::with(&config).report().blames("TLS", "no answer in time");
}

#[test]
fn a_domain_without_an_address_is_a_fault_of_dns() {
    let dns = DnsServer::start(&[]).unwrap();
    let config = "[[account]]\njid = \"alice@nowhere.example\"\npassword = \"secret-of-alice\"\n";
    let report = Call::asking(&dns, config).report();
    report.blames("DNS", "has no address");
}

#[test]
fn a_domain_is_found_by_its_records_and_they_are_counted() {
    let lab = Lab::start(Kind::Prosody);
    let records = [
        ("_xmpp-client._tcp.chat.example", Record::srv(1, lab.server.address().port(), "host.example")),
        ("host.example", Record::A(Ipv4Addr::LOCALHOST)),
    ];
    let dns = DnsServer::start(&records).unwrap();
    let config = lab.config(&["alice"], &Route::StartTls);
    let config: String = config
        .lines()
        .filter(|line| !line.starts_with("server"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let report = Call::asking(&dns, &config).report();
    assert_eq!((report.at("DNS")["records"].as_u64(), report.status), (Some(1), 0), "{report:#?}");
}
