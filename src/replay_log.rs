//! Replay log: which handshakes were accepted of late, so that none is accepted twice. Pure.
//!
//! What nobody can repeat any more is forgotten, by the wall clock, which somebody may set back. Therefore the log also
//! knows up to which minute it has forgotten anything, and nothing of that minute or an earlier one is new to it again. So a
//! clock that was ahead and is set back keeps out some clients for a while, and lets no replay in.
//!
//! A bridge has two of them: one in the secure core, and one that is also on the disk, in [`crate::state`].

use std::collections::BTreeSet;

/// A handshake is accepted for 10 minutes before and after the minute that it names, by which clocks may differ, and
/// remembered for as long.
pub(crate) const WINDOW_MINUTES: u64 = 10;

/// A handshake: the minute that it names, and its id.
pub(crate) type Handshake<K> = (u64, K);

/// Whether a handshake was accepted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It certainly was not.
    New,
    /// It was.
    Replay,
    /// Nobody knows any more: others of its minute, or of a later one, were forgotten when the clock was ahead.
    Forgotten,
}

/// The handshakes of the last minutes.
#[derive(Debug)]
pub(crate) struct ReplayLog<K> {
    accepted: BTreeSet<Handshake<K>>,
    /// The highest minute of anything that was forgotten.
    forgotten: Option<u64>,
}

impl<K> Default for ReplayLog<K> {
    fn default() -> Self {
        Self { accepted: BTreeSet::new(), forgotten: None }
    }
}

impl<K: Copy + Ord> ReplayLog<K> {
    /// With what earlier processes have accepted, and forgotten up to some minute.
    pub(crate) fn new(accepted: impl IntoIterator<Item = Handshake<K>>, forgotten: Option<u64>) -> Self {
        Self { accepted: accepted.into_iter().collect(), forgotten }
    }

    /// Whether `handshake` was accepted before. Forgets what is too old to be accepted now.
    pub(crate) fn check(&mut self, now_minute: u64, handshake: Handshake<K>) -> Verdict {
        self.forget_before(now_minute.saturating_sub(WINDOW_MINUTES));
        if self.accepted.contains(&handshake) {
            Verdict::Replay
        } else if self.forgotten.is_some_and(|forgotten| forgotten >= handshake.0) {
            Verdict::Forgotten
        } else {
            Verdict::New
        }
    }

    /// Accepts `handshake`.
    pub(crate) fn insert(&mut self, handshake: Handshake<K>) {
        self.accepted.insert(handshake);
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.accepted.len()
    }

    /// Those that are remembered, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Handshake<K>> {
        self.accepted.iter()
    }

    /// Up to which minute handshakes were forgotten.
    pub(crate) fn forgotten(&self) -> Option<u64> {
        self.forgotten
    }

    /// For how many minutes no handshake can be new, because later ones were forgotten: the clock was far ahead. None if some can be now.
    pub(crate) fn minutes_locked(&self, now_minute: u64) -> Option<u64> {
        self.forgotten?.checked_sub(now_minute).map(|ahead| ahead + 1)
    }

    fn forget_before(&mut self, minute: u64) {
        while self.accepted.first().is_some_and(|(oldest, _)| *oldest < minute) {
            let oldest = self.accepted.pop_first().map(|(oldest, _)| oldest);
            self.forgotten = self.forgotten.max(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is new; then it is accepted.
    fn accepts(log: &mut ReplayLog<u64>, now: u64, minute: u64, n: u64) -> bool {
        let is_new = log.check(now, (minute, n)) == Verdict::New;
        if is_new {
            log.insert((minute, n));
        }
        is_new
    }

    #[test]
    fn what_was_accepted_is_not_new_as_long_as_it_could_be_said() {
        let mut log = ReplayLog::new([(1005, 1)], None);
        for now in 995..=1015 {
            assert_eq!(log.check(now, (1005, 1)), Verdict::Replay, "{now}");
        }
        assert_eq!(log.check(1015, (1005, 2)), Verdict::New);
    }

    #[test]
    fn what_cannot_be_said_again_is_forgotten() {
        let mut log = ReplayLog::default();
        assert!(accepts(&mut log, 1000, 1000, 1) && accepts(&mut log, 1011, 1011, 2));
        assert_eq!(log.len(), 1);
    }

    #[test]
    fn a_clock_that_jumps_ahead_and_back_makes_nothing_new_that_was_forgotten() {
        let mut log = ReplayLog::default();
        assert!(accepts(&mut log, 1000, 1000, 1));
        assert!(accepts(&mut log, 1060, 1060, 2), "an hour ahead");
        for now in 995..1015 {
            assert_eq!(log.check(now, (1000, 1)), Verdict::Forgotten, "{now}");
        }
    }

    #[test]
    fn a_clock_that_was_ahead_turns_nobody_away_who_comes_a_minute_after_the_last() {
        let mut log = ReplayLog::default();
        assert!(accepts(&mut log, 1000, 1000, 1));
        assert_eq!(log.check(1_000_000, (1_000_000, 2)), Verdict::New);
        assert!(!accepts(&mut log, 1000, 1000, 3));
        assert!(accepts(&mut log, 1001, 1001, 4));
    }

    #[test]
    fn a_log_that_has_forgotten_what_was_said_later_is_locked_until_then() {
        let mut log = ReplayLog::default();
        assert!(accepts(&mut log, 2000, 2000, 1) && accepts(&mut log, 2011, 2011, 2));
        assert_eq!(log.minutes_locked(1000), Some(1001));
        assert_eq!([1000, 2000].map(|minute| log.check(minute, (minute, 3))), [Verdict::Forgotten; 2]);
        assert_eq!(log.minutes_locked(2001), None);
        assert_eq!(log.check(2001, (2001, 3)), Verdict::New);
    }

    #[test]
    fn what_an_earlier_log_has_forgotten_stays_so() {
        let mut earlier = ReplayLog::new([(1000, 1)], None);
        assert!(accepts(&mut earlier, 1060, 1060, 2));
        let mut log = ReplayLog::new(earlier.iter().copied(), earlier.forgotten());
        assert_eq!(log.check(1000, (1000, 1)), Verdict::Forgotten);
        assert_eq!(log.check(1060, (1060, 2)), Verdict::Replay);
    }
}
