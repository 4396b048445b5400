//! Bounds on what a server may send before it is left.

use hexchat_pt::xmpp::{AccountError, AccountEvent, Step, StreamManagement};
use tokio::io::AsyncWriteExt as _;

use crate::client::{Client, message, online};
use crate::mock::{MockServer, PATIENCE};

#[tokio::test(start_paused = true)]
async fn a_stanza_without_end_breaks_the_connection_and_its_session() {
    let (server, mut client, mut peer) = online(StreamManagement::Wanted).await;
    let flood = async {
        // The client may hang up in the middle of it.
        let _ = peer.try_send(message(&"x".repeat(17 << 20))).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        reason = client.suspended() => assert_eq!(reason, AccountError::TooMuch(Step::Session)),
        () = flood => {}
    }
    let _peer = server.session(true).await;
    assert!(!client.online().await, "a new session");
}

#[tokio::test(start_paused = true)]
async fn many_stanzas_are_not_too_much() {
    let (_server, mut client, mut peer) = online(StreamManagement::Wanted).await;
    for n in 0..100 {
        let sending = peer.try_send(message(&format!("{n}{}", "x".repeat(200 << 10))));
        let (sent, received) = tokio::join!(sending, client.event());
        sent.unwrap();
        assert!(matches!(received, AccountEvent::Stanza(_)), "{received:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_talks_without_end_before_the_login_is_left() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut socket = server.connection_within(PATIENCE).await.unwrap();
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1' from='mock.example'><stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";
    let flood = tokio::spawn(async move {
        socket.write_all(header.as_bytes()).await?;
        loop {
            socket.write_all(b"<mechanism>SCRAM-SHA-1</mechanism>").await?;
        }
        #[expect(unreachable_code, reason = "tells the type")]
        Ok::<(), std::io::Error>(())
    });
    match client.event().await {
        AccountEvent::Unreachable(error) => assert_eq!(error, AccountError::TooMuch(Step::Stream)),
        other => panic!("not unreachable: {other:?}"),
    }
    flood.await.unwrap().unwrap_err();
}
