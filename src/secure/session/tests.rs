//! Tests of one session alone, beside those of its states in `state::tests`.

use bytes::Bytes;
use xmpp_parsers::jid::FullJid;

use super::*;
use crate::protocol::{Address, Read};
use crate::secure::api::{Outgoing, Receipt};
use crate::secure::budget::price;
use crate::secure::crypto::handshake::Status;
use crate::secure::delivery::Delivery;
use crate::secure::session::testing::{OURS, Peer, SECOND, World};
use crate::secure::wire::frame::{Frame, Reader, ResetReason};

#[test]
fn a_block_that_makes_no_sense_costs_its_path_and_not_the_session() {
    let (mut world, peer) = World::established_client();
    world.event();
    world.gets(&peer, vec![0; 100]);
    assert_eq!(world.state(), "No path");
    assert!(world.event().is_none());
}

#[test]
fn what_is_left_of_a_session_are_its_streams_and_nothing_of_its_paths() {
    let (world, _) = World::established_client();
    let World { now, session, mut shared, .. } = world;
    let closed = session.close(now, CloseReason::SessionLost, LastWord::Ours(None), &mut shared);
    assert_eq!(shared.routes.entries(), 0);
    let left = closed.streams.expect("a stream that its application still has");
    assert_eq!(left.streams.close_reason(0), Some(CloseReason::SessionLost));
}

#[test]
fn a_path_that_goes_on_after_a_stall_stalls_again_after_another_silence() {
    let (mut world, peer) = World::established_client();
    let sends = |world: &mut World| {
        assert_eq!(world.session.write(world.now, 0, &[7; 2000], &mut world.shared), Ok(2000));
        let packet = world.session.poll_transmit(world.now, &mut world.shared).expect("a packet");
        let Outgoing::Block { token, .. } = packet.action else { panic!("no block") };
        world.shared.routes.asked(token).unwrap().1
    };
    let deliveries = [sends(&mut world), sends(&mut world)];
    world.pass(3 * SECOND);
    assert_eq!(world.state(), "No path");
    world.now += 2 * SECOND;
    world.session.handle_taken(world.now, peer.path, deliveries[0], &mut world.shared);
    assert_eq!(world.state(), "Established", "it has answered");
    let at = world.session.next_timeout(world.now, &world.shared.config);
    assert!(at.is_some_and(|at| at > world.now), "the answer says that it works");
    world.pass(6 * SECOND);
    assert_eq!(world.state(), "No path");
}

#[test]
fn a_path_to_another_server_is_over_when_it_is_silent_under_a_larger_block_than_any_before() {
    for (ours, is_over) in [("client@home.example/r", true), ("client@chat.example/r", false)] {
        let (mut world, peer) = World::established_client();
        world.shared.accounts.on_online(OURS, FullJid::new(ours).unwrap(), false);
        let path = world.session.paths.get_mut(&peer.path).expect("a path");
        path.on_sent(world.now, Delivery::nth(1000), 48_864);
        world.pass(3 * SECOND);
        assert_eq!(world.session.paths.contains_key(&peer.path), !is_over, "{ours}");
        assert_eq!(world.state(), "No path");
    }
}

#[test]
fn nothing_that_a_peer_says_with_its_last_word_changes_the_names_that_are_indexed() {
    let (mut world, mut peer) = World::bridge();
    let names: Vec<FullJid> =
        (0..16).map(|n| FullJid::new(&format!("client{n}@chat.example/r")).unwrap()).collect();
    peer.established.jids.announce(names.clone());
    let packet = peer.established.next_packet(world.now, peer.path, 4096, &mut world.entropy).unwrap();
    world.gets(&peer, packet.to_vec());
    while world.event().is_some() {}
    world.session.end(CloseReason::ProtocolViolation, None);
    peer.established.jids.announce(Vec::new());
    let packet = peer.established.next_packet(world.now, peer.path, 4096, &mut world.entropy).unwrap();
    world.gets(&peer, packet.to_vec());
    assert!(matches!(world.event(), Some(SessionEvent::Ended(..))));
    assert!(world.event().is_none(), "the endpoint would not hear of it");
    let closed = world.session.close(world.now, CloseReason::Finished, LastWord::Theirs, &mut world.shared);
    let Role::Bridge { peer_jids: indexed } = closed.role else { panic!("a bridge's") };
    assert!(names.iter().all(|name| indexed.contains(name)));
}

#[test]
fn packets_go_right_behind_the_open_of_a_further_path_and_again_if_that_is_refused() {
    let (mut world, peer) = World::established_client();
    assert_eq!(world.session.write(world.now, 0, &[7; 500], &mut world.shared), Ok(500));
    world.session.handle_refused(world.now, peer.path, &mut world.shared);
    world.wait();
    let (further, delivery, _) = world.asks().expect("a further path");
    assert!(goes_by(&mut world, further));
    assert_eq!(world.state(), "No path");
    world.session.handle_taken(world.now, further, delivery, &mut world.shared);
    assert_eq!(world.state(), "Established");

    world.session.handle_refused(world.now, further, &mut world.shared);
    world.wait();
    let (refused, ..) = world.asks().expect("a further path");
    assert!(goes_by(&mut world, refused));
    world.session.handle_refused(world.now, refused, &mut world.shared);
    world.wait();
    let peer = world.shake_hands(Status::Resumed);
    assert!(goes_by(&mut world, peer.path), "what was refused goes again");
}

/// Whether a packet with the bytes of a stream goes, by this path.
fn goes_by(world: &mut World, path: PathId) -> bool {
    let packet = world.session.poll_transmit(world.now, &mut world.shared).map(|transmit| transmit.action);
    matches!(packet, Some(Outgoing::Block { path: by, data, .. }) if by == path && data.len() > 500)
}

// What goes with a handshake.

/// An application has written 600 bytes: more than fits into a handshake of the smallest size.
const FIRST: [u8; 600] = [7; 600];

fn open() -> Frame {
    Frame::Open { stream: 0, target: Address::new("192.0.2.1", "80").unwrap() }
}

fn first() -> Frame {
    Frame::Data { stream: 0, offset: 0, data: Bytes::from_static(&FIRST), fin: false }
}

/// The frames about streams that go in packets.
fn says(world: &mut World, peer: &mut Peer) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(packet) = world.session.poll_transmit(world.now, &mut world.shared) {
        let Outgoing::Block { data, .. } = packet.action else { panic!("no block") };
        let plaintext = peer.established.decrypt(data.to_vec());
        frames.extend(Reader::new(plaintext).map(Result::unwrap));
    }
    frames.retain(|frame| !matches!(frame, Frame::Jids { .. } | Frame::Ping | Frame::Ack(_)));
    frames
}

#[test]
fn what_an_application_has_written_goes_with_the_handshake_and_not_again() {
    let mut world = World::client_with(&FIRST);
    let mut peer = world.shake_hands_taking(Status::New, true);
    assert_eq!(says(&mut world, &mut peer), []);
    assert_eq!(world.session.write(world.now, 0, b"next", &mut world.shared), Ok(4));
    let next = Frame::Data { stream: 0, offset: 600, data: Bytes::from_static(b"next"), fin: false };
    assert_eq!(says(&mut world, &mut peer), [next], "it goes on where it was");
}

#[test]
fn what_the_bridge_did_not_take_goes_in_the_first_packet() {
    let mut world = World::client_with(&FIRST);
    let mut peer = world.shake_hands_taking(Status::New, false);
    assert_eq!(says(&mut world, &mut peer), [open(), first()]);
}

#[test]
fn after_a_handshake_that_failed_the_next_ones_ask_for_streams_and_carry_no_bytes() {
    let mut world = World::client_with(&FIRST);
    let (path, frames) = world.says_early();
    assert_eq!(frames, [open(), first()]);
    let target = Address::new("192.0.2.1", "80").unwrap();
    let other = world.session.open(world.now, target.clone(), &FIRST, &mut world.shared).unwrap();
    world.session.handle_undelivered(world.now, path, &mut world.shared);
    world.wait();
    assert_eq!(world.says_early().1, [Frame::Open { stream: other, target }]);
}

#[test]
fn a_stream_whose_bytes_the_bridge_may_have_taken_is_broken_off_and_they_never_go_again() {
    let fails: [fn(&mut World, PathId) -> CloseReason; 5] = [
        |world, _| {
            world.pass(10 * SECOND);
            CloseReason::ConnectTimedOut
        },
        |world, _| {
            world.session.handle_reset(world.now, OURS, &mut world.shared);
            CloseReason::ConnectTimedOut
        },
        |world, path| {
            world.session.handle_closed(world.now, path, Receipt::new("1"), &mut world.shared);
            CloseReason::ConnectTimedOut
        },
        |world, path| {
            world.session.handle_refused(world.now, path, &mut world.shared);
            CloseReason::LineRefused
        },
        |world, path| {
            world.session.handle_undelivered(world.now, path, &mut world.shared);
            CloseReason::PeerUnavailable
        },
    ];
    for fail in fails {
        let mut world = World::client_with(&FIRST);
        let (path, _) = world.says_early();
        let reason = fail(&mut world, path);
        let broken = StreamEvent::Closed(0, reason);
        assert_eq!(std::iter::from_fn(|| world.session.poll_event()).last(), Some(broken));
        world.session.change(world.now, |_| (), &mut world.shared);
        world.wait();
        let mut peer = world.shake_hands_taking(Status::New, true);
        let reset = Frame::Reset { stream: 0, reason: ResetReason::Aborted, sent: 600 };
        assert_eq!(says(&mut world, &mut peer), [reset], "both ends count the same");
    }
}

#[test]
fn a_stream_that_was_only_asked_for_is_asked_for_again_whatever_became_of_that() {
    let mut world = World::client();
    assert_eq!(world.says_early().1, [open()]);
    world.pass(10 * SECOND);
    world.wait();
    assert_eq!(world.says_early().1, [open()]);
}

#[test]
fn a_handshake_asks_for_a_few_streams_and_the_rest_follows() {
    let mut world = World::client_with(&FIRST);
    let (path, _) = world.says_early();
    for _ in 1..6 {
        let target = Address::new("192.0.2.1", "80").unwrap();
        world.session.open(world.now, target, &FIRST, &mut world.shared).unwrap();
    }
    world.session.handle_undelivered(world.now, path, &mut world.shared);
    world.wait();
    let mut peer = world.shake_hands_taking(Status::New, true);
    let opened = |frames: &[Frame]| {
        let opens = frames.iter().filter_map(|frame| match frame {
            Frame::Open { stream, .. } => Some(*stream),
            _ => None,
        });
        opens.collect::<Vec<_>>()
    };
    let bytes = |frames: &[Frame]| {
        let data = frames.iter().map(|frame| match frame {
            Frame::Data { data, .. } => data.len(),
            _ => 0,
        });
        data.sum::<usize>()
    };
    let frames = says(&mut world, &mut peer);
    assert_eq!(opened(&frames), [5], "four of five went with the handshake");
    assert!(bytes(&frames) > 4 * FIRST.len(), "and none of their bytes");
}

#[test]
fn a_client_that_asks_for_its_session_says_nothing_early() {
    let (mut world, peer) = World::established_client();
    assert_eq!(world.session.write(world.now, 0, &FIRST, &mut world.shared), Ok(600));
    world.session.handle_refused(world.now, peer.path, &mut world.shared);
    world.wait();
    let (further, ..) = world.asks().expect("a further path");
    world.session.handle_refused(world.now, further, &mut world.shared);
    world.wait();
    assert_eq!(world.says_early().1, []);
}

#[test]
fn numbers_of_streams_that_no_bridge_has_heard_of_are_given_again() {
    let mut world = World::client();
    let target = Address::new("192.0.2.1", "80").unwrap();
    let (path, _) = world.says_early();
    world.session.change(world.now, |streams| streams.release(0), &mut world.shared);
    let open = |world: &mut World| world.session.open(world.now, target.clone(), &[], &mut world.shared);
    assert_eq!(open(&mut world), Ok(1), "the handshake may arrive");
    world.session.change(world.now, |streams| streams.release(1), &mut world.shared);
    world.session.handle_refused(world.now, path, &mut world.shared);
    assert_eq!(open(&mut world), Ok(0));
}

#[test]
fn what_a_client_says_early_is_dialled_and_answered_before_it_has_shown_its_keys() {
    let (mut world, mut peer) = World::bridge();
    world.session.take_early(world.now, vec![open(), first()], &mut world.shared);
    assert_eq!(world.state(), "Unconfirmed");
    assert!(matches!(world.session.poll_event(), Some(StreamEvent::Incoming { id: 0, .. })));
    let read = world.session.read(world.now, 0, &mut world.shared);
    assert_eq!(read, Read::Data(Bytes::from_static(&FIRST)));
    world.session.change(world.now, |streams| streams.accept(0), &mut world.shared);
    assert_eq!(says(&mut world, &mut peer), [Frame::Accept { stream: 0 }]);
    world.pass(30 * SECOND);
    assert_eq!(world.state(), "Closed", "it has to show them all the same");
}

/// The peer is one that knows nothing of measurements.
#[test]
fn padding_by_which_a_session_is_measured_is_acknowledged_and_kept_nowhere() {
    let (mut world, mut peer) = World::established_client();
    let deliver = |world: &mut World, peer: &mut Peer| {
        let mut sent = 0;
        while let Some(transmit) = world.session.poll_transmit(world.now, &mut world.shared) {
            let Outgoing::Block { data, .. } = transmit.action else { panic!("no block") };
            sent += data.len();
            assert_eq!(peer.established.handle_packet(world.now, data.to_vec()), Ok(None));
        }
        sent
    };
    // What a client says of its accounts is kept.
    deliver(&mut world, &mut peer);
    let kept = peer.established.usage();
    world.session.measure(world.now, 1500, &mut world.shared);
    let sent = deliver(&mut world, &mut peer);
    let measured = world.session.measured(world.now).expect("a session");
    assert!(measured.sent > 0 && measured.sent <= sent && measured.arrived == 0, "{measured:?}");
    let now_kept = peer.established.usage().received;
    assert!(
        now_kept <= kept.received + price::RANGE,
        "{now_kept} {kept:?}: nothing is kept but which packets have come"
    );
    world.now += SECOND;
    let ack =
        peer.established.next_packet(world.now, peer.path, 1000, &mut world.entropy).expect("an answer");
    world.gets(&peer, ack.to_vec());
    let measured = world.session.measured(world.now).expect("a session");
    assert_eq!(measured.arrived, measured.sent);
    assert!(measured.knows_files && measured.knows_relays);
}
