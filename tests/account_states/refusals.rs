//! Failed logins: which are final, and which are tried again.

use hexchat_pt::xmpp::{AccountError, AccountEvent, AccountStatus, StreamManagement};
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::sasl;

use crate::client::{Client, HALF_A_MINUTE, NO_RETRY};
use crate::mock::{MockServer, Peer};

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_final_and_tried_once() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.with_password(), StreamManagement::Wanted);
    client.send(1);
    let mut peer = server.greet("SCRAM-SHA-1").await;
    assert!(matches!(peer.next().await, XmppStreamElement::Sasl(sasl::Nonza::Auth(_))));
    refuse(&mut peer).await;
    assert_eq!(client.fate().await, Err(1));
    assert!(matches!(client.event().await, AccountEvent::Failed(AccountError::WrongPassword)));
    assert_eq!(client.pool.status(client.id), AccountStatus::Failed(AccountError::WrongPassword));

    assert_eq!(
        client.pool.open(server.with_password(), StreamManagement::Wanted),
        client.id,
        "the same login must not be tried anew"
    );
    client.send(2);
    assert_eq!(client.fate().await, Err(2));
    assert!(server.connection_within(NO_RETRY).await.is_none(), "tried again");
}

#[tokio::test(start_paused = true)]
async fn a_password_that_goes_wrong_later_ends_the_account_quietly() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.with_password(), StreamManagement::Wanted);
    let mut peer = server.log_in_with_password(true).await;
    peer.open().await;
    assert!(!client.online().await);
    client.send(1);
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
    drop(peer);
    client.suspended().await;
    let mut peer = server.greet("SCRAM-SHA-1").await;
    assert!(matches!(peer.next().await, XmppStreamElement::Sasl(sasl::Nonza::Auth(_))));
    refuse(&mut peer).await;
    assert_eq!(client.fate().await, Err(1));
    assert!(matches!(client.event().await, AccountEvent::Failed(AccountError::WrongPassword)));
    assert!(server.connection_within(NO_RETRY).await.is_none(), "tried again");
}

#[tokio::test(start_paused = true)]
async fn who_has_no_account_is_not_told_of_a_wrong_password_and_is_let_in_later() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let mut peer = server.greet("ANONYMOUS").await;
    assert!(matches!(peer.next().await, XmppStreamElement::Sasl(sasl::Nonza::Auth(_))));
    refuse(&mut peer).await;
    assert!(matches!(client.event().await, AccountEvent::Unreachable(AccountError::NotAnonymous)));
    let _peer = server.session_after(HALF_A_MINUTE).await;
    assert!(!client.online().await);
}

pub(crate) async fn refuse(peer: &mut Peer) {
    let failure =
        sasl::Failure { defined_condition: sasl::DefinedCondition::NotAuthorized, texts: Default::default() };
    peer.send(XmppStreamElement::Sasl(sasl::Nonza::Failure(failure))).await;
}

#[tokio::test(start_paused = true)]
async fn only_plain_on_offer_sends_no_password_and_keeps_trying() {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.with_password(), StreamManagement::Wanted);
    for _ in 0..2 {
        let mut peer = server.greet("PLAIN").await;
        assert!(matches!(client.event().await, AccountEvent::Unreachable(AccountError::NoMechanism)));
        assert!(!peer.is_closed().await, "the connection is just dropped: nothing was said on it");
    }
}
