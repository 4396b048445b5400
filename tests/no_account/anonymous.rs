//! Anonymous logins: a domain, and no account.

use hexchat_lab::{ANONYMOUS, Door, EchoServer, Kind, TcpCutter};
use hexchat_pt::config::{Credential, Login, ServerAddr, ServerConfig, TlsMode};
use hexchat_pt::xmpp::{AccountError, AccountEvent, AccountId, AccountPool, Dialer, StreamManagement};
use tokio::sync::mpsc;
use tokio::time::timeout;
use xmpp_parsers::jid::FullJid;

use crate::harness::{
    Lab, PATIENCE, Route, Target, echo, on_both_servers, random_bytes, transfer_through_cuts,
};
use crate::pair::Bridge;

const MEGABYTE: usize = 1_000_000;

fn carries(kind: Kind) {
    let (lab, target) = (Lab::with_door(kind, Door::Open), EchoServer::start().unwrap());
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let forward = bridge.forward_configured(&lab.login(ANONYMOUS, lab.server.address()));
    echo(forward.entrance(), &random_bytes(MEGABYTE)).unwrap();
}

on_both_servers! {
    fn who_has_no_account_reaches_a_bridge(kind) {
        carries(kind);
    }

    fn who_has_no_account_reaches_a_bridge_over_a_websocket_too(kind) {
        let (lab, target) = (Lab::with_door(kind, Door::Open), EchoServer::start().unwrap());
        let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
        let forward = bridge.forward_configured(&lab.login(ANONYMOUS, lab.server.web_socket()));
        echo(forward.entrance(), &random_bytes(MEGABYTE)).unwrap();
    }

    fn what_was_on_its_way_arrives_though_an_anonymous_login_has_another_name_after_each_cut(kind) {
        let (lab, target) = (Lab::with_door(kind, Door::Open), Target::start());
        let cutter = TcpCutter::start(lab.server.address()).unwrap();
        let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
        let forward = bridge.forward_configured(&lab.login(ANONYMOUS, cutter.address()));
        let (application, server) = target.connect_through(forward.entrance());
        transfer_through_cuts(server, application, &cutter);
    }
}

#[test]
fn who_has_no_account_reaches_a_bridge_by_sasl2() {
    carries(Kind::ProsodyModules);
}

struct Client {
    pool: AccountPool,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
}

impl Client {
    fn open(domain: &str, lab: &Lab, cutter: &TcpCutter) -> Self {
        let (pool, events) = AccountPool::new(Dialer::direct());
        let config =
            Login { jid: domain.parse().unwrap(), credential: Credential::Anonymous }.at(ServerConfig {
                server: Some(ServerAddr { host: "127.0.0.1".into(), port: cutter.address().port() }.into()),
                tls: Some(TlsMode::StartTls),
                ca_file: Some(lab.server.ca_file().to_owned()),
                ..ServerConfig::default()
            });
        pool.open(config, StreamManagement::Unwanted);
        Self { pool, events }
    }

    async fn event(&mut self) -> AccountEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap().1
    }

    async fn online(&mut self) -> FullJid {
        loop {
            if let AccountEvent::Online { jid, .. } = self.event().await {
                return jid;
            }
        }
    }
}

async fn each_login_has_a_name_that_the_server_gives(kind: Kind) {
    let lab = Lab::with_door(kind, Door::Open);
    let cutter = TcpCutter::start(lab.server.address()).unwrap();
    let mut client = Client::open(ANONYMOUS, &lab, &cutter);
    let first = client.online().await;
    cutter.cut();
    let second = client.online().await;
    assert_ne!(first.node(), second.node());
    for jid in [first, second] {
        assert_eq!(jid.domain().as_str(), ANONYMOUS);
        assert!(jid.node().is_some());
    }
    client.pool.shutdown().await;
}

async fn a_server_that_lets_nobody_in_without_an_account_says_so(kind: Kind) {
    let lab = Lab::with_door(kind, Door::Closed);
    let cutter = TcpCutter::start(lab.server.address()).unwrap();
    let mut client = Client::open(hexchat_lab::server::DOMAIN, &lab, &cutter);
    let AccountEvent::Unreachable(error) = client.event().await else { panic!("it was let in") };
    assert_eq!(error, AccountError::NotAnonymous);
    client.pool.shutdown().await;
}

on_both_servers! {
    async fn each_login_has_a_name_that_the_server_gives;
    async fn a_server_that_lets_nobody_in_without_an_account_says_so;
}
