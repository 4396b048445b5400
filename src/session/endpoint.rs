//! One end of the protocol, with all its sessions.

mod accounts;
mod calls;
mod core;
mod express;
mod greeting;
mod outgoing;
mod sessions;
mod stanzas;
mod strangers;
mod timeouts;
mod ways;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use xmpp_parsers::jid::{BareJid, FullJid};

use super::answer_shares::{Answer, AnswerShares};
use super::answers::Answers;
use super::client_tag::{ClientTag, Tagger};
use super::dialing::Dialing;
use super::door::Door;
use super::entropy::Entropy;
use super::established::Established;
use super::half_open::HalfOpen;
use super::handshake::{Initiator, SessionId};
use super::introductions::Introductions;
use super::iq::Iq;
use super::ledger::{Ledger, Usage};
use super::line::LineKeys;
use super::path::{Path, PathId};
use super::price;
use super::sender::Senders;
use super::sid::Sid;
use super::streams::Streams;
use super::wall_clock::WallClock;
use super::{BridgeLine, Config, IqId, Memento, Service, Transmit};
use crate::protocol::timers::Timers;
use crate::protocol::{AccountId, Address, CloseReason, Event, StreamId};
pub use greeting::Remembered;

/// One end of the secure protocol.
///
/// What both protocols can do is in [`Core`](crate::protocol::Core). The rest is here: [`connect`](Self::connect) and
/// [`say_goodbye`](Self::say_goodbye), the stanzas that come in and go out, and what a bridge has to remember.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    entropy: Box<dyn Entropy>,
    clock: WallClock,
    tagger: Tagger,
    accounts: BTreeMap<AccountId, Account>,
    /// Where clients come in, on a bridge.
    door: Option<Door>,
    sessions: BTreeMap<SessionKey, Session>,
    /// The streams of sessions that are over, until the applications have let go of them.
    ended: BTreeMap<SessionKey, Ended>,
    /// The sessions that clients may take up again, on a bridge.
    by_id: BTreeMap<SessionId, SessionKey>,
    /// From which accounts the peers of sessions may open further paths.
    by_jid: BTreeMap<FullJid, BTreeSet<SessionKey>>,
    /// Those who were let in and have not shown yet that they hold the keys.
    half_open: HalfOpen<HalfOpenKey>,
    /// What bridges have told their client.
    introductions: Introductions,
    ways: BTreeMap<PathId, Way>,
    bytestreams: BTreeMap<Bytestream, PathId>,
    /// Which way an answer belongs to, and which of our IQs it answers.
    iqs: BTreeMap<IqId, (PathId, Iq)>,
    streams: BTreeMap<StreamId, Place>,
    names: BTreeMap<(SessionKey, u64), StreamId>,
    /// Everything to send that is no packet, in order.
    control: VecDeque<Transmit>,
    answers: Answers<Answer<ClientTag>>,
    /// Those that servers may not have read yet, and those that wait until they have.
    answer_shares: AnswerShares<ClientTag>,
    /// What each client takes of what is there for all.
    ledger: Ledger<Option<BareJid>>,
    mementos: VecDeque<Memento>,
    /// Sessions that may have packets to send, in turn.
    ready: VecDeque<SessionKey>,
    /// What all clients share of our accounts, and which of their sessions wait for room there.
    senders: Senders<SessionKey>,
    /// What went by paths that are no more, until when it counts as on its way if nothing shows that it was read.
    orphans: Vec<(Instant, AccountId, Vec<Iq>)>,
    events: VecDeque<Event>,
    timers: Timers<TimerKey>,
    last_number: u64,
}

/// Names a session within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SessionKey(u64);

/// By what an incoming block is told from others: the account it came to, who sent it, and the bytestream's id.
type Bytestream = (AccountId, FullJid, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TimerKey {
    Session(SessionKey),
    Way(PathId),
    /// A connect of ours may have waited long enough.
    Stream(StreamId),
    /// Answers have waited for company long enough.
    Answers,
    /// The first of what went by paths that are no more need not be waited for any longer.
    Orphans,
    /// The first of the answers that went need not be waited for any longer.
    Unread,
}

#[derive(Debug)]
struct Account {
    jid: FullJid,
    is_online: bool,
}

/// One session, from the first attempt to reach the bridge on.
#[derive(Debug)]
struct Session {
    /// None on a bridge, where paths and streams are the client's to open.
    caller: Option<Caller>,
    /// On a bridge, the account that shook hands for the session. What a session takes is counted against it; what other
    /// accounts join later, and what the client calls itself, changes nothing about that.
    client: Option<BareJid>,
    /// Whose share it takes up: the client's on a bridge. On a client each session has its own, because all are the user's.
    tag: ClientTag,
    /// None until the handshake is done.
    state: Option<Established>,
    ways: BTreeSet<PathId>,
    /// From which accounts the peer may open further paths, as [`Endpoint::by_jid`] has it.
    indexed: BTreeSet<FullJid>,
    /// Whether the peer has shown that it holds the session's keys.
    is_confirmed: bool,
    /// Since when there has been no stream.
    idle_since: Option<Instant>,
    /// Its part of [`Endpoint::ledger`].
    usage: Usage,
    /// Streams that could write more if the client had less on its way.
    crowded: BTreeSet<StreamId>,
    queued: bool,
    /// The accounts at which it waits for its turn.
    waits_at: Vec<AccountId>,
}

/// What is left of a session that is over.
#[derive(Debug)]
struct Ended {
    client: Option<BareJid>,
    streams: Streams,
    /// Its part of [`Endpoint::ledger`].
    usage: Usage,
}

/// What a client needs to reach its bridge.
#[derive(Debug)]
struct Caller {
    line: BridgeLine,
    keys: LineKeys,
    accounts: Vec<AccountId>,
    /// Those that have not failed for good.
    accounts_left: BTreeSet<AccountId>,
    /// The bridge's accounts that the bridge line names.
    peers: BTreeSet<FullJid>,
    /// Those that the bridge has told of.
    told: BTreeSet<FullJid>,
    dialing: Dialing,
    /// When there may be another path to ask for.
    dial_at: Option<Instant>,
    /// Streams that wait for the session.
    waiting: Vec<(StreamId, Address)>,
    last_path_number: u64,
    /// No path is left, and the bridge did not accept a further one: perhaps it has forgotten the session.
    must_ask: bool,
}

/// A handshake that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HalfOpenKey {
    /// Nothing has been said on this path.
    Silent(PathId),
    /// No packet of this session has come.
    Unconfirmed(SessionKey),
}

/// One path, and how far it has come.
#[derive(Debug)]
struct Way {
    path: Path,
    via: AccountId,
    peer: FullJid,
    /// Whose share what goes by it takes up.
    client: ClientTag,
    sid: Sid,
    session: Option<SessionKey>,
    phase: Phase,
    since: Instant,
    /// When something came by it last, be it a block or an answer.
    last_heard: Instant,
}

#[derive(Debug)]
enum Phase {
    /// A client's `open` is on its way. For a first contact, with the handshake that follows.
    Opening(Option<Opening>),
    /// The client's first message is on its way.
    Greeting(Box<Initiator>),
    /// The bridge makes a note of the handshake before it answers the IQ with this id.
    Remembering(String),
    /// The bridge waits for the client's first message.
    Listening,
    /// Packets may go.
    Open,
}

/// A first contact, or the wish to take up a session again.
#[derive(Debug)]
struct Opening {
    initiator: Box<Initiator>,
    message: Vec<u8>,
}

/// Where a stream is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// It waits for the session.
    Waiting(SessionKey),
    /// It is the session's stream with this number.
    In(SessionKey, u64),
    /// It never got anywhere.
    Nowhere(CloseReason),
}

impl Endpoint {
    /// An end without accounts or sessions, for a bridge with a `service`.
    pub fn new(config: Config, service: Option<Service>, mut entropy: Box<dyn Entropy>) -> Self {
        let tagger = Tagger::new(&mut *entropy);
        let door = service.map(|service| Door::new(service, config.handshake_limits()));
        let ledger = Ledger::new(config.budget(), door.is_some());
        Self {
            config,
            entropy,
            clock: WallClock::default(),
            tagger,
            accounts: BTreeMap::new(),
            door,
            sessions: BTreeMap::new(),
            ended: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_jid: BTreeMap::new(),
            half_open: HalfOpen::default(),
            introductions: Introductions::default(),
            ways: BTreeMap::new(),
            bytestreams: BTreeMap::new(),
            iqs: BTreeMap::new(),
            streams: BTreeMap::new(),
            names: BTreeMap::new(),
            control: VecDeque::new(),
            answers: Answers::default(),
            answer_shares: AnswerShares::default(),
            ledger,
            mementos: VecDeque::new(),
            ready: VecDeque::new(),
            senders: Senders::default(),
            orphans: Vec::new(),
            events: VecDeque::new(),
            timers: Timers::default(),
            last_number: 0,
        }
    }

    /// What everything that is kept costs, in bytes, at the prices by which the limits are kept: those of applications, and
    /// what has to be remembered beside them.
    pub fn charged(&self) -> usize {
        self.ledger.whole().bytes() + price::HALF_OPEN * self.half_open.len() + self.answer_shares.kept()
    }

    fn all_streams(&self) -> impl Iterator<Item = &Streams> {
        let living = self.sessions.values().filter_map(|session| session.state.as_ref());
        living.map(|state| &state.streams).chain(self.ended.values().map(|ended| &ended.streams))
    }

    /// Sessions that exist, those included that are only being made.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// How many things are written down, for all sessions together: paths, streams, what is on its way, what waits. It
    /// grows and shrinks with the sessions that there are.
    pub fn entries(&self) -> usize {
        let sessions = self.sessions.len() + self.ended.len() + self.by_id.len() + self.by_jid.len();
        let paths = self.ways.len() + self.bytestreams.len() + self.iqs.len();
        let streams = self.streams.len() + self.names.len() + self.ledger.clients();
        let answers = self.answer_shares.waiting() + self.orphans.len();
        let waiting =
            answers + self.ready.len() + self.senders.waiting() + self.control.len() + self.events.len();
        sessions + paths + streams + waiting
    }

    /// The next handshake to be remembered across restarts. [`handle_remembered`](Self::handle_remembered) tells the
    /// outcome; until then the client waits.
    pub fn poll_memento(&mut self) -> Option<Memento> {
        self.mementos.pop_front()
    }

    /// What the wall clock shows, in seconds since 1970: the two ends must agree on the minute, more or less.
    pub fn handle_wall_clock(&mut self, now: Instant, seconds: u64) {
        self.clock.set(now, seconds);
    }

    /// For how many minutes a bridge can let in nobody who has the right time: its clock was ahead, it has forgotten
    /// handshakes of that time, and the clock was set back.
    pub fn minutes_locked(&self, now: Instant) -> Option<u64> {
        self.door.as_ref()?.minutes_locked(self.clock.minute(now))
    }

    /// A number that was not used before.
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn random(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}
