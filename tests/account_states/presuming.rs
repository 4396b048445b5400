//! Presuming the resource: an account that is online before its server has bound it, and what becomes of that.

use std::time::Duration;

use hexchat_pt::config::AccountConfig;
use hexchat_pt::xmpp::{
    AccountError, AccountEvent, AccountStatus, Binding, Persistence, Step, StreamManagement, Usage, Words,
};
use tokio::time::sleep;
use tokio_xmpp::Stanza;
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::client::{Client, HALF_A_MINUTE, NO_RETRY};
use crate::mock::{MockServer, Peer};

/// An attempt that is not made at once is made after 100 ms at the soonest.
const NOT_AT_ONCE: Duration = Duration::from_millis(90);

/// Five seconds less than a server has to answer the request for a resource, 20.
const NEARLY: Duration = Duration::from_secs(15);

/// A session that lived for so long was of use.
const OF_USE: Duration = Duration::from_secs(1);

const HERE: &str = "alice@mock.example/here";

fn named(server: &MockServer) -> AccountConfig {
    AccountConfig { jid: HERE.parse().unwrap(), ..server.with_password() }
}

fn open(server: &MockServer, management: StreamManagement) -> Client {
    Client::open_with(
        server,
        named(server),
        Usage { management, binding: Binding::Presumed, persistence: Persistence::Lasting },
    )
}

/// The next login, of which the resource is asked for and not bound, and the id of that request.
async fn asked(server: &MockServer, acks: bool) -> (Peer, String) {
    let mut peer = server.log_in_with_password(acks).await;
    let id = peer.bind_request().await;
    (peer, id)
}

/// The next login, for which the client waits until its resource is bound.
async fn waits(server: &MockServer, client: &mut Client) -> Peer {
    let (mut peer, id) = asked(server, false).await;
    assert!(!client.pool.status(client.id).can_send(), "it is presumed");
    peer.bound(id, HERE).await;
    assert!(!client.online().await);
    peer.presence().await;
    peer
}

/// Has the client online at the next login, and one stanza sent, before the server has answered.
async fn presumes(server: &MockServer, client: &mut Client, tag: u64) -> (Peer, String) {
    let (mut peer, id) = asked(server, false).await;
    assert!(!client.online().await);
    peer.presence().await;
    client.send(tag);
    assert_eq!(peer.text().await, tag.to_string());
    (peer, id)
}

async fn refuse(peer: &mut Peer, id: String) {
    let error = StanzaError::new(ErrorType::Cancel, DefinedCondition::Conflict, "en", "no");
    let refusal = Iq::Error { from: None, to: None, id, error, payload: None };
    peer.send(XmppStreamElement::Stanza(refusal.into())).await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_asked_for_is_used_before_it_is_bound() {
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Unwanted);
    for tag in 1..3 {
        let (mut peer, id) = presumes(&server, &mut client, tag).await;
        let status = client.pool.status(client.id);
        assert!(matches!(status, AccountStatus::Presumed { .. }) && status.can_send(), "{status:?}");
        peer.bound(id, HERE).await;
        assert_eq!(client.fate().await, Ok(tag), "which is known now");
        assert_eq!(client.pool.status(client.id), AccountStatus::Online(HERE.parse().unwrap()));
        client.send(10 + tag);
        assert_eq!(client.fate().await, Ok(10 + tag));
        drop(peer);
        client.suspended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn that_it_is_presumed_is_said_and_when_it_is_confirmed() {
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Unwanted);
    let (mut peer, id) = asked(&server, false).await;
    assert!(matches!(client.event().await, AccountEvent::Online { presumed: true, .. }));
    peer.presence().await;
    peer.bound(id, HERE).await;
    client.confirmed().await;

    let mut other = Client::open_with(&server, named(&server), StreamManagement::Unwanted);
    let mut peer = server.log_in_with_password(false).await;
    peer.bind().await;
    assert!(
        matches!(other.event().await, AccountEvent::Online { presumed: false, .. }),
        "it waits for its resource"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_the_request_for_a_resource_is_one_fault_whether_that_is_presumed_or_not()
{
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Unwanted);
    let silent = AccountError::TimedOut(Step::Bind);
    for _ in 0..2 {
        let _silent = asked(&server, false).await;
        assert!(!client.online().await);
        sleep(NEARLY).await;
        assert_eq!(client.suspended().await, silent);
    }
    let _silent = asked(&server, false).await;
    sleep(NEARLY).await;
    assert!(matches!(client.event().await, AccountEvent::Unreachable(error) if error == silent));
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_before_stanzas_are_counted_is_acknowledged_once_and_not_sent_again() {
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Wanted);
    let (mut peer, id) = asked(&server, true).await;
    assert!(!client.online().await);
    peer.presence().await;
    client.send(1);
    assert_eq!(peer.text().await, "1");
    peer.bound(id, HERE).await;
    peer.enable().await;
    assert_eq!(client.fate().await, Ok(1));
    client.send(2);
    assert_eq!(peer.text().await, "2");
    drop(peer);
    client.suspended().await;

    let mut peer = server.log_in_with_password(true).await;
    peer.resume(0).await;
    assert!(client.online().await);
    assert_eq!(peer.text().await, "2");
    peer.ack(1).await;
    assert_eq!(client.fate().await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn who_gets_another_resource_logs_in_again_at_once_and_never_presumes_any_more() {
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Unwanted);
    let (mut peer, id) = presumes(&server, &mut client, 1).await;
    peer.bound(id, "alice@mock.example/elsewhere").await;
    assert_eq!(client.fate().await, Err(1));
    assert_eq!(client.suspended().await, AccountError::OtherResource);
    assert!(peer.is_closed().await, "in good order");
    for _ in 0..2 {
        drop(waits(&server, &mut client).await);
        client.suspended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_wrong_once_waits_for_its_resource_when_it_is_opened_anew() {
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Unwanted);
    let (mut peer, id) = presumes(&server, &mut client, 1).await;
    peer.bound(id, "alice@mock.example/elsewhere").await;
    assert_eq!(client.fate().await, Err(1));
    client.suspended().await;
    let mut peer = waits(&server, &mut client).await;
    client.pool.close(client.id);
    peer.presence().await;
    assert!(peer.is_closed().await);

    for resource in ["here", "there"] {
        let jid = format!("alice@mock.example/{resource}").parse().unwrap();
        let usage = Usage {
            management: StreamManagement::Unwanted,
            binding: Binding::Presumed,
            persistence: Persistence::Lasting,
        };
        let id = client.pool.open(AccountConfig { jid, ..named(&server) }, usage);
        let _peer = asked(&server, false).await;
        assert!(matches!(client.pool.status(id), AccountStatus::Connecting { .. }), "{resource} is presumed");
        client.pool.close(id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_insists_on_another_resource_is_used_with_that() {
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Unwanted);
    for is_presumed in [true, false] {
        let (mut peer, id) = asked(&server, false).await;
        if is_presumed {
            assert!(!client.online().await);
        }
        peer.bound(id, "alice@mock.example/elsewhere").await;
        if is_presumed {
            assert_eq!(client.suspended().await, AccountError::OtherResource);
            continue;
        }
        assert!(!client.online().await);
        client.send(1);
        assert_eq!(client.fate().await, Ok(1));
        assert!(server.connection_within(NO_RETRY).await.is_none(), "it logs in again");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_a_resource_never_presumes_any_more() {
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Unwanted);
    let (mut peer, id) = presumes(&server, &mut client, 1).await;
    refuse(&mut peer, id).await;
    assert_eq!(client.fate().await, Err(1));
    let refused = AccountError::BindRefused("conflict", Words::default());
    assert_eq!(client.suspended().await, refused);
    assert!(peer.is_closed().await, "in good order");
    let (mut peer, id) = asked(&server, false).await;
    refuse(&mut peer, id).await;
    assert!(
        matches!(client.event().await, AccountEvent::Unreachable(error) if error == refused),
        "it is presumed, or another fault"
    );
    let wait = server.connection_within(HALF_A_MINUTE).await;
    assert!(wait.is_some(), "the first refusal was about what was presumed, and yet it counts");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_before_the_answer_loses_what_was_sent_and_twice_ends_the_presuming() {
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Unwanted);
    for tag in 1..3 {
        let (peer, _) = presumes(&server, &mut client, tag).await;
        drop(peer);
        assert_eq!(client.fate().await, Err(tag));
        client.suspended().await;
        assert!(server.connection_within(NOT_AT_ONCE).await.is_none(), "it has not worked, so that it waits");
    }
    waits(&server, &mut client).await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_break_before_the_answer_with_sessions_in_between_do_not_end_the_presuming() {
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Wanted);
    for tag in 1..4 {
        drop(presumes(&server, &mut client, tag).await);
        assert_eq!(client.fate().await, Err(tag));
        client.suspended().await;

        let (mut peer, id) = asked(&server, true).await;
        assert!(!client.online().await);
        peer.presence().await;
        peer.bound(id, HERE).await;
        peer.enable().await;
        client.confirmed().await;
        drop(peer);
        client.suspended().await;

        let mut peer = server.log_in_with_password(true).await;
        peer.resume(0).await;
        assert!(client.online().await);
        sleep(OF_USE).await;
        drop(peer);
        client.suspended().await;

        let mut peer = server.log_in_with_password(true).await;
        peer.refuse_to_resume(None).await;
        peer.bind().await;
        assert!(!client.online().await);
        sleep(OF_USE).await;
        drop(peer);
        client.suspended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_name_of_its_own_presumes_nothing() {
    let server = MockServer::start();
    let usage = Usage {
        management: StreamManagement::Unwanted,
        binding: Binding::Presumed,
        persistence: Persistence::Lasting,
    };
    let mut client = Client::open_with(&server, server.anonymous(), usage);
    let mut peer = server.log_in(false).await;
    let id = peer.bind_request().await;
    assert!(matches!(client.pool.status(client.id), AccountStatus::Connecting { .. }));
    peer.bound(id, HERE).await;
    assert!(!client.online().await);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_logs_out_before_the_answer_says_goodbye() {
    let server = MockServer::start();
    let mut client = open(&server, StreamManagement::Unwanted);
    let (mut peer, _) = presumes(&server, &mut client, 1).await;
    client.pool.close(client.id);
    assert!(matches!(peer.stanza().await, Stanza::Presence(_)));
    assert!(peer.is_closed().await);
}
