//! Opening: of paths and of sessions, by clients of a bridge.
//!
//! Whoever has not proved anything is a stranger. All strangers are alike: they hear the same, and what they wait for takes the same
//! time.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

use xmpp_parsers::jid::{BareJid, FullJid};

use crate::protocol::{AccountId, CloseReason, Core as _};
use crate::secure::accounts::answer_shares::Answer;
use crate::secure::api::{HandshakeRecord, Receipt};
use crate::secure::client_tag::ClientTag;
use crate::secure::crypto::credential::Credential;
use crate::secure::crypto::handshake::{Request, Responder, SessionId, Status, Welcome};
use crate::secure::endpoint::session_room::Candidate;
use crate::secure::endpoint::{Endpoint, HalfOpenKey, session_room};
use crate::secure::ids::{PathId, SessionKey};
use crate::secure::path::{Contact, Path, PathState};
use crate::secure::session::established::Established;
use crate::secure::session::{LastWord, Session};
use crate::secure::shared::routes::Owner;
use crate::secure::streams::Role;
use crate::secure::wire::frame::SessionClose;

/// A session that has had no stream for less than 10 seconds is not idle: its client may be about to open one. Otherwise those who
/// shake hands at a full bridge all the time would drive out each newcomer before it has asked for anything. Ten seconds are some
/// round trips over a slow account.
const FRESH: Duration = Duration::from_secs(10);

/// What a credential proves.
enum Proof {
    /// That somebody has the bridge line; what was said has this minute.
    Line { minute: u64 },
    /// That the peer of this session opens its path of this number.
    Session { key: SessionKey, number: u64 },
}

/// Whether a [`HandshakeRecord`] was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persisted {
    /// It will not be accepted again, whatever happens to us.
    Yes,
    /// It could not be written down, or had been before: the handshake is refused.
    No,
}

/// Somebody asks for a path.
struct Open<'a> {
    via: AccountId,
    from: &'a FullJid,
    credential: &'a Credential,
    receipt: &'a Receipt,
}

impl Open<'_> {
    /// Between whom the path would be, in this client's share of our account.
    fn contact(&self, client: ClientTag) -> Contact {
        Contact { via: self.via, peer: self.from.clone(), client, credential: *self.credential }
    }
}

impl Endpoint {
    /// Somebody asks our account `via` for a path: its name, if there may be one; otherwise a refusal is to be sent. The carrier has to
    /// know the name before it tells or polls anything else: blocks may come at once, and the core may have closed the path again. A
    /// first contact is answered only when it is written down, and may still be refused then.
    pub fn handle_open(
        &mut self,
        now: Instant,
        via: AccountId,
        from: &FullJid,
        credential: &Credential,
        receipt: Receipt,
    ) -> Option<PathId> {
        let open = Open { via, from, credential, receipt: &receipt };
        let path = match self.recognise(now, via, from, credential) {
            Some(Proof::Session { key, number }) => self.admit_path(now, &open, key, number),
            Some(Proof::Line { minute }) => self.admit_guest(now, &open, minute),
            None => None,
        };
        if path.is_none() {
            self.shared.accounts.refuse(via, from.clone(), receipt);
        }
        path
    }

    /// Somebody asks for what nobody knows. He waits for as long as if he had asked for a path.
    pub(super) fn on_unknown(&mut self, now: Instant, via: AccountId, from: &FullJid, receipt: Receipt) {
        black_box(self.recognise(now, via, from, &Credential::NOBODYS).is_some());
        self.shared.accounts.refuse(via, from.clone(), receipt);
    }

    /// What `credential` proves, if anything.
    fn recognise(
        &self,
        now: Instant,
        via: AccountId,
        from: &FullJid,
        credential: &Credential,
    ) -> Option<Proof> {
        if !self.accepts_on(via) {
            return None;
        }
        let ours = self.shared.accounts.jid_of(via)?;
        self.proof_of_session(credential, from, ours).or_else(|| {
            let admission = self.admission.as_ref()?;
            let minute = admission.check(self.shared.clock.minute(now), credential, from, ours)?;
            Some(Proof::Line { minute })
        })
    }

    fn proof_of_session(&self, credential: &Credential, from: &FullJid, ours: &FullJid) -> Option<Proof> {
        self.by_jid.get(from)?.iter().find_map(|key| {
            let established = self.sessions.get(key)?.established()?;
            Some(Proof::Session { key: *key, number: established.path_key.check(credential, from, ours)? })
        })
    }

    // Paths of sessions.

    /// A further path of a session, unless its number was used before, or answers to its client wait. The answer to the open goes before
    /// everything that may go by the path.
    fn admit_path(&mut self, now: Instant, open: &Open<'_>, key: SessionKey, number: u64) -> Option<PathId> {
        let session = self.sessions.get_mut(&key)?;
        let client = session.tag();
        if !session.record_path_number(number) {
            return None;
        }
        let contact = open.contact(client);
        let (id, sizes) = (PathId(self.shared.next_number()), self.shared.config.sizes);
        let path = Path::new(now, id, contact, PathState::Open, sizes);
        let answer = Answer::to_peer_of(&path, open.receipt.clone());
        let bytes = answer.bytes;
        if !self.shared.accounts.has_room_for_answer(open.via, client, bytes) {
            return None;
        }
        self.shared.accounts.charge(now, open.via, client, bytes);
        self.shared.accounts.send_first(answer.transmit);
        session.handle_path(now, path, &mut self.shared);
        self.process_events(now, key);
        Some(id)
    }

    // First contacts.

    /// Somebody who has the bridge line: he is let in once that has been noted down.
    fn admit_guest(&mut self, now: Instant, open: &Open<'_>, minute: u64) -> Option<PathId> {
        let client = open.from.to_bare();
        let is_known = self.is_known(now, &client);
        let this_minute = self.shared.clock.minute(now);
        let admission = self.admission.as_mut()?;
        if !admission.admit(this_minute, (minute, *open.credential), &client, is_known) {
            return None;
        }
        self.make_half_open_room(now, &client);
        let id = PathId(self.shared.next_number());
        let tag = self.shared.tagger.tag(&client);
        let state = PathState::Keeping(open.receipt.clone());
        let path = Path::new(now, id, open.contact(tag), state, self.shared.config.sizes);
        self.shared.routes.add(id, Owner::Guest);
        self.guests.insert(id, path);
        self.half_open.insert(HalfOpenKey::Guest(id), client, is_known);
        self.records.push_back(HandshakeRecord { path: id, credential: *open.credential, minute });
        self.on_guest_timeout(now, id);
        Some(id)
    }

    /// Whether a client has shaken hands lately. Whoever has had a session for hours may have lost all its paths, and comes back to it
    /// by a handshake.
    fn is_known(&self, now: Instant, client: &BareJid) -> bool {
        let has_session = |session: &Session| session.is_confirmed() && session.client() == Some(client);
        self.admission.as_ref().is_some_and(|admission| admission.knows(now, client))
            || self.sessions.values().any(has_session)
    }

    /// The outcome of keeping a record.
    pub fn handle_persisted(&mut self, now: Instant, record: &HandshakeRecord, outcome: Persisted) {
        let id = record.path;
        let is_remembering = |path: &&mut Path| matches!(path.state(), PathState::Keeping(_));
        let Some(path) = self.guests.get_mut(&id).filter(is_remembering) else { return };
        if outcome == Persisted::No {
            return self.reject_guest(now, id);
        }
        path.on_opened();
        let PathState::Keeping(open) = path.set_state(PathState::Listening) else { return };
        self.shared.accounts.answer(now, Answer::to_peer_of(path, open));
    }

    /// The client's half of a handshake.
    pub(super) fn read_hello(&mut self, id: PathId, message: &[u8]) -> Option<(Responder, Request)> {
        let (path, service) = (self.guests.get(&id)?, self.admission.as_ref()?.service());
        let ours = self.shared.accounts.jid_of(path.via())?;
        let entropy = &mut *self.shared.entropy;
        let psk = service.psk.as_ref();
        Responder::read(&service.identity, psk, path.credential(), path.peer(), ours, message, entropy).ok()
    }

    /// The client's half of a handshake has come: it takes up a session again, or gets a new one. False when the bridge cannot answer.
    pub(super) fn on_hello(&mut self, now: Instant, id: PathId, hello: (Responder, Request)) -> bool {
        let (responder, request) = hello;
        match self.resumable(&request) {
            Some((key, session)) => self.resume(now, id, responder, key, session),
            None => self.make_session(now, id, responder, &request),
        }
    }

    /// The session that a client wants to take up again and has the key of.
    fn resumable(&self, request: &Request) -> Option<(SessionKey, SessionId)> {
        let claim = request.resume.as_ref()?;
        let key = *self.by_id.get(&claim.session)?;
        let established = self.sessions.get(&key)?.established()?;
        claim.is_proved_by(&established.resume_key).then_some((key, established.id))
    }

    fn resume(
        &mut self,
        now: Instant,
        id: PathId,
        responder: Responder,
        key: SessionKey,
        session: SessionId,
    ) -> bool {
        let welcome = Welcome { status: Status::Resumed, session, credits: self.shared.config.credits() };
        let Ok((message, _)) = responder.reply(&welcome) else { return self.cannot_answer(now, id) };
        let Some(mut path) = self.take_guest(id) else { return false };
        self.half_open.remove(HalfOpenKey::Guest(id));
        let Some(session) = self.sessions.get_mut(&key) else {
            self.shared.forget(now, &path);
            return false;
        };
        path.set_client(session.tag());
        self.shared.send_block(now, &mut path, message.into());
        session.handle_path(now, path, &mut self.shared);
        if let Some(client) = session.client().cloned() {
            self.on_confirmed(now, key, client);
        }
        self.process_events(now, key);
        true
    }

    fn make_session(&mut self, now: Instant, id: PathId, responder: Responder, request: &Request) -> bool {
        let Some(client) = self.guests.get(&id).map(|path| path.peer().to_bare()) else { return false };
        self.make_session_room(now, &client);
        let is_full = self.sessions.len() >= self.shared.config.max_sessions;
        let session = SessionId::generate(&mut *self.shared.entropy);
        let welcome = Welcome { status: Status::New, session, credits: self.shared.config.credits() };
        let Ok((message, keys)) = responder.reply(&welcome) else { return self.cannot_answer(now, id) };
        let Some(mut path) = self.take_guest(id) else { return false };
        let established =
            Established::new(now, Role::Bridge, (session, keys), request.credits, &mut self.shared);
        let key = SessionKey(self.shared.next_number());
        self.half_open.rename(HalfOpenKey::Guest(id), HalfOpenKey::Unconfirmed(key));
        self.shared.send_block(now, &mut path, message.into());
        let mut session = Session::unconfirmed(key, client, path.client(), established);
        session.handle_path(now, path, &mut self.shared);
        self.by_id.insert(welcome.session, key);
        self.sessions.insert(key, session);
        self.announce_to(now, key);
        if is_full {
            let farewell = LastWord::Ours(Some(SessionClose::Limits));
            self.end_session(now, key, CloseReason::TooManyStreams, farewell);
        }
        true
    }

    fn cannot_answer(&mut self, now: Instant, id: PathId) -> bool {
        self.fail_guest(now, id);
        false
    }

    /// Ends sessions of others, or of the client's own, so that it can have another one.
    fn make_session_room(&mut self, now: Instant, client: &BareJid) {
        let candidates: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|(key, session)| {
                let last_heard = session.established().map(Established::last_heard);
                let idle_since = session.idle_since().filter(|since| *since + FRESH <= now);
                Some(Candidate { key: *key, client: session.client()?, idle_since, last_heard })
            })
            .collect();
        if let Some(key) = session_room::victim(&candidates, client, self.shared.config.max_sessions) {
            let farewell = LastWord::Ours(Some(SessionClose::Limits));
            self.end_session(now, key, CloseReason::TooManyStreams, farewell);
        }
    }

    /// The client of a session has shown that it holds the keys.
    pub(super) fn on_confirmed(&mut self, now: Instant, key: SessionKey, client: BareJid) {
        self.half_open.remove(HalfOpenKey::Unconfirmed(key));
        if let Some(admission) = &mut self.admission {
            admission.on_confirmed(now, client);
        }
    }

    /// A client makes up acknowledgements, to have more sent than its server reads. It does not come again at once: it would gain what
    /// its session had until then.
    pub(super) fn on_optimistic_ack(&mut self, now: Instant, client: BareJid) {
        if let Some(admission) = &mut self.admission {
            admission.on_violation(self.shared.clock.minute(now), client);
        }
    }

    /// Tells the client of a session which of the bridge's accounts it can use: always the same few, as far as they are online. Which
    /// ones depends on the account that shook hands, which the client's server vouches for, and on nothing that the client says.
    pub(super) fn announce_to(&mut self, now: Instant, key: SessionKey) {
        let Some(admission) = &self.admission else { return };
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(client) = session.client() else { return };
        let accounts = &self.shared.accounts;
        let known: Vec<AccountId> = admission
            .service()
            .accounts
            .iter()
            .copied()
            .filter(|id| accounts.jid_of(*id).is_some())
            .collect();
        let names = known.iter().filter_map(|id| accounts.jid_of(*id)).cloned().collect();
        let online: BTreeSet<_> = known.iter().filter_map(|id| accounts.online(*id)).collect();
        let shown =
            admission.subset_for(client, names).into_iter().filter(|jid| online.contains(jid)).collect();
        session.announce(shown);
        self.process_events(now, key);
    }
}
