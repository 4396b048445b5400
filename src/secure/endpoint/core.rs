//! Protocol core: the methods that every one has, for this endpoint.

use std::time::Instant;

use crate::protocol::{AccountChange, AccountId, CloseReason, Core, Event, Read, StreamId};
use crate::secure::endpoint::directory::Binding;
use crate::secure::endpoint::sessions::Holder;
use crate::secure::endpoint::{Endpoint, TimerKey};
use crate::secure::ids::SessionKey;
use crate::secure::session::{Measured, Session};
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
            self.give_up(now, stream, CloseReason::ConnectTimedOut);
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
        match self.directory.binding(id) {
            None => Err(CloseReason::Finished),
            Some(Binding::Unbound(reason)) => Err(reason),
            Some(Binding::Bound(key, wire)) => {
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
        let (key, wire) = match self.directory.binding(id) {
            None | Some(Binding::Unbound(CloseReason::Finished)) => return Read::End,
            Some(Binding::Unbound(reason)) => return Read::Broken(reason),
            Some(Binding::Bound(key, wire)) => (key, wire),
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
        let Some(binding) = self.directory.remove(id) else {
            // It was let go of before.
            return;
        };
        if let Binding::Bound(key, wire) = binding {
            self.change(now, key, |streams| streams.release(wire));
        }
    }

    fn finish_all(&mut self, now: Instant) {
        for id in self.directory.streams() {
            match self.directory.binding(id) {
                // Without a session there is no peer that could finish it.
                Some(Binding::Bound(key, _))
                    if self.sessions.get(&key).is_some_and(Session::is_connecting) =>
                {
                    self.give_up(now, id, CloseReason::Finished);
                }
                Some(Binding::Bound(..)) => self.finish(now, id),
                Some(Binding::Unbound(_)) | None => {}
            }
        }
    }

    fn close_reason(&self, id: StreamId) -> Option<CloseReason> {
        match self.directory.binding(id) {
            None => Some(CloseReason::Finished),
            Some(Binding::Unbound(reason)) => Some(reason),
            Some(Binding::Bound(key, wire)) => {
                let streams = self.streams_of(key);
                streams.map_or(Some(CloseReason::Finished), |streams| streams.close_reason(wire))
            }
        }
    }

    fn accepts_on(&self, account: AccountId) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.lets_in_at(account))
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
        match self.directory.binding(id) {
            Some(Binding::Bound(key, wire)) => self.change(now, key, |streams| command(streams, wire)),
            // It is over: there is nothing that could be accepted, finished or aborted.
            Some(Binding::Unbound(_)) | None => {}
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

    /// Sends so many bytes of padding from now on by the session of a stream, or no more: what it carries can be
    /// [measured](Self::measured).
    pub fn measure(&mut self, now: Instant, id: StreamId, bytes: usize) {
        if let Some(Binding::Bound(key, _)) = self.directory.binding(id) {
            self.with_session(now, key, |session, shared| session.measure(now, bytes, shared));
        }
    }

    /// What the session of a stream was measured to carry, until now; nothing where there is none.
    pub fn measured(&self, now: Instant, id: StreamId) -> Option<Measured> {
        match self.directory.binding(id) {
            Some(Binding::Bound(key, _)) => self.sessions.get(&key)?.measured(now),
            Some(Binding::Unbound(_)) | None => None,
        }
    }

    /// A connect comes to nothing.
    pub(super) fn give_up(&mut self, now: Instant, id: StreamId, reason: CloseReason) {
        let Some(binding) = self.directory.binding(id) else {
            // Whoever lets go of a stream cancels its deadline.
            return;
        };
        self.directory.fail(id, reason);
        self.directory.forget_name(binding);
        if let Binding::Bound(key, wire) = binding {
            self.change(now, key, |streams| {
                // What was asked for in vain is not asked for later, when there is a session.
                streams.abort_unconnected(wire);
                streams.release(wire);
            });
        }
    }
}
