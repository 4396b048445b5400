//! One session alone: the states that `doc/protocol.md` section 2.7 draws, and how it goes from one to the next.

use std::time::Duration;

use super::*;
use crate::protocol::Address;
use crate::secure::api::{Bridge, Config, Outgoing, Receipt};
use crate::secure::crypto::credential::Credential;
use crate::secure::crypto::entropy::testing::Seeded;
use crate::secure::crypto::handshake::{Credits, Hello, Initiator, Responder, Status, Welcome};
use crate::secure::crypto::keys::SessionKeys;
use crate::secure::crypto::line::Identity;
use crate::secure::delivery::Delivery;
use crate::secure::path::{Contact, PathState};
use crate::secure::sizes::OF_TESTS;
use crate::secure::streams::Role as Side;

const SECOND: Duration = Duration::from_secs(1);
const OURS: AccountId = AccountId(1);
const CREDITS: Credits = Credits { stream: 100_000, session: 100_000 };
/// What the wall clock shows, in seconds since 1970.
const EPOCH: u64 = 1_800_000_000;

fn identity() -> Identity {
    Identity::from_bytes([7; 32])
}

fn client_jid() -> FullJid {
    FullJid::new("client@chat.example/r").unwrap()
}

fn bridge_jid() -> FullJid {
    FullJid::new("bridge@chat.example/r").unwrap()
}

fn config() -> Config {
    Config {
        max_streams: 100,
        max_streams_per_session: 100,
        max_sessions: 10,
        max_half_open_sessions: 10,
        handshakes_per_minute_per_jid: 10,
        handshakes_per_minute: 10,
        queue_per_stream: 100_000,
        queue_per_session: 100_000,
        queue_total: 1_000_000,
        reorder_window: 1024,
        connect_timeout: 25 * SECOND,
        session_timeout: 120 * SECOND,
        sizes: &OF_TESTS,
    }
}

/// The other end, as far as the session sees it: what both share, and the path that it uses.
struct Peer {
    established: Established,
    path: PathId,
}

struct World {
    now: Instant,
    session: Session,
    shared: Shared,
    entropy: Seeded,
}

impl World {
    fn around(session: impl FnOnce(&mut Shared, Instant) -> Session, ours: FullJid, is_bridge: bool) -> Self {
        let now = Instant::now();
        let mut shared = Shared::new(config(), Box::new(Seeded(1)), is_bridge);
        shared.clock.set(now, EPOCH);
        shared.accounts.on_online(OURS, ours, false);
        Self { now, session: session(&mut shared, now), shared, entropy: Seeded(2) }
    }

    /// A client that wants a stream.
    fn client() -> Self {
        let bridge =
            Bridge { line: identity().line(None), peers: [bridge_jid()].into(), accounts: vec![OURS] };
        let session = Session::calling(SessionKey(1), Caller::new(&bridge));
        let mut world = Self::around(|_, _| session, client_jid(), false);
        let target = Address::new("192.0.2.1", "80").unwrap();
        let wire = world.session.open(world.now, StreamId(1), target, &mut world.shared);
        assert_eq!(wire, Ok(None), "it waits for the handshake");
        world
    }

    /// A client that has shaken hands.
    fn established_client() -> (Self, Peer) {
        let mut world = Self::client();
        let peer = world.shake_hands(Status::New);
        (world, peer)
    }

    /// A bridge's session, by one path, that has been answered.
    fn bridge() -> (Self, Peer) {
        let mut entropy = Seeded(2);
        let credential = Credential::NOBODYS;
        let hello = Hello { credits: CREDITS, resume: None };
        let (initiator, message) = Initiator::start(
            &identity().line(None),
            &credential,
            &client_jid(),
            &bridge_jid(),
            &hello,
            &mut entropy,
        );
        let (message, ours) = reply(&credential, &message, Status::New, &mut entropy);
        let (welcome, theirs) = initiator.finish(&message).unwrap();
        let client = client_jid().to_bare();
        let session = |shared: &mut Shared, now| {
            let tag = shared.tagger.tag(&client);
            let established = Established::new(now, Side::Bridge, (welcome.session, ours), CREDITS, shared);
            Session::unconfirmed(SessionKey(1), client, tag, established)
        };
        let mut world = Self::around(session, bridge_jid(), true);
        let contact = Contact { via: OURS, peer: client_jid(), client: world.session.tag(), credential };
        let path = Path::new(world.now, PathId(1), contact, PathState::Listening, &OF_TESTS);
        world.session.handle_path(world.now, path, &mut world.shared);
        let established =
            Established::new(world.now, Side::Client, (welcome.session, theirs), CREDITS, &mut world.shared);
        (world, Peer { established, path: PathId(1) })
    }

    /// The open that it sends next.
    fn asks(&mut self) -> Option<(PathId, Delivery, Credential)> {
        loop {
            if let Outgoing::Open { token, credential, .. } = self.shared.accounts.poll_urgent()?.action {
                let (path, delivery) = self.shared.routes.asked(token).unwrap();
                // The endpoint takes note of each answer.
                self.shared.routes.on_answered(delivery.token);
                return Some((path, delivery, credential));
            }
        }
    }

    /// The bridge takes the next open, and the handshake that follows.
    fn shake_hands(&mut self, status: Status) -> Peer {
        let (path, delivery, credential) = self.asks().expect("an open");
        self.session.handle_taken(self.now, path, delivery, &mut self.shared);
        let Some(Outgoing::Block { data, .. }) =
            self.shared.accounts.poll_urgent().map(|transmit| transmit.action)
        else {
            panic!("no handshake follows");
        };
        let (message, keys) = reply(&credential, &data, status, &mut self.entropy);
        let id = SessionId::generate(&mut Seeded(3));
        let established = Established::new(self.now, Side::Bridge, (id, keys), CREDITS, &mut self.shared);
        let peer = Peer { established, path };
        self.gets(&peer, message);
        peer
    }

    fn gets(&mut self, peer: &Peer, data: Vec<u8>) {
        self.session.handle_block(self.now, peer.path, Receipt::new("1"), data, &mut self.shared);
    }

    /// Time passes until it wants to be looked at.
    fn wait(&mut self) {
        let at = self.session.next_timeout(self.now, &self.shared.config).expect("something to wait for");
        self.pass(at.saturating_duration_since(self.now));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now, &mut self.shared);
    }

    fn event(&mut self) -> Option<SessionEvent> {
        self.session.poll_endpoint_event()
    }
}

/// The bridge's half of a handshake, in which the session always has the same id.
fn reply(
    credential: &Credential,
    message: &[u8],
    status: Status,
    entropy: &mut Seeded,
) -> (Vec<u8>, SessionKeys) {
    let (from, to) = (client_jid(), bridge_jid());
    let (responder, _) =
        Responder::read(&identity(), None, credential, &from, &to, message, entropy).unwrap();
    let welcome = Welcome { status, session: SessionId::generate(&mut Seeded(3)), credits: CREDITS };
    responder.reply(&welcome).unwrap()
}

#[test]
fn a_client_calls_until_the_bridge_has_welcomed_it_and_then_opens_what_waited() {
    let mut world = World::client();
    assert!(matches!(&world.session.state, State::Calling(waiting) if waiting.len() == 1));
    world.shake_hands(Status::New);
    assert!(matches!(&world.session.state, State::Established(_)));
    assert!(matches!(world.event(), Some(SessionEvent::Opened(StreamId(1), 0))));
    assert_eq!(world.session.stream_count(), 1);
}

#[test]
fn a_client_whose_every_pair_is_refused_for_long_enough_is_closed() {
    let mut world = World::client();
    let start = world.now;
    let event = loop {
        if let Some((path, ..)) = world.asks() {
            world.session.handle_refused(world.now, path, &mut world.shared);
        }
        match world.event() {
            Some(event) => break event,
            None => world.wait(),
        }
    };
    assert!(matches!(event, SessionEvent::Ended(CloseReason::PeerUnavailable, None)), "{event:?}");
    assert!((15 * SECOND..25 * SECOND).contains(&(world.now - start)), "{:?}", world.now - start);
}

#[test]
fn a_client_whose_bridge_is_not_there_is_closed_at_once() {
    let mut world = World::client();
    let start = world.now;
    let event = loop {
        if let Some((path, ..)) = world.asks() {
            world.session.handle_undelivered(world.now, path, &mut world.shared);
        }
        match world.event() {
            Some(event) => break event,
            None => world.wait(),
        }
    };
    assert!(matches!(event, SessionEvent::Ended(CloseReason::PeerUnavailable, None)), "{event:?}");
    assert!(world.now - start < 3 * SECOND, "{:?}", world.now - start);
}

#[test]
fn a_session_whose_last_path_fails_has_no_path_until_another_one_opens() {
    let (mut world, peer) = World::established_client();
    world.session.handle_refused(world.now, peer.path, &mut world.shared);
    assert!(matches!(&world.session.state, State::NoPath { must_ask: false, .. }));
    world.wait();
    let (path, delivery, _) = world.asks().expect("another path");
    world.session.handle_taken(world.now, path, delivery, &mut world.shared);
    assert!(matches!(&world.session.state, State::Established(_)));
}

#[test]
fn a_session_has_no_path_while_its_only_account_is_offline() {
    let (mut world, _) = World::established_client();
    world.shared.accounts.suspend(OURS);
    world.session.handle_suspended(world.now, OURS, &mut world.shared);
    assert!(matches!(&world.session.state, State::NoPath { must_ask: false, .. }));
    world.shared.accounts.on_online(OURS, client_jid(), true);
    world.session.handle_resumed(world.now, OURS);
    assert!(matches!(&world.session.state, State::Established(_)));
}

#[test]
fn a_session_that_is_refused_a_further_path_is_asked_for_in_a_new_handshake() {
    let (mut world, peer) = World::established_client();
    world.session.handle_refused(world.now, peer.path, &mut world.shared);
    world.wait();
    let (path, ..) = world.asks().expect("another path");
    world.session.handle_refused(world.now, path, &mut world.shared);
    assert!(matches!(&world.session.state, State::NoPath { must_ask: true, .. }));
    world.wait();
    world.shake_hands(Status::Resumed);
    assert!(matches!(&world.session.state, State::Established(_)), "the bridge still knows it");
}

#[test]
fn a_session_that_the_bridge_has_forgotten_is_to_be_replaced() {
    let (mut world, peer) = World::established_client();
    world.event();
    world.session.handle_refused(world.now, peer.path, &mut world.shared);
    world.wait();
    let (path, ..) = world.asks().expect("another path");
    world.session.handle_refused(world.now, path, &mut world.shared);
    world.wait();
    let peer = world.shake_hands(Status::New);
    assert!(matches!(world.event(), Some(SessionEvent::Replaced(path, _)) if path == peer.path));
}

#[test]
fn a_session_is_over_when_the_peer_says_close() {
    let (mut world, mut peer) = World::established_client();
    world.event();
    let last = peer.established.farewell(SessionClose::Done, &mut world.entropy).unwrap();
    world.gets(&peer, last.to_vec());
    assert!(matches!(world.event(), Some(SessionEvent::EndedByPeer(CloseReason::Aborted))));
}

#[test]
fn a_session_is_over_after_two_minutes_without_a_packet() {
    let (mut world, _) = World::established_client();
    world.event();
    world.pass(119 * SECOND);
    assert!(world.event().is_none());
    world.pass(SECOND);
    assert!(matches!(world.event(), Some(SessionEvent::Ended(CloseReason::NoPath, None))));
}

#[test]
fn a_client_ends_a_session_that_has_had_no_stream_for_a_minute_and_says_so() {
    let (mut world, _) = World::established_client();
    world.event();
    world.session.change(world.now, |streams| streams.release(0), &mut world.shared);
    let start = world.now;
    while world.session.idle_since().is_none() {
        assert!(world.now - start < 50 * SECOND, "the stream is not over");
        world.session.change(
            world.now,
            |streams| streams.close_all(CloseReason::Finished),
            &mut world.shared,
        );
    }
    world.pass(60 * SECOND);
    let event = world.event();
    assert!(
        matches!(event, Some(SessionEvent::Ended(CloseReason::Finished, Some(SessionClose::Done)))),
        "{event:?}"
    );
}

#[test]
fn a_bridges_session_is_confirmed_by_the_first_packet() {
    let (mut world, mut peer) = World::bridge();
    assert!(matches!(&world.session.state, State::Unconfirmed(_)));
    assert!(matches!(world.event(), Some(SessionEvent::PeerJidsChanged { .. })));
    let packet = peer.established.probe(world.now, peer.path, &mut world.entropy).unwrap();
    world.gets(&peer, packet.to_vec());
    assert!(matches!(&world.session.state, State::Established(_)));
    assert!(
        matches!(world.event(), Some(SessionEvent::Confirmed(client)) if client == client_jid().to_bare())
    );
    assert!(world.event().is_none());
}

#[test]
fn a_bridges_session_is_over_when_no_packet_has_come_for_half_a_minute() {
    let (mut world, _) = World::bridge();
    world.event();
    world.pass(29 * SECOND);
    assert!(world.event().is_none());
    world.pass(SECOND);
    let event = world.event();
    assert!(
        matches!(event, Some(SessionEvent::Ended(CloseReason::NoPath, Some(SessionClose::Limits)))),
        "{event:?}"
    );
}

#[test]
fn a_block_that_makes_no_sense_costs_its_path_and_not_the_session() {
    let (mut world, peer) = World::established_client();
    world.event();
    world.gets(&peer, vec![0; 100]);
    assert!(matches!(&world.session.state, State::NoPath { .. }));
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
    assert!(matches!(&world.session.state, State::NoPath { .. }));
    world.now += 2 * SECOND;
    world.session.handle_taken(world.now, peer.path, deliveries[0], &mut world.shared);
    assert!(matches!(&world.session.state, State::Established(_)), "it has answered");
    let at = world.session.next_timeout(world.now, &world.shared.config);
    assert!(at.is_some_and(|at| at <= world.now), "what came next is late");
    world.wait();
    assert!(matches!(&world.session.state, State::NoPath { .. }));
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
