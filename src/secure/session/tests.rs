//! Tests of one session alone, beside those of its states in `state::tests`.

use xmpp_parsers::jid::FullJid;

use super::*;
use crate::secure::api::Outgoing;
use crate::secure::crypto::handshake::Status;
use crate::secure::session::testing::{SECOND, World};

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
fn a_path_whose_next_block_is_late_already_stalls_again_at_once() {
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
    assert!(at.is_some_and(|at| at <= world.now), "what came next is late");
    world.wait();
    assert_eq!(world.state(), "No path");
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
