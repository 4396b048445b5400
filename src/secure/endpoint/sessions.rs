//! Sessions in their endpoint: what follows from what happens to one, and its end.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use crate::protocol::CloseReason;
use crate::secure::endpoint::{Endpoint, HalfOpenKey, TimerKey, files};
use crate::secure::ids::{PathId, SessionKey};
use crate::secure::session::established::Established;
use crate::secure::session::{ClosedSession, ClosedStreams, LastWord, Role, Session, SessionEvent};
use crate::secure::shared::Shared;
use crate::secure::shared::routes::Owner;
use crate::secure::streams::{StreamEvent, Streams};

/// Who has the streams of a session.
pub(super) enum Holder<'a> {
    /// The session, with what it shares with others.
    Session(&'a mut Session, &'a mut Shared),
    /// What is left of it, now that it is over.
    Closed(&'a mut ClosedStreams),
    /// Nobody: applications have let go of all of them.
    Nobody,
}

impl Endpoint {
    /// Lets a session handle something, and does what follows from it.
    pub(super) fn with_session<T>(
        &mut self,
        now: Instant,
        key: SessionKey,
        handle: impl FnOnce(&mut Session, &mut Shared) -> T,
    ) -> Option<T> {
        let Some(session) = self.sessions.get_mut(&key) else {
            // It is over, and what happens to it concerns nobody.
            return None;
        };
        let outcome = handle(session, &mut self.shared);
        self.process_events(now, key);
        Some(outcome)
    }

    /// Who has the streams of a session.
    pub(super) fn holder(&mut self, key: SessionKey) -> Holder<'_> {
        match (self.sessions.get_mut(&key), self.ended.get_mut(&key)) {
            (Some(session), _) => Holder::Session(session, &mut self.shared),
            (None, Some(ended)) => Holder::Closed(ended),
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
    pub(super) fn process_events(&mut self, now: Instant, key: SessionKey) {
        loop {
            let Some(session) = self.sessions.get_mut(&key) else {
                return self.process_events_of_closed(key);
            };
            session.note_usage(&mut self.shared);
            for wire in session.take_relieved(&self.shared) {
                self.directory.on_event(key, StreamEvent::Writable(wire), || 0);
            }
            while let Some(event) = session.poll_event() {
                self.directory.on_event(key, event, || self.shared.next_number());
            }
            while let Some(task) = session.poll_file_task() {
                files::queue(&mut self.file_tasks, task);
            }
            while let Some(task) = session.poll_relay_task() {
                self.relay_tasks.push_back(task);
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

    fn process_events_of_closed(&mut self, key: SessionKey) {
        let Entry::Occupied(mut ended) = self.ended.entry(key) else {
            // Its applications have let go of all its streams: nobody is left to be told.
            return;
        };
        while let Some(event) = ended.get_mut().streams.poll_event() {
            self.directory.on_event(key, event, || self.shared.next_number());
        }
        if ended.get_mut().note_usage(&mut self.shared) {
            ended.remove();
        }
    }

    fn on_session_event(&mut self, now: Instant, key: SessionKey, event: SessionEvent) {
        match event {
            SessionEvent::Confirmed(client) => self.on_confirmed(now, key, client),
            SessionEvent::OptimisticAck(client) => self.on_optimistic_ack(now, client),
            SessionEvent::PeerJidsChanged { added, removed } => {
                removed.iter().for_each(|jid| unindex(&mut self.by_jid, jid, key));
                added.into_iter().for_each(|jid| {
                    self.by_jid.entry(jid).or_default().insert(key);
                });
            }
            SessionEvent::Absent(reason) => {
                for stream in self.directory.waiting(key) {
                    self.give_up(now, stream, reason);
                }
            }
            SessionEvent::Ended(reason, farewell) => {
                self.end_session(now, key, reason, LastWord::Ours(farewell));
            }
            SessionEvent::EndedByPeer(reason) => self.end_session(now, key, reason, LastWord::Theirs),
            SessionEvent::RelayOver(account) => self.shared.accounts.remove(account),
            SessionEvent::Replaced(path, established) => self.replace(now, key, path, established),
        }
    }

    /// A session is over: its streams end with `reason`.
    pub(super) fn end_session(&mut self, now: Instant, key: SessionKey, reason: CloseReason, last: LastWord) {
        let Some(session) = self.sessions.remove(&key) else {
            // It is over already, and only what nobody has read of it is to be given up.
            return;
        };
        let closed = session.close(now, reason, last, &mut self.shared);
        self.remove_closed(key, closed);
    }

    /// Forgets a session but for streams that applications still have; its part in it.
    fn remove_closed(&mut self, key: SessionKey, closed: ClosedSession) -> Role {
        self.timers.cancel(TimerKey::Session(key));
        self.half_open.remove(HalfOpenKey::Unconfirmed(key));
        if let Role::Bridge { peer_jids } = &closed.role {
            peer_jids.iter().for_each(|jid| unindex(&mut self.by_jid, jid, key));
        }
        if let Some(id) = closed.id {
            self.by_id.remove(&id);
        }
        self.cancel_files(key, closed.files);
        self.cancel_relay(key, closed.relay);
        if let Some(ended) = closed.streams {
            self.ended.insert(key, ended);
            self.process_events_of_closed(key);
        }
        closed.role
    }

    /// The bridge does not know a client's session any more: its streams are lost, and another one takes its place, with the path by
    /// which that was made.
    fn replace(&mut self, now: Instant, key: SessionKey, path: PathId, established: Box<Established>) {
        let Some(mut lost) = self.sessions.remove(&key) else {
            // Never: it has just said itself that it was lost.
            return;
        };
        let (made_by, reason) = (lost.give_away(path), CloseReason::SessionLost);
        let closed = lost.close(now, reason, LastWord::Theirs, &mut self.shared);
        let role = self.remove_closed(key, closed);
        let (Role::Client(side), Some(path)) = (role, made_by) else {
            // Only clients are told so, and by a path of theirs.
            return;
        };
        let successor = SessionKey(self.shared.next_number());
        let mut session = Session::succeeding(successor, side, established);
        session.begin_with(now, path, &mut self.shared);
        self.sessions.insert(successor, session);
        self.process_events(now, successor);
    }
}

fn unindex(index: &mut BTreeMap<FullJid, BTreeSet<SessionKey>>, jid: &FullJid, key: SessionKey) {
    let Some(keys) = index.get_mut(jid) else {
        // The index has not been told of this name yet.
        return;
    };
    keys.remove(&key);
    if keys.is_empty() {
        index.remove(jid);
    }
}
