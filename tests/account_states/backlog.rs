//! Backlog: what is queued and not written yet.

use std::time::Duration;

use hexchat_pt::xmpp::{AccountEvent, Backlog, Parcel, StreamManagement};
use tokio::time::timeout;
use tokio_xmpp::Stanza;

use crate::client::online;

#[tokio::test(start_paused = true)]
async fn what_is_not_written_is_the_backlog_and_relief_is_told_once() {
    const BLOCK: usize = 64 * 1024;
    let (_server, mut client, mut peer) = online(StreamManagement::Unwanted).await;
    peer.presence().await;
    let text = "A".repeat(BLOCK);
    let block =
        format!("<iq type='set' id='id' to='bob@mock.example/there'><x xmlns='urn:x'>{text}</x></iq>");
    let block = bytes::Bytes::from(block);
    let mut sent = 0;
    let send = |sent: &mut usize| {
        *sent += 1;
        client.pool.send(client.id, Parcel::Written(block.clone()), None)
    };
    // The buffers of two sockets have room for some of it.
    while client.pool.backlog(client.id).bytes <= 8 * Backlog::LIMIT.bytes {
        let backlog = send(&mut sent);
        assert!(backlog.stanzas <= sent && backlog.bytes >= block.len());
        tokio::task::yield_now().await;
    }
    let Backlog { stanzas, bytes } = client.pool.backlog(client.id);
    assert!(stanzas < sent && bytes > stanzas.saturating_sub(1) * block.len(), "{stanzas}: {bytes}");
    assert!(timeout(Duration::from_millis(200), client.events.recv()).await.is_err(), "no relief yet");
    for _ in 0..sent {
        assert!(matches!(peer.stanza().await, Stanza::Iq(_)));
    }
    assert!(matches!(client.event().await, AccountEvent::Relieved));
    assert_eq!(client.pool.backlog(client.id), Backlog::default());
    assert!(timeout(Duration::from_millis(200), client.events.recv()).await.is_err(), "told twice");
}

#[tokio::test(start_paused = true)]
async fn a_backlog_goes_with_the_connection_that_it_was_written_to() {
    let (server, mut client, peer) = online(StreamManagement::Unwanted).await;
    let block = bytes::Bytes::from(vec![b' '; 128 * 1024]);
    while client.pool.backlog(client.id).bytes <= 2 * Backlog::LIMIT.bytes {
        client.pool.send(client.id, Parcel::Written(block.clone()), None);
        tokio::task::yield_now().await;
    }
    drop(peer);
    client.suspended().await;
    let mut peer = server.session(false).await;
    client.online().await;
    client.send(1);
    peer.presence().await;
    assert_eq!(peer.text().await, "1");
    assert_eq!(client.fate().await, Ok(1));
    assert_eq!(client.pool.backlog(client.id), Backlog::default());
}
