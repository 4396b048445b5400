//! Paths: how they are opened, and what happens when one ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use xmpp_parsers::jid::FullJid;

use super::{Bytestream, Caller, Endpoint, HalfOpenKey, Opening, Phase, Session, SessionKey, TimerKey, Way};
use crate::protocol::{AccountId, CloseReason};
use crate::session::client_tag::ClientTag;
use crate::session::dialing::{
    FEW_PATHS, Field, LONGEST_PAUSE, LONGEST_PAUSE_OF_TOLD, MOST_PATHS, Next, Pair, PairRef,
};
use crate::session::handshake::{Hello, Initiator, Resumption};
use crate::session::iq::Iq;
use crate::session::jids::MOST_JIDS;
use crate::session::path::{Path, PathId};
use crate::session::sid::Sid;
use crate::session::{BLOCK_SIZE, IqId, Outgoing, Transmit};

/// So many paths a session may have. A client wants half as many, and the others may be some that it has lost.
const MOST_OF_A_SESSION: usize = 32;

/// What went by a path that is no more counts as on its way for no longer than that, even if the account is slower. What has
/// stalled has waited as long already.
const ORPHANED: Duration = Duration::from_secs(3);

/// What closing a bytestream weighs beyond its recipient, in bytes.
const CLOSE: usize = 160;

/// How long the other end may take to answer an `open` or to greet.
pub(super) const OPEN_PATIENCE: Duration = Duration::from_secs(10);

/// A bridge whose accounts have all been out of reach so many times in a row is not there, ...
const HOPELESS: u32 = 3;

/// ... if that has lasted for this part of the time that a connect may take. It may be logging in anew, or be short of
/// places for another handshake at this very moment, and refuses then in the same words; a minute later is too late.
const HOPELESS_AFTER: (u32, u32) = (3, 5);

/// A path that lived for less than this has failed, whatever it said at first.
const SHORT_LIFE: Duration = Duration::from_secs(2);

/// Those of a session's paths by which packets may go.
pub(super) fn open_paths<'a>(
    ids: &'a BTreeSet<PathId>,
    ways: &'a BTreeMap<PathId, Way>,
) -> impl Iterator<Item = (PathId, &'a Path)> {
    let ways = ids.iter().filter_map(|id| Some((*id, ways.get(id)?)));
    ways.filter(|(_, way)| way.is_open()).map(|(id, way)| (id, &way.path))
}

impl Way {
    pub(super) fn bytestream(&self) -> Bytestream {
        (self.via, self.peer.clone(), self.sid.to_string())
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether it is to lead to a handshake.
    fn is_first_contact(&self) -> bool {
        matches!(self.phase, Phase::Opening(Some(_)) | Phase::Greeting(_))
    }
}

impl Endpoint {
    /// Opens the paths that a client's session wants and does not have.
    pub(super) fn dial(&mut self, now: Instant, key: SessionKey) {
        let dial_at = loop {
            match self.next_dial(now, key) {
                Next::Wait(until) => break until,
                Next::Try(pair) => {
                    if self.open_way(now, key, pair).is_none() {
                        break None;
                    }
                }
            }
        };
        if let Some(caller) = self.sessions.get_mut(&key).and_then(|session| session.caller.as_mut()) {
            caller.dial_at = dial_at;
        }
    }

    /// Whether a client's session tries another pair.
    fn next_dial(&self, now: Instant, key: SessionKey) -> Next {
        let Some(session) = self.sessions.get(&key) else { return Next::Wait(None) };
        let Some(caller) = session.caller.as_ref() else { return Next::Wait(None) };
        let ways = || session.ways.iter().filter_map(|id| self.ways.get(id));
        // Before there is a session, and when it must be asked for, one attempt at a time.
        let is_trying = ways().any(|way| !way.is_open());
        if is_trying && (session.state.is_none() || caller.must_ask) {
            return Next::Wait(None);
        }
        let have_all_stalled = !ways().any(|way| !way.is_open() || way.path.is_usable());
        // Whether the bridge still knows the session only an attempt can tell, and be it between the same accounts.
        let busy = if have_all_stalled { BTreeSet::new() } else { self.pairs_of(session) };
        let ours: Vec<AccountId> = self.usable(caller).collect();
        let theirs = peers_of(caller);
        let field = Field { ours: &ours, theirs: &theirs, busy: &busy, most: self.most_paths(session) };
        caller.dialing.next(now, &field)
    }

    /// So many paths are enough. One that has stalled is none.
    fn most_paths(&self, session: &Session) -> usize {
        if session.state.as_ref().is_some_and(|state| state.carries_much()) {
            return MOST_PATHS;
        }
        let ways = session.ways.iter().filter_map(|id| self.ways.get(id));
        let stalled = ways.filter(|way| way.is_open() && !way.path.is_usable()).count();
        MOST_PATHS.min(FEW_PATHS + stalled)
    }

    fn pairs_of(&self, session: &Session) -> BTreeSet<PairRef<'_>> {
        let ways = session.ways.iter().filter_map(|id| self.ways.get(id));
        ways.map(|way| (way.via, &way.peer)).collect()
    }

    /// The accounts of a client that it uses for a session, and tells the bridge of.
    pub(super) fn usable<'a>(&'a self, caller: &'a Caller) -> impl Iterator<Item = AccountId> + 'a {
        let online = caller.accounts.iter().copied().filter(|id| self.online(*id).is_some());
        online.take(MOST_JIDS)
    }

    /// The client of a session takes note of the accounts that the bridge has told it of, as far as it may.
    pub(super) fn meet(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let (Some(caller), Some(state)) = (&mut session.caller, &mut session.state) else { return };
        if !state.jids.take_news() {
            return;
        }
        let bridge = caller.line.key();
        caller.told = self.introductions.admit(now, bridge, state.jids.theirs());
        // A bridge that takes a name back and tells it again does not make us forget that nobody answers there.
        let is_known = |jid: &FullJid| caller.peers.contains(jid) || self.introductions.knows(bridge, jid);
        caller.dialing.keep_failures_of(is_known);
    }

    /// The name of an account that is online.
    pub(super) fn online(&self, id: AccountId) -> Option<&FullJid> {
        self.accounts.get(&id).filter(|account| account.is_online).map(|account| &account.jid)
    }

    /// A client asks for a path.
    fn open_way(&mut self, now: Instant, key: SessionKey, (via, peer): Pair) -> Option<()> {
        let ours = self.online(via)?.clone();
        let (sid, opening) = self.credentials(now, key, &ours, &peer)?;
        let id = self.add_way(now, via, peer.clone(), sid, Some(key), Phase::Opening(opening));
        let iq = self.new_iq(id);
        self.ways.get_mut(&id)?.path.on_open_sent(now, iq);
        let stanza = Outgoing::Open { iq: iq.id, sid: sid.to_string(), block_size: BLOCK_SIZE };
        self.control.push_back(Transmit { via, to: peer, stanza });
        self.timers.arm(TimerKey::Way(id), now + OPEN_PATIENCE);
        Some(())
    }

    /// The id that proves that we may ask, and for a first contact what follows it.
    fn credentials(
        &mut self,
        now: Instant,
        key: SessionKey,
        ours: &FullJid,
        peer: &FullJid,
    ) -> Option<(Sid, Option<Opening>)> {
        let nonce = self.random();
        let minute = self.clock.minute(now);
        let session = self.sessions.get_mut(&key)?;
        let caller = session.caller.as_mut()?;
        match &session.state {
            Some(state) if !caller.must_ask => {
                caller.last_path_number += 1;
                Some((state.path_key.sid(caller.last_path_number, ours, peer), None))
            }
            state => {
                let sid = caller.keys.first_contact(nonce as u32, minute, ours, peer);
                let resume = state
                    .as_ref()
                    .map(|state| Resumption { session: state.id, key: state.resume_key.clone() });
                let hello = Hello { credits: self.config.credits(), resume };
                let (initiator, message) =
                    Initiator::start(&caller.line, &sid, ours, peer, &hello, &mut *self.entropy);
                Some((sid, Some(Opening { initiator: Box::new(initiator), message })))
            }
        }
    }

    pub(super) fn add_way(
        &mut self,
        now: Instant,
        via: AccountId,
        peer: FullJid,
        sid: Sid,
        session: Option<SessionKey>,
        phase: Phase,
    ) -> PathId {
        let id = PathId(self.next_number());
        let path = Path::new(via);
        let client = self.client_of(session, &peer);
        let way = Way { path, via, peer, client, sid, session, phase, since: now, last_heard: now };
        self.bytestreams.insert(way.bytestream(), id);
        self.ways.insert(id, way);
        if let Some(session) = session.and_then(|key| self.sessions.get_mut(&key)) {
            session.ways.insert(id);
        }
        id
    }

    /// Whose part what goes to this peer takes up.
    pub(super) fn client_of(&self, session: Option<SessionKey>, peer: &FullJid) -> ClientTag {
        let session = session.and_then(|key| self.sessions.get(&key));
        session.map_or_else(|| self.tagger.tag(&peer.to_bare()), |session| session.tag)
    }

    /// An IQ of the path with this number.
    fn new_iq(&mut self, path: PathId) -> Iq {
        let iq = Iq { number: self.next_number(), id: IqId::generate(&mut *self.entropy) };
        self.iqs.insert(iq.id, (path, iq));
        iq
    }

    /// The block that goes by this path.
    pub(super) fn block(&mut self, now: Instant, id: PathId, data: Bytes) -> Option<Transmit> {
        let iq = self.new_iq(id);
        let way = self.ways.get_mut(&id)?;
        let seq = way.path.on_sent(now, iq, data.len());
        self.senders.on_sent(now, way.via, way.client, id, iq, data.len());
        self.answer_shares.on_asked(way.via, &way.client, iq.number);
        let stanza = Outgoing::Data { iq: iq.id, sid: way.sid.to_string(), seq, data };
        Some(Transmit { via: way.via, to: way.peer.clone(), stanza })
    }

    /// Sends a block before all packets.
    pub(super) fn send_block(&mut self, now: Instant, id: PathId, data: Bytes) {
        let transmit = self.block(now, id, data);
        self.control.extend(transmit);
        self.watch(id);
    }

    /// A path works.
    pub(super) fn on_way_open(&mut self, now: Instant, id: PathId) {
        let Some(way) = self.ways.get_mut(&id) else { return };
        way.phase = Phase::Open;
        way.since = now;
        way.path.on_opened();
        let (pair, key) = ((way.via, way.peer.clone()), way.session);
        self.retire_others(now, &pair, id);
        self.watch(id);
        let Some(key) = key else { return };
        if let Some(caller) = self.sessions.get_mut(&key).and_then(|session| session.caller.as_mut()) {
            caller.dialing.on_works((pair.0, &pair.1));
            caller.must_ask = false;
        }
        self.after_change(now, key);
    }

    /// Between two accounts there is one path of a session; the client has given up the others.
    fn retire_others(&mut self, now: Instant, pair: &Pair, newest: PathId) {
        let session =
            self.ways.get(&newest).and_then(|way| way.session).and_then(|key| self.sessions.get(&key));
        let Some(session) = session else { return };
        let is_older = |id: &PathId| {
            let way = self.ways.get(id);
            *id != newest && way.is_some_and(|way| way.via == pair.0 && way.peer == pair.1)
        };
        let older: Vec<PathId> = session.ways.iter().copied().filter(is_older).collect();
        older.into_iter().for_each(|id| self.drop_way(now, id));
    }

    /// Closes the path of a session that nothing has come by for the longest, if the session has as many as it may.
    pub(super) fn make_room_for_a_path(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else { return };
        if session.ways.len() < MOST_OF_A_SESSION {
            return;
        }
        let last_heard = |id: &PathId| self.ways.get(id).map(|way| way.last_heard);
        if let Some(id) = session.ways.iter().copied().min_by_key(last_heard) {
            self.fail_way(now, id);
        }
    }

    /// A path has failed: the peer is told, and what was on it goes another way.
    pub(super) fn fail_way(&mut self, now: Instant, id: PathId) {
        self.say_close(now, id);
        self.drop_way(now, id);
    }

    /// Tells the peer that a bytestream is closed. What that costs is the client's.
    pub(super) fn say_close(&mut self, now: Instant, id: PathId) {
        let Some(way) = self.ways.get(&id) else { return };
        let (via, to, sid) = (way.via, way.peer.clone(), way.sid.to_string());
        let (client, bytes) = (way.client, CLOSE + to.as_str().len());
        self.charge(now, via, client, bytes);
        let iq = IqId::generate(&mut *self.entropy);
        self.control.push_back(Transmit { via, to, stanza: Outgoing::Close { iq, sid } });
    }

    /// A path is no more.
    pub(super) fn drop_way(&mut self, now: Instant, id: PathId) {
        let Some(way) = self.forget_way(now, id) else { return };
        let Some(key) = way.session else { return };
        let jitter = self.random();
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.ways.remove(&id);
        if let Some(state) = &mut session.state {
            state.on_path_dead(id);
        }
        let has_worked = way.is_open() && now.saturating_duration_since(way.since) >= SHORT_LIFE;
        // One that has stalled proves nothing: the bridge may have forgotten it, too.
        let works = |way: &Way| way.is_open() && way.path.is_usable();
        let others = session.ways.iter().any(|id| self.ways.get(id).is_some_and(works));
        if let Some(caller) = &mut session.caller {
            if !has_worked {
                let pause =
                    if caller.peers.contains(&way.peer) { LONGEST_PAUSE } else { LONGEST_PAUSE_OF_TOLD };
                caller.dialing.on_failed(now, (way.via, way.peer.clone()), pause, jitter);
            }
            caller.must_ask = !others && session.state.is_some() && !way.is_open() && !way.is_first_contact();
        }
        self.give_up_if_hopeless(now, key);
        self.after_change(now, key);
    }

    pub(super) fn forget_way(&mut self, now: Instant, id: PathId) -> Option<Way> {
        let way = self.ways.remove(&id)?;
        self.bytestreams.remove(&way.bytestream());
        self.half_open.remove(HalfOpenKey::Silent(id));
        for iq in way.path.outstanding() {
            self.iqs.remove(&iq.id);
        }
        self.orphan(now, &way);
        self.answer_shares.forget_path(way.via, &way.client, id);
        self.note_whether_answers_wait(way.via, way.client);
        self.timers.cancel(TimerKey::Way(id));
        Some(way)
    }

    /// What is on its way by a path that is no more still stands in front of everything else, until a later answer shows that the
    /// server has read it, or it should have done so by the account's rate. Otherwise paths that come and go could fill all there is behind the
    /// account.
    fn orphan(&mut self, now: Instant, way: &Way) {
        let iqs: Vec<Iq> = way.path.outstanding().collect();
        if !iqs.is_empty() {
            let until = now + self.senders.backlog_time(way.via).min(ORPHANED);
            self.orphans.push((until, way.via, iqs));
            self.timers.arm(TimerKey::Orphans, until);
        }
    }

    /// Gives up what nobody will answer.
    pub(super) fn forget_orphans(&mut self, now: Instant) {
        for (_, via, iqs) in self.orphans.extract_if(.., |(until, ..)| *until <= now) {
            self.senders.forget(via, iqs);
        }
        if let Some(until) = self.orphans.iter().map(|(until, ..)| *until).min() {
            self.timers.arm(TimerKey::Orphans, until);
        }
    }

    /// A client whose every way to the bridge was refused has to tell the application.
    fn give_up_if_hopeless(&mut self, now: Instant, key: SessionKey) {
        let Some(caller) = self.caller_without_session(key) else { return };
        let patience = self.config.connect_timeout * HOPELESS_AFTER.0 / HOPELESS_AFTER.1;
        let has_lasted = caller.dialing.failing_since().is_some_and(|since| since + patience <= now);
        if has_lasted && self.is_so_of_all_pairs(caller, |pair| caller.dialing.failures(pair) >= HOPELESS) {
            self.end_session(now, key, CloseReason::PeerUnavailable, None);
        }
    }

    /// A bridge none of whose accounts is there, as the chat servers say, is not waited for: the application may have
    /// another one. A bridge that refuses is, since it may be short of places at this moment.
    pub(super) fn give_up_if_absent(&mut self, now: Instant, key: SessionKey) {
        let Some(caller) = self.caller_without_session(key) else { return };
        if self.is_so_of_all_pairs(caller, |pair| caller.dialing.is_absent(pair)) {
            self.end_session(now, key, CloseReason::PeerUnavailable, None);
        }
    }

    /// A client that has not shaken hands yet.
    fn caller_without_session(&self, key: SessionKey) -> Option<&Caller> {
        self.sessions.get(&key).filter(|session| session.state.is_none())?.caller.as_ref()
    }

    /// Of all pairs of one of a client's accounts that is online and one of the bridge's.
    fn is_so_of_all_pairs(&self, caller: &Caller, is_so: impl Fn(PairRef<'_>) -> bool) -> bool {
        let peers = peers_of(caller);
        let online = caller.accounts.iter().filter(|ours| self.online(**ours).is_some());
        online.flat_map(|ours| peers.iter().map(|peer| (*ours, *peer))).all(is_so)
    }

    /// Looks at a path again when it wants to be looked at.
    pub(super) fn watch(&mut self, id: PathId) {
        if let Some(at) = self.ways.get(&id).and_then(|way| way.path.next_timeout()) {
            self.timers.arm(TimerKey::Way(id), at);
        }
    }
}

/// The bridge's accounts, as far as a client knows them.
fn peers_of(caller: &Caller) -> BTreeSet<&FullJid> {
    caller.peers.iter().chain(&caller.told).collect()
}
