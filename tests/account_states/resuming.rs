//! Resumption: what a session that goes on loses, and what one that cannot.

use hexchat_pt::xmpp::StreamManagement;
use tokio_xmpp::Stanza;
use xmpp_parsers::iq::Iq;

use crate::client::{online, online_with_one_unacknowledged};

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_is_lost_with_the_session_and_what_was_queued_is_not() {
    let (server, mut client, mut peer) = online(StreamManagement::Wanted).await;
    (1..=3).for_each(|tag| client.send(tag));
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
    peer.ack(2).await;
    assert_eq!(client.fate().await, Ok(1));
    assert_eq!((peer.text().await, peer.text().await), ("2".into(), "3".into()));
    drop(peer);
    client.suspended().await;
    client.send(4);

    let mut peer = server.log_in(true).await;
    peer.refuse_to_resume(Some(3)).await;
    peer.open().await;
    assert_eq!(client.fate().await, Ok(2), "acknowledged by the refusal to resume");
    assert_eq!(client.fate().await, Err(3));
    assert!(!client.online().await);
    peer.presence().await;
    assert_eq!(peer.text().await, "4");
    peer.ack(2).await;
    assert_eq!(client.fate().await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_to_resume_that_counts_nothing_begins_a_new_session() {
    let (server, mut client, peer) = online_with_one_unacknowledged().await;
    drop(peer);
    client.suspended().await;

    let mut peer = server.log_in(true).await;
    peer.refuse_to_resume(None).await;
    peer.open().await;
    assert_eq!(client.fate().await, Err(1));
    assert!(!client.online().await);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_loses_nothing() {
    let (server, mut client, mut peer) = online(StreamManagement::Wanted).await;
    (1..=3).for_each(|tag| client.send(tag));
    peer.presence().await;
    for text in ["1", "2", "3"] {
        assert_eq!(peer.text().await, text);
    }
    drop(peer);
    client.suspended().await;
    client.send(4);

    let mut peer = server.log_in(true).await;
    peer.resume(2).await;
    assert_eq!(client.fate().await, Ok(1));
    assert!(client.online().await);
    assert_eq!((peer.text().await, peer.text().await), ("2".into(), "3".into()));
    let Stanza::Iq(Iq::Get { id, .. }) = peer.stanza().await else { panic!("no ping") };
    peer.pong(id).await;
    assert_eq!(peer.text().await, "4");
    peer.ack(6).await;
    for tag in 2..=4 {
        assert_eq!(client.fate().await, Ok(tag));
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_session_that_does_not_work_is_replaced_and_not_resumed_again() {
    let (server, mut client, peer) = online_with_one_unacknowledged().await;
    drop(peer);
    client.suspended().await;

    let mut deaf = server.log_in(true).await;
    deaf.resume(1).await;
    assert!(client.online().await);
    assert_eq!(client.fate().await, Err(1));
    client.suspended().await;
    let mut peer = server.session(true).await;
    assert!(!client.online().await);

    client.send(2);
    peer.presence().await;
    peer.text().await;
    drop(peer);
    assert_eq!(client.fate().await, Err(2));
    client.suspended().await;
    let _peer = server.session(true).await;
    assert!(!client.online().await, "a new session at once");
}
