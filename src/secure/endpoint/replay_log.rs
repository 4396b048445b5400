//! Replay log: which first contacts were accepted, so that none is accepted twice.
//!
//! What nobody can repeat any more is forgotten, by the wall clock, which somebody may set back. Therefore the log also
//! knows up to which minute it has forgotten anything, and nothing of that minute or an earlier one is new to it again. So a
//! clock that was ahead and is set back keeps out some clients for a while, and lets no replay in.

use std::collections::BTreeSet;

use crate::secure::crypto::credential::{Credential, WINDOW_MINUTES};

/// The first contacts of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct ReplayLog {
    accepted: BTreeSet<(u64, Credential)>,
    /// The highest minute of anything that was forgotten.
    forgotten: Option<u64>,
}

impl ReplayLog {
    /// With what earlier processes have accepted.
    pub(crate) fn new(accepted: impl IntoIterator<Item = (Credential, u64)>) -> Self {
        Self {
            accepted: accepted.into_iter().map(|(credential, minute)| (minute, credential)).collect(),
            forgotten: None,
        }
    }

    /// Whether `credential` of `minute` was certainly not accepted before.
    pub(crate) fn is_new(&mut self, now_minute: u64, minute: u64, credential: Credential) -> bool {
        self.forget_before(now_minute.saturating_sub(WINDOW_MINUTES));
        self.forgotten.is_none_or(|forgotten| forgotten < minute)
            && !self.accepted.contains(&(minute, credential))
    }

    /// Accepts `credential` of `minute`.
    pub(crate) fn insert(&mut self, minute: u64, credential: Credential) {
        self.accepted.insert((minute, credential));
    }

    /// For how many minutes nothing can be new, because what was said later was forgotten: the clock was far ahead.
    pub(crate) fn minutes_locked(&self, now_minute: u64) -> Option<u64> {
        self.forgotten?.checked_sub(now_minute).map(|ahead| ahead + 1)
    }

    fn forget_before(&mut self, minute: u64) {
        while let Some(&(oldest, credential)) = self.accepted.first().filter(|(oldest, _)| *oldest < minute) {
            self.forgotten = self.forgotten.max(Some(oldest));
            self.accepted.remove(&(oldest, credential));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(n: u64) -> Credential {
        format!("00000000-0000-4000-8000-{n:012x}").parse().unwrap()
    }

    /// Whether it is new; then it is accepted.
    fn accepts(log: &mut ReplayLog, now: u64, minute: u64, n: u64) -> bool {
        let is_new = log.is_new(now, minute, credential(n));
        if is_new {
            log.insert(minute, credential(n));
        }
        is_new
    }

    #[test]
    fn what_was_accepted_is_not_new_as_long_as_it_could_be_said() {
        let mut log = ReplayLog::new([(credential(1), 1005)]);
        for now in 995..=1015 {
            assert!(!log.is_new(now, 1005, credential(1)), "{now}");
        }
        assert!(log.is_new(1015, 1005, credential(2)));
    }

    #[test]
    fn what_cannot_be_said_again_is_forgotten() {
        let mut log = ReplayLog::default();
        assert!(accepts(&mut log, 1000, 1000, 1) && accepts(&mut log, 1011, 1011, 2));
        assert_eq!(log.accepted.len(), 1);
    }

    #[test]
    fn a_clock_that_jumps_ahead_and_back_makes_nothing_new_that_was_forgotten() {
        let mut log = ReplayLog::default();
        assert!(accepts(&mut log, 1000, 1000, 1));
        assert!(accepts(&mut log, 1060, 1060, 2), "an hour ahead");
        for now in 995..1015 {
            assert!(!log.is_new(now, 1000, credential(1)), "{now}");
        }
    }

    #[test]
    fn a_clock_that_was_ahead_turns_nobody_away_who_comes_a_minute_after_the_last() {
        let mut log = ReplayLog::default();
        assert!(accepts(&mut log, 1000, 1000, 1));
        assert!(log.is_new(1_000_000, 1_000_000, credential(2)));
        assert!(!accepts(&mut log, 1000, 1000, 3));
        assert!(accepts(&mut log, 1001, 1001, 4));
    }

    #[test]
    fn a_log_that_has_forgotten_what_was_said_later_is_locked_until_then() {
        let mut log = ReplayLog::default();
        assert!(accepts(&mut log, 2000, 2000, 1) && accepts(&mut log, 2011, 2011, 2));
        assert_eq!(log.minutes_locked(1000), Some(1001));
        assert!(!log.is_new(1000, 1000, credential(3)) && !log.is_new(2000, 2000, credential(3)));
        assert_eq!(log.minutes_locked(2001), None);
        assert!(log.is_new(2001, 2001, credential(3)));
    }
}
