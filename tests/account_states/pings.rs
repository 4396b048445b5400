//! Pings: those of others, and an account's own.

use std::time::Duration;

use hexchat_pt::config::AccountConfig;
use hexchat_pt::persona;
use hexchat_pt::xmpp::{AccountError, AccountEvent, AccountPool, AccountStatus, StreamManagement};
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::ping::Ping;

use crate::client::{message, online};
use crate::mock::{MockServer, Peer};

#[tokio::test(start_paused = true)]
async fn pings_are_answered_by_the_account_itself() {
    let (_server, mut client, mut peer) = online(StreamManagement::Wanted).await;
    peer.presence().await;
    peer.send(XmppStreamElement::Stanza(Iq::from_get("ping", Ping).into())).await;
    peer.send(XmppStreamElement::Stanza(message("after"))).await;
    let Stanza::Iq(Iq::Result { id, payload: None, .. }) = peer.stanza().await else { panic!("no result") };
    assert_eq!(id, "ping");
    let AccountEvent::Stanza(stanza) = client.event().await else { panic!("no stanza") };
    assert!(matches!(*stanza, Stanza::Message(_)), "the ping itself must not come through");
}

/// Sends `count` pings, with ids of this length, to a client whose answers nobody reads meanwhile.
async fn ask_without_end(peer: &mut Peer, count: usize, id_length: usize) {
    let from: Option<Jid> = Some("bob@mock.example/there".parse().unwrap());
    for _ in 0..count {
        let ping = Iq::Get { from: from.clone(), to: None, id: "x".repeat(id_length), payload: Ping.into() };
        let sending = peer.try_send(ping.into());
        timeout(Duration::from_secs(10), sending).await.expect("a client that reads").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_and_does_not_read_the_answers_fills_no_memory_and_is_read_all_the_same() {
    const MANY: usize = 20_000;
    const ID: usize = 4000;
    let server = MockServer::start();
    let (pool, mut events) = AccountPool::new(server.dialer());
    let id = pool.open(server.anonymous(), StreamManagement::Unwanted);
    let mut peer = server.session(false).await;
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    peer.presence().await;
    ask_without_end(&mut peer, MANY, ID).await;
    pool.send(id, message("ours"), None);
    let mut answers = 0;
    loop {
        match peer.stanza().await {
            Stanza::Iq(Iq::Get { id, .. }) => peer.pong(id).await,
            Stanza::Iq(Iq::Result { .. }) => answers += 1,
            Stanza::Message(_) => {
                assert!(answers * ID < 64 * 1024, "{answers} answers stand in front of everything else");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let mut kept = answers;
    // The server answers our pings from now on, so that all come that were kept.
    while let Ok(stanza) = timeout(Duration::from_secs(1), peer.stanza()).await {
        match stanza {
            Stanza::Iq(Iq::Get { id, .. }) => peer.pong(id).await,
            _ => kept += 1,
        }
    }
    assert!(kept > 100 && kept * ID < 2 << 20, "{kept} answers were kept");
}

/// The ids of what an account sends to its server on its own while nothing is asked of it: presence, and pings.
async fn ids_of_idle(server: &MockServer, config: AccountConfig) -> Vec<String> {
    let (pool, mut events) = AccountPool::new(server.dialer());
    let id = pool.open(config, StreamManagement::Wanted);
    let mut ids = Vec::new();
    let mut peer = server.session(true).await;
    let Stanza::Presence(presence) = peer.stanza().await else { panic!("no presence") };
    ids.extend(presence.id);
    for handled in 1..=2 {
        drop(peer);
        peer = server.log_in(true).await;
        peer.resume(handled).await;
        let id = loop {
            if let Stanza::Iq(Iq::Get { id, .. }) = peer.stanza().await {
                break id;
            }
        };
        ids.push(id.clone());
        peer.pong(id).await;
        peer.ack(handled + 1).await;
    }
    let mut status = pool.subscribe(id);
    pool.close(id);
    let is_over = |status: &AccountStatus| *status == AccountStatus::Failed(AccountError::LoggedOut);
    status.wait_for(is_over).await.unwrap();
    while let Ok((_, event)) = events.try_recv() {
        assert!(!matches!(event, AccountEvent::Stanza(_)), "an answer to a ping of its own came through");
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn no_id_of_an_idle_account_is_used_twice_and_all_are_an_ordinary_clients() {
    let server = MockServer::start();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.extend(ids_of_idle(&server, server.anonymous()).await);
    }
    assert_eq!(ids.len(), 6);
    for id in &ids {
        let written = persona::random_of(id).map(persona::new_id);
        assert_eq!(written.as_ref(), Some(id), "a UUID of version 4 without dashes");
        assert_eq!(ids.iter().filter(|other| *other == id).count(), 1, "{id} twice");
    }
}

/// A server that answers keeps the connection.
#[tokio::test(start_paused = true)]
async fn a_silent_server_is_asked_under_another_id_each_time() {
    let (_server, _client, mut peer) = online(StreamManagement::Unwanted).await;
    peer.presence().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let Stanza::Iq(Iq::Get { id, .. }) = peer.stanza_after(Duration::from_secs(40)).await else {
            panic!("no ping")
        };
        ids.push(id.clone());
        peer.pong(id).await;
    }
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| id.len() == 32), "{ids:?}");
}
