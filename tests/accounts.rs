//! Accounts at a real chat server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "other tests use more of it")]
mod chat_server;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use chat_server::ChatServer;
use hexchat_lab::{Kind, TcpCutter, on_both_servers};
use hexchat_pt::config::{AccountConfig, Credential, Server, ServerAddr, TlsMode, Url};
use hexchat_pt::persona;
use hexchat_pt::xmpp::flat::Flat;
use hexchat_pt::xmpp::{
    AccountError, AccountEvent, AccountId, AccountPool, AccountStatus, Binding, Dialer, Persistence,
    StreamManagement, Usage,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ping::Ping;

/// What no step of a test may take longer than.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longer than the longest first delay of the back-off.
const NO_RETRY: Duration = Duration::from_millis(1500);

fn through(cutter: &TcpCutter, config: AccountConfig) -> AccountConfig {
    let address = ServerAddr { host: "127.0.0.1".into(), port: cutter.address().port() };
    let server = match config.server {
        Some(Server::WebSocket(url)) => Server::WebSocket(Url { address, ..url }),
        _ => address.into(),
    };
    AccountConfig { server: Some(server), ..config }
}

struct Client {
    pool: AccountPool,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
    id: AccountId,
}

impl Client {
    fn open(config: AccountConfig) -> Self {
        Self::open_with(config, StreamManagement::Wanted)
    }

    fn open_with(config: AccountConfig, usage: impl Into<Usage>) -> Self {
        let (pool, events) = AccountPool::new(Dialer::direct());
        let id = pool.open(config, usage);
        Self { pool, events, id }
    }

    async fn online(config: AccountConfig) -> (Self, FullJid) {
        let mut client = Self::open(config);
        let (jid, resumed) = client.until_online().await;
        assert!(!resumed);
        (client, jid)
    }

    /// The next thing that has happened. A set is a stanza, however it was read.
    async fn event(&mut self) -> AccountEvent {
        match timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap().1 {
            AccountEvent::Flat(Flat::Set(set)) => {
                AccountEvent::Stanza(Box::new(set.into_stanza().expect("a stanza")))
            }
            event => event,
        }
    }

    /// Passes over everything else.
    async fn until_online(&mut self) -> (FullJid, bool) {
        loop {
            if let AccountEvent::Online { jid, resumed, .. } = self.event().await {
                return (jid, resumed);
            }
        }
    }

    /// Passes over what other logins of the same account cause, presence, that there is less to be written, and that the server has confirmed a
    /// resource.
    async fn until(&mut self, wanted: impl Fn(&AccountEvent) -> bool) {
        loop {
            let event = self.event().await;
            if wanted(&event) {
                return;
            }
            let is_passed_over =
                matches!(event, AccountEvent::Stanza(_) | AccountEvent::Relieved | AccountEvent::Confirmed);
            assert!(is_passed_over, "{event:?}");
        }
    }

    async fn iq(&mut self) -> Iq {
        loop {
            match self.event().await {
                AccountEvent::Stanza(stanza) => {
                    if let Stanza::Iq(iq) = *stanza {
                        return iq;
                    }
                }
                AccountEvent::Flat(Flat::Result { from, id }) => {
                    return Iq::Result { from: Some(from.into()), to: None, id, payload: None };
                }
                AccountEvent::Lost { tag } => panic!("{tag} is lost"),
                AccountEvent::Failed(error) => panic!("{error}"),
                _ => {}
            }
        }
    }

    fn send(&self, iq: impl Into<Stanza>, tag: Option<u64>) {
        self.pool.send(self.id, iq.into(), tag);
    }
}

fn numbered(to: &FullJid, number: u64, size: usize) -> Iq {
    let payload = Element::builder("data", "urn:example:test").append("x".repeat(size)).build();
    Iq::Set { from: None, to: Some(to.clone().into()), id: number.to_string(), payload }
}

fn is_result(iq: &Iq, wanted: &str) -> bool {
    matches!(iq, Iq::Result { id, .. } if id == wanted)
}

async fn two_accounts_exchange_requests_over_starttls_and_direct_tls(kind: Kind) {
    let server = ChatServer::start(kind);
    let (mut alice, alice_jid) = Client::online(server.account("alice", TlsMode::StartTls)).await;
    let (mut bob, bob_jid) = Client::online(server.account("bob", TlsMode::Direct)).await;
    alice.send(numbered(&bob_jid, 1, 10), Some(1));
    let request = bob.iq().await;
    assert_eq!(request.from(), Some(&alice_jid.into()));
    bob.send(persona::reply_to(&request).expect("an answer"), None);
    let answer = alice.iq().await;
    assert!(matches!(answer, Iq::Error { ref id, .. } if id == "1"), "{answer:?}");
}

async fn a_ping_from_a_peer_is_answered(kind: Kind) {
    let server = ChatServer::start(kind);
    let (mut alice, _) = Client::online(server.account("alice", TlsMode::StartTls)).await;
    let (_bob, bob_jid) = Client::online(server.account("bob", TlsMode::StartTls)).await;
    alice.send(Iq::from_get("p", Ping).with_to(bob_jid.into()), None);
    assert!(is_result(&alice.iq().await, "p"));
}

async fn what_goes_right_behind_the_request_for_a_resource_is_carried_in_its_name(kind: Kind) {
    let server = ChatServer::start(kind);
    is_carried_in_its_name(&server, TlsMode::StartTls, server.address()).await;
}

async fn over_a_websocket_too_what_goes_right_behind_that_is_carried_in_its_name(kind: Kind) {
    let server = ChatServer::start(kind);
    is_carried_in_its_name(&server, TlsMode::WebSocket, server.web_address()).await;
}

async fn is_carried_in_its_name(server: &ChatServer, tls: TlsMode, address: SocketAddr) {
    let (mut bob, bob_jid) = Client::online(server.account("bob", TlsMode::StartTls)).await;
    for management in [StreamManagement::Wanted, StreamManagement::Unwanted] {
        let usage = Usage { management, binding: Binding::Presumed, persistence: Persistence::Lasting };
        let cutter = TcpCutter::start(address).unwrap();
        let mut alice = Client::open_with(through(&cutter, server.account("alice", tls)), usage);
        for number in 0..10 {
            alice.send(numbered(&bob_jid, number, 100), Some(number));
        }
        let (jid, _) = alice.until_online().await;
        for number in 0..10 {
            let request = bob.iq().await;
            assert_eq!((request.from(), request.id()), (Some(&jid.clone().into()), &*number.to_string()));
            alice.until(|event| matches!(event, AccountEvent::Acked { tag } if *tag == number)).await;
        }
        assert_eq!(cutter.accepted(), 1, "{management:?}");
        alice.pool.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_right_behind_a_login_by_sasl2_is_carried_in_the_name_of_its_resource() {
    what_goes_right_behind_the_request_for_a_resource_is_carried_in_its_name(Kind::ProsodyModules).await;
}

async fn a_server_with_an_unknown_authority_is_not_logged_in_to_but_tried_again(kind: Kind) {
    let server = ChatServer::start(kind);
    let cutter = TcpCutter::start(server.address()).unwrap();
    let account = AccountConfig { ca_file: None, ..server.account("alice", TlsMode::StartTls) };
    let mut client = Client::open(through(&cutter, account));
    for _ in 0..2 {
        let event = client.event().await;
        assert!(matches!(event, AccountEvent::Unreachable(AccountError::CertificateUntrusted)), "{event:?}");
    }
    assert_eq!(cutter.accepted(), 2);
}

async fn a_certificate_for_another_domain_is_refused(kind: Kind) {
    let server = ChatServer::start(kind);
    let account = AccountConfig {
        jid: "alice@other.example".parse().unwrap(),
        ..server.account("alice", TlsMode::Direct)
    };
    let event = Client::open(account).event().await;
    assert!(matches!(event, AccountEvent::Unreachable(AccountError::CertificateWrongName)), "{event:?}");
}

async fn a_wrong_password_reaches_the_server_once(kind: Kind) {
    let server = ChatServer::start(kind);
    let cutter = TcpCutter::start(server.address()).unwrap();
    let account = AccountConfig {
        credential: Credential::Password("wrong".into()),
        ..server.account("alice", TlsMode::StartTls)
    };
    let mut client = Client::open(through(&cutter, account));
    let event = client.event().await;
    assert!(matches!(event, AccountEvent::Failed(AccountError::WrongPassword)), "{event:?}");
    assert!(timeout(NO_RETRY, client.events.recv()).await.is_err(), "something happened after the end");
    assert_eq!(cutter.accepted(), 1);
}

async fn a_cut_connection_is_resumed_and_loses_nothing(kind: Kind) {
    let server = ChatServer::start(kind);
    is_resumed_and_loses_nothing(&server, TlsMode::StartTls, server.address()).await;
}

async fn a_websocket_that_is_cut_is_resumed_and_loses_nothing(kind: Kind) {
    let server = ChatServer::start(kind);
    is_resumed_and_loses_nothing(&server, TlsMode::WebSocket, server.web_address()).await;
}

async fn is_resumed_and_loses_nothing(server: &ChatServer, tls: TlsMode, address: SocketAddr) {
    const COUNT: u64 = 50;
    let cutter = TcpCutter::start(address).unwrap();
    let (mut alice, alice_jid) = Client::online(through(&cutter, server.account("alice", tls))).await;
    let (bob, bob_jid) = Client::online(server.account("bob", TlsMode::StartTls)).await;
    alice.send(numbered(&bob_jid, 0, 10), Some(0));
    alice.until(|event| matches!(event, AccountEvent::Acked { tag: 0 })).await;
    cutter.cut();
    alice.until(|event| matches!(event, AccountEvent::Suspended { .. })).await;
    for number in 0..COUNT {
        bob.send(numbered(&alice_jid, number, 1000), None);
    }
    alice.send(numbered(&bob_jid, 1, 10), Some(1));

    let (mut resumed, mut acked, mut next) = (false, false, 0);
    while !acked || next < COUNT {
        match alice.event().await {
            AccountEvent::Online { resumed: how, .. } => resumed = how,
            AccountEvent::Acked { tag: 1 } => acked = true,
            AccountEvent::Stanza(stanza) => {
                let Stanza::Iq(iq) = *stanza else { continue };
                assert_eq!(iq.id(), next.to_string());
                next += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(resumed);
}

async fn a_connection_cut_in_the_middle_of_a_stanza_leaves_no_stanza_unaccounted_for(kind: Kind) {
    // Too many to have been acknowledged, all of them, when the connection is cut.
    const COUNT: u64 = 3000;
    let server = ChatServer::start(kind);
    let cutter = TcpCutter::start(server.address()).unwrap();
    let (mut alice, _) = Client::online(through(&cutter, server.account("alice", TlsMode::StartTls))).await;
    let (mut bob, bob_jid) = Client::online(server.account("bob", TlsMode::StartTls)).await;
    (0..COUNT).for_each(|number| alice.send(numbered(&bob_jid, number, 1000), Some(number)));
    bob.iq().await;
    cutter.cut();

    let mut open: BTreeSet<u64> = (0..COUNT).collect();
    let mut lost = BTreeSet::new();
    while !open.is_empty() {
        let tag = match alice.event().await {
            AccountEvent::Acked { tag } => tag,
            AccountEvent::Lost { tag } => {
                lost.insert(tag);
                tag
            }
            AccountEvent::Failed(error) => panic!("{error}"),
            _ => continue,
        };
        assert!(open.remove(&tag), "{tag} has two fates");
    }
    assert!(cutter.accepted() > 1, "no cut at all");
    for number in (1..COUNT).filter(|number| !lost.contains(number)) {
        while bob.iq().await.id() != number.to_string() {}
    }
}

async fn ten_thousand_requests_arrive_in_order_and_are_acknowledged(kind: Kind) {
    const COUNT: u64 = 10_000;
    /// A server ends the session of an account for which it keeps too many: ejabberd at 5,000.
    const AHEAD: u64 = 1000;
    let server = ChatServer::start(kind);
    let (mut alice, _) = Client::online(server.account("alice", TlsMode::StartTls)).await;
    let (mut bob, bob_jid) = Client::online(server.account("bob", TlsMode::StartTls)).await;
    for number in 0..AHEAD {
        alice.send(numbered(&bob_jid, number, 1024), Some(number));
    }
    for number in 0..COUNT {
        assert_eq!(bob.iq().await.id(), number.to_string());
        if number + AHEAD < COUNT {
            alice.send(numbered(&bob_jid, number + AHEAD, 1024), Some(number + AHEAD));
        }
    }
    for number in 0..COUNT {
        alice.until(|event| matches!(event, AccountEvent::Acked { tag } if *tag == number)).await;
    }
}

async fn another_login_with_the_same_resource_is_named_and_not_fought(kind: Kind) {
    let server = ChatServer::start(kind);
    let account = server.account("alice", TlsMode::StartTls);
    let (mut first, jid) = Client::online(account.clone()).await;
    let (mut second, same) = Client::online(account).await;
    assert_eq!(jid, same);
    first.until(|event| matches!(event, AccountEvent::Suspended { reason: AccountError::Conflict })).await;
    let status = second.pool.status(second.id);
    assert!(
        timeout(NO_RETRY, second.until(|event| !matches!(event, AccountEvent::Stanza(_)))).await.is_err()
    );
    assert_eq!(status, AccountStatus::Online(jid));
}

/// Where nobody doubts a server it may be silent for 55 seconds, which `tests/account_states` waits for, where that takes no time.
async fn a_stalled_connection_that_is_doubted_is_noticed(kind: Kind) {
    let server = ChatServer::start(kind);
    let cutter = TcpCutter::start(server.address()).unwrap();
    let (mut alice, _) = Client::online(through(&cutter, server.account("alice", TlsMode::StartTls))).await;
    cutter.stall(true);
    alice.pool.doubt(alice.id);
    // Our own presence may still come back before.
    let notice = async {
        loop {
            match alice.events.recv().await.unwrap().1 {
                AccountEvent::Stanza(_) => {}
                event => return event,
            }
        }
    };
    let event = timeout(PATIENCE, notice).await.expect("notice");
    assert!(matches!(event, AccountEvent::Suspended { reason: AccountError::TimedOut(_) }), "{event:?}");
}

async fn a_restarted_server_finds_us_under_the_same_name(kind: Kind) {
    is_found_under_the_same_name(kind, TlsMode::StartTls).await;
}

async fn over_a_websocket_a_restarted_server_finds_us_under_the_same_name(kind: Kind) {
    is_found_under_the_same_name(kind, TlsMode::WebSocket).await;
}

async fn is_found_under_the_same_name(kind: Kind, tls: TlsMode) {
    let mut server = ChatServer::start(kind);
    let mut account = server.account("alice", tls);
    account.jid = account.jid.to_bare().into();
    let (mut alice, before) = Client::online(account).await;
    server.stop();
    alice.send(Iq::from_get("in flight or queued", Ping), Some(1));
    alice.until(|event| matches!(event, AccountEvent::Suspended { .. })).await;
    alice.send(Iq::from_get("queued", Ping), Some(2));
    server.restart();
    let (mut fates, mut answered) = (Vec::new(), false);
    while fates.len() < 2 || !answered {
        match alice.event().await {
            AccountEvent::Online { jid, resumed, .. } => assert_eq!((&jid, resumed), (&before, false)),
            AccountEvent::Acked { tag } | AccountEvent::Lost { tag } => fates.push(tag),
            AccountEvent::Stanza(stanza) => {
                answered |= matches!(*stanza, Stanza::Iq(ref iq) if is_result(iq, "queued"));
            }
            AccountEvent::Unreachable(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fates, [1, 2]);
}

/// Asserts that clients have logged in by exactly these mechanisms of SASL2, in order.
fn assert_logins(server: &ChatServer, mechanisms: &[&str]) {
    assert_eq!(server.logged_behind("logged in by SASL2: ", mechanisms.len()), mechanisms);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_server_has_sasl2_a_cut_account_is_back_by_a_token_and_resumed() {
    let server = ChatServer::start(Kind::ProsodyModules);
    is_back_by_a_token_and_resumed(&server, TlsMode::StartTls, server.address()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_server_has_sasl2_a_websocket_that_is_cut_is_back_by_a_token_and_resumed() {
    let server = ChatServer::start(Kind::ProsodyModules);
    is_back_by_a_token_and_resumed(&server, TlsMode::WebSocket, server.web_address()).await;
}

async fn is_back_by_a_token_and_resumed(server: &ChatServer, tls: TlsMode, address: SocketAddr) {
    let cutter = TcpCutter::start(address).unwrap();
    let (mut alice, jid) = Client::online(through(&cutter, server.account("alice", tls))).await;
    assert_logins(server, &["SCRAM-SHA-1"]);
    for times in 1..3 {
        // What was never acknowledged cannot be resumed yet.
        alice.send(numbered(&jid, times, 10), Some(times));
        alice.until(|event| matches!(event, AccountEvent::Acked { tag } if *tag == times)).await;
        cutter.cut();
        assert_eq!(alice.until_online().await, (jid.clone(), true));
        assert_eq!(cutter.accepted() as u64, 1 + times, "one connection is enough");
    }
    assert_logins(server, &["SCRAM-SHA-1", "HT-SHA-256-NONE", "HT-SHA-256-NONE"]);
}

on_both_servers! {
    async fn two_accounts_exchange_requests_over_starttls_and_direct_tls;
    async fn a_ping_from_a_peer_is_answered;
    async fn what_goes_right_behind_the_request_for_a_resource_is_carried_in_its_name;
    async fn a_server_with_an_unknown_authority_is_not_logged_in_to_but_tried_again;
    async fn a_certificate_for_another_domain_is_refused;
    async fn a_wrong_password_reaches_the_server_once;
    async fn a_cut_connection_is_resumed_and_loses_nothing;
    async fn a_websocket_that_is_cut_is_resumed_and_loses_nothing;
    async fn over_a_websocket_too_what_goes_right_behind_that_is_carried_in_its_name;
    async fn over_a_websocket_a_restarted_server_finds_us_under_the_same_name;
    async fn a_connection_cut_in_the_middle_of_a_stanza_leaves_no_stanza_unaccounted_for;
    async fn ten_thousand_requests_arrive_in_order_and_are_acknowledged;
    async fn another_login_with_the_same_resource_is_named_and_not_fought;
    async fn a_stalled_connection_that_is_doubted_is_noticed;
    async fn a_restarted_server_finds_us_under_the_same_name;
}
