//! Removal of an account: how often its server is asked, and what is made of sessions that end instead of an answer.

use std::time::Duration;

use hexchat_pt::config::Limits;
use hexchat_pt::xmpp::AccountError;
use hexchat_pt::xmpp::removal::{RemovalError, remove};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinHandle;
use tokio_xmpp::Stanza;
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::sasl;

use crate::mock::{MockServer, Peer};
use crate::refusals::refuse;

/// How long a removal may take: 30 seconds, as `forget` has it.
const LONG: Duration = Duration::from_secs(30);

/// A removal that has begun.
fn begin(server: &MockServer) -> JoinHandle<Result<(), RemovalError>> {
    let (config, dialer) = (server.with_password(), server.dialer());
    tokio::spawn(async move { remove(config, dialer, &Limits::default(), LONG).await })
}

/// A session in which the removal was asked for, and the id of that.
async fn asked(server: &MockServer) -> (Peer, String) {
    let mut peer = server.log_in_with_password(false).await;
    peer.open().await;
    loop {
        match peer.stanza().await {
            Stanza::Iq(Iq::Set { id, payload, .. })
                if payload.children().any(|child| child.name() == "remove") =>
            {
                return (peer, id);
            }
            Stanza::Presence(_) => {}
            other => panic!("no removal: {other:?}"),
        }
    }
}

async fn end_with(peer: Peer, condition: &str) {
    let error = format!(
        "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         </stream:error></stream:stream>"
    );
    let mut io = peer.into_io();
    io.write_all(error.as_bytes()).await.unwrap();
    io.flush().await.unwrap();
}

async fn refuse_login(server: &MockServer) {
    let mut peer = server.greet("SCRAM-SHA-1").await;
    assert!(matches!(peer.next().await, XmppStreamElement::Sasl(sasl::Nonza::Auth(_))));
    refuse(&mut peer).await;
}

/// Nobody logs in any more, and the removal has ended so.
async fn outcome(
    server: &MockServer,
    removal: JoinHandle<Result<(), RemovalError>>,
) -> Result<(), RemovalError> {
    assert!(server.connection_within(LONG).await.is_none(), "it logs in once more");
    removal.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_the_server_ends_it() {
    let server = MockServer::start();
    let removal = begin(&server);
    let (mut peer, id) = asked(&server).await;
    let result = Iq::Result { from: None, to: None, id, payload: None };
    peer.send(XmppStreamElement::Stanza(result.into())).await;
    end_with(peer, "not-authorized").await;
    assert_eq!(outcome(&server, removal).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_instead_and_a_login_that_is_refused_do_not_prove_it() {
    for is_said in [false, true] {
        let server = MockServer::start();
        let removal = begin(&server);
        let (peer, _) = asked(&server).await;
        if is_said {
            end_with(peer, "not-authorized").await;
        } else {
            drop(peer);
        }
        refuse_login(&server).await;
        assert_eq!(outcome(&server, removal).await, Err(RemovalError::ProbablyGone));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cuts_every_session_is_asked_twice_and_the_cause_is_said() {
    let server = MockServer::start();
    let removal = begin(&server);
    drop(asked(&server).await);
    drop(asked(&server).await);
    let outcome = outcome(&server, removal).await;
    let Err(RemovalError::Interrupted(AccountError::Closed(_))) = outcome else { panic!("{outcome:?}") };
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_a_session_for_a_rule_of_its_own_is_asked_once() {
    for condition in ["policy-violation", "resource-constraint", "conflict"] {
        let server = MockServer::start();
        let removal = begin(&server);
        let (peer, _) = asked(&server).await;
        end_with(peer, condition).await;
        let outcome = outcome(&server, removal).await;
        assert!(matches!(outcome, Err(RemovalError::Interrupted(_))), "{condition}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_said_not_to() {
    let server = MockServer::start();
    let removal = begin(&server);
    let (_peer, _) = asked(&server).await;
    assert_eq!(outcome(&server, removal).await, Err(RemovalError::Unanswered));
}
