//! Block size: how large the next block of a path is.
//!
//! On a slow way the time that one block takes decides, because everything urgent waits for it. On a fast one it is what
//! the servers do with small and with large stanzas, and that has to be tried: sizes are climbed up and down like the
//! rungs of a ladder, and the one is kept at which the most bytes arrive.

use std::time::{Duration, Instant};

use crate::protocol::filling;
use crate::secure::path::window::wire_size;
use crate::secure::tuning::{
    EPOCH, EPOCH_BLOCKS, FAST_BLOCK, FAST_LARGER_SIZE, FAST_SMALLER_SIZE, FIRST_REST, LONGEST_REST,
    SIZE_BETTER, SLOW_BLOCK, SLOW_BLOCK_ACCEPTABLE, SLOW_BLOCK_TOO_LONG, SLOW_BLOCK_TRIAL, SLOW_EPOCH,
    SLOW_SIZE_BETTER, SLOW_STEPS, STANZA_AROUND_BLOCK,
};

const KIB: usize = 1024;
/// The large ones fill TLS records: two, four, eight, sixteen.
const LADDER: [usize; 7] = [
    KIB,
    2 * KIB,
    4 * KIB,
    filling(2, STANZA_AROUND_BLOCK),
    filling(4, STANZA_AROUND_BLOCK),
    filling(8, STANZA_AROUND_BLOCK),
    filling(16, STANZA_AROUND_BLOCK),
];

#[derive(Debug)]
pub(super) struct BlockSize {
    /// The size in use, as an index of [`LADDER`].
    rung: usize,
    /// The best one known, and the bytes a second that it gave.
    home: usize,
    home_rate: f64,
    epoch: Epoch,
    upwards: bool,
    /// Attempts in a row that were no better.
    failures: u32,
    resting: u32,
    rest: u32,
}

/// Since the size in use was taken.
#[derive(Debug, Default)]
struct Epoch {
    /// What was sent earlier belongs to another size.
    start: Option<Instant>,
    blocks: usize,
    bytes: usize,
    busy: Duration,
}

impl Epoch {
    fn starting(at: Instant) -> Self {
        Self { start: Some(at), ..Self::default() }
    }

    fn is_long_enough(&self, round_trip: Duration) -> bool {
        self.blocks >= EPOCH_BLOCKS && self.busy >= EPOCH.max(2 * round_trip)
    }

    fn is_slow_one(&self, round_trip: Duration) -> bool {
        self.busy >= SLOW_EPOCH.max(2 * round_trip)
    }

    /// Bytes before base64 a second.
    fn rate(&self) -> f64 {
        self.bytes as f64 / self.busy.as_secs_f64()
    }
}

/// A block that was answered while the window was full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) now: Instant,
    pub(super) sent: Instant,
    /// How long the way was busy since the answer before.
    pub(super) busy: Duration,
    /// Before base64.
    pub(super) bytes: usize,
    pub(super) round_trip: Duration,
    /// Of the way, in bytes on the wire a second.
    pub(super) rate: f64,
}

impl Default for BlockSize {
    fn default() -> Self {
        Self {
            rung: 0,
            home: 0,
            home_rate: 0.0,
            epoch: Epoch::default(),
            upwards: true,
            failures: 0,
            resting: 0,
            rest: FIRST_REST,
        }
    }
}

impl BlockSize {
    /// In bytes before base64.
    pub(super) fn get(&self) -> usize {
        LADDER[self.rung]
    }

    /// The best size known, which is in use unless another is being tried.
    #[cfg(test)]
    pub(super) fn home(&self) -> usize {
        LADDER[self.home]
    }

    pub(super) fn on_answered(&mut self, answer: &Answer) {
        if self.epoch.start.is_some_and(|start| answer.sent < start) {
            return;
        }
        self.epoch.blocks += 1;
        self.epoch.bytes += answer.bytes;
        self.epoch.busy += answer.busy;
        if seconds(SLOW_STEPS, answer.rate) > SLOW_BLOCK {
            self.suit_slow_way(answer);
        } else if self.epoch.is_long_enough(answer.round_trip) {
            self.climb(answer);
        }
    }

    fn suit_slow_way(&mut self, answer: &Answer) {
        if self.rung > self.home {
            return self.judge_trial(answer);
        }
        let is_too_large = seconds(self.rung, answer.rate) > SLOW_BLOCK_TOO_LONG || self.rung > SLOW_STEPS;
        if self.rung > 0 && is_too_large {
            self.settle(answer, self.rung - 1);
        } else if self.rung < SLOW_STEPS && self.epoch.is_slow_one(answer.round_trip) {
            if seconds(self.rung + 1, answer.rate) <= SLOW_BLOCK_ACCEPTABLE {
                self.settle(answer, self.rung + 1);
            } else {
                self.try_despite(answer);
            }
        }
    }

    /// The way may only seem so slow because the answers are: they wait behind what the peer sends. Then larger blocks
    /// make it faster, and nothing else would show it.
    fn try_despite(&mut self, answer: &Answer) {
        self.home_rate = self.epoch.rate();
        self.resting = self.resting.saturating_sub(1);
        if self.resting == 0 && seconds(self.rung + 1, answer.rate) <= SLOW_BLOCK_TRIAL {
            self.rung += 1;
        }
        self.epoch = Epoch::starting(answer.now);
    }

    fn judge_trial(&mut self, answer: &Answer) {
        if !self.epoch.is_slow_one(answer.round_trip) {
            return;
        }
        if self.epoch.rate() > self.home_rate * SLOW_SIZE_BETTER {
            return self.settle(answer, self.rung);
        }
        self.rung = self.home;
        self.resting = self.rest;
        self.rest = (2 * self.rest).min(LONGEST_REST);
        self.epoch = Epoch::starting(answer.now);
    }

    fn settle(&mut self, answer: &Answer, rung: usize) {
        let epoch = Epoch::starting(answer.now);
        *self = Self { rung, home: rung, epoch, resting: FIRST_REST / 2, ..Self::default() };
    }

    fn climb(&mut self, answer: &Answer) {
        let rate = self.epoch.rate();
        if self.rung == self.home {
            self.home_rate = rate;
            self.resting = self.resting.saturating_sub(1);
        } else if rate > self.home_rate * self.wanted_gain(answer.rate) {
            (self.home, self.home_rate) = (self.rung, rate);
            (self.failures, self.rest) = (0, FIRST_REST);
        } else {
            self.rung = self.home;
            self.turn_round();
        }
        if self.rung == self.home && self.resting == 0 {
            self.try_neighbour(answer.rate);
        }
        // What is on its way was sent at the old size, and slows down or speeds up what follows.
        self.epoch = Epoch::starting(answer.now + answer.round_trip);
    }

    fn wanted_gain(&self, rate: f64) -> f64 {
        let is_larger = self.rung > self.home;
        match (is_larger, seconds(self.rung.max(self.home), rate) < FAST_BLOCK) {
            (true, true) => FAST_LARGER_SIZE,
            (false, true) => FAST_SMALLER_SIZE,
            (_, false) => SIZE_BETTER,
        }
    }

    fn try_neighbour(&mut self, rate: f64) {
        let next = if self.upwards { Some(self.home + 1) } else { self.home.checked_sub(1) };
        match next.filter(|&next| next < LADDER.len() && seconds(next, rate) <= SLOW_BLOCK) {
            Some(next) => self.rung = next,
            None => self.turn_round(),
        }
    }

    fn turn_round(&mut self) {
        self.upwards = !self.upwards;
        self.failures += 1;
        if self.failures >= 2 {
            self.failures = 0;
            self.resting = self.rest;
            self.rest = (2 * self.rest).min(LONGEST_REST);
        }
    }
}

/// How long a block of this size takes.
fn seconds(rung: usize, rate: f64) -> f64 {
    LADDER.get(rung).map_or(f64::INFINITY, |bytes| wire_size(*bytes) as f64 / rate)
}
