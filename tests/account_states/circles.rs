//! Circles: servers that send an account from one to another and back.

use std::time::Duration;

use hexchat_pt::xmpp::{AccountError, AccountEvent, StreamManagement};
use tokio::time::Instant;
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::stream_error::{DefinedCondition, ReceivedStreamError, StreamError};

use crate::client::{Client, HALF_A_MINUTE, NO_RETRY};
use crate::mock::{MockServer, Peer};

/// Where the account's own server is, and another.
const FIRST: &str = "127.0.0.1:5222";
const OTHER: &str = "127.0.0.7:5222";

/// Longer than the 10 seconds after which a session was a success.
const LONG: Duration = Duration::from_secs(11);

async fn send_to(peer: &mut Peer, host: &str) {
    let error = StreamError::new(DefinedCondition::SeeOtherHost(host.to_owned()), "en", "");
    peer.send(XmppStreamElement::StreamError(ReceivedStreamError(error))).await;
}

/// Sends a client away that wants to log in.
async fn send_newcomer_to(server: &MockServer, host: &str) {
    let mut peer = server.greet("ANONYMOUS").await;
    peer.next().await;
    send_to(&mut peer, host).await;
}

/// Sends a client away that is logged in and wants a session.
async fn send_logged_in_to(server: &MockServer, host: &str) {
    let mut peer = server.log_in(false).await;
    peer.bind_request().await;
    send_to(&mut peer, host).await;
}

async fn is_told_of_a_circle(client: &mut Client) {
    let event = client.event().await;
    let (AccountEvent::Unreachable(error) | AccountEvent::Suspended { reason: error }) = event else {
        panic!("{event:?}")
    };
    assert_eq!(error.to_string(), "the chat server sends us in a circle, at last to [scrubbed]");
}

fn dialled(server: &MockServer) -> Vec<String> {
    server.take_dialled().into_iter().map(|(host, port)| format!("{host}:{port}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sends_us_to_itself_is_dialled_once_and_left_alone_for_a_while() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    send_newcomer_to(&server, FIRST).await;
    is_told_of_a_circle(&mut client).await;
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back at once");
    assert_eq!(dialled(&server), [FIRST]);
}

#[tokio::test(start_paused = true)]
async fn two_servers_that_send_us_to_each_other_are_dialled_once_each() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    send_newcomer_to(&server, OTHER).await;
    send_newcomer_to(&server, FIRST).await;
    is_told_of_a_circle(&mut client).await;
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back at once");
    assert_eq!(dialled(&server), [FIRST, OTHER]);
}

#[tokio::test(start_paused = true)]
async fn servers_that_do_so_once_we_are_logged_in_are_found_out_too() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    send_logged_in_to(&server, OTHER).await;
    let event = client.event().await;
    assert!(matches!(event, AccountEvent::Unreachable(AccountError::SeeOtherHost(_))), "{event:?}");
    send_logged_in_to(&server, FIRST).await;
    is_told_of_a_circle(&mut client).await;
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back at once");
    assert_eq!(dialled(&server), [FIRST, OTHER]);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_end_in_a_circle_at_once_are_told_and_those_that_have_lasted_are_followed() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    for lasts in [Duration::ZERO, LONG] {
        for host in [OTHER, FIRST] {
            let mut peer = server.session_after(HALF_A_MINUTE).await;
            client.online().await;
            tokio::time::sleep(lasts).await;
            send_to(&mut peer, host).await;
            if host == OTHER || !lasts.is_zero() {
                client.suspended_by_other_host().await;
            } else {
                is_told_of_a_circle(&mut client).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_circle_is_gone_through_four_times_a_minute_at_most() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(300) {
        let mut peer = server.connection_after(HALF_A_MINUTE).await;
        peer.next().await;
        send_to(&mut peer, FIRST).await;
        is_told_of_a_circle(&mut client).await;
    }
    let logins = dialled(&server).len();
    assert!(logins <= 21, "{logins} logins in five minutes");
}
