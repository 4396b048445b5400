//! The two protocol cores, as one.

use std::time::Instant;

use crate::protocol::{AccountChange, AccountId, CloseReason, Event, Read, StreamId};
use crate::{classic, session};

/// A stream, and which protocol it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StreamKey {
    Classic(StreamId),
    Secure(StreamId),
}

#[derive(Debug)]
pub(super) struct Cores {
    pub(super) classic: classic::Endpoint,
    pub(super) secure: session::Endpoint,
}

impl Cores {
    pub(super) fn handle_account(&mut self, now: Instant, id: AccountId, change: AccountChange) {
        self.classic.handle_account(now, id, change.clone());
        self.secure.handle_account(now, id, change);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.classic.handle_timeout(now);
        self.secure.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.classic.poll_timeout(), self.secure.poll_timeout()].into_iter().flatten().min()
    }

    pub(super) fn poll_event(&mut self) -> Option<(StreamKey, Event)> {
        let classic = self.classic.poll_event().map(|event| (StreamKey::Classic(event.stream()), event));
        classic.or_else(|| self.secure.poll_event().map(|event| (StreamKey::Secure(event.stream()), event)))
    }

    /// Whether an account is one at which peers are let in.
    pub(super) fn accepts_on(&self, id: AccountId) -> bool {
        self.classic.accepts_on(id) || self.secure.accepts_on(id)
    }

    /// Whether there is no stream, not even one that is only being closed.
    pub(super) fn is_idle(&self) -> bool {
        self.classic.stream_count() == 0 && self.secure.is_idle()
    }

    pub(super) fn finish_all(&mut self, now: Instant) {
        self.classic.finish_all(now);
        self.secure.finish_all(now);
    }

    pub(super) fn accept(&mut self, now: Instant, key: StreamKey) {
        match key {
            StreamKey::Classic(id) => self.classic.accept(now, id),
            StreamKey::Secure(id) => self.secure.accept(now, id),
        }
    }

    pub(super) fn write(&mut self, now: Instant, key: StreamKey, data: &[u8]) -> Result<usize, CloseReason> {
        match key {
            StreamKey::Classic(id) => self.classic.write(now, id, data),
            StreamKey::Secure(id) => self.secure.write(now, id, data),
        }
    }

    pub(super) fn read(&mut self, now: Instant, key: StreamKey) -> Read {
        match key {
            StreamKey::Classic(id) => self.classic.read(now, id),
            StreamKey::Secure(id) => self.secure.read(now, id),
        }
    }

    pub(super) fn finish(&mut self, now: Instant, key: StreamKey) {
        match key {
            StreamKey::Classic(id) => self.classic.finish(now, id),
            StreamKey::Secure(id) => self.secure.finish(now, id),
        }
    }

    pub(super) fn abort(&mut self, now: Instant, key: StreamKey) {
        match key {
            StreamKey::Classic(id) => self.classic.abort(now, id),
            StreamKey::Secure(id) => self.secure.abort(now, id),
        }
    }

    pub(super) fn release(&mut self, now: Instant, key: StreamKey) {
        match key {
            StreamKey::Classic(id) => self.classic.release(now, id),
            StreamKey::Secure(id) => self.secure.release(now, id),
        }
    }

    pub(super) fn close_reason(&self, key: StreamKey) -> Option<CloseReason> {
        match key {
            StreamKey::Classic(id) => self.classic.close_reason(id),
            StreamKey::Secure(id) => self.secure.close_reason(id),
        }
    }
}
