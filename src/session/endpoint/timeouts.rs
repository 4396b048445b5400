//! Timeouts: of sessions, paths and connects.

use std::time::{Duration, Instant};

use super::{Endpoint, Phase, Session, SessionKey, TimerKey};
use crate::protocol::{CloseReason, StreamId};
use crate::session::frame::SessionClose;
use crate::session::path::PathId;

/// A session without streams is kept for this long, in case there is another one soon.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A client says goodbye after [`IDLE_TIMEOUT`]. A session that it keeps for so much longer without a stream is kept from
/// others, and the bridge ends it.
const HOARDED: Duration = Duration::from_secs(600);

/// How long a client may take to show that it has the keys.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(30);

impl Endpoint {
    /// The timer of a stream that has been connected is cancelled.
    pub(super) fn on_stream_timeout(&mut self, now: Instant, id: StreamId) {
        if let Some(place) = self.streams.get(&id).copied() {
            self.fail_stream(id, CloseReason::ConnectTimedOut);
            self.vacate(now, id, place);
        }
    }

    pub(super) fn on_way_timeout(&mut self, now: Instant, id: PathId) {
        let Some(way) = self.ways.get_mut(&id) else { return };
        let is_late = match &way.phase {
            Phase::Open => way.path.is_dead(now),
            _ => way.since + super::ways::OPEN_PATIENCE <= now,
        };
        if is_late {
            return self.fail_way(now, id);
        }
        let session = way.session;
        if way.path.has_stalled(now) {
            // It may come back, but others need not wait for it.
            self.senders.forget(way.via, way.path.outstanding());
            self.answer_shares.on_silence(way.via, &way.client);
            if let Some(state) = session.and_then(|key| self.sessions.get_mut(&key)?.state.as_mut()) {
                state.on_path_dead(id);
            }
        }
        self.watch(id);
        if let Some(key) = session {
            self.after_change(now, key);
        }
    }

    pub(super) fn on_session_timeout(&mut self, now: Instant, key: SessionKey) {
        if let Some((reason, farewell)) = self.expiry(now, key) {
            return self.end_session(now, key, reason, farewell);
        }
        if let Some(state) = self.sessions.get_mut(&key).and_then(|session| session.state.as_mut()) {
            state.handle_timeout(now);
        }
        self.after_change(now, key);
    }

    /// Why a session is over by now, and what to tell the peer.
    fn expiry(&self, now: Instant, key: SessionKey) -> Option<(CloseReason, Option<SessionClose>)> {
        let session = self.sessions.get(&key)?;
        let is_over = |since: Option<Instant>, patience| since.is_some_and(|since| since + patience <= now);
        let state = session.state.as_ref();
        if is_over(state.map(|state| state.last_heard()), self.config.session_timeout) {
            Some((CloseReason::NoPath, None))
        } else if is_over(session.idle_since, idle_timeout(session)) {
            Some((CloseReason::Finished, Some(SessionClose::Done)))
        } else if !session.is_confirmed && is_over(state.map(|state| state.last_heard()), CONFIRM_PATIENCE) {
            Some((CloseReason::NoPath, Some(SessionClose::Limits)))
        } else {
            None
        }
    }

    /// Looks at a session again when anything about it may be due. What is due already waits for a path, not for time.
    pub(super) fn rearm(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else { return };
        let state = session.state.as_ref();
        let deadlines = [
            state.and_then(|state| state.next_timeout()),
            state.map(|state| state.last_heard() + self.config.session_timeout),
            session.idle_since.map(|since| since + idle_timeout(session)),
            state.filter(|_| !session.is_confirmed).map(|state| state.last_heard() + CONFIRM_PATIENCE),
            session.caller.as_ref().and_then(|caller| caller.dial_at),
        ];
        if let Some(at) = deadlines.into_iter().flatten().filter(|at| *at > now).min() {
            self.timers.arm(TimerKey::Session(key), at);
        }
    }
}

fn idle_timeout(session: &Session) -> Duration {
    if session.caller.is_some() { IDLE_TIMEOUT } else { HOARDED }
}
