//! Logging out: what is still sent and read, and for how long.

use std::time::Duration;

use hexchat_pt::xmpp::{AccountError, AccountStatus, StreamManagement};
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use xmpp_parsers::presence;

use crate::client::{NO_RETRY, message, online};

#[tokio::test(start_paused = true)]
async fn shutdown_sends_what_is_queued_and_says_goodbye() {
    let (server, client, mut peer) = online(StreamManagement::Wanted).await;
    client.send(1);
    let pool = client.pool.clone();
    let shutdown = tokio::spawn(async move { pool.shutdown().await });
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
    let Stanza::Presence(goodbye) = peer.stanza().await else { panic!("no presence") };
    assert_eq!(goodbye.type_, presence::Type::Unavailable);
    assert!(peer.is_closed().await);
    drop(peer);
    timeout(Duration::from_secs(1), shutdown).await.expect("a quick end").unwrap();
    assert_eq!(client.pool.status(client.id), AccountStatus::Failed(AccountError::LoggedOut));
    assert!(server.connection_within(NO_RETRY).await.is_none(), "came back");
}

#[tokio::test(start_paused = true)]
async fn what_a_server_still_says_while_an_account_logs_out_is_read() {
    let (_server, client, mut peer) = online(StreamManagement::Unwanted).await;
    peer.presence().await;
    client.pool.close(client.id);
    // More than a connection keeps that nobody reads.
    let much = "x".repeat(64 * 1024);
    for _ in 0..16 {
        peer.try_send(message(&much)).await.expect("the connection is there until we end it, too");
    }
    let Stanza::Presence(goodbye) = peer.stanza().await else { panic!("no presence") };
    assert_eq!(goodbye.type_, presence::Type::Unavailable);
    assert!(peer.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_server_that_is_not_there() {
    let (_server, mut client, peer) = online(StreamManagement::Wanted).await;
    drop(peer);
    client.suspended().await;
    timeout(Duration::from_millis(500), client.pool.shutdown()).await.expect("no wait");
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded_when_the_server_ignores_it() {
    let (_server, client, _peer) = online(StreamManagement::Wanted).await;
    timeout(Duration::from_secs(3), client.pool.shutdown()).await.expect("two seconds at most");
}
