//! Windows of legs, round trip by round trip.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
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
            self.window.on_answered(
                self.now,
                &Answered { sent, size: BLOCK, in_flight, was_alone: in_flight <= BLOCK },
            );
        }
    }

    /// What was on its way is answered, and a few blocks go alone.
    fn drain(&mut self) {
        self.window.on_empty();
        for _ in 0..LEG_PROBES {
            let admits = |in_flight| self.window.admits(in_flight, BLOCK);
            assert!(self.window.is_probing() && admits(0) && !admits(1));
            self.carry(BLOCK, Duration::ZERO);
        }
        assert_eq!(self.window.phase, Phase::Steady);
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
        leg.drain();
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
    assert!(!leg.window.admits(0, BLOCK), "it drains, to see what delays are");
}

/// Whether two windows are about as large.
fn is_about(limit: usize, expected: f64) -> bool {
    (limit as f64 / expected - 1.0).abs() < 0.02
}

#[test]
fn a_queue_that_is_too_long_makes_it_as_large_as_it_should_be() {
    let mut leg = Leg::settled(200_000);
    let before = leg.window.limit();
    (0..3).for_each(|_| leg.carry(before, 2 * LEG_QUEUE));
    let expected = before as f64 * ratio(BASE + LEG_QUEUE, BASE + 2 * LEG_QUEUE);
    assert!(is_about(leg.window.limit(), expected), "{} of {before}", leg.window.limit());
}

#[test]
fn a_leg_that_has_become_much_slower_is_believed_at_once() {
    let mut leg = Leg::settled(200_000);
    let full = leg.window.limit();
    (0..4).for_each(|_| leg.carry(full, LEG_QUEUE));
    assert!(is_about(leg.window.limit(), full as f64), "{} of {full}", leg.window.limit());
    (0..4).for_each(|_| leg.carry(full, 4 * LEG_QUEUE));
    let expected = full as f64 * ratio(BASE + LEG_QUEUE, BASE + 4 * LEG_QUEUE);
    assert!(leg.window.limit() as f64 <= 1.1 * expected, "{} of {full}", leg.window.limit());
}

#[test]
fn pauses_in_which_there_is_nothing_to_send_do_not_make_it_smaller() {
    let mut leg = Leg::settled(200_000);
    let full = leg.window.limit();
    for _ in 0..5 {
        (0..6).for_each(|_| leg.carry(full, LEG_QUEUE));
        assert!(is_about(leg.window.limit(), full as f64), "{} of {full}", leg.window.limit());
        leg.now += 10 * SECOND;
    }
}

#[test]
fn delays_that_vary_by_as_much_as_the_queue_do_not_make_it_smaller() {
    let mut leg = Leg::settled(200_000);
    let before = leg.window.limit();
    for n in 0..60 {
        leg.round(LEG_QUEUE * (n % 4) / 3);
    }
    assert!(leg.window.limit() > 2 * before, "{} of {before}", leg.window.limit());
}

#[test]
fn where_delays_always_vary_by_more_it_is_not_small_for_good() {
    let mut leg = Leg::settled(200_000);
    for _ in 0..200 {
        let limit = leg.window.limit();
        leg.carry(limit, 2 * SECOND);
        if matches!(leg.window.phase, Phase::Draining { .. }) {
            leg.window.on_empty();
        }
    }
    assert!(leg.window.limit() >= 20_000, "{}", leg.window.limit());
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
fn one_that_was_full_for_half_a_minute_drains_and_lets_a_few_blocks_go_alone() {
    let mut leg = Leg::settled(200_000);
    let since = leg.now;
    while leg.window.admits(0, BLOCK) {
        leg.round(LEG_QUEUE);
        assert!(leg.now < since + 2 * LEG_DRAIN_INTERVAL);
    }
    let before = leg.window.limit();
    assert!(leg.now >= since + LEG_DRAIN_INTERVAL / 2 && leg.window.admits_small(0));
    leg.drain();
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
