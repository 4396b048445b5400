//! Arrows of the drawing in `doc/protocol.md`, section 2.7: each is a test, and its row in the table there is the test's name.

use std::collections::BTreeSet;

use super::super::*;
use crate::protocol::Address;
use crate::secure::api::Outgoing;
use crate::secure::crypto::credential::Credential;
use crate::secure::crypto::handshake::Status;
use crate::secure::delivery::Delivery;
use crate::secure::path::{Contact, PathState};
use crate::secure::session::established::ClosedByPeer;
use crate::secure::session::testing::{CREDITS, OURS, Peer, SECOND, World, client_jid, config};
use crate::secure::sizes::OF_TESTS;
use crate::secure::streams::{Credit, Role as Side};
use crate::secure::wire::frame::Frame;

/// The rows of the table, as sentences.
fn arrows() -> BTreeSet<String> {
    let document = include_str!("../../../../doc/protocol.md");
    let (_, section) = document.split_once("\n## 2.7 ").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.map(|row| row.split(" | ").map(str::trim).collect::<Vec<_>>()).skip(2);
    cells.map(|cells| name(&format!("{} when {} becomes {}", cells[1], cells[2], cells[3]))).collect()
}

/// A sentence as the name of a test.
fn name(sentence: &str) -> String {
    let words = sentence.split(|next: char| !next.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

#[test]
fn each_arrow_of_the_drawing_is_a_test_and_each_such_test_an_arrow() {
    let lines = include_str!("tests.rs").lines();
    let names = lines.filter_map(|line| line.strip_prefix("fn ")?.split_once("()")).map(|(name, _)| name);
    let tests: BTreeSet<String> = names.filter(|name| name.contains("_when_")).map(str::to_owned).collect();
    assert!(tests.len() > 10);
    assert_eq!(tests, arrows());
}

/// Both ends of a session that has one path, which works.
fn ends() -> [(World, Peer); 2] {
    [World::established_client(), World::established_bridge()]
}

impl World {
    /// A client whose application has changed its mind, before the bridge has heard of its stream.
    fn client_without_streams() -> Self {
        let mut world = Self::client();
        let (path, ..) = world.asks().expect("an open");
        world.session.change(world.now, |streams| streams.release(0), &mut world.shared);
        world.refuses(path);
        world
    }

    /// The same, once it has shaken hands with the bridge.
    fn established_client_without_streams() -> (Self, Peer) {
        let mut world = Self::client_without_streams();
        world.wait();
        let peer = world.shake_hands(Status::New);
        (world, peer)
    }

    /// The peer refuses what went by its path.
    fn refuses(&mut self, path: PathId) {
        self.session.handle_refused(self.now, path, &mut self.shared);
    }

    /// A block goes by this path, and is not answered yet.
    fn sends(&mut self, path: PathId) -> Delivery {
        let block = self.session.probe(self.now, path, &mut self.shared).unwrap();
        let Outgoing::Block { token, .. } = block.action else { panic!("no block") };
        self.shared.routes.asked(token).unwrap().1
    }

    /// Nothing that goes by the only path is answered for too long.
    fn stalls(&mut self, peer: &Peer) -> Delivery {
        let delivery = self.sends(peer.path);
        self.pass(3 * SECOND);
        assert_eq!(self.state(), "No path");
        delivery
    }

    /// The peer says what only the other end may say: a bridge opens a stream, or a client accepts one.
    fn hears_nonsense(&mut self, peer: &mut Peer) {
        let role = if self.session.client_side().is_some() { Side::Client } else { Side::Bridge };
        let credit = Credit { stream: CREDITS.stream.into(), session: CREDITS.session.into() };
        let mut streams = Streams::new(role, config().stream_limits(), credit);
        let target = Address::new("192.0.2.1", "80").unwrap();
        if role == Side::Client {
            streams.open(target).unwrap();
        } else {
            streams.handle_frame(Frame::Open { stream: 0, target }).unwrap();
            streams.accept(0);
        }
        peer.established.streams = streams;
        let packet = peer.established.next_packet(self.now, peer.path, 4096, &mut self.entropy).unwrap();
        self.gets(peer, packet.to_vec());
    }

    fn suspends(&mut self) {
        self.shared.accounts.suspend(OURS);
        self.session.handle_suspended(self.now, OURS, &mut self.shared);
    }

    fn loses_its_account(&mut self) {
        self.shared.accounts.remove(OURS);
        self.session.handle_gone(self.now, OURS, &mut self.shared);
    }

    /// Lets every attempt end in `outcome` until the session is over: how it ended, and after how many seconds.
    fn fails_with(&mut self, outcome: fn(&mut Session, Instant, PathId, &mut Shared)) -> (SessionEvent, u64) {
        let start = self.now;
        loop {
            if let Some((path, ..)) = self.asks() {
                outcome(&mut self.session, self.now, path, &mut self.shared);
            }
            match self.event() {
                Some(event) => return (event, (self.now - start).as_secs()),
                None => self.wait(),
            }
        }
    }
}

/// A client that has lost its path and was refused another one: in its next handshake it asks whether the bridge has forgotten the session.
fn client_that_must_ask() -> World {
    let (mut world, peer) = World::established_client();
    world.refuses(peer.path);
    world.wait();
    let (path, ..) = world.asks().expect("another path");
    world.refuses(path);
    assert!(world.session.state.must_ask());
    world.wait();
    world
}

// A client that connects.

#[test]
fn connecting_when_the_bridge_answers_with_status_0_becomes_established() {
    let mut world = World::client();
    assert_eq!(world.state(), "Connecting");
    world.shake_hands(Status::New);
    assert_eq!(world.state(), "Established");
    assert_eq!(world.session.stream_count(), 1, "what has waited");
}

#[test]
fn connecting_when_every_pair_was_refused_for_15_s_becomes_closed() {
    let mut world = World::client();
    let (event, seconds) = world.fails_with(Session::handle_refused);
    assert_eq!(world.state(), "Closed");
    assert!(matches!(event, SessionEvent::Ended(CloseReason::LineRefused, None)), "{event:?}");
    assert!((15..25).contains(&seconds), "{seconds}");
}

#[test]
fn connecting_when_every_pair_has_found_nobody_three_times_becomes_closed() {
    let mut world = World::client();
    let (event, seconds) = world.fails_with(Session::handle_undelivered);
    assert_eq!(world.state(), "Closed");
    assert!(matches!(event, SessionEvent::Ended(CloseReason::PeerUnavailable, None)), "{event:?}");
    assert!(seconds < 3, "{seconds}");
}

#[test]
fn a_client_whose_server_cannot_reach_the_bridges_is_told_so() {
    let mut world = World::client();
    let (event, seconds) = world.fails_with(Session::handle_unreachable);
    assert_eq!(world.state(), "Closed");
    assert!(matches!(event, SessionEvent::Ended(CloseReason::PeerServerUnreachable, None)), "{event:?}");
    assert!(seconds < 3, "{seconds}");
}

#[test]
fn a_client_that_has_a_session_is_told_so_too_and_keeps_it() {
    let (mut world, peer) = World::established_client();
    while world.event().is_some() {}
    world.session.handle_unreachable(world.now, peer.path, &mut world.shared);
    let (event, seconds) = world.fails_with(Session::handle_unreachable);
    assert!(matches!(event, SessionEvent::Absent(CloseReason::PeerServerUnreachable)), "{event:?}");
    assert!(seconds < 5, "{seconds}");
    assert_eq!(world.state(), "No path");
}

// A bridge that does not know yet whether its client holds the keys.

#[test]
fn unconfirmed_when_the_first_packet_comes_becomes_established() {
    let (mut world, mut peer) = World::bridge();
    assert_eq!(world.state(), "Unconfirmed");
    assert!(matches!(world.event(), Some(SessionEvent::PeerJidsChanged { .. })));
    world.hears(&mut peer);
    assert_eq!(world.state(), "Established");
    assert!(
        matches!(world.event(), Some(SessionEvent::Confirmed(client)) if client == client_jid().to_bare())
    );
    assert!(world.event().is_none());
}

#[test]
fn unconfirmed_when_its_client_takes_it_up_again_becomes_established() {
    let (mut world, _) = World::bridge();
    assert_eq!(world.state(), "Unconfirmed");
    let contact = Contact {
        via: OURS,
        peer: client_jid(),
        leg: None,
        client: world.session.tag(),
        credential: Credential::NOBODYS,
    };
    let path = Path::new(world.now, PathId(2), contact, PathState::Listening, &OF_TESTS);
    world.session.handle_resumption(world.now, path, &mut world.shared);
    assert_eq!(world.state(), "Established");
}

#[test]
fn unconfirmed_when_no_packet_has_come_for_30_s_becomes_closed() {
    let (mut world, _) = World::bridge();
    world.event();
    world.pass(29 * SECOND);
    assert_eq!(world.state(), "Unconfirmed");
    world.pass(SECOND);
    assert_eq!(world.state(), "Closed");
    let event = world.event();
    assert!(
        matches!(event, Some(SessionEvent::Ended(CloseReason::NoPath, Some(SessionClose::Limits)))),
        "{event:?}"
    );
}

// Paths, at either end.

#[test]
fn established_when_the_last_path_fails_becomes_no_path() {
    for (mut world, peer) in ends() {
        world.refuses(peer.path);
        assert_eq!(world.state(), "No path");
    }
}

#[test]
fn no_path_when_another_path_opens_becomes_established() {
    let [(mut client, of_client), (mut bridge, of_bridge)] = ends();
    client.refuses(of_client.path);
    client.wait();
    let (path, delivery, _) = client.asks().expect("another path");
    client.session.handle_taken(client.now, path, delivery, &mut client.shared);
    assert_eq!(client.state(), "Established");

    bridge.refuses(of_bridge.path);
    let (tag, credential) = (bridge.session.tag(), Credential::NOBODYS);
    let contact = Contact { via: OURS, peer: client_jid(), leg: None, client: tag, credential };
    let path = Path::new(bridge.now, PathId(2), contact, PathState::Open, &OF_TESTS);
    bridge.session.handle_path(bridge.now, path, &mut bridge.shared);
    assert_eq!(bridge.state(), "Established");
}

#[test]
fn established_when_the_last_path_stalls_becomes_no_path() {
    for (mut world, peer) in ends() {
        world.sends(peer.path);
        world.pass(2 * SECOND);
        assert_eq!(world.state(), "Established");
        world.pass(SECOND);
        assert_eq!(world.state(), "No path");
    }
}

#[test]
fn no_path_when_a_path_that_has_stalled_is_answered_becomes_established() {
    for (mut world, peer) in ends() {
        let delivery = world.stalls(&peer);
        world.session.handle_taken(world.now, peer.path, delivery, &mut world.shared);
        assert_eq!(world.state(), "Established");
    }
}

#[test]
fn established_when_the_account_of_the_last_path_goes_offline_becomes_no_path() {
    for (mut world, _) in ends() {
        world.suspends();
        assert_eq!(world.state(), "No path");
    }
}

#[test]
fn no_path_when_its_account_is_back_and_has_lost_nothing_becomes_established() {
    for (mut world, _) in ends() {
        world.suspends();
        let ours = world.shared.accounts.jid_of(OURS).unwrap().clone();
        world.shared.accounts.on_online(OURS, ours, true);
        world.session.handle_resumed(world.now, OURS);
        assert_eq!(world.state(), "Established");
    }
}

#[test]
fn no_path_when_the_bridge_answers_with_status_1_becomes_established() {
    let mut world = client_that_must_ask();
    world.shake_hands(Status::Resumed);
    assert_eq!(world.state(), "Established", "the bridge still knows it");
}

#[test]
fn established_or_no_path_when_the_bridge_answers_with_status_0_becomes_closed() {
    let (mut meanwhile_answered, peer) = World::established_client();
    let late = meanwhile_answered.stalls(&peer);
    let (path, ..) = meanwhile_answered.asks().expect("another path");
    meanwhile_answered.refuses(path);
    meanwhile_answered.wait();
    meanwhile_answered.session.handle_taken(
        meanwhile_answered.now,
        peer.path,
        late,
        &mut meanwhile_answered.shared,
    );
    assert_eq!(meanwhile_answered.state(), "Established");
    for mut world in [client_that_must_ask(), meanwhile_answered] {
        let peer = world.shake_hands(Status::New);
        assert_eq!(world.state(), "Closed");
        assert!(
            matches!(world.last_event(), Some(SessionEvent::Replaced(path, _)) if path == peer.path),
            "another session takes its place"
        );
    }
}

// The end, at either end.

#[test]
fn established_or_no_path_when_close_comes_becomes_closed() {
    let [mut client, mut bridge] = ends();
    client.0.stalls(&client.1);
    bridge.0.stalls(&bridge.1);
    for (mut world, mut peer) in ends().into_iter().chain([client, bridge]) {
        world.hears_close(&mut peer, SessionClose::Done);
        assert_eq!(world.state(), "Closed");
        let event = world.last_event();
        assert!(matches!(event, Some(SessionEvent::EndedByPeer(CloseReason::Aborted))), "{event:?}");
    }
}

#[test]
fn unconfirmed_established_or_no_path_when_a_packet_breaks_the_protocol_becomes_closed() {
    let [mut client, mut bridge] = ends();
    client.0.stalls(&client.1);
    bridge.0.stalls(&bridge.1);
    for (mut world, mut peer) in ends().into_iter().chain([client, bridge, World::bridge()]) {
        world.hears_nonsense(&mut peer);
        assert_eq!(world.state(), "Closed");
        let (event, told) = (world.last_event(), Some(SessionClose::ProtocolViolation));
        assert!(
            matches!(event, Some(SessionEvent::Ended(CloseReason::ProtocolViolation, farewell)) if farewell == told)
        );
    }
}

#[test]
fn established_or_no_path_when_no_packet_has_come_for_120_s_becomes_closed() {
    for has_failed in [false, true] {
        for (mut world, peer) in ends() {
            if has_failed {
                world.refuses(peer.path);
            }
            while world.event().is_some() {}
            world.pass(119 * SECOND);
            assert_ne!(world.state(), "Closed");
            world.pass(SECOND);
            assert_eq!(world.state(), "Closed");
            assert!(matches!(world.event(), Some(SessionEvent::Ended(CloseReason::NoPath, None))));
        }
    }
}

#[test]
fn any_when_a_client_has_had_no_stream_for_60_s_becomes_closed() {
    let (established, _) = World::established_client_without_streams();
    let (mut without_path, peer) = World::established_client_without_streams();
    without_path.refuses(peer.path);
    let worlds = [World::client_without_streams(), established, without_path];
    assert_eq!(worlds.each_ref().map(World::state), ["Connecting", "Established", "No path"]);
    for mut world in worlds {
        world.pass(59 * SECOND);
        assert_ne!(world.state(), "Closed");
        world.pass(SECOND);
        assert_eq!(world.state(), "Closed");
        let (event, told) = (world.last_event(), Some(SessionClose::Done));
        assert!(
            matches!(event, Some(SessionEvent::Ended(CloseReason::Finished, farewell)) if farewell == told)
        );
    }
}

#[test]
fn any_when_a_bridge_has_had_no_stream_for_10_minutes_becomes_closed() {
    let (mut world, mut peer) = World::established_bridge();
    for _ in 0..6 {
        assert_eq!(world.state(), "Established");
        world.hears(&mut peer);
        world.pass(100 * SECOND);
    }
    assert_eq!(world.state(), "Closed");
    let (event, told) = (world.last_event(), Some(SessionClose::Done));
    assert!(matches!(event, Some(SessionEvent::Ended(CloseReason::Finished, farewell)) if farewell == told));
}

#[test]
fn any_when_the_last_account_of_a_client_is_gone_for_good_becomes_closed() {
    let (mut suspended, _) = World::established_client();
    suspended.suspends();
    for mut world in [World::client(), World::established_client().0, suspended] {
        world.loses_its_account();
        assert_eq!(world.state(), "Closed");
        let event = world.last_event();
        assert!(matches!(event, Some(SessionEvent::Ended(CloseReason::NoAccount, None))), "{event:?}");
    }
}

#[test]
fn any_when_its_end_shuts_down_or_gives_its_place_to_another_becomes_closed() {
    for (world, mut peer) in ends() {
        let World { now, session, mut shared, .. } = world;
        while shared.accounts.poll_urgent().is_some() {}
        let farewell = LastWord::Ours(Some(SessionClose::Limits));
        let closed = session.close(now, CloseReason::TooManyStreams, farewell, &mut shared);
        assert!(closed.id.is_some());
        let Some(Outgoing::Block { data, .. }) =
            shared.accounts.poll_urgent().map(|transmit| transmit.action)
        else {
            panic!("the peer is not told");
        };
        let told = peer.established.handle_packet(now, data.to_vec());
        assert_eq!(told, Ok(Some(ClosedByPeer(SessionClose::Limits))));
    }
}
