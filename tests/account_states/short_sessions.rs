//! Sessions that end as soon as they are open, one after the other.

use std::time::Duration;

use hexchat_pt::xmpp::{AccountEvent, StreamManagement};
use tokio::time::{Instant, sleep};
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::stream_error::{DefinedCondition, ReceivedStreamError, StreamError};

use crate::client::{Client, HALF_A_MINUTE};
use crate::mock::{MockServer, Peer};

/// How often an account logs in within five minutes where each session ends as soon as it is open, as `end` has it.
async fn logins_where_each_session_is_ended(end: impl AsyncFn(Peer)) -> u32 {
    let server = MockServer::start();
    let mut client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let (mut logins, since) = (0, Instant::now());
    while since.elapsed() < Duration::from_secs(300) {
        let peer = server.session_after(HALF_A_MINUTE).await;
        logins += 1;
        while !matches!(client.event().await, AccountEvent::Online { .. }) {}
        end(peer).await;
        while !matches!(client.event().await, AccountEvent::Suspended { .. }) {}
    }
    logins
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_sessions_end_at_once_is_not_logged_in_to_without_end() {
    let send_away = async |mut peer: Peer| {
        let elsewhere = DefinedCondition::SeeOtherHost("127.0.0.7".into());
        let error = StreamError::new(elsewhere, "en", "");
        peer.send(XmppStreamElement::StreamError(ReceivedStreamError(error))).await;
    };
    let refuse_stanzas = async |mut peer: Peer| {
        let error = StreamError::new(DefinedCondition::PolicyViolation, "en", "XML stanza is too big");
        peer.send(XmppStreamElement::StreamError(ReceivedStreamError(error))).await;
    };
    let cut = async |peer: Peer| drop(peer);
    for logins in [
        logins_where_each_session_is_ended(send_away).await,
        logins_where_each_session_is_ended(refuse_stanzas).await,
        logins_where_each_session_is_ended(cut).await,
    ] {
        assert!(logins < 80, "{logins} logins in five minutes");
    }
}

/// In some networks no connection lives for long.
#[tokio::test(start_paused = true)]
async fn a_session_that_lives_for_some_seconds_is_followed_by_the_next_at_once() {
    let live = async |peer: Peer| {
        sleep(Duration::from_secs(3)).await;
        drop(peer);
    };
    let logins = logins_where_each_session_is_ended(live).await;
    assert!(logins > 70, "{logins} logins in five minutes");
}
