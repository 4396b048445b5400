//! Leg window: how much may be on its way from one server to another at once, by all paths of ours together.
//!
//! What a server sends to another one all its users share, and where the other reads slowly (stock Prosody: 30 kB/s) it piles up without
//! bound in front of everybody's messages. Each path's own window asks for a queue of its own, and has two blocks on its way in any case, so
//! that many paths together make strangers wait. This window is a bound above theirs: the queue that all of ours cause is to be no longer
//! than [`LEG_QUEUE`]. Like LEDBAT (RFC 6817) it knows nothing but delays: what answers take, beyond what they take when nothing waits.
//!
//! Which part of a delay arose between the servers, and which on the way to ours or behind the other, no answer tells. What arose elsewhere is
//! taken for the leg's, too: then the window holds back what would only have waited there. The average of a round trip counts: a server that
//! reads in bursts lets some blocks pass at once, and then none for as long.
//!
//! A window that holds so much that answers take `base + queue` holds what takes `base + LEG_QUEUE` after it was multiplied by the ratio of
//! the two, be it too large or too small. So it never goes beyond what it is to be. Before the first queue it doubles in a round trip (RFC
//! 5681 section 3.1).
//!
//! What answers take when nothing waits shows only when nothing waits. As LEDBAT++ does, a window that has been full for long drains now and
//! then. The two blocks that go first after that are small and alone: a server may still rest after what it read last, and after the first of
//! the two it does not. What has always waited by then is somebody else's, or nobody's.

use std::time::{Duration, Instant};

use crate::protocol::base_delay::BaseDelay;
use crate::secure::tuning::{
    BASE_DELAY_LIFETIME, INITIAL_LEG_WINDOW, LARGEST_WINDOW, LEAST_LEG_WINDOW, LEG_DRAIN_INTERVAL,
    LEG_PROBES, LEG_QUEUE, LEG_QUIET,
};

/// A block that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) sent: Instant,
    /// In bytes on the wire.
    pub(super) size: usize,
    /// What was on its way until then, in bytes on the wire.
    pub(super) in_flight: usize,
}

/// The window of one leg, in bytes on the wire.
#[derive(Debug)]
pub(super) struct LegWindow {
    limit: usize,
    phase: Phase,
    base: BaseDelay,
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
    /// When the first answer came; what was sent after that belongs to the next round.
    first: Option<Instant>,
    answers: u32,
    /// What all of them took.
    delays: Duration,
    /// The most that was on its way.
    most: usize,
}

impl Round {
    fn starting(now: Instant) -> Self {
        Self { since: now, first: None, answers: 0, delays: Duration::ZERO, most: 0 }
    }

    /// Adds an answer; true when it is the last one.
    fn add(&mut self, now: Instant, block: &Answered) -> bool {
        if block.sent < self.since {
            return false;
        }
        self.answers += 1;
        self.delays += now.saturating_duration_since(block.sent);
        self.most = self.most.max(block.in_flight);
        block.sent >= *self.first.get_or_insert(now)
    }

    /// What they took on average.
    fn delay(&self) -> Duration {
        self.delays / self.answers.max(1)
    }
}

impl Default for LegWindow {
    fn default() -> Self {
        Self {
            limit: INITIAL_LEG_WINDOW,
            phase: Phase::Opening,
            base: BaseDelay::new(BASE_DELAY_LIFETIME),
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
        self.base.update(now, delay);
        let base = self.base.get().unwrap_or(delay);
        if delay.saturating_sub(base) <= LEG_QUIET {
            self.last_quiet = Some(now);
        }
        if block.in_flight >= self.limit / 2 {
            self.used = Some(now);
        }
        match self.phase {
            Phase::Opening => self.open(now, block, (base, delay)),
            Phase::Steady => self.adjust(now, block, base),
            Phase::Draining { since } if block.sent >= since => self.probe(),
            Phase::Draining { .. } => {}
            Phase::Probing { left: 0 | 1 } => (self.phase, self.round) = (Phase::Steady, None),
            Phase::Probing { left } => self.phase = Phase::Probing { left: left - 1 },
        }
    }

    /// Nothing is on its way any more.
    pub(super) fn on_empty(&mut self) {
        if matches!(self.phase, Phase::Draining { .. }) {
            self.probe();
        }
    }

    fn open(&mut self, now: Instant, block: &Answered, (base, delay): (Duration, Duration)) {
        if delay.saturating_sub(base) > LEG_QUEUE / 2 {
            self.limit = scaled(self.limit, ratio(base, delay).min(1.0));
            self.settle(now);
        } else if self.was_used_since(block.sent) {
            self.limit = (self.limit + block.size).min(LARGEST_WINDOW);
        }
    }

    fn settle(&mut self, now: Instant) {
        (self.phase, self.round) = (Phase::Steady, Some(Round::starting(now)));
    }

    fn adjust(&mut self, now: Instant, block: &Answered, base: Duration) {
        let round = self.round.get_or_insert_with(|| Round::starting(now));
        if !round.add(now, block) {
            return;
        }
        let (ratio, most, since) = (ratio(base, round.delay()), round.most, round.since);
        let is_used = self.was_used_since(since);
        if ratio < 1.0 {
            self.limit = scaled(self.limit.min(most), ratio);
        } else if is_used {
            self.limit = scaled(self.limit, ratio.min(2.0));
        }
        self.settle(now);
        let last_quiet = *self.last_quiet.get_or_insert(now);
        if is_used && last_quiet + LEG_DRAIN_INTERVAL <= now {
            self.phase = Phase::Draining { since: now };
        }
    }

    fn probe(&mut self) {
        self.phase = Phase::Probing { left: LEG_PROBES };
    }

    fn was_used_since(&self, sent: Instant) -> bool {
        self.used.is_some_and(|used| used >= sent)
    }
}

/// By how much the window may grow, or has to shrink, where answers take so long.
fn ratio(base: Duration, delay: Duration) -> f64 {
    (base + LEG_QUEUE).as_secs_f64() / delay.as_secs_f64().max(1e-6)
}

fn scaled(limit: usize, ratio: f64) -> usize {
    ((limit as f64 * ratio) as usize).clamp(LEAST_LEG_WINDOW, LARGEST_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const BASE: Duration = Duration::from_millis(100);
    const BLOCK: usize = 1024;

    /// A leg that is always full, in virtual time.
    struct Leg {
        window: LegWindow,
        now: Instant,
    }

    impl Leg {
        fn new() -> Self {
            Self { window: LegWindow::default(), now: Instant::now() }
        }

        /// So much is on its way at once, and each block is answered after having waited for so long.
        fn carry(&mut self, in_flight: usize, queue: Duration) {
            let sent = self.now;
            self.window.on_sent(sent, in_flight);
            self.now += BASE + queue;
            for _ in 0..in_flight.div_ceil(BLOCK) {
                self.window.on_answered(self.now, &Answered { sent, size: BLOCK, in_flight });
            }
        }

        /// The same with a full window.
        fn round(&mut self, queue: Duration) {
            self.carry(self.window.limit(), queue);
        }

        /// One whose window is about this large.
        fn settled(limit: usize) -> Self {
            let mut leg = Self::new();
            while leg.window.limit() < limit {
                leg.round(Duration::ZERO);
            }
            leg.round(LEG_QUEUE);
            assert_eq!(leg.window.phase, Phase::Steady);
            leg
        }
    }

    #[test]
    fn it_doubles_in_a_round_trip_until_there_is_half_the_queue() {
        let mut leg = Leg::new();
        for doublings in 1..=6 {
            leg.round(Duration::ZERO);
            assert_eq!(leg.window.limit(), INITIAL_LEG_WINDOW << doublings);
        }
        leg.round(LEG_QUEUE / 2 + MS);
        assert_eq!(leg.window.phase, Phase::Steady);
    }

    #[test]
    fn a_queue_that_is_too_long_makes_it_as_large_as_it_should_be() {
        let mut leg = Leg::settled(200_000);
        let before = leg.window.limit() as f64;
        leg.round(2 * LEG_QUEUE);
        leg.round(2 * LEG_QUEUE);
        let expected = before * ratio(BASE, BASE + 2 * LEG_QUEUE);
        assert!(
            (leg.window.limit() as f64 / expected - 1.0).abs() < 0.01,
            "{} of {before}",
            leg.window.limit()
        );
    }

    #[test]
    fn it_does_not_grow_while_it_is_not_what_holds_up_senders() {
        let mut leg = Leg::settled(200_000);
        leg.carry(BLOCK, Duration::ZERO);
        leg.carry(BLOCK, Duration::ZERO);
        let before = leg.window.limit();
        for _ in 0..10 {
            leg.carry(BLOCK, Duration::ZERO);
        }
        assert_eq!(leg.window.limit(), before);
    }

    #[test]
    fn one_that_was_full_for_half_a_minute_drains_and_lets_two_blocks_go_alone() {
        let mut leg = Leg::settled(200_000);
        let since = leg.now;
        while leg.window.admits(0, BLOCK) {
            leg.round(LEG_QUEUE);
            assert!(leg.now < since + 2 * LEG_DRAIN_INTERVAL);
        }
        let before = leg.window.limit();
        assert!(leg.now >= since + LEG_DRAIN_INTERVAL / 2 && leg.window.admits_small(0));
        leg.window.on_empty();
        for _ in 0..LEG_PROBES {
            let admits = |in_flight| leg.window.admits(in_flight, BLOCK);
            assert!(leg.window.is_probing() && admits(0) && !admits(1));
            leg.carry(BLOCK, Duration::ZERO);
        }
        assert!(leg.window.admits(before - BLOCK, BLOCK) && !leg.window.is_probing());
    }

    #[test]
    fn there_is_always_room_for_something() {
        let mut leg = Leg::settled(20_000);
        for _ in 0..100 {
            leg.round(100 * LEG_QUEUE);
            leg.window.on_empty();
            assert!(leg.window.admits(0, BLOCK));
        }
    }
}
