//! Liveness: a server that falls silent is asked for a sign of life, and then given up. Pure.

use std::time::Instant;

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
    /// When it was asked for a sign of life since. That may be late: nobody looks while events wait to be taken.
    asked: Option<Instant>,
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, asked: None }
    }

    /// The server has sent something.
    pub(super) fn on_heard(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// When [`on_timeout`](Self::on_timeout) is due.
    pub(super) fn timeout(&self) -> Instant {
        self.asked.map_or(self.heard + timing::SILENCE, |asked| asked + timing::RESPONSE)
    }

    /// What the silence up to now means, if anything.
    pub(super) fn on_timeout(&mut self, now: Instant) -> Option<Silence> {
        if now < self.timeout() {
            return None;
        }
        let was_asked = self.asked.replace(now).is_some();
        Some(if was_asked { Silence::Dead } else { Silence::Ask })
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
}
