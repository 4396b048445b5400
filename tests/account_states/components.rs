//! Components, and what their servers say and do not say.

use std::time::Duration;

use hexchat_pt::config::{AccountConfig, Credential};
use hexchat_pt::xmpp::{AccountError, StreamManagement};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::timeout;

use crate::client::{Client, NO_RETRY, says_until};
use crate::mock::{MockServer, PATIENCE};

const A_MINUTE: Duration = Duration::from_secs(60);

/// A component that is connected.
async fn component(server: &MockServer) -> (Client, DuplexStream) {
    let config = AccountConfig {
        jid: "chat@bridge.mock.example/r".parse().unwrap(),
        credential: Credential::Component("secret".into()),
        ..server.anonymous()
    };
    let mut client = Client::open_with(server, config, StreamManagement::Unwanted);
    let mut io = server.connection_within(PATIENCE).await.expect("a connection");
    says_until(&mut io, "<stream:stream").await;
    let header = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1'>";
    io.write_all(header.as_bytes()).await.unwrap();
    says_until(&mut io, "</handshake>").await;
    io.write_all(b"<handshake/>").await.unwrap();
    client.online().await;
    (client, io)
}

#[tokio::test(start_paused = true)]
async fn a_component_whose_server_is_silent_writes_now_and_then_so_that_its_end_is_noticed() {
    let server = MockServer::start();
    let (mut client, mut io) = component(&server).await;
    for _ in 0..3 {
        let mut written = [0; 16];
        let read = timeout(A_MINUTE, io.read(&mut written)).await.expect("a sign of life").unwrap();
        assert_eq!(&written[..read], b" ");
    }
    drop(io);
    client.suspended().await;
}

#[tokio::test(start_paused = true)]
async fn a_component_that_another_process_replaces_says_so_and_nothing_of_resources() {
    let server = MockServer::start();
    let (mut client, mut io) = component(&server).await;
    let replaced = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    io.write_all(replaced.as_bytes()).await.unwrap();
    let error = client.suspended().await;
    assert_eq!(error, AccountError::ComponentTaken);
    assert!(!format!("{error}; {}", error.advice()).contains("resource"), "{error}");
    assert!(server.connection_within(NO_RETRY).await.is_none(), "it fights for the domain");
}

#[tokio::test(start_paused = true)]
async fn a_component_says_nothing_in_the_name_of_another_domain() {
    let server = MockServer::start();
    let (_client, mut io) = component(&server).await;
    let to = |jid: &str, id: &str| ping(id).replacen(" ", &format!(" to='{jid}' "), 1);
    let requests = [to("bob@mock.example/r", "foreign"), to("nobody@bridge.mock.example", "last")];
    io.write_all(requests.concat().as_bytes()).await.unwrap();
    let said = says_until(&mut io, "last").await;
    assert!(!said.contains("foreign"), "{said}");
}

/// A request from a stranger, whose answer repeats this id.
fn ping(id: &str) -> String {
    format!("<iq from='eve@mock.example/r' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>")
}
