//! Cores: both protocols, and which of them a stream is of.

use std::time::Instant;

use crate::protocol::{AccountChange, AccountId, CloseReason, Core, Event, SizeLimit, StreamId};
use crate::{classic, secure};

/// A stream, and which protocol it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StreamKey {
    Classic(StreamId),
    Secure(StreamId),
}

#[derive(Debug)]
pub(super) struct Cores {
    pub(super) classic: classic::Endpoint,
    pub(super) secure: secure::Endpoint,
}

impl Cores {
    /// The core that a stream is of, and the stream's id there.
    pub(super) fn core_of(&mut self, key: StreamKey) -> (&mut dyn Core, StreamId) {
        match key {
            StreamKey::Classic(id) => (&mut self.classic, id),
            StreamKey::Secure(id) => (&mut self.secure, id),
        }
    }

    pub(super) fn close_reason(&self, key: StreamKey) -> Option<CloseReason> {
        match key {
            StreamKey::Classic(id) => self.classic.close_reason(id),
            StreamKey::Secure(id) => self.secure.close_reason(id),
        }
    }

    pub(super) fn handle_account(&mut self, now: Instant, id: AccountId, change: AccountChange) {
        self.classic.handle_account(now, id, change.clone());
        self.secure.handle_account(now, id, change);
    }

    /// The server of an account has shown something of the largest stanza that it takes. What it says holds for everything; what it only
    /// shows is about the largest stanza on its way.
    pub(super) fn handle_size_limit(&mut self, now: Instant, id: AccountId, limit: SizeLimit) {
        let is_said = matches!(limit, SizeLimit::Told(_));
        let is_classic = self.classic.largest_on_its_way(id) > self.secure.largest_on_its_way(id);
        if is_said || is_classic {
            self.classic.handle_size_limit(now, id, limit);
        }
        if is_said || !is_classic {
            self.secure.handle_size_limit(now, id, limit);
        }
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

    pub(super) fn accepts_on(&self, id: AccountId) -> bool {
        self.classic.accepts_on(id) || self.secure.accepts_on(id)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.classic.is_idle() && self.secure.is_idle()
    }

    /// Logs what is left when the program ends, so that it shows what was broken off.
    pub(super) fn log_remains(&self, bytestreams: usize) {
        for (protocol, core) in [("classic", &self.classic as &dyn Core), ("secure", &self.secure)] {
            let (streams, bytes) = (core.stream_count(), core.buffered());
            tracing::debug!("the {protocol} core ends with {streams} streams, which keep {bytes} bytes");
        }
        tracing::debug!(
            "the secure core ends with {bytestreams} bytestreams and {:?}",
            self.secure.statistics()
        );
    }

    pub(super) fn finish_all(&mut self, now: Instant) {
        self.classic.finish_all(now);
        self.secure.finish_all(now);
    }
}
