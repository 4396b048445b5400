//! The methods of every protocol core.

use std::time::Instant;

use super::{Endpoint, Place, TimerKey};
use crate::protocol::{AccountChange, AccountId, CloseReason, Core, Event, Read, StreamId};
use crate::session::streams::Streams;

impl Core for Endpoint {
    fn handle_account(&mut self, now: Instant, id: AccountId, change: AccountChange) {
        match change {
            AccountChange::Online { jid, resumed } => self.on_online(now, id, jid, resumed),
            AccountChange::Suspended => self.on_suspended(now, id),
            AccountChange::Gone => self.on_gone(now, id),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                TimerKey::Session(key) => self.on_session_timeout(now, key),
                TimerKey::Way(id) => self.on_way_timeout(now, id),
                TimerKey::Stream(id) => self.on_stream_timeout(now, id),
                TimerKey::Answers => self.release_answers(),
                TimerKey::Orphans => self.forget_orphans(now),
                TimerKey::Unread => self.on_answers_timeout(now),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn poll_event(&mut self) -> Option<Event> {
        loop {
            let event = self.events.pop_front()?;
            // The application may have let go of it since.
            if self.streams.contains_key(&event.stream()) {
                return Some(event);
            }
        }
    }

    fn accept(&mut self, now: Instant, id: StreamId) {
        let Some((key, streams, wire)) = self.place_of(id) else { return };
        streams.accept(wire);
        self.after_change(now, key);
    }

    fn write(&mut self, now: Instant, id: StreamId, data: &[u8]) -> Result<usize, CloseReason> {
        if let Some(Place::Nowhere(reason)) = self.streams.get(&id) {
            return Err(*reason);
        }
        let Some(Place::In(key, wire)) = self.streams.get(&id).copied() else { return Ok(0) };
        let Some(session) = self.sessions.get_mut(&key) else {
            return self.ended.get_mut(&key).map_or(Ok(0), |ended| ended.streams.write(wire, data));
        };
        let Some(state) = session.state.as_mut() else { return Ok(0) };
        let room = self.ledger.room_to_write(&session.client);
        let taken = state.streams.write_within(wire, data, room)?;
        if taken >= room && taken < data.len() {
            session.crowded.insert(id);
        }
        self.after_change(now, key);
        Ok(taken)
    }

    fn read(&mut self, now: Instant, id: StreamId) -> Read {
        match self.streams.get(&id) {
            None | Some(Place::Nowhere(CloseReason::Finished)) => return Read::End,
            Some(Place::Nowhere(reason)) => return Read::Broken(*reason),
            Some(Place::Waiting(_)) => return Read::Blocked,
            Some(Place::In(..)) => {}
        }
        let Some((key, streams, wire)) = self.place_of(id) else { return Read::End };
        let read = streams.read(wire);
        if matches!(read, Read::Data(_)) {
            self.after_change(now, key);
        }
        read
    }

    fn finish(&mut self, now: Instant, id: StreamId) {
        let Some((key, streams, wire)) = self.place_of(id) else { return };
        streams.finish(wire);
        self.after_change(now, key);
    }

    fn abort(&mut self, now: Instant, id: StreamId) {
        let Some((key, streams, wire)) = self.place_of(id) else { return };
        streams.abort(wire);
        self.after_change(now, key);
    }

    fn release(&mut self, now: Instant, id: StreamId) {
        self.timers.cancel(TimerKey::Stream(id));
        if let Some(place) = self.streams.remove(&id) {
            self.vacate(now, id, place);
        }
    }

    fn finish_all(&mut self, now: Instant) {
        for (id, place) in self.streams.clone() {
            match place {
                Place::Waiting(_) => self.fail_stream(id, CloseReason::Finished),
                Place::In(..) => self.finish(now, id),
                Place::Nowhere(_) => {}
            }
        }
    }

    fn close_reason(&self, id: StreamId) -> Option<CloseReason> {
        match self.streams.get(&id) {
            None => Some(CloseReason::Finished),
            Some(Place::Nowhere(reason)) => Some(*reason),
            Some(Place::Waiting(_)) => None,
            Some(Place::In(key, wire)) => {
                let living = self.sessions.get(key).and_then(|session| session.state.as_ref());
                let ended = || self.ended.get(key).map(|ended| &ended.streams);
                let streams = living.map(|state| &state.streams).or_else(ended);
                streams.map_or(Some(CloseReason::Finished), |streams| streams.close_reason(*wire))
            }
        }
    }

    fn accepts_on(&self, id: AccountId) -> bool {
        self.door.as_ref().is_some_and(|door| door.service().accounts.contains(&id))
    }

    fn stream_count(&self) -> usize {
        let waiting: usize = self
            .sessions
            .values()
            .filter_map(|session| session.caller.as_ref())
            .map(|caller| caller.waiting.len())
            .sum();
        waiting + self.all_streams().map(Streams::stream_count).sum::<usize>()
    }

    fn is_idle(&self) -> bool {
        let mut callers = self.sessions.values().filter_map(|session| session.caller.as_ref());
        self.all_streams().all(Streams::is_idle) && callers.all(|caller| caller.waiting.is_empty())
    }

    fn buffered(&self) -> usize {
        self.all_streams().map(Streams::buffered_bytes).sum()
    }
}
