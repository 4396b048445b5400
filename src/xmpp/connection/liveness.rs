//! Liveness: a server that falls silent is asked for a sign of life, and then given up. Pure.

use std::time::{Duration, Instant};

use crate::protocol::round_trip::RoundTrip;
use crate::xmpp::timing;

/// What follows from a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The server is to be asked for a sign of life.
    Ask,
    /// It was asked, and gave none.
    Dead,
}

/// When the server was heard last.
#[derive(Debug)]
pub(super) struct Liveness {
    heard: Instant,
    /// There is reason to doubt that the server has been there since.
    is_doubted: bool,
    /// When it was asked for a sign of life since. That may be late: nobody looks while events wait to be taken.
    asked: Option<Instant>,
    /// When it has to have given one.
    due: Option<Instant>,
    /// What answers on this connection take.
    round_trip: RoundTrip,
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, is_doubted: false, asked: None, due: None, round_trip: RoundTrip::default() }
    }

    /// The server has sent something. If it was asked for a sign of life, this counts as the answer.
    pub(super) fn on_heard(&mut self, now: Instant) {
        if let Some(asked) = self.asked {
            self.round_trip.update(now.saturating_duration_since(asked));
        }
        *self = Self { round_trip: self.round_trip, ..Self::new(now) };
    }

    /// The server has answered something after so long.
    pub(super) fn on_answer(&mut self, delay: Duration) {
        self.round_trip.update(delay);
    }

    /// Something that went by this connection should have been answered long ago.
    pub(super) fn on_doubt(&mut self, now: Instant) {
        let patience = self.patience();
        self.is_doubted = true;
        if let Some(due) = &mut self.due {
            *due = (*due).min(now + patience);
        }
    }

    /// When [`on_timeout`](Self::on_timeout) is due.
    pub(super) fn timeout(&self) -> Instant {
        let silence = if self.is_doubted { timing::RECENT } else { timing::SILENCE };
        self.due.unwrap_or(self.heard + silence)
    }

    /// What the silence up to now means, if anything.
    pub(super) fn on_timeout(&mut self, now: Instant) -> Option<Silence> {
        if now < self.timeout() {
            return None;
        }
        if self.asked.is_some() {
            return Some(Silence::Dead);
        }
        self.asked = Some(now);
        self.due = Some(now + if self.is_doubted { self.patience() } else { timing::RESPONSE });
        Some(Silence::Ask)
    }

    /// How long an answer may take where there is doubt.
    fn patience(&self) -> Duration {
        let timeout = self.round_trip.timeout().unwrap_or_default();
        (2 * timeout).clamp(timing::LEAST_RESPONSE, timing::RESPONSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_server_is_asked_once_and_then_given_up() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.on_timeout(start), None);
        assert_eq!(liveness.on_timeout(start + timing::SILENCE), Some(Silence::Ask));
        assert_eq!(liveness.on_timeout(start + timing::SILENCE), None);
        assert_eq!(liveness.timeout(), start + timing::SILENCE + timing::RESPONSE);
        assert_eq!(liveness.on_timeout(liveness.timeout()), Some(Silence::Dead));
    }

    #[test]
    fn a_silence_that_is_noticed_late_is_asked_about_before_it_is_given_up() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        let late = start + timing::SILENCE + 2 * timing::RESPONSE;
        assert_eq!(liveness.on_timeout(late), Some(Silence::Ask));
        assert_eq!(liveness.on_timeout(late), None);
        assert_eq!(liveness.timeout(), late + timing::RESPONSE);
    }

    #[test]
    fn a_server_that_speaks_is_asked_again_only_when_it_falls_silent_again() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.on_timeout(start + timing::SILENCE), Some(Silence::Ask));
        let later = start + timing::SILENCE + timing::RESPONSE / 2;
        liveness.on_heard(later);
        assert_eq!(liveness.on_timeout(later), None);
        assert_eq!(liveness.on_timeout(later + timing::SILENCE), Some(Silence::Ask));
    }

    #[test]
    fn a_server_in_doubt_is_asked_at_once_and_given_up_after_a_time_that_follows_from_its_round_trip() {
        for (round_trip, patience) in [(None, 5), (Some(100), 5), (Some(2000), 12), (Some(20_000), 25)] {
            let start = Instant::now();
            let mut liveness = Liveness::new(start);
            round_trip.into_iter().for_each(|ms| liveness.on_answer(Duration::from_millis(ms)));
            let now = start + 3 * timing::RECENT;
            assert_eq!(liveness.on_timeout(now), None);
            liveness.on_doubt(now);
            assert_eq!(liveness.on_timeout(now), Some(Silence::Ask));
            assert_eq!(liveness.timeout(), now + Duration::from_secs(patience));
            assert_eq!(liveness.on_timeout(liveness.timeout()), Some(Silence::Dead));
        }
    }

    #[test]
    fn a_server_that_was_heard_a_moment_ago_is_asked_only_if_it_stays_silent() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        liveness.on_doubt(start + timing::RECENT / 2);
        assert_eq!(liveness.on_timeout(start + timing::RECENT / 2), None);
        assert_eq!(liveness.timeout(), start + timing::RECENT);
        liveness.on_heard(start + timing::RECENT / 2);
        assert_eq!(liveness.on_timeout(start + 2 * timing::RECENT), None, "it has spoken since");
    }

    #[test]
    fn doubt_shortens_the_wait_for_a_sign_of_life_and_never_lengthens_it() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        let asked = start + timing::SILENCE;
        assert_eq!(liveness.on_timeout(asked), Some(Silence::Ask));
        liveness.on_doubt(asked + timing::RECENT);
        let due = asked + timing::RECENT + timing::LEAST_RESPONSE;
        assert_eq!((liveness.on_timeout(asked + timing::RECENT), liveness.timeout()), (None, due));
        liveness.on_doubt(asked + 2 * timing::RECENT);
        assert_eq!(liveness.timeout(), due);
    }

    #[test]
    fn a_server_that_is_slow_and_says_something_is_never_given_up() {
        let start = Instant::now();
        let (mut liveness, mut now) = (Liveness::new(start), start);
        for _ in 0..100 {
            liveness.on_doubt(now);
            now += timing::LEAST_RESPONSE - timing::RECENT / 100;
            assert_ne!(liveness.on_timeout(now), Some(Silence::Dead));
            liveness.on_heard(now);
        }
    }
}
