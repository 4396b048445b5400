//! Lateness of a path: whether its answers are later than a short break explains, and what it has carried since they are.
//!
//! Whoever has sent much by a fast path that becomes slow has all of that on its way, and learns of it late by the usual estimates: a round
//! trip is what answers have taken, a rate what came in the last seconds. Here it shows in what is missing.

use std::time::{Duration, Instant};

use crate::secure::path::Path;
use crate::secure::tuning::{FIRST_TIMEOUT, RELAY_LATE, RELAY_TOO_LATE};

/// How late it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    InTime,
    /// Since then.
    Late(Instant),
    TooLate,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Lateness {
    /// When something was answered in time last, or nothing was on the way.
    prompt_at: Instant,
    /// What was answered since, in bytes on the wire.
    answered: usize,
    stage: Stage,
}

/// How long an answer may take in time, where an empty path takes so long there and back.
fn allowed(empty: Option<Duration>) -> Duration {
    empty.map_or(FIRST_TIMEOUT, |empty| empty + RELAY_LATE)
}

impl Lateness {
    pub(super) fn new(now: Instant) -> Self {
        Self { prompt_at: now, answered: 0, stage: Stage::InTime }
    }

    /// Something goes by a path on which nothing was on its way, or there is nothing on its way any more.
    pub(super) fn on_empty(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// So many bytes on the wire were answered after `delay`.
    pub(super) fn on_answered(
        &mut self,
        now: Instant,
        delay: Duration,
        empty: Option<Duration>,
        bytes: usize,
    ) {
        if delay <= allowed(empty) {
            *self = Self::new(now);
        } else {
            self.answered = self.answered.saturating_add(bytes);
        }
    }

    /// Looks at what has been on its way for the longest. True once for each time that it becomes late.
    pub(super) fn check(&mut self, now: Instant, oldest: Instant, empty: Option<Duration>) -> bool {
        match self.stage {
            Stage::InTime if oldest + allowed(empty) <= now => {
                self.stage = Stage::Late(now);
                true
            }
            Stage::Late(since) if since + RELAY_TOO_LATE <= now => {
                self.stage = Stage::TooLate;
                false
            }
            _ => false,
        }
    }

    /// When to look again, though nothing happens.
    pub(super) fn next_timeout(&self, oldest: Instant, empty: Option<Duration>) -> Option<Instant> {
        match self.stage {
            Stage::InTime => Some(oldest + allowed(empty)),
            Stage::Late(since) => Some(since + RELAY_TOO_LATE),
            Stage::TooLate => None,
        }
    }

    pub(super) fn is_late(&self) -> bool {
        self.stage != Stage::InTime
    }

    /// Whether it has been late for so long that it is no hiccup.
    pub(super) fn is_too_late(&self) -> bool {
        self.stage == Stage::TooLate
    }

    /// When it last was not, while it is.
    pub(super) fn late_since(&self) -> Option<Instant> {
        self.is_late().then_some(self.prompt_at)
    }

    /// What is carried while it is late, in bytes on the wire a second.
    pub(super) fn rate(&self, now: Instant) -> Option<f64> {
        let time = now.saturating_duration_since(self.late_since()?);
        Some(self.answered as f64 / time.max(Duration::from_millis(1)).as_secs_f64())
    }
}

impl Path {
    /// Something that was sent at `sent` was answered; what it took is `bytes` on the wire.
    pub(super) fn note_lateness(&mut self, now: Instant, sent: Instant, bytes: usize) {
        let empty = self.window.base_delay();
        if let Some(lateness) = &mut self.lateness {
            lateness.on_answered(now, now.saturating_duration_since(sent), empty, bytes);
            if self.outstanding.is_empty() {
                lateness.on_empty(now);
            }
        }
    }

    /// True once for each time that the answers of a relay are so late that what is on its way should go by another path as well. More goes
    /// by it only where that is faster all the same.
    pub(crate) fn check_late(&mut self, now: Instant) -> bool {
        let empty = self.window.base_delay();
        let oldest = self.oldest_sent();
        self.lateness
            .as_mut()
            .zip(oldest)
            .is_some_and(|(lateness, oldest)| lateness.check(now, oldest, empty))
    }

    /// Since when the answers of a relay have been late, if they are.
    pub(crate) fn late_since(&self) -> Option<Instant> {
        self.lateness.as_ref()?.late_since()
    }

    /// The same where it has been for so long that it is no hiccup.
    pub(crate) fn too_late_since(&self) -> Option<Instant> {
        self.lateness.as_ref().filter(|lateness| lateness.is_too_late())?.late_since()
    }

    /// What a relay carries whose answers are late, in bytes on the wire a second.
    pub(crate) fn late_rate(&self, now: Instant) -> Option<f64> {
        self.lateness.as_ref()?.rate(now)
    }

    /// When to look at [`check_late`](Self::check_late) again.
    pub(super) fn lateness_timeout(&self) -> Option<Instant> {
        self.lateness.as_ref()?.next_timeout(self.oldest_sent()?, self.window.base_delay())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const EMPTY: Option<Duration> = Some(Duration::from_millis(100));

    /// Lateness of a path by which something was answered just now.
    fn prompt() -> (Lateness, Instant) {
        let now = Instant::now();
        (Lateness::new(now), now)
    }

    #[test]
    fn a_hiccup_of_half_a_second_is_not_late() {
        let (mut lateness, start) = prompt();
        let allowed = 100 * MS + RELAY_LATE;
        assert_eq!(lateness.next_timeout(start, EMPTY), Some(start + allowed));
        assert!(!lateness.check(start + 600 * MS, start, EMPTY) && !lateness.is_late());
        lateness.on_answered(start + 600 * MS, 600 * MS, EMPTY, 1000);
        assert!(!lateness.is_late());
        assert_eq!((lateness.late_since(), lateness.rate(start)), (None, None));
    }

    #[test]
    fn silence_is_late_once_and_then_too_late() {
        let (mut lateness, start) = prompt();
        let late = start + 100 * MS + RELAY_LATE;
        assert!(lateness.check(late, start, EMPTY), "it becomes late");
        assert!(!lateness.check(late, start, EMPTY), "it has been");
        assert_eq!((lateness.is_too_late(), lateness.rate(late)), (false, Some(0.0)));
        assert_eq!(lateness.next_timeout(start, EMPTY), Some(late + RELAY_TOO_LATE));
        assert!(!lateness.check(late + RELAY_TOO_LATE, start, EMPTY));
        assert!(lateness.is_too_late());
        assert_eq!((lateness.late_since(), lateness.next_timeout(start, EMPTY)), (Some(start), None));
    }

    #[test]
    fn what_comes_late_is_a_rate_and_what_comes_in_time_ends_it() {
        let (mut lateness, start) = prompt();
        assert!(lateness.check(start + 900 * MS, start, EMPTY));
        (1..=4).for_each(|n| lateness.on_answered(start + n * 500 * MS, 900 * MS, EMPTY, 1000));
        assert!(lateness.rate(start + 2000 * MS).is_some_and(|rate| (rate - 2000.0).abs() < 1.0));
        lateness.on_answered(start + 2100 * MS, 100 * MS, EMPTY, 1000);
        assert!(!lateness.is_late());
        assert!(lateness.check(start + 3000 * MS, start + 2100 * MS, EMPTY), "and it can become late again");
    }

    #[test]
    fn a_path_that_is_far_is_late_later_and_one_that_nobody_knows_has_the_longest() {
        for (empty, late) in [(Some(300 * MS), 300 * MS + RELAY_LATE), (None, FIRST_TIMEOUT)] {
            let (mut lateness, start) = prompt();
            assert!(!lateness.check(start + late - MS, start, empty));
            assert!(lateness.check(start + late, start, empty));
        }
    }

    #[test]
    fn a_path_with_nothing_on_its_way_is_not_late() {
        let (mut lateness, start) = prompt();
        lateness.check(start + 3000 * MS, start, EMPTY);
        lateness.on_empty(start + 3000 * MS);
        assert!(!lateness.is_late());
    }
}
