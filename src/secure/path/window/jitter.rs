//! Jitter of a path: how long answers wait though nothing of ours is queued.
//!
//! A delay does not tell whether there is a queue, or the line's delay varies, or the server rests now and then. What happens when less is
//! sent does: a queue goes away. So what answers wait on average when the queue must be gone is jitter; and so is what they waited when more
//! could be carried than was sent.

use std::time::{Duration, Instant};

use crate::secure::tuning::{JITTER_ANSWERS, LONGEST_JITTER};

/// The jitter as far as it is known, and what is being found out about it.
#[derive(Debug, Default)]
pub(super) struct Jitter {
    wait: Duration,
    observation: Option<Observation>,
}

/// The answers to what was sent while the queue had gone.
#[derive(Debug)]
struct Observation {
    from: Instant,
    /// What is sent from then on may meet a queue again.
    until: Option<Instant>,
    /// How long the queue can still be, since the window is no smaller: that part of what they wait is no jitter.
    left: Duration,
    /// The wait for which the window was made smaller for good; none in a break.
    blamed: Option<Duration>,
    waits: Duration,
    answers: u32,
}

impl Observation {
    fn new(from: Instant, left: Duration) -> Self {
        Self { from, until: None, left, blamed: None, waits: Duration::ZERO, answers: 0 }
    }

    /// How long answers waited on average; none if there were too few.
    fn result(&self) -> Option<Duration> {
        (self.answers >= JITTER_ANSWERS).then(|| (self.waits / self.answers).saturating_sub(self.left))
    }
}

impl Jitter {
    /// How long an answer waits on average.
    pub(super) fn get(&self) -> Duration {
        self.wait
    }

    /// In one round answers waited for so long on average, and the next carried more: so nothing was queued in the first.
    pub(super) fn on_wait_without_queue(&mut self, wait: Duration) {
        self.wait = self.wait.max(wait).min(LONGEST_JITTER);
    }

    /// Less is sent for a moment, so that from `gone` on a queue is no longer than `left`.
    pub(super) fn on_break(&mut self, gone: Instant, left: Duration) {
        self.observation = Some(Observation::new(gone, left));
    }

    /// More is sent again.
    pub(super) fn on_break_over(&mut self, now: Instant) {
        if let Some(observation) = &mut self.observation {
            observation.until.get_or_insert(now);
        }
    }

    /// The window has become smaller because an answer waited for as long as `blamed`. What is sent from `gone` to `until` shows whether that
    /// was a queue: now it is no longer than `left`.
    pub(super) fn on_shrunk(&mut self, (gone, until): (Instant, Instant), left: Duration, blamed: Duration) {
        let (until, blamed) = (Some(until), Some(blamed));
        self.observation = Some(Observation { until, blamed, ..Observation::new(gone, left) });
    }

    /// An answer to what was sent at `sent` has waited for so long. True if that shows that the window was made smaller for jitter, which is
    /// at least half of the wait that was blamed.
    pub(super) fn on_answered(&mut self, sent: Instant, wait: Duration) -> bool {
        let Some(over) =
            self.observation.take_if(|observation| observation.until.is_some_and(|until| sent >= until))
        else {
            if let Some(observation) =
                self.observation.as_mut().filter(|observation| sent >= observation.from)
            {
                (observation.waits, observation.answers) =
                    (observation.waits + wait, observation.answers + 1);
            }
            return false;
        };
        let result = over.result();
        match over.blamed {
            Some(blamed) => {
                self.wait = self.wait.max(result.unwrap_or_default()).min(LONGEST_JITTER);
                result.is_some_and(|jitter| 2 * jitter.min(LONGEST_JITTER) >= blamed)
            }
            None => {
                self.wait = result.unwrap_or(self.wait / 2).min(LONGEST_JITTER);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Answers blocks that are sent every 10 ms from `from` on, each after one of these waits.
    fn answer(jitter: &mut Jitter, from: Instant, waits: &[u32]) -> bool {
        let sent = (0..).map(|n| from + n * 10 * MS);
        waits.iter().zip(sent).fold(false, |_, (wait, sent)| jitter.on_answered(sent, *wait * MS))
    }

    #[test]
    fn what_goes_away_when_less_is_sent_is_a_queue_and_what_remains_is_jitter() {
        for (waits, expected) in [([0, 0, 0, 0, 0], 0), ([60, 100, 80, 80, 0], 80)] {
            let (mut jitter, now) = (Jitter::default(), Instant::now());
            jitter.on_break(now, Duration::ZERO);
            jitter.on_break_over(now + 40 * MS);
            answer(&mut jitter, now, &waits);
            assert_eq!(jitter.get(), expected * MS);
        }
    }

    #[test]
    fn what_was_sent_before_the_queue_had_gone_does_not_count() {
        let (mut jitter, now) = (Jitter::default(), Instant::now());
        jitter.on_break(now + 20 * MS, Duration::ZERO);
        jitter.on_break_over(now + 40 * MS);
        answer(&mut jitter, now, &[200, 200, 10, 10, 200]);
        assert_eq!(jitter.get(), 10 * MS);
    }

    #[test]
    fn a_window_that_was_made_smaller_for_jitter_is_told_from_one_that_was_for_a_queue() {
        let is_jitter = |waits: &[u32]| {
            let (mut jitter, now) = (Jitter::default(), Instant::now());
            jitter.on_shrunk((now, now + 20 * MS), 70 * MS, 150 * MS);
            answer(&mut jitter, now, waits)
        };
        assert!(is_jitter(&[160, 150, 150]));
        assert!(!is_jitter(&[70, 75, 70]));
    }

    #[test]
    fn a_queue_is_not_taken_for_jitter_that_was_known_before() {
        let (mut jitter, now) = (Jitter::default(), Instant::now());
        jitter.on_wait_without_queue(100 * MS);
        jitter.on_shrunk((now, now + 20 * MS), Duration::ZERO, 150 * MS);
        assert!(!answer(&mut jitter, now, &[0, 0, 0]));
    }

    #[test]
    fn it_is_forgotten_when_breaks_show_nothing() {
        let (mut jitter, mut now) = (Jitter::default(), Instant::now());
        jitter.on_wait_without_queue(100 * MS);
        for _ in 0..10 {
            jitter.on_break(now, Duration::ZERO);
            jitter.on_break_over(now);
            answer(&mut jitter, now, &[100]);
            now += Duration::from_secs(1);
        }
        assert!(jitter.get() < MS, "{jitter:?}");
    }
}
