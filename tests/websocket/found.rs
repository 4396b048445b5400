//! Finding the WebSocket of a domain by its host-meta (XEP-0156). Whatever is dialled is one server of the lab: nobody here has
//! a domain, or may listen on port 443.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hexchat_lab::server::DOMAIN;
use hexchat_lab::{ChatServer, Kind, Rate};
use hexchat_pt::config::{AccountConfig, Credential, Login, ServerConfig, TlsMode};
use hexchat_pt::xmpp::{
    AccountError, AccountEvent, AccountId, AccountPool, Dialer, Socket, StreamManagement, WebServerFault,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What no step of a test may take longer than.
const PATIENCE: Duration = Duration::from_secs(30);

type Dialled = Arc<Mutex<Vec<(String, u16)>>>;

/// Dials `address`, whatever is to be dialled, and notes what that was.
fn dialer(address: SocketAddr) -> (Dialer, Dialled) {
    let dialled = Dialled::default();
    let noted = Arc::clone(&dialled);
    let dialer = Dialer::through(move |host, port| {
        noted.lock().unwrap().push((host.to_owned(), port));
        Box::pin(async move {
            let connected = TcpStream::connect(address).await.and_then(Socket::tcp);
            connected.map_err(|error| AccountError::dial(&error))
        })
    });
    (dialer, dialled)
}

fn account(server: &ChatServer) -> AccountConfig {
    Login {
        jid: server.jid("alice").parse().unwrap(),
        credential: Credential::Password(ChatServer::password("alice").into()),
    }
    .at(ServerConfig {
        tls: Some(TlsMode::WebSocket),
        ca_file: Some(server.ca_file().to_owned()),
        ..ServerConfig::default()
    })
}

async fn next(events: &mut mpsc::Receiver<(AccountId, AccountEvent)>) -> AccountEvent {
    timeout(PATIENCE, events.recv()).await.expect("an event").unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_names_its_websocket_is_logged_in_to_there() {
    let server = ChatServer::start(Kind::Ejabberd, Rate::Unlimited, &["alice"]).unwrap();
    let (dialer, dialled) = dialer(server.web_address());
    let (pool, mut events) = AccountPool::new(dialer);
    pool.open(account(&server), StreamManagement::Wanted);
    let event = next(&mut events).await;
    assert!(matches!(event, AccountEvent::Online { .. }), "{event:?}");
    let expected = [443, server.web_address().port()].map(|port| (DOMAIN.to_owned(), port));
    assert_eq!(dialled.lock().unwrap().as_slice(), expected);
}

/// Prosody answers to host-meta that there is no such thing.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_names_none_is_told_from_one_that_cannot_be_reached() {
    let server = ChatServer::start(Kind::Prosody, Rate::Unlimited, &["alice"]).unwrap();
    let (dialer, dialled) = dialer(server.web_address());
    let (pool, mut events) = AccountPool::new(dialer);
    pool.open(account(&server), StreamManagement::Wanted);
    let event = next(&mut events).await;
    let AccountEvent::Unreachable(error) = event else { panic!("{event:?}") };
    assert_eq!(
        error.to_string(),
        "asking the domain of the account for its WebSocket: it has no host-meta that names one"
    );
    assert_eq!(
        error.advice(),
        "put its URL into `server` (server = \"wss://…\"), or use another `tls`; trying again"
    );
    assert_eq!(
        dialled.lock().unwrap()[..2],
        [(DOMAIN.to_owned(), 443), (DOMAIN.to_owned(), 443)],
        "both forms"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_cannot_prove_itself_is_not_believed() {
    let server = ChatServer::start(Kind::Ejabberd, Rate::Unlimited, &["alice"]).unwrap();
    let (dialer, dialled) = dialer(server.web_address());
    let (pool, mut events) = AccountPool::new(dialer);
    pool.open(AccountConfig { ca_file: None, ..account(&server) }, StreamManagement::Wanted);
    let event = next(&mut events).await;
    let untrusted = AccountError::WebServer(WebServerFault::Untrusted);
    assert!(matches!(&event, AccountEvent::Unreachable(error) if *error == untrusted), "{event:?}");
    assert!(dialled.lock().unwrap().iter().all(|(_, port)| *port == 443), "nobody is sent anywhere");
}
