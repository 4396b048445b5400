//! Sparing use of a window: one block at a time, where that keeps the path busy.
//!
//! A server that pauses after each read answers a block before the pause that it makes of it, so that the next one is there when the pause is
//! over, however far away the server is, if the way takes no longer than the pause. Whether that is so shows in the rate: it is
//! as high as it was with two blocks on their way, or else there are two again.

use std::time::{Duration, Instant};

use crate::secure::tuning::{SPARING_KEEPS, SPARING_LOOK, SPARING_REST};

#[derive(Debug)]
pub(super) struct Sparing {
    is_wanted: bool,
    is_on: bool,
    /// What the path carries with two blocks on their way, in bytes a second.
    rate: f64,
    /// Since when there are two.
    since: Option<Instant>,
    /// For how long there have to be two.
    patience: Duration,
}

impl Default for Sparing {
    fn default() -> Self {
        Self { is_wanted: false, is_on: false, rate: 0.0, since: None, patience: SPARING_LOOK }
    }
}

impl Sparing {
    /// Whether others gain from it.
    pub(super) fn set_wanted(&mut self, is_wanted: bool) {
        if self.is_wanted != is_wanted {
            *self = Self { is_wanted, ..Self::default() };
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// The path carries so much lately; and whether a block takes so long on it that the way to the server hardly counts.
    pub(super) fn on_rate(&mut self, now: Instant, rate: f64, is_near: bool) {
        if !self.is_wanted {
            return;
        }
        let since = *self.since.get_or_insert(now);
        if self.is_on {
            if !is_near || rate < SPARING_KEEPS * self.rate {
                *self = Self { is_wanted: true, since: Some(now), patience: SPARING_REST, ..Self::default() };
            }
            return;
        }
        self.rate = rate;
        self.is_on = is_near && since + self.patience <= now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that is on.
    fn on(now: Instant) -> Sparing {
        let mut sparing = Sparing::default();
        sparing.set_wanted(true);
        sparing.on_rate(now, 10_000.0, true);
        assert!(!sparing.is_on(), "what two blocks carry is to be known");
        sparing.on_rate(now + SPARING_LOOK, 10_000.0, true);
        sparing
    }

    #[test]
    fn one_block_at_a_time_is_enough_while_it_carries_as_much() {
        let now = Instant::now();
        let mut sparing = on(now);
        sparing.on_rate(now + SPARING_REST, 9500.0, true);
        assert!(sparing.is_on());
        sparing.set_wanted(false);
        assert!(!sparing.is_on());
    }

    #[test]
    fn where_it_carries_less_there_are_two_again_for_a_minute_which_show_what_the_path_carries_now() {
        let now = Instant::now() + SPARING_LOOK;
        let mut sparing = on(now - SPARING_LOOK);
        for (after, rate, is_on) in
            [(1, 6000.0, false), (60, 6000.0, false), (61, 6000.0, true), (70, 5900.0, true)]
        {
            sparing.on_rate(now + Duration::from_secs(after), rate, true);
            assert_eq!(sparing.is_on(), is_on, "after {after} seconds");
        }
    }

    #[test]
    fn a_far_path_and_one_of_which_nobody_gains_have_two() {
        let (now, mut sparing) = (Instant::now(), Sparing::default());
        sparing.on_rate(now, 10_000.0, true);
        sparing.on_rate(now + SPARING_REST, 10_000.0, true);
        assert!(!sparing.is_on());
        sparing.set_wanted(true);
        sparing.on_rate(now, 10_000.0, false);
        sparing.on_rate(now + SPARING_REST, 10_000.0, false);
        assert!(!sparing.is_on());
    }
}
