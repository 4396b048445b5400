//! Test support: one session, the end of a peer, and time.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::protocol::Address;
use crate::secure::api::{Bridge, Config, Outgoing, Receipt};
use crate::secure::crypto::credential::Credential;
use crate::secure::crypto::entropy::testing::Seeded;
use crate::secure::crypto::handshake::{Credits, Hello, Initiator, Lanes, Responder, Status, Welcome};
use crate::secure::crypto::keys::SessionKeys;
use crate::secure::crypto::line::Identity;
use crate::secure::delivery::{Delivery, Token};
use crate::secure::path::{Contact, PathState};
use crate::secure::session::established::Agreed;
use crate::secure::sizes::OF_TESTS;
use crate::secure::streams::Role as Side;
use crate::secure::wire::frame::Frame;
use crate::secure::wire::{early, padding};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const OURS: AccountId = AccountId(1);
pub(super) const CREDITS: Credits = Credits { stream: 100_000, session: 100_000 };
/// What the wall clock shows, in seconds since 1970.
const EPOCH: u64 = 1_800_000_000;

fn identity() -> Identity {
    Identity::from_bytes([7; 32])
}

pub(super) fn client_jid() -> FullJid {
    FullJid::new("client@chat.example/r").unwrap()
}

pub(super) fn bridge_jid() -> FullJid {
    FullJid::new("bridge@chat.example/r").unwrap()
}

/// Both ends know files and relays.
pub(super) const LANES: Lanes = Lanes { files: true, relays: true };

pub(super) fn config() -> Config {
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
        lanes: LANES,
        sizes: &OF_TESTS,
    }
}

/// The other end, as far as the session sees it: what both share, and the path that it uses.
pub(super) struct Peer {
    pub(super) established: Established,
    pub(super) path: PathId,
}

/// A session, and what its endpoint would lend it.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) session: Session,
    pub(super) shared: Shared,
    pub(super) entropy: Seeded,
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
    pub(super) fn client() -> Self {
        Self::client_with(&[])
    }

    /// The same, whose application has written this already.
    pub(super) fn client_with(first: &[u8]) -> Self {
        let bridge =
            Bridge { line: identity().line(None), peers: [bridge_jid()].into(), accounts: vec![OURS] };
        let limits = config().stream_limits();
        let session = Session::connecting(SessionKey(1), ClientSide::new(&bridge), limits);
        let mut world = Self::around(|_, _| session, client_jid(), false);
        let target = Address::new("192.0.2.1", "80").unwrap();
        let wire = world.session.open(world.now, target, first, &mut world.shared);
        assert_eq!(wire, Ok(0));
        world
    }

    /// A client that has shaken hands.
    pub(super) fn established_client() -> (Self, Peer) {
        let mut world = Self::client();
        let peer = world.shake_hands(Status::New);
        (world, peer)
    }

    /// A bridge's session, by one path, that has been answered.
    pub(super) fn bridge() -> (Self, Peer) {
        let mut entropy = Seeded(2);
        let credential = Credential::NOBODYS;
        let hello = Hello { credits: CREDITS, resume: None, lanes: LANES, early: Vec::new() };
        let (initiator, message) = Initiator::start(
            &identity().line(None),
            &credential,
            &client_jid(),
            &bridge_jid(),
            &hello,
            &mut entropy,
        );
        let (message, ours) = reply(&credential, &message, Status::New, false, &mut entropy);
        let (welcome, theirs) = initiator.finish(&message).unwrap();
        let client = client_jid().to_bare();
        let session = |shared: &mut Shared, now| {
            let tag = shared.tagger.tag(&client);
            let agreed = Agreed { id: welcome.session, keys: ours, lanes: LANES };
            let established = Established::new(now, Side::Bridge, agreed, CREDITS, shared);
            Session::unconfirmed(SessionKey(1), client, tag, established)
        };
        let mut world = Self::around(session, bridge_jid(), true);
        let contact =
            Contact { via: OURS, peer: client_jid(), leg: None, client: world.session.tag(), credential };
        let path = Path::new(world.now, PathId(1), contact, PathState::Listening, &OF_TESTS);
        world.session.handle_path(world.now, path, &mut world.shared);
        let agreed = Agreed { id: welcome.session, keys: theirs, lanes: LANES };
        let established = Established::new(world.now, Side::Client, agreed, CREDITS, &mut world.shared);
        (world, Peer { established, path: PathId(1) })
    }

    /// A bridge's session, whose client has shown that it holds the keys.
    pub(super) fn established_bridge() -> (Self, Peer) {
        let (mut world, mut peer) = Self::bridge();
        world.hears(&mut peer);
        (world, peer)
    }

    /// Where the session is, in the words of the drawing.
    pub(super) fn state(&self) -> &'static str {
        match &self.session.state {
            State::Connecting(_) => "Connecting",
            State::Unconfirmed(_) => "Unconfirmed",
            State::Established(_) => "Established",
            State::NoPath { .. } => "No path",
            State::Closed { .. } => "Closed",
        }
    }

    /// The open that it sends next.
    pub(super) fn asks(&mut self) -> Option<(PathId, Delivery, Credential)> {
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
    pub(super) fn shake_hands(&mut self, status: Status) -> Peer {
        self.shake_hands_taking(status, false)
    }

    /// The same; the bridge takes the early frames, or not.
    pub(super) fn shake_hands_taking(&mut self, status: Status, has_taken_early: bool) -> Peer {
        let (path, delivery, credential) = self.asks().expect("an open");
        let (token, data) = self.hello();
        self.session.handle_taken(self.now, path, delivery, &mut self.shared);
        let (_, hello) = self.shared.routes.asked(token).unwrap();
        self.shared.routes.on_answered(token);
        self.shared.accounts.on_answered(self.now, OURS, hello);
        self.session.handle_taken(self.now, path, hello, &mut self.shared);
        let (message, keys) = reply(&credential, &data, status, has_taken_early, &mut self.entropy);
        let id = SessionId::generate(&mut Seeded(3));
        let agreed = Agreed { id, keys, lanes: LANES };
        let established = Established::new(self.now, Side::Bridge, agreed, CREDITS, &mut self.shared);
        let peer = Peer { established, path };
        self.gets(&peer, message);
        peer
    }

    /// The handshake that goes behind an open.
    fn hello(&mut self) -> (Token, Bytes) {
        match self.shared.accounts.poll_urgent().map(|transmit| transmit.action) {
            Some(Outgoing::Block { data, token, .. }) => (token, data),
            _ => panic!("no handshake behind it"),
        }
    }

    /// The frames that go with the next handshake.
    pub(super) fn says_early(&mut self) -> (PathId, Vec<Frame>) {
        let (path, _, credential) = self.asks().expect("an open");
        let (_, data) = self.hello();
        let (from, to) = (client_jid(), bridge_jid());
        let (_, request) =
            Responder::read(&identity(), None, &credential, &from, &to, &data, &mut self.entropy).unwrap();
        assert_eq!(data.len(), padding::holding(data.len()), "one of the sizes that there are");
        (path, early::read(request.early).expect("what may be said"))
    }

    pub(super) fn gets(&mut self, peer: &Peer, data: Vec<u8>) {
        self.session.handle_block(self.now, peer.path, Receipt::new("1"), data, &mut self.shared);
    }

    /// A packet comes that says nothing of streams.
    pub(super) fn hears(&mut self, peer: &mut Peer) {
        let packet = peer.established.probe(self.now, peer.path, &mut self.entropy).unwrap();
        self.gets(peer, packet.to_vec());
    }

    /// The peer says that the session is over.
    pub(super) fn hears_close(&mut self, peer: &mut Peer, reason: SessionClose) {
        let last = peer.established.farewell(reason, &mut self.entropy).unwrap();
        self.gets(peer, last.to_vec());
    }

    /// Time passes until it wants to be looked at.
    pub(super) fn wait(&mut self) {
        let at = self.session.next_timeout(self.now, &self.shared.config).expect("something to wait for");
        self.pass(at.saturating_duration_since(self.now));
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now, &mut self.shared);
    }

    pub(super) fn event(&mut self) -> Option<SessionEvent> {
        self.session.poll_endpoint_event()
    }

    /// What the endpoint learns last.
    pub(super) fn last_event(&mut self) -> Option<SessionEvent> {
        std::iter::from_fn(|| self.event()).last()
    }
}

/// The bridge's half of a handshake, in which the session always has the same id.
fn reply(
    credential: &Credential,
    message: &[u8],
    status: Status,
    has_taken_early: bool,
    entropy: &mut Seeded,
) -> (Vec<u8>, SessionKeys) {
    let (from, to) = (client_jid(), bridge_jid());
    let (responder, _) =
        Responder::read(&identity(), None, credential, &from, &to, message, entropy).unwrap();
    let session = SessionId::generate(&mut Seeded(3));
    let welcome = Welcome { status, session, credits: CREDITS, has_taken_early, lanes: LANES };
    responder.reply(&welcome).unwrap()
}
