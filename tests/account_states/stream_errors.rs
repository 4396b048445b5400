//! Stream errors, and the stream's end without one.

use hexchat_pt::xmpp::{AccountError, Step, StreamManagement};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::stream_error::{DefinedCondition, ReceivedStreamError, StreamError};

use crate::client::{NO_RETRY, online, online_with_one_unacknowledged};
use crate::mock::PATIENCE;

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_the_stream_gets_our_end_of_it() {
    let (_server, mut client, mut peer) = online(StreamManagement::Unwanted).await;
    peer.presence().await;
    let mut io = peer.into_io();
    io.write_all(b"</stream:stream>").await.unwrap();
    io.flush().await.unwrap();
    let mut rest = String::new();
    timeout(PATIENCE, io.read_to_string(&mut rest)).await.expect("the end of the connection").unwrap();
    assert_eq!(rest, "</stream:stream>");
    assert_eq!(client.suspended().await, AccountError::Closed(Step::Session));
}

#[tokio::test(start_paused = true)]
async fn another_login_with_the_resource_makes_us_step_back() {
    let (server, mut client, mut peer) = online(StreamManagement::Wanted).await;
    peer.presence().await;
    let conflict = StreamError::new(DefinedCondition::Conflict, "en", "Replaced by new connection");
    peer.send(XmppStreamElement::StreamError(ReceivedStreamError(conflict))).await;
    assert_eq!(client.suspended().await, AccountError::Conflict);
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back at once");
}

#[tokio::test(start_paused = true)]
async fn a_policy_violation_is_named_and_survived() {
    let (server, mut client, mut peer) = online_with_one_unacknowledged().await;
    let error = StreamError::new(DefinedCondition::PolicyViolation, "en", "XML stanza is too big");
    peer.send(XmppStreamElement::StreamError(ReceivedStreamError(error))).await;
    assert_eq!(client.fate().await, Err(1));
    assert_eq!(client.suspended().await, AccountError::StreamError("policy-violation"));
    drop(peer);
    let mut peer = server.session(true).await;
    assert!(!client.online().await);
    peer.presence().await;
}
