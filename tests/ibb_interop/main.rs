//! Bytestreams between our carrier and an independent implementation, slixmpp, over a real chat server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod end;

use std::collections::VecDeque;
use std::time::Duration;

use end::End;
use hexchat_lab::process::{Process, Spawn};
use hexchat_lab::{ChatServer, Kind, Rate};
use hexchat_pt::carrier::ibb::{Incoming, Outgoing};
use hexchat_pt::secure::{Credential, Token};
use xmpp_parsers::jid::FullJid;

/// What no step of a test may take longer than.
const PATIENCE: Duration = Duration::from_secs(60);

const SID: &str = "0b8f6bd0-6f0e-4a57-9d5c-1c64a1d7b3a5";

fn sid() -> Credential {
    SID.parse().unwrap()
}

/// What slixmpp asks for and grants.
const BLOCK_SIZE: u16 = 4096;

/// A server of its own for each test.
fn server() -> ChatServer {
    ChatServer::start(Kind::Prosody, Rate::Unlimited, &["alice", "bob"]).unwrap()
}

/// Logs slixmpp in as bob.
fn slixmpp(server: &ChatServer) -> (Process, FullJid) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ibb_interop/peer.py");
    let address = server.address();
    let peer = Spawn::new("slixmpp", "/usr/bin/python3")
        .args([script, &address.ip().to_string(), &address.port().to_string()])
        .args([server.jid("bob"), ChatServer::password("bob")])
        .arg(server.ca_file())
        .stdin()
        .start()
        .unwrap();
    let online = peer.wait_for_line(|line| line.starts_with("online "), PATIENCE).unwrap();
    let jid = online["online ".len()..].parse().unwrap();
    (peer, jid)
}

/// As `peer.py` reports them.
fn described(data: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, data);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {hex}", data.len())
}

/// Blocks of several sizes, with every byte there is.
fn blocks() -> Vec<Vec<u8>> {
    let block = |length: usize| (0..length).map(|n| (n * 7 + length) as u8).collect();
    [4096, 1, 2, 3, 64, 255, 256, 1000, 4095, 4096, 2048]
        .iter()
        .cycle()
        .take(100)
        .map(|n| block(*n))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn slixmpp_receives_what_we_send_byte_for_byte() {
    let server = server();
    let (mut peer, to) = slixmpp(&server);
    let mut end = End::online(&server, "alice").await;
    peer.say("take").unwrap();
    peer.wait_for_line(|line| line == "ready", PATIENCE).unwrap();

    end.send(&to, Outgoing::Open { iq: Token(0), sid: sid(), block_size: BLOCK_SIZE });
    assert_eq!(end.next().await, (to.clone(), Incoming::Result { iq: Token(0) }));
    let mut unanswered = VecDeque::new();
    for (seq, block) in blocks().into_iter().enumerate() {
        let iq = Token(1 + seq as u128);
        end.send(&to, Outgoing::Data { iq, sid: sid(), seq: seq as u16, data: block.into() });
        unanswered.push_back(iq);
    }
    for iq in unanswered {
        assert_eq!(end.next().await, (to.clone(), Incoming::Result { iq }));
    }
    end.send(&to, Outgoing::Close { iq: Token(1000), sid: sid() });
    assert_eq!(end.next().await, (to, Incoming::Result { iq: Token(1000) }));

    let took = peer.wait_for_line(|line| line.starts_with("took "), PATIENCE).unwrap();
    assert_eq!(took, format!("took {}", described(&blocks().concat())));
}

#[tokio::test(flavor = "multi_thread")]
async fn we_receive_what_slixmpp_sends_byte_for_byte() {
    let server = server();
    let (mut peer, from) = slixmpp(&server);
    let mut end = End::online(&server, "alice").await;
    peer.say(&format!("give {} 100001", end.jid())).unwrap();

    let (opener, Incoming::Open { id, sid, block_size }) = end.next().await else { panic!("no open") };
    assert_eq!((opener, block_size), (from.clone(), BLOCK_SIZE));
    end.send(&from, Outgoing::Result { id });
    let mut received: Vec<Vec<u8>> = Vec::new();
    loop {
        match end.next().await.1 {
            Incoming::Data { id, sid: of, seq, data } => {
                assert_eq!((of.as_str(), usize::from(seq)), (sid.as_str(), received.len()));
                received.push(data);
                end.send(&from, Outgoing::Result { id });
            }
            Incoming::Close { id, sid: of } => {
                assert_eq!(of, sid);
                end.send(&from, Outgoing::Result { id });
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let gave = peer.wait_for_line(|line| line.starts_with("gave "), PATIENCE).unwrap();
    assert_eq!(gave, format!("gave {}", described(&received.concat())));
    assert_eq!(received.concat().len(), 100_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn slixmpp_ends_a_bytestream_that_has_lost_a_block() {
    let server = server();
    let (mut peer, to) = slixmpp(&server);
    let mut end = End::online(&server, "alice").await;
    peer.say("take").unwrap();
    peer.wait_for_line(|line| line == "ready", PATIENCE).unwrap();

    end.send(&to, Outgoing::Open { iq: Token(0), sid: sid(), block_size: BLOCK_SIZE });
    assert_eq!(end.next().await.1, Incoming::Result { iq: Token(0) });
    end.send(&to, Outgoing::Data { iq: Token(1), sid: sid(), seq: 1, data: "late".into() });
    let told = [end.next().await.1, end.next().await.1];
    assert!(told.contains(&Incoming::Error { iq: Token(1) }), "{told:?}");
    assert!(told.iter().any(|told| matches!(told, Incoming::Close { sid, .. } if sid == SID)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slixmpp_is_refused_like_any_stranger() {
    let server = server();
    let (mut peer, from) = slixmpp(&server);
    let mut end = End::online(&server, "alice").await;
    peer.say(&format!("give {} 1", end.jid())).unwrap();
    let (_, Incoming::Open { id, .. }) = end.next().await else { panic!("no open") };
    end.send(&from, Outgoing::Refusal { id });
    peer.wait_for_line(|line| line == "refused feature-not-implemented", PATIENCE).unwrap();
}
