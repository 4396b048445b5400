//! Endpoint: one end of the protocol, with all its sessions.
//!
//! It routes: to which session a stream, a path or an answer belongs; it lets clients in, and keeps the sums and
//! the limits over all sessions. Everything about one session is the session's.

mod accounts;
mod admission;
mod core;
mod directory;
mod files;
mod guests;
mod half_open;
mod handshake_rate;
mod incoming;
mod limits;
mod opening;
mod recent_clients;
mod relays;
mod session_room;
mod sessions;
mod stats;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use crate::protocol::timers::Timers;
use crate::protocol::{Address, CloseReason, Core as _, StreamId};
use crate::secure::api::files::FileTask;
use crate::secure::api::news::News;
use crate::secure::api::relays::RelayTask;
use crate::secure::api::trace::Traced;
use crate::secure::api::{Bridge, Config, HandshakeRecord, Service, Statistics, Transmit};
use crate::secure::budget::price;
use crate::secure::crypto::entropy::Entropy;
use crate::secure::crypto::handshake::SessionId;
use crate::secure::endpoint::admission::Admission;
use crate::secure::endpoint::half_open::HalfOpen;
use crate::secure::endpoint::handshake_rate::HandshakeLimits;
use crate::secure::ids::{PathId, SessionKey};
use crate::secure::path::Path;
use crate::secure::session::{ClientSide, ClosedStreams, LastWord, Session};
use crate::secure::shared::Shared;
use crate::secure::wire::frame::SessionClose;
use directory::Directory;
pub use opening::Persisted;

/// An application may have written 1024 bytes before it asks for a connection: more would not go any earlier, as other streams and the
/// names of targets take room in a handshake, too.
pub const MOST_FIRST_BYTES: usize = 1024;

/// One end of the secure protocol.
///
/// What both protocols can do is in [`Core`](crate::protocol::Core). The rest is here: [`connect`](Self::connect) and
/// [`say_goodbye`](Self::say_goodbye), what carriers tell and are to do, and what a bridge has to remember.
#[derive(Debug)]
pub struct Endpoint {
    shared: Shared,
    sessions: BTreeMap<SessionKey, Session>,
    /// The streams of sessions that are over, until the applications have let go of them.
    ended: BTreeMap<SessionKey, ClosedStreams>,
    /// Which stream is whose, and what applications should know.
    directory: Directory,
    /// Sessions that may have packets to send, in turn.
    ready: VecDeque<SessionKey>,
    timers: Timers<TimerKey>,
    /// Who is let in, on a bridge.
    admission: Option<Admission>,
    /// Paths by which no handshake has come yet.
    guests: BTreeMap<PathId, Path>,
    /// Those who were let in and have not shown yet that they hold the keys.
    half_open: HalfOpen<HalfOpenKey>,
    /// What the driver is to do about files.
    file_tasks: VecDeque<FileTask>,
    /// What it is to do about relays.
    relay_tasks: VecDeque<RelayTask>,
    /// Handshakes to be noted down.
    records: VecDeque<HandshakeRecord>,
    /// By how many minutes the clock of a client who has the bridge line differs from ours, too many.
    strange_clock: Option<i64>,
    /// The sessions that clients may take up again.
    by_id: BTreeMap<SessionId, SessionKey>,
    /// From which accounts the peers of sessions may open further paths.
    by_jid: BTreeMap<FullJid, BTreeSet<SessionKey>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TimerKey {
    Session(SessionKey),
    Guest(PathId),
}

/// A handshake that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HalfOpenKey {
    /// Nothing has been said on this path.
    Guest(PathId),
    /// No packet of this session has come.
    Unconfirmed(SessionKey),
}

impl Endpoint {
    /// An end without accounts or sessions, for a bridge with a `service`.
    pub fn new(config: Config, service: Option<Service>, entropy: Box<dyn Entropy>) -> Self {
        let limits = HandshakeLimits {
            per_jid: config.handshakes_per_minute_per_jid,
            total: config.handshakes_per_minute,
        };
        let admission = service.map(|service| Admission::new(service, limits));
        Self {
            shared: Shared::new(config, entropy, admission.is_some()),
            sessions: BTreeMap::new(),
            ended: BTreeMap::new(),
            directory: Directory::default(),
            ready: VecDeque::new(),
            timers: Timers::default(),
            admission,
            guests: BTreeMap::new(),
            half_open: HalfOpen::default(),
            file_tasks: VecDeque::new(),
            relay_tasks: VecDeque::new(),
            records: VecDeque::new(),
            strange_clock: None,
            by_id: BTreeMap::new(),
            by_jid: BTreeMap::new(),
        }
    }

    /// How much there is, beside [`stream_count`](crate::protocol::Core::stream_count) and
    /// [`buffered`](crate::protocol::Core::buffered).
    pub fn statistics(&self) -> Statistics {
        let kept = self.shared.ledger.whole().bytes() + self.shared.accounts.kept();
        let charged = kept + price::HALF_OPEN * self.half_open.len();
        Statistics { sessions: self.sessions.len(), entries: self.entries(), charged }
    }

    fn entries(&self) -> usize {
        let sessions = self.sessions.len() + self.ended.len() + self.by_id.len() + self.by_jid.len();
        let shared = self.shared.routes.entries() + self.shared.accounts.entries();
        let streams = self.directory.entries() + self.shared.ledger.clients();
        sessions + shared + streams + self.ready.len()
    }

    /// Asks `bridge` for a connection to `target`, in the session that there is or a new one. The outcome is an
    /// [`Event::Connected`](crate::protocol::Event::Connected) or [`Event::Closed`](crate::protocol::Event::Closed).
    ///
    /// # Errors
    ///
    /// [`CloseReason::TooManyStreams`].
    pub fn connect(
        &mut self,
        now: Instant,
        bridge: &Bridge,
        target: Address,
    ) -> Result<StreamId, CloseReason> {
        self.connect_and_write(now, bridge, target, &[])
    }

    /// The same for an application that has written its `first` bytes already, [`MOST_FIRST_BYTES`] at most: they go as early as the
    /// protocol allows. If nobody can tell whether the bridge has got them, the stream ends with [`CloseReason::ConnectTimedOut`].
    ///
    /// # Errors
    ///
    /// [`CloseReason::TooManyStreams`].
    pub fn connect_and_write(
        &mut self,
        now: Instant,
        bridge: &Bridge,
        target: Address,
        first: &[u8],
    ) -> Result<StreamId, CloseReason> {
        if self.stream_count() >= self.shared.config.max_streams {
            return Err(CloseReason::TooManyStreams);
        }
        let key = self.session_to(bridge);
        let limits = self.shared.config.stream_limits();
        let connecting = || Session::connecting(key, ClientSide::new(bridge), limits);
        let session = self.sessions.entry(key).or_insert_with(connecting);
        let stream = StreamId(self.shared.next_number());
        let wire = session.open(now, target, first, &mut self.shared)?;
        self.directory.add(stream, key, wire, now + self.shared.config.connect_timeout);
        self.process_events(now, key);
        Ok(stream)
    }

    /// The name of the session with a bridge, be it one that does not exist yet.
    fn session_to(&mut self, bridge: &Bridge) -> SessionKey {
        let leads_there = |session: &Session| session.client_side().is_some_and(|side| side.leads_to(bridge));
        match self.sessions.iter().find(|(_, session)| leads_there(session)) {
            Some((key, _)) => *key,
            None => SessionKey(self.shared.next_number()),
        }
    }

    /// Ends all sessions, and tells the peers.
    pub fn say_goodbye(&mut self, now: Instant) {
        let is_client = self.admission.is_none();
        let farewell = if is_client { SessionClose::Done } else { SessionClose::ShuttingDown };
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.end_session(now, key, CloseReason::Finished, LastWord::Ours(Some(farewell)));
        }
    }

    /// The next thing for a carrier to do. Everything that is polled is taken as done at `now`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let urgent = self.shared.accounts.poll_urgent();
        let packet = urgent.or_else(|| self.next_packet(now));
        let answer = packet.or_else(|| self.shared.accounts.poll_answer(now));
        answer.or_else(|| self.next_probe(now))
    }

    /// A packet of the first session that can send one: of those to which something happened, then of those that wait for
    /// room somewhere, in turn.
    fn next_packet(&mut self, now: Instant) -> Option<Transmit> {
        loop {
            let transmit = match self.ready.pop_front() {
                Some(key) => self.packet_of(now, key),
                None => {
                    let (place, flow) = self.shared.accounts.next_turn()?;
                    let transmit = self.packet_of(now, flow.key);
                    self.shared.accounts.end_turn(place, flow);
                    transmit
                }
            };
            if transmit.is_some() {
                return transmit;
            }
        }
    }

    fn packet_of(&mut self, now: Instant, key: SessionKey) -> Option<Transmit> {
        let Some(session) = self.sessions.get_mut(&key) else {
            // It has ended since it was queued.
            return None;
        };
        session.is_queued = false;
        let transmit = session.poll_transmit(now, &mut self.shared);
        if transmit.is_some() && session.wants_to_send(now) {
            session.is_queued = true;
            self.ready.push_back(key);
        }
        if let Some(at) = session.next_timeout(now, &self.shared.config) {
            self.timers.arm(TimerKey::Session(key), at);
        }
        transmit
    }

    /// What shows whether a server has read what it was sent.
    fn next_probe(&mut self, now: Instant) -> Option<Transmit> {
        loop {
            let path = self.shared.accounts.poll_probe()?;
            let Some(key) = self.session_of(path) else {
                // The path has ended since its account wanted to know.
                continue;
            };
            let probe = self.with_session(now, key, |session, shared| session.probe(now, path, shared));
            if let Some(probe) = probe.flatten() {
                return Some(probe);
            }
        }
    }

    /// The next handshake to be remembered across restarts. [`handle_persisted`](Self::handle_persisted) tells the
    /// outcome; until then the client waits.
    pub fn poll_handshake_record(&mut self) -> Option<HandshakeRecord> {
        self.records.pop_front()
    }

    /// The next thing that somebody who waits for a first connection wants to know.
    pub fn poll_news(&mut self) -> Option<News> {
        self.shared.news.pop_front()
    }

    /// From now on it keeps what it decides and what happens to it until [`poll_trace`](Self::poll_trace) takes that. Whoever asks for it has to
    /// poll with everything else: of what waits for too long, it is only said how much there was.
    pub fn start_trace(&mut self) {
        self.shared.tracer.start();
    }

    /// Nobody wants to know any more.
    pub fn stop_trace(&mut self) {
        self.shared.tracer.stop();
    }

    /// The next thing that was traced, in their order.
    pub fn poll_trace(&mut self) -> Option<Traced> {
        self.shared.tracer.poll()
    }

    /// What the wall clock shows, in seconds since 1970: the two ends must agree on the minute, more or less.
    pub fn handle_wall_clock(&mut self, now: Instant, seconds: u64) {
        self.shared.clock.set(now, seconds);
    }

    /// For how many minutes a bridge can let in nobody who has the right time: its clock was ahead, it has forgotten
    /// handshakes of that time, and the clock was set back.
    pub fn minutes_locked(&self, now: Instant) -> Option<u64> {
        self.admission.as_ref()?.minutes_locked(self.shared.clock.minute(now))
    }
}
