//! Delayed answers: when the blocks that came are answered.
//!
//! Each block is answered. But an answer that goes before a packet holds it up at the server, which
//! has as much to do for it as for the packet; and a few answers together cost the server less than one by one. So they
//! wait for each other, though never for long: they are the other end's clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::secure::tuning::{
    ANSWER_DELAY, ANSWER_DELAY_IN_BULK, ANSWERED_BYTES, ANSWERS_TOGETHER, CARRYING_BLOCK,
};

/// Answers that wait to be sent.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    waiting: VecDeque<T>,
    bytes: usize,
    is_released: bool,
    /// When a large block of ours was sent last.
    last_bulk: Option<Instant>,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, is_released: false, last_bulk: None }
    }
}

impl<T> Answers<T> {
    /// A block of so many `bytes` is answered. When to release what waits, if nothing does earlier.
    pub(crate) fn push(&mut self, now: Instant, answer: T, bytes: usize) -> Option<Instant> {
        let is_first = self.waiting.is_empty();
        self.waiting.push_back(answer);
        self.bytes += bytes;
        self.is_released |= self.bytes >= ANSWERED_BYTES || self.waiting.len() >= ANSWERS_TOGETHER;
        is_first.then(|| now + self.patience(now))
    }

    /// Nothing need wait any longer: time has passed.
    pub(crate) fn release(&mut self) {
        self.is_released = !self.waiting.is_empty();
    }

    /// Whether some wait no longer.
    pub(crate) fn is_released(&self) -> bool {
        self.is_released
    }

    /// Forgets those that are not wanted any more.
    pub(crate) fn retain(&mut self, is_wanted: impl FnMut(&T) -> bool) {
        self.waiting.retain(is_wanted);
        if self.waiting.is_empty() {
            (self.bytes, self.is_released) = (0, false);
        }
    }

    /// A block of so many `bytes` of ours is being sent. Behind a large one answers cost next to nothing.
    pub(crate) fn ride_along(&mut self, now: Instant, bytes: usize) {
        if bytes >= CARRYING_BLOCK {
            self.last_bulk = Some(now);
            self.release();
        }
    }

    fn patience(&self, now: Instant) -> Duration {
        match self.last_bulk {
            Some(last) if now < last + ANSWER_DELAY_IN_BULK => ANSWER_DELAY_IN_BULK,
            _ => ANSWER_DELAY,
        }
    }

    /// The next one that waits no longer.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let answer = self.waiting.pop_front_if(|_| self.is_released)?;
        if self.waiting.is_empty() {
            (self.bytes, self.is_released) = (0, false);
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it is does not matter.
    const ANSWER: &str = "answer";

    #[test]
    fn one_waits_until_it_is_released() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        assert_eq!(answers.push(now, ANSWER, 1000), Some(now + ANSWER_DELAY));
        assert_eq!(answers.push(now, ANSWER, 1000), None, "the first one's time is everybody's");
        assert!(answers.pop().is_none());
        answers.release();
        assert_eq!([(); 3].map(|()| answers.pop().is_some()), [true, true, false]);
        assert!(answers.push(now, ANSWER, 1000).is_some() && answers.pop().is_none(), "the next one waits");
    }

    #[test]
    fn many_do_not_wait() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        for _ in 1..ANSWERS_TOGETHER {
            answers.push(now, ANSWER, 1);
            assert!(answers.pop().is_none());
        }
        answers.push(now, ANSWER, 1);
        assert_eq!((0..=ANSWERS_TOGETHER).filter(|_| answers.pop().is_some()).count(), ANSWERS_TOGETHER);
    }

    #[test]
    fn many_bytes_do_not_wait() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        answers.push(now, ANSWER, ANSWERED_BYTES / 2);
        assert!(answers.pop().is_none());
        answers.push(now, ANSWER, ANSWERED_BYTES / 2);
        assert!(answers.pop().is_some() && answers.pop().is_some() && answers.pop().is_none());
    }

    #[test]
    fn a_large_block_takes_along_what_waits() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        answers.push(now, ANSWER, 1);
        answers.ride_along(now, CARRYING_BLOCK - 1);
        assert!(answers.pop().is_none());
        answers.ride_along(now, CARRYING_BLOCK);
        assert!(answers.pop().is_some() && answers.pop().is_none());
        assert_eq!(answers.push(now, ANSWER, 1), Some(now + ANSWER_DELAY_IN_BULK), "the next one is near");
    }

    #[test]
    fn what_went_does_not_hurry_what_comes() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        answers.push(now, ANSWER, ANSWERED_BYTES);
        assert!(answers.pop().is_some());
        answers.ride_along(now, CARRYING_BLOCK);
        answers.push(now, ANSWER, 1);
        assert!(answers.pop().is_none());
    }

    #[test]
    fn a_release_of_nothing_has_no_effect_on_what_comes_later() {
        let mut answers = Answers::default();
        answers.release();
        answers.push(Instant::now(), ANSWER, 1);
        assert!(answers.pop().is_none());
    }
}
