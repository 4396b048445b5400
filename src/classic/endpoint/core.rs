//! Protocol core: the methods that every one has, for this endpoint.

use std::time::Instant;

use super::Endpoint;
use crate::classic::stream::{Phase, Stream};
use crate::classic::timers::TimerKey;
use crate::protocol::{AccountChange, AccountId, CloseReason, Core, Event, Read, StreamId};

impl Core for Endpoint {
    fn handle_account(&mut self, now: Instant, account: AccountId, change: AccountChange) {
        match change {
            AccountChange::Online { jid, resumed } => self.on_online(now, account, jid, resumed),
            AccountChange::Suspended => self.on_suspended(account),
            AccountChange::Gone => self.on_gone(now, account),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                TimerKey::Stream(id) => self.check_stream(now, id),
                TimerKey::Link(id) => self.check_link(now, id),
                // What waited for it is still in the queue; polling for transmits finds it.
                TimerKey::Release(_) => {}
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
            if self.streams.get(&event.stream()).is_some_and(|stream| !stream.released) {
                return Some(event);
            }
        }
    }

    fn accept(&mut self, now: Instant, id: StreamId) {
        let Some((link, via, from)) = self.offer_of(id) else { return };
        self.send_ack(id, link, via, &from, true);
        self.half_open -= 1;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.phase = Phase::Open { link };
        stream.on_heard(now);
        stream.pinned = Some((via, from));
        self.after_change(now, id);
    }

    fn write(&mut self, now: Instant, id: StreamId, data: &[u8]) -> Result<usize, CloseReason> {
        let stream = self.streams.get_mut(&id).ok_or(CloseReason::Finished)?;
        if let Some(reason) = stream.close_reason() {
            return Err(reason);
        }
        let taken = stream.send.write(data);
        stream.write_blocked = taken < data.len();
        self.after_change(now, id);
        Ok(taken)
    }

    fn read(&mut self, now: Instant, id: StreamId) -> Read {
        let Some(stream) = self.streams.get_mut(&id) else { return Read::End };
        if let Some(data) = stream.recv.read() {
            self.give_answers(now, id);
            return Read::Data(data);
        }
        match stream.close_reason() {
            None | Some(CloseReason::Finished) if stream.recv.has_ended() => Read::End,
            None => Read::Blocked,
            Some(CloseReason::Finished) => Read::End,
            Some(reason) => Read::Broken(reason),
        }
    }

    fn finish(&mut self, now: Instant, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.send.finish();
            self.after_change(now, id);
        }
    }

    fn abort(&mut self, now: Instant, id: StreamId) {
        if self.streams.get(&id).is_some_and(Stream::is_open) {
            self.break_stream(now, id, CloseReason::Aborted);
        }
    }

    fn release(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if matches!(stream.phase, Phase::Offered { .. }) {
            return self.refuse(now, id);
        }
        stream.released = true;
        stream.send.finish();
        stream.recv.discard();
        if matches!(stream.phase, Phase::Closed(_)) {
            self.streams.remove(&id);
            self.timers.cancel(TimerKey::Stream(id));
        } else {
            self.give_answers(now, id);
            self.after_change(now, id);
        }
    }

    fn finish_all(&mut self, now: Instant) {
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        for id in ids {
            match self.streams.get(&id).map(|stream| &stream.phase) {
                // It may have been answered already, and the peer waits on an open stream: it is closed when the answer comes.
                Some(Phase::Connecting(connecting)) if connecting.attempt.is_some() => self.finish(now, id),
                Some(Phase::Open { .. }) => self.finish(now, id),
                Some(Phase::Offered { .. }) => self.refuse(now, id),
                Some(Phase::Connecting(_)) => self.close(now, id, CloseReason::Finished),
                Some(Phase::Closed(_)) | None => {}
            }
        }
    }

    fn close_reason(&self, id: StreamId) -> Option<CloseReason> {
        self.streams.get(&id).map_or(Some(CloseReason::Finished), Stream::close_reason)
    }

    fn accepts_on(&self, account: AccountId) -> bool {
        self.config.accept_on.contains(&account)
    }

    fn stream_count(&self) -> usize {
        self.streams.len()
    }

    fn buffered(&self) -> usize {
        self.streams.values().map(|stream| stream.send.buffered() + stream.recv.buffered()).sum()
    }
}
