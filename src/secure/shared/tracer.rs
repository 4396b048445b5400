//! Tracer of an endpoint: what was traced and not taken yet, and what was last told of what changes often.
//!
//! It is off unless somebody wants a trace, and then there is nothing but a look whether it is. Whatever it has to remember in order to tell
//! less is here, so that sessions and paths are no larger for it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::secure::api::stats::Lane;
use crate::secure::api::trace::{TraceEvent, Traced};
use crate::secure::ids::{PathId, SessionKey};

/// Events that wait to be taken, at most: 4096, some hundred kilobytes. What a driver does at one time makes a few.
const MOST_WAITING: usize = 4096;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Tracer(Option<Box<Trace>>);

/// One that is on.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    waiting: VecDeque<Traced>,
    /// How many events found no room since the last that did, and when the last of them was.
    dropped: Option<(u64, Instant)>,
    pub(crate) sessions: BTreeMap<SessionKey, OfSession>,
    pub(crate) paths: BTreeMap<PathId, OfPath>,
}

/// What was told of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OfSession {
    pub(crate) lane: Option<Lane>,
    pub(crate) retransmitted: u64,
    pub(crate) relay: Option<u64>,
}

/// What was told of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OfPath {
    /// In bytes on the wire.
    pub(crate) window: usize,
    /// In bytes.
    pub(crate) block: usize,
}

impl Tracer {
    /// From now on events are kept until they are taken.
    pub(crate) fn start(&mut self) {
        self.0.get_or_insert_default();
    }

    /// From now on none are.
    pub(crate) fn stop(&mut self) {
        self.0 = None;
    }

    /// What there is, if it is on.
    pub(crate) fn on(&mut self) -> Option<&mut Trace> {
        self.0.as_deref_mut()
    }

    /// Something has happened.
    pub(crate) fn note(&mut self, now: Instant, event: TraceEvent) {
        if let Some(trace) = self.on() {
            trace.note(now, event);
        }
    }

    /// The next event, in their order.
    pub(crate) fn poll(&mut self) -> Option<Traced> {
        let trace = self.on()?;
        let missing = |(events, at)| Traced { at, event: TraceEvent::Dropped { events } };
        trace.waiting.pop_front().or_else(|| trace.dropped.take().map(missing))
    }
}

impl Trace {
    /// Something has happened. Once there was no room, there is none until all that waits has been taken: so what is missing is missing in
    /// one place.
    pub(crate) fn note(&mut self, at: Instant, event: TraceEvent) {
        if self.dropped.is_some() || self.waiting.len() >= MOST_WAITING {
            let before = self.dropped.map_or(0, |(events, _)| events);
            self.dropped = Some((before + 1, at));
        } else {
            self.waiting.push_back(Traced { at, event });
        }
    }
}

impl OfPath {
    /// Whether the window is so different from what was told that it is to be told again: by a quarter.
    pub(crate) fn is_news(&self, window: usize) -> bool {
        window >= self.window + self.window / 4 && window > self.window
            || window <= self.window - self.window / 4 && window < self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: TraceEvent = TraceEvent::SessionConfirmed { session: 1 };

    #[test]
    fn nothing_is_kept_unless_somebody_wants_it() {
        let (mut tracer, now) = (Tracer::default(), Instant::now());
        tracer.note(now, EVENT);
        assert_eq!(tracer.poll(), None);
        tracer.start();
        tracer.note(now, EVENT);
        assert_eq!(tracer.poll(), Some(Traced { at: now, event: EVENT }));
        tracer.note(now, EVENT);
        tracer.stop();
        assert!(tracer.poll().is_none());
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told_in_its_place() {
        let (mut tracer, now) = (Tracer::default(), Instant::now());
        tracer.start();
        (0..MOST_WAITING + 3).for_each(|_| tracer.note(now, EVENT));
        assert_eq!(tracer.poll().map(|traced| traced.event), Some(EVENT));
        tracer.note(now, EVENT);
        let events: Vec<_> = std::iter::from_fn(|| tracer.poll()).map(|traced| traced.event).collect();
        assert_eq!(events.len(), MOST_WAITING);
        assert_eq!(events.last(), Some(&TraceEvent::Dropped { events: 4 }));
        tracer.note(now, EVENT);
        assert_eq!(tracer.poll().map(|traced| traced.event), Some(EVENT), "there is room again");
    }

    #[test]
    fn a_window_is_told_again_when_it_is_a_quarter_larger_or_smaller() {
        let told = OfPath { window: 1000, block: 0 };
        assert_eq!([1000, 1249, 751].map(|window| told.is_news(window)), [false; 3]);
        assert_eq!([1250, 750, 0].map(|window| told.is_news(window)), [true; 3]);
        assert!(!OfPath::default().is_news(0) && OfPath::default().is_news(1));
    }
}
