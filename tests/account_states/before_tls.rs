//! What is said before TLS, by the server or anybody in between.

use hexchat_pt::config::{AccountConfig, TlsMode};
use hexchat_pt::xmpp::{AccountEvent, StreamManagement};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::timeout;

use crate::client::{Client, HALF_A_MINUTE, NO_RETRY};
use crate::mock::{MockServer, PATIENCE};

/// Ends the stream of a client that has just begun it.
async fn end_at_once(mut socket: DuplexStream, condition: &str, text: &str) {
    let said = format!(
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'>\
         <stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{text}</text></stream:error></stream:stream>"
    );
    socket.write_all(said.as_bytes()).await.unwrap();
    let _ = timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await.expect("the client to hang up");
}

/// Anybody on the way to the server can say it there.
#[tokio::test(start_paused = true)]
async fn nothing_that_is_said_before_tls_makes_an_account_rest_for_hours() {
    let server = MockServer::start();
    let config = AccountConfig { tls: Some(TlsMode::StartTls), ..server.with_password() };
    let mut client = Client::open_with(&server, config, StreamManagement::Unwanted);
    let mut wait = PATIENCE;
    for (condition, text) in [
        ("policy-violation", "Too many requests"),
        ("policy-violation", "No"),
        ("policy-violation", "No"),
        ("resource-constraint", "Rate limit"),
    ] {
        let socket = server.connection_within(wait).await.expect("another attempt within half a minute");
        end_at_once(socket, condition, text).await;
        let AccountEvent::Unreachable(error) = client.event().await else { panic!("{condition}") };
        assert!(!error.rests(), "{error}");
        assert!(server.connection_within(NO_RETRY).await.is_none(), "came back at once");
        wait = HALF_A_MINUTE;
    }
}
