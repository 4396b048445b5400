//! Streams: where each one is, from the connect on.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{Caller, Endpoint, Place, Session, SessionKey, TimerKey};
use crate::protocol::{Address, CloseReason, Core as _, Event, StreamId};
use crate::session::Bridge;
use crate::session::client_tag::ClientTag;
use crate::session::dialing::Dialing;
use crate::session::frame::SessionClose;
use crate::session::line::LineKeys;
use crate::session::streams::Streams;

impl Endpoint {
    /// Asks `bridge` for a connection to `target`, in the session that there is or a new one. The outcome is an
    /// [`Event::Connected`] or [`Event::Closed`].
    ///
    /// # Errors
    ///
    /// [`CloseReason::TooManyStreams`].
    pub fn connect(
        &mut self,
        now: Instant,
        bridge: &Bridge,
        target: Address,
    ) -> Result<StreamId, CloseReason> {
        if self.stream_count() >= self.config.max_streams {
            return Err(CloseReason::TooManyStreams);
        }
        let key = self.session_to(bridge).unwrap_or_else(|| self.call(bridge));
        let id = StreamId(self.next_number());
        self.open_stream(key, id, target)?;
        self.timers.arm(TimerKey::Stream(id), now + self.config.connect_timeout);
        self.after_change(now, key);
        Ok(id)
    }

    fn session_to(&self, bridge: &Bridge) -> Option<SessionKey> {
        let leads_there = |session: &&Session| {
            session.caller.as_ref().is_some_and(|caller| {
                caller.line == bridge.line
                    && caller.accounts == bridge.accounts
                    && caller.peers == bridge.peers
            })
        };
        self.sessions.iter().find(|(_, session)| leads_there(session)).map(|(key, _)| *key)
    }

    /// A session that is still to be made.
    fn call(&mut self, bridge: &Bridge) -> SessionKey {
        let caller = Caller {
            keys: LineKeys::new(&bridge.line),
            line: bridge.line.clone(),
            accounts: bridge.accounts.clone(),
            accounts_left: bridge.accounts.iter().copied().collect(),
            peers: bridge.peers.clone(),
            told: BTreeSet::new(),
            dialing: Dialing::default(),
            dial_at: None,
            waiting: Vec::new(),
            last_path_number: 0,
            must_ask: false,
        };
        self.add_session(Session::of(caller))
    }

    pub(super) fn add_session(&mut self, mut session: Session) -> SessionKey {
        let key = SessionKey(self.next_number());
        session.tag = session.client.as_ref().map_or(ClientTag(key.0), |client| self.tagger.tag(client));
        self.sessions.insert(key, session);
        key
    }

    fn open_stream(&mut self, key: SessionKey, id: StreamId, target: Address) -> Result<(), CloseReason> {
        let Some(session) = self.sessions.get_mut(&key) else { return Err(CloseReason::SessionLost) };
        match (&mut session.state, &mut session.caller) {
            (Some(state), _) => {
                let wire = state.streams.open(target)?;
                self.settle_in(key, id, wire);
            }
            (None, Some(caller)) => {
                caller.waiting.push((id, target));
                self.streams.insert(id, Place::Waiting(key));
            }
            (None, None) => return Err(CloseReason::SessionLost),
        }
        Ok(())
    }

    /// The stream has got its number in the session.
    pub(super) fn settle_in(&mut self, key: SessionKey, id: StreamId, wire: u64) {
        self.streams.insert(id, Place::In(key, wire));
        self.names.insert((key, wire), id);
    }

    /// The handshake is done: streams that waited for it are opened.
    pub(super) fn open_waiting(&mut self, key: SessionKey) {
        let waiting = self.sessions.get_mut(&key).and_then(|session| session.caller.as_mut());
        for (id, target) in waiting.map(|caller| std::mem::take(&mut caller.waiting)).unwrap_or_default() {
            if let Err(reason) = self.open_stream(key, id, target) {
                self.fail_stream(id, reason);
            }
        }
    }

    /// A stream that never got anywhere.
    pub(super) fn fail_stream(&mut self, id: StreamId, reason: CloseReason) {
        self.timers.cancel(TimerKey::Stream(id));
        if let Some(place) = self.streams.get_mut(&id) {
            *place = Place::Nowhere(reason);
            self.events.push_back(Event::Closed(id, reason));
        }
    }

    /// The streams that `id` is one of, and its number there.
    pub(super) fn place_of(&mut self, id: StreamId) -> Option<(SessionKey, &mut Streams, u64)> {
        let Place::In(key, wire) = *self.streams.get(&id)? else { return None };
        Some((key, self.streams_of(key)?, wire))
    }

    /// The streams of a session, even of one that is over.
    pub(super) fn streams_of(&mut self, key: SessionKey) -> Option<&mut Streams> {
        match self.sessions.get_mut(&key) {
            Some(session) => session.state.as_mut().map(|state| &mut state.streams),
            None => self.ended.get_mut(&key).map(|ended| &mut ended.streams),
        }
    }

    /// Nobody uses the place of a stream any more.
    pub(super) fn vacate(&mut self, now: Instant, id: StreamId, place: Place) {
        let key = match place {
            Place::Nowhere(_) => return,
            Place::Waiting(key) => {
                if let Some(caller) = self.sessions.get_mut(&key).and_then(|session| session.caller.as_mut())
                {
                    caller.waiting.retain(|(waiting, _)| *waiting != id);
                }
                key
            }
            Place::In(key, wire) => {
                self.names.remove(&(key, wire));
                if let Some(streams) = self.streams_of(key) {
                    streams.release(wire);
                }
                key
            }
        };
        self.after_change(now, key);
    }

    /// Ends all sessions, and tells the peers.
    pub fn say_goodbye(&mut self, now: Instant) {
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            let is_callers = self.sessions.get(&key).is_some_and(|session| session.caller.is_some());
            let farewell = if is_callers { SessionClose::Done } else { SessionClose::ShuttingDown };
            self.end_session(now, key, CloseReason::Finished, Some(farewell));
        }
    }
}
