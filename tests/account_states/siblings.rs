//! Siblings: further logins of an account, each tried once.

use std::time::Duration;

use hexchat_pt::config::AccountConfig;
use hexchat_pt::xmpp::{AccountError, AccountEvent, AccountId, AccountStatus, Step, StreamManagement, Words};
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::ns;
use xmpp_parsers::stream_error::{DefinedCondition, ReceivedStreamError, StreamError};

use crate::client::Client;
use crate::mock::{MockServer, PATIENCE, Peer};

/// Longer than any pause but that of hours, and shorter than a server may be silent.
const NO_RETRY: Duration = Duration::from_secs(25);

/// What the next event of an account is; those of others that come before are left out.
async fn next_of(client: &mut Client, id: AccountId) -> AccountEvent {
    loop {
        let (whose, event) = timeout(PATIENCE, client.events.recv()).await.expect("an event").unwrap();
        if whose == id {
            return event;
        }
    }
}

/// The server's end of the next login, which gets the resource that it asks for.
async fn opened(server: &MockServer) -> Peer {
    let mut peer = server.log_in_with_password(false).await;
    let Stanza::Iq(Iq::Set { id, payload, .. }) = peer.stanza().await else { panic!("no bind request") };
    let asked = payload.get_child("resource", ns::BIND).map(|resource| resource.text());
    let resource = asked.unwrap_or_else(|| "first".to_owned());
    peer.bound(id, &format!("alice@mock.example/{resource}")).await;
    peer.presence().await;
    peer
}

async fn end(peer: &mut Peer, condition: DefinedCondition, text: &str) {
    let error = StreamError::new(condition, "en", text);
    peer.send(XmppStreamElement::StreamError(ReceivedStreamError(error))).await;
}

/// An account that may have four logins, and the server's end of the first.
async fn with_three_siblings() -> (MockServer, Client, Peer) {
    let server = MockServer::start();
    let config = AccountConfig { sessions: Some(4), ..server.with_password() };
    let mut client = Client::open_with(&server, config, StreamManagement::Unwanted);
    let peer = opened(&server).await;
    let first = client.id;
    assert!(matches!(next_of(&mut client, first).await, AccountEvent::Online { .. }));
    (server, client, peer)
}

#[tokio::test(start_paused = true)]
async fn each_has_a_resource_of_its_own_and_is_online_beside_the_first() {
    let (server, mut client, _first) = with_three_siblings().await;
    let siblings = client.pool.siblings(client.id);
    assert_eq!(siblings.len(), 3);
    let (mut resources, mut peers) = (Vec::new(), Vec::new());
    for sibling in siblings {
        client.pool.open_sibling(client.id, sibling);
        peers.push(opened(&server).await);
        match next_of(&mut client, sibling).await {
            AccountEvent::Online { jid, resumed: false, .. } => resources.push(jid.resource().to_string()),
            other => panic!("{other:?}"),
        }
    }
    resources.sort();
    resources.dedup();
    assert_eq!(resources.len(), 3);
    assert!(resources.iter().all(|resource| resource.len() == 12), "{resources:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_ended_does_not_come_back_and_the_first_stays() {
    for (condition, text, reason) in [
        (DefinedCondition::Conflict, "Replaced by new connection", AccountError::Conflict),
        (
            DefinedCondition::PolicyViolation,
            "Too many sessions",
            AccountError::OverLimit(Step::Session, Words::default()),
        ),
        (
            DefinedCondition::SystemShutdown,
            "",
            AccountError::StreamError(Step::Session, "system-shutdown", Words::default()),
        ),
    ] {
        let (server, mut client, _first) = with_three_siblings().await;
        let (first, sibling) = (client.id, client.pool.siblings(client.id)[0]);
        client.pool.open_sibling(first, sibling);
        let mut peer = opened(&server).await;
        assert!(matches!(next_of(&mut client, sibling).await, AccountEvent::Online { .. }));
        end(&mut peer, condition, text).await;
        assert!(
            matches!(next_of(&mut client, sibling).await, AccountEvent::Failed(error) if error == reason)
        );
        assert!(server.connection_within(NO_RETRY).await.is_none(), "came back by itself");
        assert!(matches!(client.pool.status(first), AccountStatus::Online(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_without_a_name_that_stays_has_none() {
    let server = MockServer::start();
    let client = Client::open(&server);
    assert_eq!(client.pool.siblings(client.id), []);
}
