//! The handshake: a client's first contact, and the bridge's answer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use xmpp_parsers::jid::{BareJid, FullJid};

use super::ways::OPEN_PATIENCE;
use super::{Endpoint, HalfOpenKey, Opening, Phase, Session, SessionKey, TimerKey};
use crate::protocol::CloseReason;
use crate::session::Memento;
use crate::session::client_tag::ClientTag;
use crate::session::established::Established;
use crate::session::frame::SessionClose;
use crate::session::handshake::{Credits, Initiator, Request, Responder, SessionId, Status, Welcome};
use crate::session::keys::SessionKeys;
use crate::session::ledger::Usage;
use crate::session::path::PathId;
use crate::session::session_room::{self, Candidate};
use crate::session::streams::{Credit, Role, Streams};

/// A session that has had no stream for less than this is not idle: its client may be about to open one. Otherwise those who shake
/// hands at a full bridge all the time would drive out each newcomer before it has asked for anything. Ten seconds are some round
/// trips over a slow account.
const FRESH: Duration = Duration::from_secs(10);

/// The outcome of keeping a [`Memento`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// It will not be accepted again, whatever happens to us.
    Kept,
    /// It could not be written down, or had been before: the handshake is refused.
    Refused,
}

impl Endpoint {
    // The client's side.

    /// The bridge has let us in: the handshake follows.
    pub(super) fn greet(&mut self, now: Instant, id: PathId, opening: Opening) {
        let Some(way) = self.ways.get_mut(&id) else { return };
        way.phase = Phase::Greeting(opening.initiator);
        way.path.on_opened();
        self.timers.arm(TimerKey::Way(id), now + OPEN_PATIENCE);
        self.send_block(now, id, opening.message.into());
    }

    /// The bridge's half of the handshake has come.
    pub(super) fn on_welcome(&mut self, now: Instant, id: PathId, initiator: Initiator, message: &[u8]) {
        let key = self.ways.get(&id).and_then(|way| way.session);
        let (Some(key), Ok((welcome, keys))) = (key, initiator.finish(message)) else {
            return self.fail_way(now, id);
        };
        match welcome.status {
            Status::Resumed => self.on_resumed(now, id, key, welcome.session),
            Status::New => self.on_new_session(now, id, key, &welcome, keys),
        }
    }

    fn on_resumed(&mut self, now: Instant, id: PathId, key: SessionKey, session: SessionId) {
        let state = self.sessions.get(&key).and_then(|session| session.state.as_ref());
        if state.is_some_and(|state| state.id == session) {
            self.on_way_open(now, id);
        } else {
            self.fail_way(now, id);
        }
    }

    fn on_new_session(
        &mut self,
        now: Instant,
        id: PathId,
        key: SessionKey,
        welcome: &Welcome,
        keys: SessionKeys,
    ) {
        let key = self.replace_if_lost(now, key, id);
        let streams = Streams::new(Role::Client, self.config.stream_limits(), credit_of(welcome.credits));
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.state = Some(Established::new(now, welcome.session, keys, streams, &mut *self.entropy));
        self.open_waiting(key);
        self.announce_jids(key);
        self.on_way_open(now, id);
    }

    /// The bridge does not know the session that we wanted to take up: its streams are lost, and the new one takes its
    /// place.
    fn replace_if_lost(&mut self, now: Instant, key: SessionKey, id: PathId) -> SessionKey {
        let lost = self.sessions.get_mut(&key).filter(|session| session.state.is_some());
        let Some(caller) = lost.and_then(|session| session.caller.take()) else { return key };
        let successor = self.add_session(Session::of(caller));
        if let Some(session) = self.sessions.get_mut(&key) {
            session.ways.remove(&id);
        }
        if let (Some(way), Some(session)) = (self.ways.get_mut(&id), self.sessions.get_mut(&successor)) {
            way.session = Some(successor);
            session.ways.insert(id);
        }
        self.end_session(now, key, CloseReason::SessionLost, None);
        successor
    }

    /// Tells the peer of a session which of our accounts it can use.
    pub(super) fn announce_jids(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else { return };
        let ours = match &session.caller {
            Some(caller) => self.usable(caller).filter_map(|id| self.online(id)).cloned().collect(),
            None => self.shown_to(session),
        };
        if let Some(state) = self.sessions.get_mut(&key).and_then(|session| session.state.as_mut()) {
            state.jids.announce(ours);
        }
    }

    // The bridge's side.

    /// Which of the bridge's accounts a client learns of: always the same few, as far as they are online. Which ones
    /// depends on the account that shook hands, which the client's server vouches for, and on nothing that the client says.
    fn shown_to(&self, session: &Session) -> Vec<FullJid> {
        let Some(door) = &self.door else { return Vec::new() };
        let Some(client) = &session.client else { return Vec::new() };
        let known = door.service().accounts.iter().filter_map(|id| self.accounts.get(id));
        let shown = door.subset_for(client, known.clone().map(|account| account.jid.clone()).collect());
        let online: BTreeSet<_> =
            known.filter(|account| account.is_online).map(|account| &account.jid).collect();
        shown.into_iter().filter(|jid| online.contains(jid)).collect()
    }

    /// The outcome of keeping a memento.
    pub fn handle_remembered(&mut self, now: Instant, memento: &Memento, outcome: Remembered) {
        let Some(way) = self.ways.get_mut(&memento.path) else { return };
        let Phase::Remembering(open) = std::mem::replace(&mut way.phase, Phase::Listening) else { return };
        let (via, to, client) = (way.via, way.peer.clone(), way.client);
        match outcome {
            Remembered::Kept => {
                way.path.on_opened();
                self.answer(now, client, (via, to), open);
            }
            Remembered::Refused => {
                self.refuse_iq(via, to, open);
                self.drop_way(now, memento.path);
            }
        }
    }

    /// The client's half of the handshake has come; true when it is one.
    pub(super) fn on_hello(&mut self, now: Instant, id: PathId, message: &[u8]) -> bool {
        let (Some(way), Some(door)) = (self.ways.get(&id), self.door.as_ref()) else { return false };
        let Some(ours) = self.accounts.get(&way.via).map(|account| &account.jid) else { return false };
        let entropy = &mut *self.entropy;
        let read = Responder::read(
            &door.service().identity,
            door.service().psk.as_ref(),
            &way.sid,
            &way.peer,
            ours,
            message,
            entropy,
        );
        let Ok((responder, received)) = read else { return false };
        match self.resumable(&received) {
            Some(key) => self.resume(now, id, key, responder),
            None => self.make_session(now, id, responder, &received),
        }
        true
    }

    /// The session that a client wants to take up again and has the key of.
    fn resumable(&self, received: &Request) -> Option<SessionKey> {
        let claim = received.resume.as_ref()?;
        let key = *self.by_id.get(&claim.session)?;
        let state = self.sessions.get(&key)?.state.as_ref()?;
        claim.is_proved_by(&state.resume_key).then_some(key)
    }

    fn resume(&mut self, now: Instant, id: PathId, key: SessionKey, responder: Responder) {
        let Some(session) =
            self.sessions.get(&key).and_then(|session| session.state.as_ref()).map(|state| state.id)
        else {
            return;
        };
        let welcome = Welcome { status: Status::Resumed, session, credits: self.config.credits() };
        if self.welcome(now, id, responder, &welcome).is_some() {
            self.make_room_for_a_path(now, key);
            self.join(id, key);
            self.on_confirmed(now, key);
            self.on_way_open(now, id);
        }
    }

    fn make_session(&mut self, now: Instant, id: PathId, responder: Responder, received: &Request) {
        let Some(client) = self.ways.get(&id).map(|way| way.peer.to_bare()) else { return };
        self.make_session_room(now, &client);
        let is_full = self.sessions.len() >= self.config.max_sessions;
        let session = SessionId::generate(&mut *self.entropy);
        let welcome = Welcome { status: Status::New, session, credits: self.config.credits() };
        let Some(keys) = self.welcome(now, id, responder, &welcome) else { return };
        let key = self.add_session(Session { client: Some(client), ..Session::incoming() });
        self.half_open.rename(HalfOpenKey::Silent(id), HalfOpenKey::Unconfirmed(key));
        self.establish(now, key, welcome.session, keys, received.credits);
        self.join(id, key);
        self.announce_jids(key);
        self.on_way_open(now, id);
        if is_full {
            self.end_session(now, key, CloseReason::TooManyStreams, Some(SessionClose::Limits));
        }
    }

    /// Ends sessions of others, or of the client's own, so that it can have another one.
    fn make_session_room(&mut self, now: Instant, client: &BareJid) {
        let candidates: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|(key, session)| {
                let last_heard = session.state.as_ref().map(|state| state.last_heard());
                let idle_since = session.idle_since.filter(|since| *since + FRESH <= now);
                Some(Candidate { key: *key, client: session.client.as_ref()?, idle_since, last_heard })
            })
            .collect();
        if let Some(key) = session_room::victim(&candidates, client, self.config.max_sessions) {
            self.end_session(now, key, CloseReason::TooManyStreams, Some(SessionClose::Limits));
        }
    }

    /// The client of a bridge's session has shown that it holds the keys.
    pub(super) fn on_confirmed(&mut self, now: Instant, key: SessionKey) {
        self.half_open.remove(HalfOpenKey::Unconfirmed(key));
        let client = self.sessions.get(&key).and_then(|session| session.client.clone());
        if let (Some(door), Some(client)) = (self.door.as_mut(), client) {
            door.on_confirmed(now, client);
        }
    }

    fn establish(
        &mut self,
        now: Instant,
        key: SessionKey,
        id: SessionId,
        keys: SessionKeys,
        credits: Credits,
    ) {
        let streams = Streams::new(Role::Bridge, self.config.stream_limits(), credit_of(credits));
        if let Some(session) = self.sessions.get_mut(&key) {
            session.state = Some(Established::new(now, id, keys, streams, &mut *self.entropy));
            self.by_id.insert(id, key);
        }
    }

    /// Sends the bridge's half of the handshake.
    fn welcome(
        &mut self,
        now: Instant,
        id: PathId,
        responder: Responder,
        welcome: &Welcome,
    ) -> Option<SessionKeys> {
        match responder.reply(welcome) {
            Ok((message, keys)) => {
                self.send_block(now, id, message.into());
                Some(keys)
            }
            Err(_) => {
                self.fail_way(now, id);
                None
            }
        }
    }

    /// The path is the session's from now on, and so is the account at its other end.
    pub(super) fn join(&mut self, id: PathId, key: SessionKey) {
        let client = self.ways.get(&id).map(|way| self.client_of(Some(key), &way.peer));
        let (Some(way), Some(session)) = (self.ways.get_mut(&id), self.sessions.get_mut(&key)) else {
            return;
        };
        way.session = Some(key);
        way.client = client.unwrap_or(way.client);
        self.half_open.remove(HalfOpenKey::Silent(id));
        session.ways.insert(id);
        if session.indexed.insert(way.peer.clone()) {
            self.by_jid.entry(way.peer.clone()).or_default().insert(key);
        }
    }
}

/// What the peer's half of the handshake allows us to send.
fn credit_of(credits: Credits) -> Credit {
    Credit { stream: credits.stream.into(), session: credits.session.into() }
}

impl Session {
    /// A client's, still to be made.
    pub(super) fn of(caller: super::Caller) -> Self {
        Self { caller: Some(caller), is_confirmed: true, ..Self::incoming() }
    }

    /// A bridge's, whose client has not shown yet that it has the keys.
    fn incoming() -> Self {
        Self {
            caller: None,
            client: None,
            tag: ClientTag::default(),
            state: None,
            ways: BTreeSet::new(),
            indexed: BTreeSet::new(),
            is_confirmed: false,
            idle_since: None,
            usage: Usage::default(),
            crowded: BTreeSet::new(),
            queued: false,
            waits_at: Vec::new(),
        }
    }
}
