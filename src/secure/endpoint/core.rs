//! Protocol core: the methods that every one has, for this endpoint.

use std::time::Instant;

use crate::protocol::{AccountChange, AccountId, CloseReason, Core, Event, Read, StreamId};
use crate::secure::endpoint::directory::Place;
use crate::secure::endpoint::sessions::Holder;
use crate::secure::endpoint::{Endpoint, TimerKey};
use crate::secure::ids::SessionKey;
use crate::secure::session::Session;
use crate::secure::streams::Streams;

impl Core for Endpoint {
    fn handle_account(&mut self, now: Instant, id: AccountId, change: AccountChange) {
        match change {
            AccountChange::Online { jid, resumed } => self.on_online(now, id, jid, resumed),
            AccountChange::Suspended => self.on_suspended(now, id),
            AccountChange::Gone => self.on_gone(now, id),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.shared.accounts.handle_timeout(now);
        while let Some(stream) = self.directory.pop_overdue(now) {
            self.on_connect_timeout(now, stream);
        }
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                TimerKey::Session(key) => {
                    self.with_session(now, key, |session, shared| session.handle_timeout(now, shared));
                }
                TimerKey::Guest(id) => self.fail_guest(now, id),
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let parts = [self.timers.next(), self.directory.next_deadline(), self.shared.accounts.poll_timeout()];
        parts.into_iter().flatten().min()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.directory.poll_event()
    }

    fn accept(&mut self, now: Instant, id: StreamId) {
        self.command(now, id, Streams::accept);
    }

    fn write(&mut self, now: Instant, id: StreamId, data: &[u8]) -> Result<usize, CloseReason> {
        match self.directory.place(id) {
            None => Err(CloseReason::Finished),
            Some(Place::Nowhere(reason)) => Err(reason),
            Some(Place::Waiting(_)) => Ok(0),
            Some(Place::In(key, wire)) => {
                let taken = match self.holder(key) {
                    Holder::Session(session, shared) => session.write(now, wire, data, shared)?,
                    Holder::Closed(ended) => ended.streams.write(wire, data)?,
                    Holder::Nobody => 0,
                };
                self.process_events(now, key);
                Ok(taken)
            }
        }
    }

    fn read(&mut self, now: Instant, id: StreamId) -> Read {
        let (key, wire) = match self.directory.place(id) {
            None | Some(Place::Nowhere(CloseReason::Finished)) => return Read::End,
            Some(Place::Nowhere(reason)) => return Read::Broken(reason),
            Some(Place::Waiting(_)) => return Read::Blocked,
            Some(Place::In(key, wire)) => (key, wire),
        };
        let read = match self.holder(key) {
            Holder::Session(session, shared) => session.read(now, wire, shared),
            Holder::Closed(ended) => ended.streams.read(wire),
            Holder::Nobody => Read::End,
        };
        if matches!(read, Read::Data(_)) {
            self.process_events(now, key);
        }
        read
    }

    fn finish(&mut self, now: Instant, id: StreamId) {
        self.command(now, id, Streams::finish);
    }

    fn abort(&mut self, now: Instant, id: StreamId) {
        self.command(now, id, Streams::abort);
    }

    fn release(&mut self, now: Instant, id: StreamId) {
        let Some(place) = self.directory.remove(id) else {
            // It was let go of before.
            return;
        };
        self.release_place(now, id, place);
    }

    fn finish_all(&mut self, now: Instant) {
        for id in self.directory.streams() {
            match self.directory.place(id) {
                Some(place @ Place::Waiting(_)) => {
                    self.directory.fail(id, CloseReason::Finished);
                    self.release_place(now, id, place);
                }
                Some(Place::In(..)) => self.finish(now, id),
                Some(Place::Nowhere(_)) | None => {}
            }
        }
    }

    fn close_reason(&self, id: StreamId) -> Option<CloseReason> {
        match self.directory.place(id) {
            None => Some(CloseReason::Finished),
            Some(Place::Nowhere(reason)) => Some(reason),
            Some(Place::Waiting(_)) => None,
            Some(Place::In(key, wire)) => {
                let streams = self.streams_of(key);
                streams.map_or(Some(CloseReason::Finished), |streams| streams.close_reason(wire))
            }
        }
    }

    fn accepts_on(&self, account: AccountId) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.service().accounts.contains(&account))
    }

    fn stream_count(&self) -> usize {
        let ended: usize = self.ended.values().map(|ended| ended.streams.stream_count()).sum();
        self.sessions.values().map(Session::stream_count).sum::<usize>() + ended
    }

    fn is_idle(&self) -> bool {
        self.sessions.values().all(Session::is_idle)
            && self.ended.values().all(|ended| ended.streams.is_idle())
    }

    fn buffered(&self) -> usize {
        let living = self.sessions.values().filter_map(Session::streams);
        living.chain(self.ended.values().map(|ended| &ended.streams)).map(Streams::buffered_bytes).sum()
    }
}

impl Endpoint {
    /// Passes a command for a stream on to its session.
    fn command(&mut self, now: Instant, id: StreamId, command: impl FnOnce(&mut Streams, u64)) {
        match self.directory.place(id) {
            Some(Place::In(key, wire)) => self.change(now, key, |streams| command(streams, wire)),
            // There is nothing that could be accepted, finished or aborted: it is not open yet, or not any more.
            Some(Place::Waiting(_) | Place::Nowhere(_)) | None => {}
        }
    }

    /// Changes the streams of a session, or what is left of them when it is over.
    fn change(&mut self, now: Instant, key: SessionKey, change: impl FnOnce(&mut Streams)) {
        match self.holder(key) {
            Holder::Session(session, shared) => session.change(now, change, shared),
            Holder::Closed(ended) => change(&mut ended.streams),
            Holder::Nobody => {}
        }
        self.process_events(now, key);
    }

    /// A connect has waited long enough.
    fn on_connect_timeout(&mut self, now: Instant, id: StreamId) {
        let Some(place) = self.directory.place(id) else {
            // Whoever lets go of a stream cancels its deadline.
            return;
        };
        self.directory.fail(id, CloseReason::ConnectTimedOut);
        self.directory.forget_name(place);
        self.release_place(now, id, place);
    }

    /// Nobody uses the place of a stream any more.
    fn release_place(&mut self, now: Instant, id: StreamId, place: Place) {
        match place {
            Place::Nowhere(_) => {}
            Place::Waiting(key) => {
                self.with_session(now, key, |session, shared| session.withdraw(now, id, shared));
            }
            Place::In(key, wire) => self.change(now, key, |streams| streams.release(wire)),
        }
    }
}
