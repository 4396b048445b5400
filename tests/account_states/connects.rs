//! Connects of a client: what an application is told where its account is to blame, and when.

use std::time::Duration;

use hexchat_pt::client::{Client, ClientError, NamedBridge};
use hexchat_pt::config::{Config, Limits};
use hexchat_pt::protocol::{Address, CloseReason};
use hexchat_pt::state::StateDir;
use hexchat_pt::tunnel::{ConnectError, Protocols, Tunnel};
use hexchat_pt::xmpp::{AccountError, AccountPool, Step, Words};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_xmpp::Stanza;
use tor_pt::Reply;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error;
use xmpp_parsers::stream_error::DefinedCondition;

use crate::mock::{MockServer, Peer};
use crate::stream_errors::end;

/// 2 seconds: more than two logins at the scripted server take, and far less than the 25 that a connect waits for its account.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Five seconds less than a server has to answer the request for a resource, 20.
const NEARLY: Duration = Duration::from_secs(15);

const SECURE: (&str, &str) = ("key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
const CLASSIC: (&str, &str) = ("mode", "classic");

/// How a connect has ended, and after how long.
type Outcome = (Option<ClientError>, Duration);

fn client(server: &MockServer, protocol: (&str, &str)) -> (Client, NamedBridge) {
    let (pool, events) = AccountPool::new(server.dialer());
    let tunnel = Tunnel::start(pool, events, Protocols::of_client(&Limits::default()));
    let client = Client::new(tunnel, Config::default(), StateDir::open_or_ephemeral(None));
    let arguments = [
        ("jid", "bridge@mock.example/r"),
        protocol,
        ("login", "alice@mock.example:secret"),
        ("server", "127.0.0.1:5222"),
        ("tls", "none"),
    ];
    let bridge = client.resolve(&arguments).unwrap();
    (client, bridge)
}

fn address(port: &str) -> Address {
    Address::new("127.0.0.1", port).unwrap()
}

/// A request of tor's, which waits until the bridge is reached.
fn connect(server: &MockServer, protocol: (&str, &str)) -> JoinHandle<Outcome> {
    let (client, bridge) = client(server, protocol);
    tokio::spawn(async move {
        let since = Instant::now();
        let outcome = client.connect(&bridge, address("1"), address("2")).await;
        (outcome.err(), since.elapsed())
    })
}

/// An application of `forward`, which has said this before there is a connection.
async fn forward(server: &MockServer, said: &[u8]) -> (TcpStream, JoinHandle<Outcome>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut application = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    application.write_all(said).await.unwrap();
    if !said.is_empty() {
        tcp.readable().await.unwrap();
    }
    let (client, bridge) = client(server, SECURE);
    let forwarding = tokio::spawn(async move {
        let since = Instant::now();
        let outcome = match client.ask(&bridge, &tcp, address("1"), address("2")).await {
            Ok(stream) => stream.relay(tcp).await.map_err(ClientError::from),
            Err(error) => Err(error),
        };
        (outcome.err(), since.elapsed())
    });
    (application, forwarding)
}

/// The next login, of which the resource is asked for and not bound; the id of that request, and as whom it wants to be known.
async fn asked(server: &MockServer) -> (Peer, String, String) {
    let mut peer = Box::pin(server.log_in_with_password(false)).await;
    let Stanza::Iq(Iq::Set { id, payload, .. }) = peer.stanza().await else { panic!("no bind request") };
    let resource = payload.get_child("resource", ns::BIND).unwrap().text();
    (peer, id, format!("alice@mock.example/{resource}"))
}

/// The next login, which gets the resource that it asks for.
async fn online(server: &MockServer) -> Peer {
    let (mut peer, id, jid) = asked(server).await;
    peer.bound(id, &jid).await;
    peer
}

/// Lets the account have no session: neither the one that is presumed nor the one that follows.
async fn refuse_both(server: &MockServer) {
    for _ in 0..2 {
        let (mut peer, id, _) = asked(server).await;
        peer.refuse_to_bind(id, stanza_error::DefinedCondition::NotAllowed).await;
    }
}

fn refused() -> AccountError {
    AccountError::BindRefused("not-allowed", Words::default())
}

fn account_fault(error: &ClientError) -> &AccountError {
    match error {
        ClientError::Connect(ConnectError::Rejected(fault) | ConnectError::NotOnline(Some(fault))) => fault,
        other => panic!("the account is not blamed: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_an_account_that_is_refused_its_session_is_told_so_at_once() {
    for protocol in [SECURE, CLASSIC] {
        let server = MockServer::start();
        let connecting = connect(&server, protocol);
        refuse_both(&server).await;
        let (error, after) = connecting.await.unwrap();
        let error = error.unwrap();
        assert_eq!((account_fault(&error), error.reply()), (&refused(), Reply::NotAllowed));
        assert!(after < AT_ONCE && error.is_announced(), "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_an_account_that_begins_to_rest_is_told_so_at_once() {
    for protocol in [SECURE, CLASSIC] {
        let server = MockServer::start();
        let connecting = connect(&server, protocol);
        let mut peer = online(&server).await;
        end(&mut peer, DefinedCondition::PolicyViolation, "Too many requests").await;
        let (error, after) = connecting.await.unwrap();
        let (error, rests) = (error.unwrap(), AccountError::OverLimit(Step::Session, Words::default()));
        assert_eq!((account_fault(&error), error.reply()), (&rests, Reply::NotAllowed));
        assert!(after < AT_ONCE, "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_only_presumed_shows_nothing_of_the_bridge() {
    for protocol in [SECURE, CLASSIC] {
        let server = MockServer::start();
        let connecting = connect(&server, protocol);
        let _silent = asked(&server).await;
        sleep(NEARLY).await;
        let _silent_again = asked(&server).await;
        let (error, _) = connecting.await.unwrap();
        let error = error.unwrap();
        assert_eq!(
            (account_fault(&error), error.reply()),
            (&AccountError::TimedOut(Step::Bind), Reply::Timeout)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_is_silent_to_an_account_that_is_online_is_blamed() {
    let server = MockServer::start();
    let mut connecting = connect(&server, SECURE);
    let mut peer = online(&server).await;
    let answer_pings = async {
        loop {
            if let Stanza::Iq(Iq::Get { id, .. }) = peer.stanza().await {
                peer.pong(id).await;
            }
        }
    };
    let (error, _) = tokio::select! {
        // The client logs out as soon as that is over.
        biased;
        outcome = &mut connecting => outcome.unwrap(),
        () = answer_pings => unreachable!("it has no end"),
    };
    assert!(
        matches!(error, Some(ClientError::Connect(ConnectError::Closed(CloseReason::ConnectTimedOut)))),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_application_whose_account_is_refused_its_session_sees_that_it_failed_and_the_account_is_blamed() {
    for said in [&b""[..], b"hello"] {
        let server = MockServer::start();
        let (mut application, forwarding) = forward(&server, said).await;
        refuse_both(&server).await;
        let (error, after) = forwarding.await.unwrap();
        assert_eq!(account_fault(&error.unwrap()), &refused());
        assert!(after < AT_ONCE, "{after:?}");
        let read = application.read(&mut [0; 16]).await;
        assert!(read.is_err(), "{read:?}");
    }
}
