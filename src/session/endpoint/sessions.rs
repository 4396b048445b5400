//! The life of a session: what follows from each change, and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use xmpp_parsers::jid::{BareJid, FullJid};

use super::ways::open_paths;
use super::{Ended, Endpoint, HalfOpenKey, Place, Session, SessionKey, TimerKey, Way};
use crate::protocol::{CloseReason, Event, StreamId};
use crate::session::domain_group::group_of;
use crate::session::established::Established;
use crate::session::frame::SessionClose;
use crate::session::ledger::Usage;
use crate::session::price;
use crate::session::sender::User;
use crate::session::streams::{StreamEvent, Streams};

impl Endpoint {
    /// Does everything that follows from a change to a session: events for its streams, paths that it wants, a place in
    /// the queue of those that have something to send, timers.
    pub(super) fn after_change(&mut self, now: Instant, key: SessionKey) {
        self.fit_buffers(key);
        self.note_kept(key);
        self.tell_streams(key);
        self.index(key);
        self.meet(now, key);
        self.note_idleness(now, key);
        self.dial(now, key);
        self.queue(now, key);
        self.rearm(now, key);
    }

    /// Takes no more from applications than the session's paths will soon carry.
    fn fit_buffers(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(state) = session.state.as_mut() else { return };
        let appetites = open_paths(&session.ways, &self.ways).map(|(_, path)| path.appetite());
        state.streams.fit_send_buffers(appetites.sum());
    }

    /// Keeps the accounts of what is kept, and tells those of the client's streams that wait for it to become less.
    fn note_kept(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else { return self.note_kept_of_ended(key) };
        let mut usage = session.state.as_ref().map(Established::usage).unwrap_or_default();
        usage.received += price::PATH * session.ways.len();
        self.ledger.replace(&session.client, &session.usage, &usage);
        session.usage = usage;
        if !session.crowded.is_empty() && self.ledger.room_to_write(&session.client) >= self.config.relief() {
            let crowded = std::mem::take(&mut session.crowded);
            self.events.extend(crowded.into_iter().map(Event::Writable));
        }
    }

    fn note_kept_of_ended(&mut self, key: SessionKey) {
        let Some(ended) = self.ended.get_mut(&key) else { return };
        let usage = ended.streams.usage();
        self.ledger.replace(&ended.client, &ended.usage, &usage);
        ended.usage = usage;
        if ended.streams.stream_count() == 0 {
            self.ledger.replace(&ended.client, &ended.usage, &Usage::default());
            self.ended.remove(&key);
        }
    }

    /// When more is kept than there may be, the greediest client loses its largest session. Applications can be
    /// made to wait, but peers have been given credit, each its own.
    pub(super) fn shed(&mut self, now: Instant) {
        self.shed_streams(now);
        while let Some(key) = self.greediest_session() {
            self.end_session(now, key, CloseReason::Overflow, Some(SessionClose::Limits));
            self.discard_unread(key);
        }
    }

    /// The largest session of the client that has to give something back, if one has to.
    fn greediest_session(&self) -> Option<SessionKey> {
        let client = self.ledger.greediest(group_of_client)?;
        let living = self.sessions.iter().map(|(key, session)| (key, &session.client, session.usage));
        let ended = self.ended.iter().map(|(key, ended)| (key, &ended.client, ended.usage));
        let own = living.chain(ended).filter(|(_, owner, _)| *owner == client);
        own.max_by_key(|(.., usage)| usage.bytes()).map(|(key, ..)| *key)
    }

    /// When somebody has opened more streams than are free, whoever has most loses as many. Who that is takes a look at all clients,
    /// so it loses up to half of what it has in one session before the next look.
    fn shed_streams(&mut self, now: Instant) {
        while let Some((key, count)) = self.session_with_most_streams() {
            let has_given = (0..count).all(|_| self.streams_of(key).is_some_and(Streams::give_up_newest));
            self.after_change(now, key);
            if !has_given {
                return;
            }
        }
    }

    /// The session with the most streams of the client that has to give some up, if one has to, and how many it is to lose.
    fn session_with_most_streams(&self) -> Option<(SessionKey, usize)> {
        let (client, too_many) = self.ledger.greediest_of_streams(group_of_client)?;
        let own = self.sessions.iter().filter(|(_, session)| session.client == *client);
        let (key, session) = own.max_by_key(|(_, session)| session.usage.streams)?;
        Some((*key, too_many.min(session.usage.streams.div_ceil(2))))
    }

    /// What was not read of a session that is over is given up, too.
    fn discard_unread(&mut self, key: SessionKey) {
        if let Some(ended) = self.ended.remove(&key) {
            self.ledger.replace(&ended.client, &ended.usage, &Usage::default());
        }
        let mut streams = self.names.split_off(&(key, 0));
        self.names.append(&mut streams.split_off(&(SessionKey(key.0 + 1), 0)));
        for stream in streams.into_values() {
            // It has been told already.
            self.streams.insert(stream, Place::Nowhere(CloseReason::Overflow));
        }
    }

    pub(super) fn queue(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let wants_to_send = session.state.as_ref().is_some_and(|state| state.wants_to_send(now));
        if wants_to_send && !session.queued {
            session.queued = true;
            self.ready.push_back(key);
        }
    }

    fn note_idleness(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let has_waiting = session.caller.as_ref().is_some_and(|caller| !caller.waiting.is_empty());
        let is_idle = !has_waiting && session.state.as_ref().is_none_or(|state| state.streams.is_idle());
        session.idle_since = is_idle.then(|| session.idle_since.unwrap_or(now));
    }

    /// Passes on what a session's streams have to say.
    fn tell_streams(&mut self, key: SessionKey) {
        while let Some(event) = self.next_stream_event(key) {
            self.on_stream_event(key, event);
        }
    }

    fn next_stream_event(&mut self, key: SessionKey) -> Option<StreamEvent> {
        self.streams_of(key)?.poll_event()
    }

    fn on_stream_event(&mut self, key: SessionKey, event: StreamEvent) {
        if let StreamEvent::Incoming { id: wire, target } = event {
            let stream = StreamId(self.next_number());
            self.settle_in(key, stream, wire);
            return self.events.push_back(Event::Incoming { stream, target });
        }
        let Some(&stream) = self.names.get(&(key, event.id())) else { return };
        let event = match event {
            StreamEvent::Connected(_) => {
                self.timers.cancel(TimerKey::Stream(stream));
                Event::Connected(stream)
            }
            StreamEvent::Readable(_) => Event::Readable(stream),
            StreamEvent::Writable(_) => Event::Writable(stream),
            StreamEvent::Closed(_, reason) => {
                self.timers.cancel(TimerKey::Stream(stream));
                Event::Closed(stream, reason)
            }
            StreamEvent::Incoming { .. } => return,
        };
        self.events.push_back(event);
    }

    /// Keeps [`Endpoint::by_jid`] in line with what a client says of its accounts, and with those it has paths from.
    fn index(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(state) = session.state.as_mut().filter(|_| session.caller.is_none()) else { return };
        if !state.jids.take_news() {
            return;
        }
        let in_use = session.ways.iter().filter_map(|id| self.ways.get(id)).map(|way| way.peer.clone());
        let current = state.jids.theirs().iter().cloned().chain(in_use).collect();
        let former = std::mem::replace(&mut session.indexed, current);
        for jid in former.difference(&session.indexed) {
            remove(&mut self.by_jid, jid, key);
        }
        for jid in session.indexed.difference(&former) {
            self.by_jid.entry(jid.clone()).or_default().insert(key);
        }
    }

    /// The session is over: its streams end with `reason`, and the peer is told where there is still a way.
    pub(super) fn end_session(
        &mut self,
        now: Instant,
        key: SessionKey,
        reason: CloseReason,
        farewell: Option<SessionClose>,
    ) {
        self.send_farewell(now, key, farewell);
        self.bury(now, key, reason);
    }

    /// The peer has ended the session: a client closes its bytestreams itself, and for a bridge they are no more.
    pub(super) fn on_session_closed(&mut self, now: Instant, key: SessionKey, reason: CloseReason) {
        let ways = self.sessions.get_mut(&key).map(|session| std::mem::take(&mut session.ways));
        for id in ways.into_iter().flatten() {
            self.forget_way(now, id);
        }
        self.bury(now, key, reason);
    }

    fn bury(&mut self, now: Instant, key: SessionKey, reason: CloseReason) {
        let Some(mut session) = self.sessions.remove(&key) else { return };
        self.ledger.replace(&session.client, &session.usage, &Usage::default());
        self.timers.cancel(TimerKey::Session(key));
        self.half_open.remove(HalfOpenKey::Unconfirmed(key));
        let user = User { client: session.tag, key };
        session.waits_at.drain(..).for_each(|account| self.senders.leave(account, user));
        self.senders.prune();
        for id in std::mem::take(&mut session.ways) {
            // A bridge's would go before everything else, and a client can have it end many paths at once. A genuine client learns from
            // the farewell, or from the answer to its next block.
            if session.caller.is_some() {
                self.say_close(now, id);
            }
            self.forget_way(now, id);
        }
        for jid in &session.indexed {
            remove(&mut self.by_jid, jid, key);
        }
        for (stream, _) in session.caller.into_iter().flat_map(|caller| caller.waiting) {
            self.fail_stream(stream, reason);
        }
        if let Some(mut state) = session.state {
            self.by_id.remove(&state.id);
            state.streams.close_all(reason);
            if state.streams.stream_count() > 0 {
                let Session { client, .. } = session;
                self.ended.insert(key, Ended { client, streams: state.streams, usage: Usage::default() });
                self.tell_streams(key);
                self.note_kept_of_ended(key);
            }
        }
    }

    fn send_farewell(&mut self, now: Instant, key: SessionKey, farewell: Option<SessionClose>) {
        let (Some(reason), Some(session)) = (farewell, self.sessions.get_mut(&key)) else { return };
        let works =
            |way: &Way| way.is_open() && self.accounts.get(&way.via).is_some_and(|account| account.is_online);
        let ways = session.ways.iter().filter_map(|id| Some((*id, self.ways.get(id)?)));
        // The one by which something came last is the likeliest to carry something.
        let path = ways.filter(|(_, way)| works(way)).max_by_key(|(_, way)| way.last_heard).map(|(id, _)| id);
        let entropy = &mut *self.entropy;
        let block = session.state.as_mut().and_then(|state| state.farewell(reason, entropy));
        if let (Some(path), Some(block)) = (path, block) {
            self.send_block(now, path, block);
        }
    }
}

/// The domain group of a client.
fn group_of_client(client: &Option<BareJid>) -> Option<&str> {
    client.as_ref().map(group_of)
}

fn remove(index: &mut BTreeMap<FullJid, BTreeSet<SessionKey>>, jid: &FullJid, key: SessionKey) {
    if let Some(keys) = index.get_mut(jid) {
        keys.remove(&key);
        if keys.is_empty() {
            index.remove(jid);
        }
    }
}
