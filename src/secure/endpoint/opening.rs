//! Opening: of paths and of sessions, by clients of a bridge.
//!
//! Whoever has not proved anything is a stranger. All strangers are alike: they hear the same, and what they wait for takes the same
//! time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use xmpp_parsers::jid::{BareJid, FullJid};

use crate::protocol::{AccountId, CloseReason, Core as _};
use crate::secure::accounts::Accounts;
use crate::secure::accounts::answer_shares::Answer;
use crate::secure::api::{HandshakeRecord, Receipt};
use crate::secure::budget::domain_group::group_of;
use crate::secure::budget::fair_share;
use crate::secure::client_tag::ClientTag;
use crate::secure::crypto::credential::{Credential, is_of_now};
use crate::secure::crypto::handshake::{
    LARGEST_HELLO, Lanes, Request, Responder, SessionId, Status, Welcome,
};
use crate::secure::endpoint::session_room::Candidate;
use crate::secure::endpoint::{Endpoint, HalfOpenKey, TimerKey, session_room};
use crate::secure::ids::{PathId, SessionKey};
use crate::secure::path::{Contact, Path, PathState};
use crate::secure::session::established::{Agreed, Established};
use crate::secure::session::{LastWord, Session};
use crate::secure::shared::Shared;
use crate::secure::shared::routes::Owner;
use crate::secure::streams::Role;
use crate::secure::wire::early;
use crate::secure::wire::frame::{Frame, SessionClose};

/// A session that has had no stream for less than 10 seconds is not idle: its client may be about to open one. Otherwise those who
/// shake hands at a full bridge all the time would drive out each newcomer before it has asked for anything. Ten seconds are some
/// round trips over a slow account.
const FRESH: Duration = Duration::from_secs(10);

/// A bridge dials 64 streams for clients that have not shown yet that they hold the keys, all together, of which each group of domains
/// has a fair share. A genuine client has shown it after a round trip or two, and ten handshakes come in a second at the most unless
/// configured otherwise.
const MAX_UNCONFIRMED_STREAMS: usize = 64;

/// The client's half of a handshake.
pub(super) struct Greeted {
    responder: Responder,
    request: Request,
    /// Its early frames.
    early: Vec<Frame>,
}

/// What a credential proves.
enum Proof {
    /// That somebody has the bridge line; what was said has this minute.
    Line { minute: u64 },
    /// The same, and nobody is let in with that minute. Only our own log hears of it: to the peer it is no proof.
    OtherTime { minute: u64 },
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
    fn contact(&self, client: ClientTag, accounts: &mut Accounts) -> Contact {
        let leg = accounts.leg(self.via, self.from);
        Contact { via: self.via, peer: self.from.clone(), leg, client, credential: *self.credential }
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
            Some(Proof::OtherTime { minute }) => {
                let ahead = i128::from(minute) - i128::from(self.shared.clock.minute(now));
                self.strange_clock = i64::try_from(ahead).ok();
                None
            }
            None => None,
        };
        if path.is_none() {
            self.shared.tally.refused += 1;
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
            let now_minute = self.shared.clock.minute(now);
            let minute = admission.check(now_minute, credential, from, ours)?;
            Some(if is_of_now(minute, now_minute) {
                Proof::Line { minute }
            } else {
                Proof::OtherTime { minute }
            })
        })
    }

    fn proof_of_session(&self, credential: &Credential, from: &FullJid, ours: &FullJid) -> Option<Proof> {
        let Some(keys) = self.by_jid.get(from) else {
            // No session has a peer of this name.
            return None;
        };
        keys.iter().find_map(|&key| {
            let number = self.established(key)?.path_key.check(credential, from, ours)?;
            Some(Proof::Session { key, number })
        })
    }

    /// What both ends of a session share.
    fn established(&self, key: SessionKey) -> Option<&Established> {
        let Some(session) = self.sessions.get(&key) else {
            // The indices name no session that is over.
            return None;
        };
        session.established()
    }

    // Paths of sessions.

    /// A further path of a session, unless its number was used before, or answers to its client wait. The answer to the open goes before
    /// everything that may go by the path.
    fn admit_path(&mut self, now: Instant, open: &Open<'_>, key: SessionKey, number: u64) -> Option<PathId> {
        let admit = |session: &mut Session, shared: &mut Shared| {
            let client = session.tag();
            if !session.record_path_number(number) {
                return None;
            }
            let id = PathId(shared.next_number());
            let contact = open.contact(client, &mut shared.accounts);
            let path = Path::new(now, id, contact, PathState::Open, shared.config.sizes);
            let answer = Answer::to_peer_of(&path, open.receipt.clone());
            let bytes = answer.bytes;
            if !shared.accounts.has_room_for_answer(open.via, client, bytes) {
                return None;
            }
            shared.accounts.charge(now, open.via, client, bytes);
            shared.accounts.send_first(answer.transmit);
            session.handle_path(now, path, shared);
            Some(id)
        };
        self.with_session(now, key, admit).flatten()
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
        let state = PathState::Keeping { open: open.receipt.clone(), hello: None };
        let contact = open.contact(tag, &mut self.shared.accounts);
        let path = Path::new(now, id, contact, state, self.shared.config.sizes);
        // A guest has this one deadline, and nothing that it does moves it.
        if let Some(at) = path.next_timeout() {
            self.timers.arm(TimerKey::Guest(id), at);
        }
        self.shared.routes.add(id, Owner::Guest);
        self.guests.insert(id, path);
        self.shared.tally.begun += 1;
        self.half_open.insert(HalfOpenKey::Guest(id), client, is_known);
        self.records.push_back(HandshakeRecord { path: id, credential: *open.credential, minute });
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
        let Some(path) = self.guests.get_mut(&id) else {
            // It has closed its path since, or another guest has got its place.
            return;
        };
        if outcome == Persisted::No {
            return self.reject_guest(now, id);
        }
        let Some((open, hello)) = path.take_kept() else {
            // It was told before.
            return;
        };
        self.shared.accounts.answer(now, Answer::to_peer_of(path, open));
        if let Some(hello) = hello {
            self.take_hello(now, id, hello);
        }
    }

    /// The client's half of a handshake, if it makes sense.
    pub(super) fn read_hello(&mut self, path: &Path, message: &[u8]) -> Option<Greeted> {
        if message.len() > LARGEST_HELLO {
            return None;
        }
        let service = self.admission.as_ref()?.service();
        let ours = self.shared.accounts.jid_of(path.via())?;
        let entropy = &mut *self.shared.entropy;
        let psk = service.psk.as_ref();
        let (from, credential) = (path.peer(), path.credential());
        let read = Responder::read(&service.identity, psk, credential, from, ours, message, entropy);
        let (responder, request) = read.ok()?;
        let early = early::read(request.early.clone())?;
        let is_allowed = early.is_empty() || request.resume.is_none();
        is_allowed.then_some(Greeted { responder, request, early })
    }

    /// The client's half of a handshake has come: it takes up a session again, or gets a new one. False when the bridge cannot answer.
    pub(super) fn on_hello(&mut self, now: Instant, path: Path, hello: Greeted) -> bool {
        match self.resumable(&hello.request) {
            Some((key, session)) => self.resume(now, path, hello.responder, key, session),
            None => self.make_session(now, path, hello),
        }
    }

    /// The session that a client wants to take up again and has the key of.
    fn resumable(&self, request: &Request) -> Option<(SessionKey, SessionId)> {
        let claim = request.resume.as_ref()?;
        let Some(&key) = self.by_id.get(&claim.session) else {
            // It is over, or an earlier process had it: the client gets a new one.
            return None;
        };
        claim.is_proved_by(&self.established(key)?.resume_key).then_some((key, claim.session))
    }

    fn resume(
        &mut self,
        now: Instant,
        mut path: Path,
        responder: Responder,
        key: SessionKey,
        session: SessionId,
    ) -> bool {
        let credits = self.shared.config.credits();
        let lanes = Lanes::default();
        let welcome = Welcome { status: Status::Resumed, session, credits, has_taken_early: false, lanes };
        let Ok((message, _)) = responder.reply(&welcome) else { return self.cannot_answer(now, &path) };
        self.half_open.remove(HalfOpenKey::Guest(path.id()));
        self.with_session(now, key, |session, shared| {
            path.set_client(session.tag());
            shared.send_block(now, &mut path, message.into());
            session.handle_resumption(now, path, shared);
        });
        true
    }

    fn make_session(&mut self, now: Instant, mut path: Path, hello: Greeted) -> bool {
        let Greeted { responder, request, early } = hello;
        let client = path.peer().to_bare();
        self.make_session_room(now, &client);
        let is_full = self.sessions.len() >= self.shared.config.max_sessions;
        let session = SessionId::generate(&mut *self.shared.entropy);
        let has_taken_early = !is_full && self.takes_early(&client, &early);
        let credits = self.shared.config.credits();
        let lanes = request.lanes.and(self.shared.config.lanes);
        let welcome = Welcome { status: Status::New, session, credits, has_taken_early, lanes };
        let Ok((message, keys)) = responder.reply(&welcome) else { return self.cannot_answer(now, &path) };
        let agreed = Agreed { id: session, keys, lanes };
        let established = Established::new(now, Role::Bridge, agreed, request.credits, &mut self.shared);
        let key = SessionKey(self.shared.next_number());
        self.half_open.rename(HalfOpenKey::Guest(path.id()), HalfOpenKey::Unconfirmed(key));
        self.shared.send_block(now, &mut path, message.into());
        let mut session = Session::unconfirmed(key, client, path.client(), established);
        session.trace_opened(now, &mut self.shared);
        session.handle_path(now, path, &mut self.shared);
        if has_taken_early {
            session.take_early(now, early, &mut self.shared);
        }
        if let Some(admission) = &self.admission {
            admission.announce_to(&mut session, &self.shared.accounts);
        }
        self.by_id.insert(welcome.session, key);
        self.sessions.insert(key, session);
        self.process_events(now, key);
        if is_full {
            self.end_for_room(now, key);
        }
        true
    }

    /// Another session needs its place, or it has none itself.
    fn end_for_room(&mut self, now: Instant, key: SessionKey) {
        let farewell = LastWord::Ours(Some(SessionClose::Limits));
        self.end_session(now, key, CloseReason::TooManyStreams, farewell);
    }

    /// Whether a client that has not shown yet that it holds the keys gets the streams that it asks for early. If not, it asks again
    /// in its first packet.
    fn takes_early(&self, client: &BareJid, frames: &[Frame]) -> bool {
        let asked = frames.iter().filter(|frame| matches!(frame, Frame::Open { .. })).count();
        let (mut all, mut of_group) = (0, 0);
        for session in self.sessions.values().filter(|session| !session.is_confirmed()) {
            all += session.stream_count();
            if session.client().is_some_and(|other| group_of(other) == group_of(client)) {
                of_group += session.stream_count();
            }
        }
        asked > 0 && asked <= fair_share::below_threshold(MAX_UNCONFIRMED_STREAMS, all, of_group)
    }

    fn cannot_answer(&mut self, now: Instant, path: &Path) -> bool {
        self.close_guest(now, path);
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
            self.end_for_room(now, key);
        }
    }

    /// The client of a session has shown that it holds the keys.
    pub(super) fn on_confirmed(&mut self, now: Instant, key: SessionKey, client: BareJid) {
        self.half_open.remove(HalfOpenKey::Unconfirmed(key));
        self.shared.tally.completed += 1;
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
}
