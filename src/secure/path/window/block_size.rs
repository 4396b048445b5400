//! Block size: how large the next block of a path is.
//!
//! On a slow path the time that one block takes decides, because everything urgent waits for it. On a fast one it is what
//! the servers do with small and with large blocks, and that has to be tried: the carrier's sizes are climbed up and down like the
//! rungs of a ladder, and the one is kept at which the most bytes arrive.

use std::time::{Duration, Instant};

use crate::secure::sizes::Sizes;
use crate::secure::tuning::{
    BLOCKS_IN_A_WINDOW, EPOCH, EPOCH_BLOCKS, FAST_BLOCK, FAST_LARGER_SIZE, FAST_SMALLER_SIZE, FIRST_REST,
    LARGEST_SLOW_BLOCK, LONGEST_REST, MOST_BLOCKS, SIZE_BETTER, SLOW_BLOCK, SLOW_BLOCK_ACCEPTABLE,
    SLOW_BLOCK_TOO_LONG, SLOW_BLOCK_TRIAL, SLOW_EPOCH, SLOW_SIZE_BETTER,
};

#[derive(Debug)]
pub(super) struct BlockSize {
    sizes: &'static Sizes,
    /// The size in use, as an index of the carrier's sizes.
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
        self.blocks >= EPOCH_BLOCKS && self.busy >= EPOCH.max(round_trip)
    }

    fn is_slow_one(&self, round_trip: Duration) -> bool {
        self.busy >= SLOW_EPOCH.max(2 * round_trip)
    }

    /// Bytes of blocks a second.
    fn rate(&self) -> f64 {
        self.bytes as f64 / self.busy.as_secs_f64()
    }
}

/// A block that was answered while the window was full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) now: Instant,
    pub(super) sent: Instant,
    /// How long the path was busy since the answer before.
    pub(super) busy: Duration,
    /// Of the block.
    pub(super) bytes: usize,
    pub(super) round_trip: Duration,
    /// Of the path, in bytes on the wire a second.
    pub(super) rate: f64,
    /// The window, in bytes on the wire.
    pub(super) window: usize,
}

impl BlockSize {
    pub(super) fn new(sizes: &'static Sizes) -> Self {
        Self {
            sizes,
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

    /// What the carrier says of sizes.
    pub(super) fn sizes(&self) -> &'static Sizes {
        self.sizes
    }

    /// In bytes.
    pub(super) fn get(&self) -> usize {
        self.sizes.blocks[self.rung]
    }

    /// The best size known, which is in use unless another is being tried.
    #[cfg(test)]
    pub(super) fn home(&self) -> usize {
        self.sizes.blocks[self.home]
    }

    /// Takes the next larger size if [`BLOCKS_IN_A_WINDOW`] blocks of it fit into a window of `limit` bytes on the wire.
    pub(super) fn suit_window(&mut self, now: Instant, limit: usize) {
        let rung = self.rung + 1;
        let Some(&block) = self.sizes.blocks.get(rung) else { return };
        if BLOCKS_IN_A_WINDOW * self.sizes.wire_size(block) <= limit {
            *self = Self { rung, home: rung, epoch: Epoch::starting(now), ..Self::new(self.sizes) };
        }
    }

    pub(super) fn on_answered(&mut self, answer: &Sample) {
        if self.epoch.start.is_some_and(|start| answer.sent < start) {
            return;
        }
        self.epoch.blocks += 1;
        self.epoch.bytes += answer.bytes;
        self.epoch.busy += answer.busy;
        if self.takes_longer(SLOW_BLOCK, self.slow_steps(), answer.rate) {
            self.suit_slow_path(answer);
        } else if self.epoch.is_long_enough(answer.round_trip) {
            self.climb(answer);
        }
    }

    fn suit_slow_path(&mut self, answer: &Sample) {
        if self.rung > self.home {
            return self.judge_trial(answer);
        }
        let slow_steps = self.slow_steps();
        let is_too_large =
            self.takes_longer(SLOW_BLOCK_TOO_LONG, self.rung, answer.rate) || self.rung > slow_steps;
        if self.rung > 0 && is_too_large {
            self.adopt_size(answer, self.rung - 1);
        } else if self.rung < slow_steps && self.epoch.is_slow_one(answer.round_trip) {
            if !self.takes_longer(SLOW_BLOCK_ACCEPTABLE, self.rung + 1, answer.rate) {
                self.adopt_size(answer, self.rung + 1);
            } else {
                self.try_despite(answer);
            }
        }
    }

    /// The path may only seem so slow because the answers are: they wait behind what the peer sends. Then larger blocks
    /// make it faster, and nothing else would show it.
    fn try_despite(&mut self, answer: &Sample) {
        self.home_rate = self.epoch.rate();
        self.resting = self.resting.saturating_sub(1);
        if self.resting == 0 && !self.takes_longer(SLOW_BLOCK_TRIAL, self.rung + 1, answer.rate) {
            self.rung += 1;
        }
        self.epoch = Epoch::starting(answer.now);
    }

    fn judge_trial(&mut self, answer: &Sample) {
        if !self.epoch.is_slow_one(answer.round_trip) {
            return;
        }
        if self.epoch.rate() > self.home_rate * SLOW_SIZE_BETTER {
            return self.adopt_size(answer, self.rung);
        }
        self.rung = self.home;
        self.resting = self.rest;
        self.rest = (2 * self.rest).min(LONGEST_REST);
        self.epoch = Epoch::starting(answer.now);
    }

    fn adopt_size(&mut self, answer: &Sample, rung: usize) {
        let epoch = Epoch::starting(answer.now);
        *self = Self { rung, home: rung, epoch, resting: FIRST_REST / 2, ..Self::new(self.sizes) };
    }

    fn climb(&mut self, answer: &Sample) {
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
            self.try_neighbour(answer);
        }
        // What is on its way was sent at the old size, and slows down or speeds up what follows.
        self.epoch = Epoch::starting(answer.now + answer.round_trip);
    }

    fn wanted_gain(&self, rate: f64) -> f64 {
        let is_larger = self.rung > self.home;
        match (is_larger, self.seconds(self.rung.max(self.home), rate) < FAST_BLOCK.as_secs_f64()) {
            (true, true) => FAST_LARGER_SIZE,
            (false, true) => FAST_SMALLER_SIZE,
            (_, false) => SIZE_BETTER,
        }
    }

    fn try_neighbour(&mut self, answer: &Sample) {
        let next = if self.upwards { Some(self.home + 1) } else { self.home.checked_sub(1) };
        match next.filter(|&next| self.suits(next, answer)) {
            Some(next) => self.rung = next,
            None => self.turn_round(),
        }
    }

    /// Whether there is a size with this index that is worth a trial: one of which as many blocks as may be on their way fill the window,
    /// and each takes a short time.
    fn suits(&self, rung: usize, answer: &Sample) -> bool {
        self.sizes.blocks.get(rung).is_some_and(|block| {
            let fills_window = answer.window <= MOST_BLOCKS * self.sizes.wire_size(*block);
            (rung > self.home || fills_window) && !self.takes_longer(SLOW_BLOCK, rung, answer.rate)
        })
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

    /// The index of the largest size of a slow path.
    fn slow_steps(&self) -> usize {
        self.sizes.blocks.iter().rposition(|size| *size <= LARGEST_SLOW_BLOCK).unwrap_or(0)
    }

    /// Whether a block of the size with this index takes longer than `time`.
    fn takes_longer(&self, time: Duration, rung: usize, rate: f64) -> bool {
        self.seconds(rung, rate) > time.as_secs_f64()
    }

    /// How long a block of the size with this index takes.
    fn seconds(&self, rung: usize, rate: f64) -> f64 {
        let block = self.sizes.blocks.get(rung);
        block.map_or(f64::INFINITY, |block| self.sizes.wire_size(*block) as f64 / rate)
    }
}
