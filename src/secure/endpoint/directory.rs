//! Directory of streams: which stream of which session an id names, and what applications should know of them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::protocol::timers::Timers;
use crate::protocol::{CloseReason, Event, StreamId};
use crate::secure::ids::SessionKey;
use crate::secure::streams::StreamEvent;

/// What the id of a stream stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Binding {
    /// It is the session's stream with this number on the wire.
    Bound(SessionKey, u64),
    /// It is in no session, or not any more, for this reason.
    Unbound(CloseReason),
}

/// All streams that applications have.
#[derive(Debug, Default)]
pub(super) struct Directory {
    bindings: BTreeMap<StreamId, Binding>,
    names: BTreeMap<(SessionKey, u64), StreamId>,
    events: VecDeque<Event>,
    /// Connects that may have waited long enough.
    deadlines: Timers<StreamId>,
}

impl Directory {
    pub(super) fn binding(&self, stream: StreamId) -> Option<Binding> {
        self.bindings.get(&stream).copied()
    }

    pub(super) fn streams(&self) -> Vec<StreamId> {
        self.bindings.keys().copied().collect()
    }

    /// How many things are written down.
    pub(super) fn entries(&self) -> usize {
        self.bindings.len() + self.names.len() + self.events.len()
    }

    /// A stream that somebody wants, until this deadline, with its number in the session.
    pub(super) fn add(&mut self, stream: StreamId, key: SessionKey, wire: u64, deadline: Instant) {
        self.bind(stream, key, wire);
        self.deadlines.arm(stream, deadline);
    }

    /// A stream has got its number in the session.
    fn bind(&mut self, stream: StreamId, key: SessionKey, wire: u64) {
        self.bindings.insert(stream, Binding::Bound(key, wire));
        self.names.insert((key, wire), stream);
    }

    /// A stream never got anywhere.
    pub(super) fn fail(&mut self, stream: StreamId, reason: CloseReason) {
        self.deadlines.cancel(stream);
        let Some(binding) = self.bindings.get_mut(&stream) else {
            // Its application has let go of it.
            return;
        };
        *binding = Binding::Unbound(reason);
        self.events.push_back(Event::Closed(stream, reason));
    }

    /// The application has let go of a stream, or it has failed: what its id stood for.
    pub(super) fn remove(&mut self, stream: StreamId) -> Option<Binding> {
        self.deadlines.cancel(stream);
        let binding = self.bindings.remove(&stream)?;
        self.forget_name(binding);
        Some(binding)
    }

    /// The session's number of a stream names nothing any more.
    pub(super) fn forget_name(&mut self, binding: Binding) {
        if let Binding::Bound(key, wire) = binding {
            self.names.remove(&(key, wire));
        }
    }

    /// A session's stream has something to say. `number` names one that is new.
    pub(super) fn on_event(&mut self, key: SessionKey, event: StreamEvent, number: impl FnOnce() -> u64) {
        if let StreamEvent::Incoming { id: wire, target } = event {
            let stream = StreamId(number());
            self.bind(stream, key, wire);
            return self.events.push_back(Event::Incoming { stream, target });
        }
        let Some(&stream) = self.names.get(&(key, event.id())) else {
            // Its application has let go of it.
            return;
        };
        if matches!(event, StreamEvent::Connected(_) | StreamEvent::Closed(..)) {
            self.deadlines.cancel(stream);
        }
        self.events.push_back(match event {
            StreamEvent::Connected(_) => Event::Connected(stream),
            StreamEvent::Readable(_) => Event::Readable(stream),
            StreamEvent::Writable(_) | StreamEvent::Incoming { .. } => Event::Writable(stream),
            StreamEvent::Closed(_, reason) => Event::Closed(stream, reason),
        });
    }

    /// What was not read of a session that is over is given up. The applications have been told that it is over.
    pub(super) fn discard(&mut self, key: SessionKey, reason: CloseReason) {
        let first = (key, 0);
        while let Some((&name, &stream)) = self.names.range(first..).next().filter(|(name, _)| name.0 == key)
        {
            self.names.remove(&name);
            self.bindings.insert(stream, Binding::Unbound(reason));
        }
    }

    /// The next thing that applications should know.
    pub(super) fn poll_event(&mut self) -> Option<Event> {
        loop {
            let event = self.events.pop_front()?;
            // The application may have let go of it since.
            if self.bindings.contains_key(&event.stream()) {
                return Some(event);
            }
        }
    }

    /// When the first connect may have waited long enough.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// The streams of a session whose connects wait.
    pub(super) fn waiting(&self, key: SessionKey) -> Vec<StreamId> {
        let streams = self.names.range((key, 0)..=(key, u64::MAX)).map(|(_, stream)| *stream);
        streams.filter(|stream| self.deadlines.is_armed(*stream)).collect()
    }

    /// A stream whose connect has waited long enough.
    pub(super) fn pop_overdue(&mut self, now: Instant) -> Option<StreamId> {
        self.deadlines.pop_due(now)
    }
}
