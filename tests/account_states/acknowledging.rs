//! Fates of stanzas: acknowledged or lost, each once, with stream management and without.

use std::time::Duration;

use hexchat_pt::xmpp::{AccountEvent, StreamManagement};
use tokio::time::timeout;
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::sm;

use crate::client::{Client, message, online};
use crate::mock::MockServer;

#[tokio::test(start_paused = true)]
async fn a_login_sends_presence_and_is_acknowledged_stanza_by_stanza() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    client.send(1);
    let mut peer = server.session(true).await;
    assert!(!client.online().await);
    client.send(2);
    peer.presence().await;
    assert_eq!((peer.text().await, peer.text().await), ("1".into(), "2".into()));
    peer.ack(2).await;
    assert_eq!(client.fate().await, Ok(1));
    peer.ack(3).await;
    assert_eq!(client.fate().await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn without_stream_management_written_is_acknowledged() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut peer = server.session(false).await;
    client.online().await;
    (1..=2).for_each(|tag| client.send(tag));
    assert_eq!((client.fate().await, client.fate().await), (Ok(1), Ok(2)));
    peer.presence().await;
    assert_eq!((peer.text().await, peer.text().await), ("1".into(), "2".into()));
}

#[tokio::test(start_paused = true)]
async fn what_a_server_does_not_read_is_not_acknowledged_and_is_lost_with_the_connection() {
    const COUNT: u64 = 400;
    let (_server, mut client, peer) = online(StreamManagement::Unwanted).await;
    let much = "x".repeat(64 * 1024);
    for tag in 1..=COUNT {
        client.pool.send(client.id, message(&much), Some(tag));
    }
    let mut acked = Vec::new();
    // The buffers of two sockets have room for some of it.
    while let Ok(event) = timeout(Duration::from_secs(1), client.event()).await {
        match event {
            AccountEvent::Acked { tag } => acked.push(tag),
            other => panic!("{other:?}"),
        }
    }
    assert!(acked.len() < usize::try_from(COUNT).unwrap(), "all of it was written");
    drop(peer);
    let mut lost = Vec::new();
    loop {
        match client.event().await {
            AccountEvent::Acked { tag } => acked.push(tag),
            AccountEvent::Lost { tag } => lost.push(tag),
            AccountEvent::Suspended { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(!lost.is_empty());
    assert!(acked.iter().chain(&lost).copied().eq(1..=acked.len() as u64 + lost.len() as u64));
}

#[tokio::test(start_paused = true)]
async fn each_stanza_has_one_fate_though_its_connection_ended_while_nobody_took_events() {
    /// More than the connection has room for, and the events.
    const COUNT: u64 = 10_000;
    let (server, mut client, peer) = online(StreamManagement::Unwanted).await;
    (0..COUNT).for_each(|tag| client.send(tag));
    // Virtual time passes when nothing more happens.
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(peer);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let reading = async {
        let mut peer = server.session(false).await;
        loop {
            peer.stanza().await;
        }
    };
    let fates = async {
        let mut fates = Vec::new();
        while fates.len() < COUNT as usize {
            if let AccountEvent::Acked { tag } | AccountEvent::Lost { tag } = client.event().await {
                fates.push(tag);
            }
        }
        fates
    };
    let mut fates = tokio::select! {
        () = reading => panic!("it reads for ever"),
        fates = fates => fates,
    };
    fates.sort_unstable();
    assert!(fates.into_iter().eq(0..COUNT));
}

#[tokio::test(start_paused = true)]
async fn a_long_queue_drains_in_order() {
    const COUNT: u64 = 2000;
    let server = MockServer::start();
    let mut client = Client::open(&server);
    (0..COUNT).for_each(|tag| client.send(tag));
    let mut peer = server.session(true).await;
    client.online().await;
    peer.presence().await;
    for tag in 0..COUNT {
        assert_eq!(peer.text().await, tag.to_string());
    }
    peer.ack(1 + u32::try_from(COUNT).unwrap()).await;
    for tag in 0..COUNT {
        assert_eq!(client.fate().await, Ok(tag));
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_events_nobody_takes_sends_all_the_same() {
    const COUNT: u64 = 3000;
    for management in [StreamManagement::Wanted, StreamManagement::Unwanted] {
        let server = MockServer::start();
        let mut client = Client::open_with(&server, server.anonymous(), management);
        let mut peer = server.session(management == StreamManagement::Wanted).await;
        client.online().await;
        peer.presence().await;
        for tag in 0..COUNT {
            client.send(tag);
            assert_eq!(peer.text().await, tag.to_string());
            if management == StreamManagement::Wanted {
                peer.ack(2 + u32::try_from(tag).unwrap()).await;
            }
        }
        for tag in 0..COUNT {
            assert_eq!(client.fate().await, Ok(tag));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_account_loses_what_it_is_given() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    client.pool.close(client.id);
    client.send(7);
    assert_eq!(client.fate().await, Err(7));
    assert_ne!(client.pool.open(server.anonymous(), StreamManagement::Wanted), client.id);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_offers_acknowledgements_and_refuses_them_is_used_without() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut peer = server.log_in(true).await;
    peer.bind().await;
    assert!(matches!(peer.next().await, XmppStreamElement::SM(sm::Nonza::Enable(_))));
    peer.send_sm(sm::Nonza::Failed(sm::Failed { h: None, error: None })).await;
    assert!(!client.online().await);
    client.send(1);
    assert_eq!(client.fate().await, Ok(1));
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_countable_refusal_of_acknowledgements_does_not_lose_everything() {
    let server = MockServer::start();
    let mut client = Client::open(&server);
    let mut peer = server.log_in(true).await;
    peer.bind().await;
    assert!(matches!(peer.next().await, XmppStreamElement::SM(sm::Nonza::Enable(_))));
    peer.send_sm(sm::Nonza::Failed(sm::Failed { h: Some(0), error: None })).await;
    assert!(!client.online().await);
    client.send(1);
    assert_eq!(client.fate().await, Ok(1));
}
