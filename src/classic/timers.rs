//! Deadlines of streams and links.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::StreamId;
use super::routing::LinkId;

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// A stream may have waited long enough for something.
    Stream(StreamId),
    /// A link may have been quiet long enough for a ping, or for ever.
    Link(LinkId),
    /// An alias of a link may be tried again.
    Release(LinkId),
}

/// At most one deadline a key. A deadline is only a time to look: whoever set it checks then whether
/// anything is due, so nothing has to be moved each time that the due time moves back.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(Instant, TimerKey)>,
    armed: BTreeMap<TimerKey, Instant>,
}

impl Timers {
    /// Looks at `key` at the time `at`, or earlier if that was asked for already.
    pub(super) fn arm(&mut self, key: TimerKey, at: Instant) {
        match self.armed.get(&key) {
            Some(&earlier) if earlier <= at => return,
            Some(&later) => self.queue.remove(&(later, key)),
            None => false,
        };
        self.armed.insert(key, at);
        self.queue.insert((at, key));
    }

    pub(super) fn cancel(&mut self, key: TimerKey) {
        if let Some(at) = self.armed.remove(&key) {
            self.queue.remove(&(at, key));
        }
    }

    /// When the first one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Takes one that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<TimerKey> {
        let &(at, key) = self.queue.first()?;
        (at <= now).then(|| {
            self.cancel(key);
            key
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earlier_of_two_deadlines_counts() {
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(2));
        let key = TimerKey::Stream(StreamId(1));
        let mut timers = Timers::default();
        timers.arm(key, late);
        timers.arm(key, soon);
        timers.arm(key, late);
        assert_eq!(timers.next(), Some(soon));
        assert_eq!(timers.pop_due(now), None);
        assert_eq!(timers.pop_due(soon), Some(key));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_cancelled_deadline_never_comes() {
        let now = Instant::now();
        let mut timers = Timers::default();
        timers.arm(TimerKey::Stream(StreamId(1)), now);
        timers.cancel(TimerKey::Stream(StreamId(1)));
        assert_eq!(timers.pop_due(now), None);
    }
}
