//! Timers: deadlines, one for each thing that has any.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// At most one deadline a key. A deadline is only a time to look: whoever set it checks then whether
/// anything is due, so nothing has to be moved each time that the due time moves back.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    queue: BTreeSet<(Instant, K)>,
    armed: BTreeMap<K, Instant>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { queue: BTreeSet::new(), armed: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> Timers<K> {
    /// Looks at `key` at the time `at`, or earlier if that was asked for already.
    pub(crate) fn arm(&mut self, key: K, at: Instant) {
        match self.armed.get(&key) {
            Some(&earlier) if earlier <= at => return,
            Some(&later) => self.queue.remove(&(later, key)),
            None => false,
        };
        self.armed.insert(key, at);
        self.queue.insert((at, key));
    }

    /// Forgets the deadline of `key`.
    pub(crate) fn cancel(&mut self, key: K) {
        if let Some(at) = self.armed.remove(&key) {
            self.queue.remove(&(at, key));
        }
    }

    /// Whether `key` has a deadline.
    pub(crate) fn is_armed(&self, key: K) -> bool {
        self.armed.contains_key(&key)
    }

    /// When the first one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Takes one that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
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
        let key = 1;
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
        timers.arm(1, now);
        timers.cancel(1);
        assert_eq!(timers.pop_due(now), None);
    }
}
