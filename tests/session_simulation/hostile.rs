//! Clients that hold the bridge line and do not keep to the protocol.

use std::time::{Duration, Instant};

use hexchat_pt::protocol::Address;
use hexchat_pt::session::ack::AckFrame;
use hexchat_pt::session::frame::{Frame, SessionClose};
use hexchat_pt::session::{Config, Endpoint, IqId};

use crate::puppet::{BRIDGE, Puppet, accept, block_bytes, bridge, iq_of, jid, sent, wait};

const SECOND: Duration = Duration::from_secs(1);

/// A client that downloads, from a target that sends as much as is taken: the client, and the stream at the bridge.
fn download(bridge: &mut Endpoint, now: Instant) -> (Puppet, hexchat_pt::protocol::StreamId) {
    let mut client = Puppet::shake_hands(bridge, now, jid("eve@x/r"), 1);
    client.send(bridge, now, &[Frame::Open { stream: 0, target: Address::new("192.0.2.1", "80").unwrap() }]);
    let stream = accept(bridge, now).expect("a stream");
    (client, stream)
}

/// The application at the bridge writes as much as is taken.
fn fill(bridge: &mut Endpoint, now: Instant, stream: hexchat_pt::protocol::StreamId) {
    while bridge.write(now, stream, &[7; 65_536]).is_ok_and(|taken| taken > 0) {}
}

#[test]
fn results_that_are_guessed_make_no_room_for_more() {
    let now = Instant::now();
    let mut bridge = bridge(now, Config::default());
    let (client, stream) = download(&mut bridge, now);
    let mut bytes = 0;
    for _ in 0..20 {
        fill(&mut bridge, now, stream);
        bytes += block_bytes(&sent(&mut bridge, now));
        for guess in 0..2000_u64 {
            client.answer(&mut bridge, now, IqId(guess.into()));
        }
    }
    assert!(bytes < 16_384, "{bytes} bytes went to a client that has answered nothing");
}

#[test]
fn the_ids_that_one_client_gets_say_nothing_of_what_another_one_does() {
    let now = Instant::now();
    let mut ids = Vec::new();
    let mut bridge = bridge(now, Config::default());
    let mut watcher = Puppet::shake_hands(&mut bridge, now, jid("watcher@x/r"), 7);
    let (client, stream) = download(&mut bridge, now);
    let mut at = now;
    for _ in 0..20 {
        fill(&mut bridge, at, stream);
        watcher.send(&mut bridge, at, &[Frame::Ping]);
        for transmit in wait(&mut bridge, &mut at, SECOND) {
            let Some(iq) = iq_of(&transmit.stanza) else { continue };
            if transmit.to == watcher.jid {
                ids.push(iq.0);
                watcher.answer(&mut bridge, at, iq);
            } else {
                client.answer(&mut bridge, at, iq);
            }
        }
    }
    assert!(ids.len() >= 10, "{} ids", ids.len());
    let near = ids.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 1 << 64).count();
    assert_eq!(near, 0, "{ids:?}");
}

/// An acknowledgement of these counters alone.
fn ack(counters: std::ops::Range<u64>) -> Frame {
    Frame::Ack(AckFrame::new([counters]).unwrap())
}

#[test]
fn an_acknowledgement_of_a_packet_that_was_never_sent_ends_the_session() {
    for beyond in [1, 2, 1 << 40] {
        let now = Instant::now();
        let mut bridge = bridge(now, Config::default());
        let (mut client, _) = download(&mut bridge, now);
        let highest =
            sent(&mut bridge, now).iter().find_map(|transmit| client.open(&transmit.stanza)).unwrap().0;
        client.send(&mut bridge, now, &[ack(highest..highest + 1)]);
        assert_eq!(bridge.session_count(), 1, "it was sent");
        client.send(&mut bridge, now, &[ack(highest + beyond..highest + beyond + 1)]);
        assert_eq!(client.closed(&sent(&mut bridge, now)), Some(SessionClose::ProtocolViolation), "{beyond}");
        assert_eq!(bridge.session_count(), 0);
    }
}

/// A client that answers every IQ and, when a packet with this counter has come, acknowledges what `acked` says: the counters
/// that have come, and why the bridge has closed the session if it has.
fn acknowledge(acked: impl Fn(u64) -> Frame) -> (Vec<u64>, Option<SessionClose>) {
    let mut now = Instant::now();
    let mut bridge = bridge(now, Config::default());
    let (mut client, stream) = download(&mut bridge, now);
    let mut used = Vec::new();
    for _ in 0..40 {
        fill(&mut bridge, now, stream);
        for transmit in wait(&mut bridge, &mut now, SECOND / 100) {
            let Some((counter, frames)) = client.open(&transmit.stanza) else { continue };
            if let Some(Frame::Close { reason }) = frames.first() {
                return (used, Some(*reason));
            }
            used.push(counter);
            if let Some(iq) = iq_of(&transmit.stanza) {
                client.answer(&mut bridge, now, iq);
            }
            client.send(&mut bridge, now, &[acked(counter)]);
        }
    }
    (used, None)
}

#[test]
fn counters_are_left_out_now_and_then_and_whoever_acknowledges_those_too_has_made_it_up() {
    let (used, closed) = acknowledge(|counter| ack(counter..counter + 1));
    assert_eq!(closed, None, "an honest one acknowledges what has come");
    let highest = *used.last().unwrap();
    let left_out = highest + 1 - used.len() as u64;
    assert!((2..=16).contains(&left_out), "{left_out} of {highest} are left out");
    let (used, closed) = acknowledge(|counter| ack(0..counter + 1));
    assert_eq!(closed, Some(SessionClose::ProtocolViolation), "a blind one is found out");
    assert!(used.len() < 64, "after {} packets", used.len());
}

/// An account whose socket takes nothing.
#[test]
fn paths_that_come_and_go_make_no_backlog_beyond_its_bound() {
    let now = Instant::now();
    let mut bridge = bridge(now, Config::default());
    let (mut client, stream) = download(&mut bridge, now);
    let (mut stanzas, mut bytes) = (0, 0);
    for _ in 0..1000 {
        client.open_path(&mut bridge, now, jid("eve@x/r"));
        fill(&mut bridge, now, stream);
        bridge.handle_backlog(BRIDGE, stanzas, bytes);
        let sent = sent(&mut bridge, now);
        stanzas += sent.len();
        bytes += block_bytes(&sent);
    }
    assert!(bytes < (256 + 16) * 1024, "{bytes} bytes wait to be written");
    bridge.handle_backlog(BRIDGE, 0, 0);
    assert!(block_bytes(&sent(&mut bridge, now)) > 0, "it goes on");
}
