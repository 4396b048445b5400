//! Accounts in doubt: something that went by them is not answered, and perhaps their server is not there any more.

use std::time::Duration;

use hexchat_pt::xmpp::{AccountError, AccountEvent, StreamManagement};
use tokio::time::{Instant, timeout};
use tokio_xmpp::Stanza;
use xmpp_parsers::iq::Iq;

use crate::client::online;

/// The server has five seconds for a sign of life; the next attempt follows at once.
const BACK: Duration = Duration::from_millis(5500);

/// A session that lasts so long was a success.
const STEADY: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_server_that_is_doubted_and_says_nothing_is_logged_in_to_anew_at_once() {
    let (server, mut client, mut peer) = online(StreamManagement::Unwanted).await;
    peer.presence().await;
    tokio::time::sleep(STEADY).await;
    client.pool.doubt(client.id);
    let Stanza::Iq(Iq::Get { .. }) = peer.stanza().await else { panic!("no ping") };
    let asked = Instant::now();
    let reason = client.suspended().await;
    assert!(matches!(reason, AccountError::TimedOut(_)), "{reason:?}");
    let _peer = server.session(false).await;
    client.online().await;
    assert!(asked.elapsed() < BACK, "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_soon_after_the_login_is_not_logged_in_to_at_once() {
    let (server, mut client, mut peer) = online(StreamManagement::Unwanted).await;
    peer.presence().await;
    client.pool.doubt(client.id);
    assert!(matches!(client.suspended().await, AccountError::TimedOut(_)));
    assert!(server.connection_within(Duration::from_millis(90)).await.is_none(), "came back at once");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_doubted_and_answers_keeps_the_connection() {
    let (_server, mut client, mut peer) = online(StreamManagement::Unwanted).await;
    peer.presence().await;
    for tag in 1..4 {
        client.pool.doubt(client.id);
        let Stanza::Iq(Iq::Get { id, .. }) = peer.stanza().await else { panic!("no ping") };
        peer.pong(id).await;
        client.send(tag);
        assert_eq!(peer.text().await, tag.to_string());
        assert_eq!(client.fate().await, Ok(tag));
    }
}

/// After thirty seconds it is asked for a sign of life, for which it has another twenty-five.
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_within_a_minute_though_nobody_doubts_it() {
    let (server, mut client, mut peer) = online(StreamManagement::Unwanted).await;
    peer.presence().await;
    let silent = Instant::now();
    let Stanza::Iq(Iq::Get { .. }) = peer.stanza_after(Duration::from_secs(40)).await else {
        panic!("no ping")
    };
    let event = timeout(Duration::from_secs(30), client.events.recv()).await.unwrap().unwrap().1;
    assert!(matches!(event, AccountEvent::Suspended { reason: AccountError::TimedOut(_) }), "{event:?}");
    assert!(silent.elapsed() < Duration::from_secs(60), "{:?}", silent.elapsed());
    let _peer = server.session(false).await;
    client.online().await;
}
