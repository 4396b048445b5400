//! Sessions in their endpoint: what follows from what happens to one, and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use crate::protocol::CloseReason;
use crate::secure::endpoint::{Endpoint, HalfOpenKey, TimerKey};
use crate::secure::ids::{PathId, SessionKey};
use crate::secure::session::established::Established;
use crate::secure::session::{Ended, LastWord, Remains, Role, Session, SessionEvent};
use crate::secure::shared::Shared;
use crate::secure::shared::routes::Owner;
use crate::secure::streams::{StreamEvent, Streams};

/// Who has the streams of a session.
pub(super) enum Holder<'a> {
    /// The session, with what it shares with others.
    Session(&'a mut Session, &'a mut Shared),
    /// What is left of it, now that it is over.
    Remains(&'a mut Ended),
    /// Nobody: applications have let go of all of them.
    Nobody,
}

impl Endpoint {
    /// Lets a session handle something, and does what follows from it. What happens to a session that is over concerns nobody.
    pub(super) fn with_session(
        &mut self,
        now: Instant,
        key: SessionKey,
        handle: impl FnOnce(&mut Session, &mut Shared),
    ) {
        if let Some(session) = self.sessions.get_mut(&key) {
            handle(session, &mut self.shared);
            self.after(now, key);
        }
    }

    /// Who has the streams of a session.
    pub(super) fn holder(&mut self, key: SessionKey) -> Holder<'_> {
        match (self.sessions.get_mut(&key), self.ended.get_mut(&key)) {
            (Some(session), _) => Holder::Session(session, &mut self.shared),
            (None, Some(ended)) => Holder::Remains(ended),
            (None, None) => Holder::Nobody,
        }
    }

    /// The session of a path.
    pub(super) fn session_of(&self, path: PathId) -> Option<SessionKey> {
        match self.shared.routes.owner(path) {
            Some(Owner::Session(key)) => Some(key),
            Some(Owner::Guest) | None => None,
        }
    }

    /// The streams of a session, even of one that is over.
    pub(super) fn streams_of(&self, key: SessionKey) -> Option<&Streams> {
        match self.sessions.get(&key) {
            Some(session) => session.streams(),
            None => self.ended.get(&key).map(|ended| &ended.streams),
        }
    }

    /// Does what follows from a change to a session: tells the applications, keeps the ledger, and sees to it that the session is
    /// polled for packets and for timeouts.
    pub(super) fn after(&mut self, now: Instant, key: SessionKey) {
        loop {
            let Some(session) = self.sessions.get_mut(&key) else { return self.after_ended(key) };
            session.note_usage(&mut self.shared);
            for wire in session.take_relieved(&self.shared) {
                self.directory.on_event(key, StreamEvent::Writable(wire), || 0);
            }
            while let Some(event) = session.poll_event() {
                self.directory.on_event(key, event, || self.shared.next_number());
            }
            if session.wants_to_send(now) && !session.is_queued {
                session.is_queued = true;
                self.ready.push_back(key);
            }
            if let Some(at) = session.next_timeout(now, &self.shared.config) {
                self.timers.arm(TimerKey::Session(key), at);
            }
            // Each may bring more of everything.
            let Some(event) = session.poll_endpoint_event() else { return };
            self.on_session_event(now, key, event);
        }
    }

    fn after_ended(&mut self, key: SessionKey) {
        let Some(ended) = self.ended.get_mut(&key) else { return };
        while let Some(event) = ended.streams.poll_event() {
            self.directory.on_event(key, event, || self.shared.next_number());
        }
        if ended.note_usage(&mut self.shared) {
            self.ended.remove(&key);
        }
    }

    fn on_session_event(&mut self, now: Instant, key: SessionKey, event: SessionEvent) {
        match event {
            SessionEvent::Opened(stream, wire) => self.directory.settle(stream, key, wire),
            SessionEvent::NotOpened(stream, reason) => self.directory.fail(stream, reason),
            SessionEvent::Confirmed(client) => self.on_confirmed(now, key, client),
            SessionEvent::MadeUp(client) => self.on_made_up(now, client),
            SessionEvent::Renamed { added, removed } => {
                removed.iter().for_each(|jid| unindex(&mut self.by_jid, jid, key));
                added.into_iter().for_each(|jid| {
                    self.by_jid.entry(jid).or_default().insert(key);
                });
            }
            SessionEvent::Ended(reason, farewell) => {
                self.end_session(now, key, reason, LastWord::Ours(farewell));
            }
            SessionEvent::EndedByPeer(reason) => self.end_session(now, key, reason, LastWord::Theirs),
            SessionEvent::Replaced(path, established) => self.replace(now, key, path, established),
        }
    }

    /// A session is over: its streams end with `reason`.
    pub(super) fn end_session(&mut self, now: Instant, key: SessionKey, reason: CloseReason, last: LastWord) {
        if let Some(session) = self.sessions.remove(&key) {
            let remains = session.close(now, reason, last, &mut self.shared);
            self.bury(key, reason, remains);
        }
    }

    /// Forgets a session but for streams that applications still have; its part in it.
    fn bury(&mut self, key: SessionKey, reason: CloseReason, remains: Remains) -> Role {
        self.timers.cancel(TimerKey::Session(key));
        self.half_open.remove(HalfOpenKey::Unconfirmed(key));
        if let Role::Bridge { names } = &remains.role {
            names.iter().for_each(|jid| unindex(&mut self.by_jid, jid, key));
        }
        if let Some(id) = remains.id {
            self.by_id.remove(&id);
        }
        for (stream, _) in remains.waiting {
            self.directory.fail(stream, reason);
        }
        if let Some(ended) = remains.ended {
            self.ended.insert(key, ended);
            self.after_ended(key);
        }
        remains.role
    }

    /// The bridge does not know a client's session any more: its streams are lost, and another one takes its place, with the path by
    /// which that was made.
    fn replace(&mut self, now: Instant, key: SessionKey, path: PathId, established: Box<Established>) {
        let Some(mut lost) = self.sessions.remove(&key) else { return };
        let Some(path) = lost.give_away(path) else { return };
        let reason = CloseReason::SessionLost;
        let remains = lost.close(now, reason, LastWord::Theirs, &mut self.shared);
        let Role::Client(caller) = self.bury(key, reason, remains) else { return };
        let successor = SessionKey(self.shared.next_number());
        let mut session = Session::succeeding(successor, caller, established);
        session.begin_with(now, path, &mut self.shared);
        self.sessions.insert(successor, session);
        self.after(now, successor);
    }
}

fn unindex(index: &mut BTreeMap<FullJid, BTreeSet<SessionKey>>, jid: &FullJid, key: SessionKey) {
    if let Some(keys) = index.get_mut(jid) {
        keys.remove(&key);
        if keys.is_empty() {
            index.remove(jid);
        }
    }
}
