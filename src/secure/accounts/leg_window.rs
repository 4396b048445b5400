//! Leg window: how much may be on its way from one server to another at once, by all paths of ours together.
//!
//! What a server sends to another one all its users share, and where the other reads slowly (stock Prosody: 30 kB/s) it piles up without
//! bound in front of everybody's messages. Each path's own window asks for a queue of its own, and has two blocks on its way in any case, so
//! that many paths together make strangers wait. This window is a bound above theirs: what waits is to take no longer than [`LEG_QUEUE`].
//!
//! It knows nothing but answers. Like the window of BBR (Cardwell et al., 2016) it is the rate that was found ([`LegRate`]) times what
//! answers may take ([`Delays`]): what they take while nothing waits, and the queue. Where the leg is full, that rate is the leg's, and the
//! queue what it is to be; where it is not, answers take less, so that the rate rises with the window, at most twofold in a round trip.
//! Before the first queue the window doubles in a round trip (RFC 5681 section 3.1).
//!
//! Which part of a delay arose between the servers, and which on the way to ours or behind the other, no answer tells. The queue is long
//! enough for what arises elsewhere: two blocks at a server that limits each account, and delays that vary by half a second. Where they vary
//! by more, blocks that go alone show it, and those of the least window do: so it is never small for good.
//!
//! A leg that has become slower shows by answers of which none within a round trip is as quick as they may be: then the rate of that round
//! trip counts, and none before it.
//!
//! What answers take when nothing waits shows only when nothing waits. As LEDBAT++ does, a window that has been full for long drains now and
//! then, and lets a few small blocks go alone. What has always waited by then is somebody else's, or nobody's.

mod delays;
mod rate;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use delays::Delays;
use rate::LegRate;

use crate::secure::tuning::{
    INITIAL_LEG_WINDOW, LARGEST_WINDOW, LEAST_LEG_WINDOW, LEG_DRAIN_INTERVAL, LEG_PROBES, LEG_QUEUE,
    LEG_QUIET, LEG_ROOM_FOR_TWO, LEG_SLOWED,
};

/// A block that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) sent: Instant,
    /// In bytes on the wire.
    pub(super) size: usize,
    /// What was on its way until then, in bytes on the wire.
    pub(super) in_flight: usize,
    /// Nothing else was when it went.
    pub(super) was_alone: bool,
}

/// The window of one leg, in bytes on the wire.
#[derive(Debug)]
pub(super) struct LegWindow {
    limit: usize,
    phase: Phase,
    delays: Delays,
    rate: LegRate,
    /// What came of the blocks that were sent since the window was changed last.
    round: Option<Round>,
    /// When senders used half of the window or more last.
    used: Option<Instant>,
    /// When hardly anything waited last.
    last_quiet: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It grows with each answer.
    Opening,
    /// It is changed after each round.
    Steady,
    /// Nothing goes until everything from before is answered.
    Draining { since: Instant },
    /// So many blocks are still to go alone.
    Probing { left: u32 },
}

/// The answers to what was sent within a round trip.
#[derive(Debug)]
struct Round {
    /// What was sent before then went by another window.
    since: Instant,
    /// The same, or when the first of those blocks went if nothing else was on its way.
    start: Option<Instant>,
    /// When the first answer came; what was sent after that belongs to the next round.
    first: Option<Instant>,
    answers: u32,
    /// What all of them took.
    delays: Duration,
    /// What the quickest took.
    shortest: Duration,
    /// All that was answered meanwhile, in bytes on the wire.
    delivered: usize,
    /// The most that was on its way.
    most: usize,
}

impl Round {
    fn starting(now: Instant) -> Self {
        let (delays, shortest) = (Duration::ZERO, Duration::MAX);
        Self { since: now, start: None, first: None, answers: 0, delays, shortest, delivered: 0, most: 0 }
    }

    /// Adds an answer; true when it is the last one.
    fn add(&mut self, now: Instant, block: &Answered) -> bool {
        self.delivered += block.size;
        if block.sent < self.since {
            return false;
        }
        let delay = now.saturating_duration_since(block.sent);
        self.start.get_or_insert(if block.was_alone { block.sent } else { self.since });
        self.answers += 1;
        self.delays += delay;
        self.shortest = self.shortest.min(delay);
        self.most = self.most.max(block.in_flight);
        block.sent >= *self.first.get_or_insert(now)
    }

    /// What they took on average.
    fn delay(&self) -> Duration {
        self.delays / self.answers.max(1)
    }

    /// In bytes on the wire a second. Before the first block there may have been nothing to send.
    fn rate(&self, now: Instant) -> f64 {
        let time = now.saturating_duration_since(self.start.unwrap_or(self.since));
        rate::shown(self.delivered, time, self.most, self.delay())
    }
}

impl Default for LegWindow {
    fn default() -> Self {
        Self {
            limit: INITIAL_LEG_WINDOW,
            phase: Phase::Opening,
            delays: Delays::default(),
            rate: LegRate::default(),
            round: None,
            used: None,
            last_quiet: None,
        }
    }
}

impl LegWindow {
    /// How much may be on its way, whether it may just now or not.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a block of so many bytes on the wire may go while so much is on its way: the window is rather half a block too full than
    /// never full.
    pub(super) fn admits(&self, in_flight: usize, size: usize) -> bool {
        match self.phase {
            Phase::Opening | Phase::Steady => in_flight == 0 || in_flight + size / 2 <= self.limit,
            Phase::Draining { .. } => false,
            Phase::Probing { .. } => in_flight == 0,
        }
    }

    /// Whether something small and in a hurry may.
    pub(super) fn admits_small(&self, in_flight: usize) -> bool {
        in_flight < self.limit + self.limit / 4
    }

    /// Whether the next block is to be as small as possible.
    pub(super) fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::Probing { .. })
    }

    /// A block goes, and so much is on its way with it.
    pub(super) fn on_sent(&mut self, now: Instant, in_flight: usize) {
        if in_flight >= self.limit / 2 {
            self.used = Some(now);
        }
    }

    /// A block was answered.
    pub(super) fn on_answered(&mut self, now: Instant, block: &Answered) {
        let delay = now.saturating_duration_since(block.sent);
        self.delays.update(now, delay, block.was_alone);
        if block.in_flight >= self.limit / 2 {
            self.used = Some(now);
        }
        match self.phase {
            Phase::Opening => self.open(now, block, delay),
            Phase::Steady => self.adjust(now, block),
            Phase::Draining { since } if block.sent >= since => self.probe(),
            Phase::Draining { .. } => {}
            Phase::Probing { left: 0 | 1 } => {
                (self.phase, self.round, self.last_quiet) = (Phase::Steady, None, Some(now));
            }
            Phase::Probing { left } => self.phase = Phase::Probing { left: left - 1 },
        }
    }

    /// Nothing is on its way any more.
    pub(super) fn on_empty(&mut self) {
        if matches!(self.phase, Phase::Draining { .. }) {
            self.probe();
        }
    }

    fn open(&mut self, now: Instant, block: &Answered, delay: Duration) {
        let target = self.delays.target();
        if delay > target - LEG_QUEUE / 2 {
            self.limit = scaled(self.limit, ratio(target, delay).min(1.0));
            // Perhaps delays just vary.
            self.phase = Phase::Draining { since: now };
        } else if self.was_used_since(block.sent) {
            self.limit = (self.limit + block.size).min(LARGEST_WINDOW);
        }
    }

    fn settle(&mut self, now: Instant) {
        (self.phase, self.round) = (Phase::Steady, Some(Round::starting(now)));
    }

    fn adjust(&mut self, now: Instant, block: &Answered) {
        let mut round = self.round.take().unwrap_or_else(|| Round::starting(now));
        if !round.add(now, block) {
            self.round = Some(round);
            return;
        }
        let is_used = self.was_used_since(round.since);
        self.resize(now, &round, is_used);
        if self.delays.is_quiet(round.delay()) {
            self.last_quiet = Some(now);
        }
        self.settle(now);
        let last_quiet = *self.last_quiet.get_or_insert(now);
        if is_used && last_quiet + LEG_DRAIN_INTERVAL <= now {
            self.phase = Phase::Draining { since: now };
        }
    }

    fn resize(&mut self, now: Instant, round: &Round, is_used: bool) {
        let target = self.delays.target();
        if is_used {
            if round.shortest > self.delays.shortest() + LEG_SLOWED {
                self.rate = LegRate::default();
            }
            self.rate.update(now, round.rate(now));
            let holds = self.rate.get().unwrap_or_default() * target.as_secs_f64();
            self.limit = clamped(holds.min(2.0 * self.limit as f64));
            // Otherwise one in which two blocks just do not fit would never hold them.
            if round.delay() + LEG_QUIET <= target {
                self.limit = self.limit.max(LEG_ROOM_FOR_TWO);
            }
        } else if round.delay() > target {
            self.limit = scaled(self.limit.min(round.most), ratio(target, round.delay()));
        }
    }

    fn probe(&mut self) {
        self.phase = Phase::Probing { left: LEG_PROBES };
    }

    fn was_used_since(&self, sent: Instant) -> bool {
        self.used.is_some_and(|used| used >= sent)
    }
}

/// What has to become of a window whose answers take so long, and may take `target`.
fn ratio(target: Duration, delay: Duration) -> f64 {
    target.as_secs_f64() / delay.as_secs_f64().max(1e-6)
}

fn scaled(limit: usize, ratio: f64) -> usize {
    clamped(limit as f64 * ratio)
}

fn clamped(limit: f64) -> usize {
    (limit as usize).clamp(LEAST_LEG_WINDOW, LARGEST_WINDOW)
}
