//! Stream errors, and the stream's end without one.

use std::num::NonZeroU32;
use std::time::Duration;

use hexchat_pt::xmpp::{AccountError, AccountEvent, Step, StreamManagement, Words};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::stanza_error;
use xmpp_parsers::stream_error::{DefinedCondition, ReceivedStreamError, StreamError};

use crate::client::{Client, HALF_A_MINUTE, NO_RETRY, online, online_with_one_unacknowledged};
use crate::mock::{MockServer, PATIENCE, Peer};

/// Longer than a first delay of the back-off, and shorter than the pause after what does not pass by itself.
const SOON: Duration = Duration::from_secs(2);
const HOUR: Duration = Duration::from_secs(3600);

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

pub(crate) async fn end(peer: &mut Peer, condition: DefinedCondition, text: &str) {
    let error = StreamError::new(condition, "en", text);
    peer.send(XmppStreamElement::StreamError(ReceivedStreamError(error))).await;
}

#[tokio::test(start_paused = true)]
async fn a_stanza_that_is_too_large_is_named_and_the_next_login_follows_at_once() {
    let (server, mut client, mut peer) = online_with_one_unacknowledged().await;
    end(&mut peer, DefinedCondition::PolicyViolation, "XML stanza is too big").await;
    assert_eq!(client.fate().await, Err(1));
    assert_eq!(client.suspended().await, AccountError::StanzaTooLarge);
    drop(peer);
    let since = Instant::now();
    let mut peer = server.session(true).await;
    assert!(since.elapsed() < SOON);
    assert!(!client.online().await);
    peer.presence().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_had_too_much_is_left_alone_for_hours_also_by_the_next_account_of_the_name() {
    let (server, mut client, mut peer) = online(StreamManagement::Unwanted).await;
    end(&mut peer, DefinedCondition::PolicyViolation, "Too many requests").await;
    let rest = client.rests().await;
    assert!((HOUR..=3 * HOUR).contains(&rest), "{rest:?}");
    assert_eq!(client.suspended().await, AccountError::OverLimit(Step::Session, Words::default()));
    assert!(server.connection_within(HOUR).await.is_none(), "came back within an hour");
    client.pool.close(client.id);
    client.id = client.pool.open(server.anonymous(), StreamManagement::Unwanted);
    let remaining = client.rests().await;
    assert!(remaining < rest, "{remaining:?} of {rest:?}");
    let rests = AccountError::OverLimit(Step::Session, Words::default());
    assert!(matches!(client.event().await, AccountEvent::Unreachable(error) if error == rests));
    assert!(server.connection_within(3 * HOUR).await.is_some(), "never came back");
}

#[tokio::test(start_paused = true)]
async fn a_violation_without_a_reason_makes_us_step_back_and_a_second_one_for_hours() {
    let (server, mut client, mut peer) = online(StreamManagement::Unwanted).await;
    let violation = AccountError::StreamError(Step::Session, "policy-violation", Words::default());
    end(&mut peer, DefinedCondition::PolicyViolation, "No").await;
    assert_eq!(client.suspended().await, violation);
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back at once");
    let mut peer = server.session_after(HALF_A_MINUTE).await;
    assert!(!client.online().await);
    end(&mut peer, DefinedCondition::PolicyViolation, "No").await;
    assert!(client.rests().await >= HOUR);
    assert_eq!(client.suspended().await, violation);
    assert!(server.connection_within(HOUR).await.is_none(), "came back within an hour");
    assert!(server.connection_within(3 * HOUR).await.is_some(), "never came back");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_restarts_is_tried_again_soon() {
    let (server, mut client, mut peer) = online(StreamManagement::Unwanted).await;
    end(&mut peer, DefinedCondition::SystemShutdown, "").await;
    assert_eq!(
        client.suspended().await,
        AccountError::StreamError(Step::Session, "system-shutdown", Words::default())
    );
    assert!(server.connection_within(SOON).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sends_us_elsewhere_in_a_session_is_followed_once() {
    let (server, mut client, mut peer) = online(StreamManagement::Unwanted).await;
    server.take_dialled();
    end(&mut peer, DefinedCondition::SeeOtherHost("127.0.0.7:9222".into()), "").await;
    let expected = AccountError::SeeOtherHost(client.suspended_by_other_host().await);
    assert!(!format!("{expected:?} {expected}").contains("127.0.0.7"), "a log shows the host");
    let peer = server.session(false).await;
    assert_eq!(server.take_dialled(), [("127.0.0.7".to_owned(), 9222)]);
    assert!(!client.online().await);
    drop(peer);
    client.suspended().await;
    server.session_after(HALF_A_MINUTE).await;
    assert_eq!(server.take_dialled(), [("127.0.0.1".to_owned(), 5222)], "it is not for ever");
}

#[tokio::test(start_paused = true)]
async fn a_login_follows_a_few_servers_that_send_it_elsewhere_and_no_more() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    for port in 1..=4 {
        let mut peer = server.greet("ANONYMOUS").await;
        peer.next().await;
        end(&mut peer, DefinedCondition::SeeOtherHost(format!("[::1]:{port}")), "").await;
    }
    let event = client.event().await;
    let AccountEvent::Unreachable(error @ AccountError::NotFollowed(_)) = event else { panic!("{event:?}") };
    assert_eq!(error.to_string(), "the chat server sends us on from host to host, at last to [scrubbed]");
    let (first, next) = (("127.0.0.1".to_owned(), 5222), |port| ("::1".to_owned(), port));
    assert_eq!(server.take_dialled(), [first, next(1), next(2), next(3)]);
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back at once");
}

#[tokio::test(start_paused = true)]
async fn plaintext_follows_nobody_off_this_machine() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let mut peer = server.greet("ANONYMOUS").await;
    peer.next().await;
    end(&mut peer, DefinedCondition::SeeOtherHost("192.0.2.7:5222".into()), "").await;
    let event = client.event().await;
    let AccountEvent::Unreachable(error @ AccountError::NotFollowed(_)) = event else { panic!("{event:?}") };
    assert!(error.to_string().contains("which is not followed without TLS"), "{error}");
    server.greet("ANONYMOUS").await;
    assert!(server.take_dialled().iter().all(|(host, _)| host == "127.0.0.1"));
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_of_the_largest_stanza_is_passed_on() {
    let mut server = MockServer::start();
    server.max_bytes = NonZeroU32::new(12_000);
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let _peer = server.session(false).await;
    assert!(matches!(client.event().await, AccountEvent::StanzaLimit { bytes: 12_000 }));
    assert!(!client.online().await);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_logged_in_too_often_is_told_so_and_steps_back() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let mut peer = server.log_in(false).await;
    let id = peer.bind_request().await;
    peer.refuse_to_bind(id, stanza_error::DefinedCondition::ResourceConstraint).await;
    let refused = AccountError::BindRefused("resource-constraint", Words::default());
    assert!(matches!(client.event().await, AccountEvent::Unreachable(error) if error == refused));
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back at once");
    server.session_after(HALF_A_MINUTE).await;
}
