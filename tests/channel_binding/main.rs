//! Logins that are bound to their TLS connection, at real chat servers, and behind somebody who has a certificate that they should not
//! have.
//!
//! Debian 12's servers offer no binding that TLS 1.3 has, which is written down in `offers`. So Prosody is taught that of Prosody 13 here:
//! its own SCRAM, LuaSec's and OpenSSL's view of the connection, and the tokens of Debian's prosody-modules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod in_between;
mod offers;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hexchat_lab::server::DOMAIN;
use hexchat_lab::{Binding, ChatServer, Kind, Rate, Rules, TcpCutter};
use hexchat_pt::config::{Credential, Login, ServerAddr, ServerConfig, TlsMode};
use hexchat_pt::xmpp::{AccountError, AccountEvent, AccountId, AccountPool, Dialer, StreamManagement};
use in_between::InBetween;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What no step of a test may take longer than.
const PATIENCE: Duration = Duration::from_secs(30);

const USER: &str = "alice";

/// What Prosody 13 offers over TLS 1.3.
const ALL: &[&str] = &["tls-exporter", "tls-server-end-point"];

/// What binds in its offer.
const PLUS: &str = "<mechanism>SCRAM-SHA-1-PLUS</mechanism>";

fn server(kind: Kind, types: &'static [&'static str], hash: bool) -> ChatServer {
    let rules = Rules { binding: Binding { types, hash }, ..Rules::default() };
    ChatServer::start_with(kind, Rate::Unlimited, &[USER], rules).unwrap()
}

/// Asserts that clients have logged in by exactly these mechanisms, in order.
fn assert_logins(server: &ChatServer, mechanisms: &[&str]) {
    assert_eq!(server.logged_behind("logged in by mechanism: ", mechanisms.len()), mechanisms);
}

struct Client {
    _pool: AccountPool,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
}

impl Client {
    fn open(address: SocketAddr, tls: TlsMode, ca_file: &Path) -> Self {
        let config = Login {
            jid: format!("{USER}@{DOMAIN}").parse().unwrap(),
            credential: Credential::Password(ChatServer::password(USER).into()),
        }
        .at(ServerConfig {
            server: Some(ServerAddr { host: address.ip().to_string(), port: address.port() }.into()),
            tls: Some(tls),
            ca_file: Some(ca_file.to_owned()),
            ..ServerConfig::default()
        });
        let (pool, events) = AccountPool::new(Dialer::direct());
        pool.open(config, StreamManagement::Wanted);
        Self { _pool: pool, events }
    }

    async fn event(&mut self) -> AccountEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap().1
    }

    async fn until_online(&mut self) {
        while !matches!(self.event().await, AccountEvent::Online { .. }) {}
    }

    /// Why it could not log in.
    async fn fault(&mut self) -> AccountError {
        loop {
            match self.event().await {
                AccountEvent::Unreachable(error) | AccountEvent::Failed(error) => return error,
                AccountEvent::Online { .. } => panic!("it is logged in"),
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_prosody_is_bound_over_starttls_and_direct_tls() {
    let server = server(Kind::Prosody, ALL, true);
    Client::open(server.address(), TlsMode::StartTls, server.ca_file()).until_online().await;
    Client::open(server.tls_address(), TlsMode::Direct, server.ca_file()).until_online().await;
    assert_logins(&server, &["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_bound_to_the_certificate_where_that_is_all_that_the_server_has() {
    let server = server(Kind::Prosody, &["tls-server-end-point"], false);
    Client::open(server.tls_address(), TlsMode::Direct, server.ca_file()).until_online().await;
    assert_logins(&server, &["SCRAM-SHA-1-PLUS"]);
}

/// TLS is resumed then, which both ends give another name, too, or the same certificate.
#[tokio::test(flavor = "multi_thread")]
async fn by_sasl2_a_cut_account_is_back_by_a_token_that_is_bound_to_the_next_connection() {
    for (types, token) in [(ALL, "HT-SHA-256-EXPR"), (&["tls-server-end-point"], "HT-SHA-256-ENDP")] {
        let server = server(Kind::ProsodyModules, types, true);
        let cutter = TcpCutter::start(server.address()).unwrap();
        let mut alice = Client::open(cutter.address(), TlsMode::StartTls, server.ca_file());
        alice.until_online().await;
        cutter.cut();
        alice.until_online().await;
        assert_logins(&server, &["SCRAM-SHA-1-PLUS", token]);
        assert_eq!(cutter.accepted(), 2, "the token was good at the first attempt");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_login_at_prosody_is_refused_behind_somebody_in_between() {
    for kind in [Kind::Prosody, Kind::ProsodyModules] {
        for types in [ALL, &["tls-server-end-point"]] {
            let server = server(kind, types, false);
            let eve = InBetween::start(&server, str::to_owned).await;
            let mut alice = Client::open(eve.address, TlsMode::Direct, &eve.ca_file);
            assert_eq!(alice.fault().await, AccountError::NotBound, "{kind:?} {types:?}");
            assert_logins(&server, &[]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_refused_behind_somebody_in_between() {
    let server = server(Kind::ProsodyModules, ALL, false);
    let eve = InBetween::asleep(&server, str::to_owned).await;
    let mut alice = Client::open(eve.address, TlsMode::Direct, &eve.ca_file);
    alice.until_online().await;
    eve.wake();
    assert_eq!(alice.fault().await, AccountError::NotBound, "the token first, and then the password");
    assert_logins(&server, &["SCRAM-SHA-1-PLUS"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hides_from_us_what_binds_is_refused_or_found_out() {
    let all = |offer: &str| without_types(&offer.replace(PLUS, ""));
    let mechanisms = |offer: &str| offer.replace(PLUS, "");
    for (hide, hash) in [
        (all as fn(&str) -> String, false),
        (mechanisms, false),
        (all, true),
        // Without its hash a server that means another type offers the same.
        (without_types, true),
    ] {
        let server = server(Kind::Prosody, ALL, hash);
        let eve = InBetween::start(&server, hide).await;
        let mut alice = Client::open(eve.address, TlsMode::Direct, &eve.ca_file);
        assert_eq!(alice.fault().await, AccountError::Downgraded, "with a hash: {hash}");
        assert_logins(&server, &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hides_what_binds_from_an_account_that_was_bound_is_found_out_without_a_hash() {
    let server = server(Kind::Prosody, ALL, false);
    let eve = InBetween::asleep(&server, without_types).await;
    let mut alice = Client::open(eve.address, TlsMode::Direct, &eve.ca_file);
    alice.until_online().await;
    eve.wake();
    assert_eq!(alice.fault().await, AccountError::Downgraded);
    assert_logins(&server, &["SCRAM-SHA-1-PLUS"]);
}

/// The same offer without the list of types.
fn without_types(offer: &str) -> String {
    let (before, behind) = offer.split_once("<sasl-channel-binding").unwrap();
    let (_, behind) = behind.split_once("</sasl-channel-binding>").unwrap();
    before.to_owned() + behind
}
