//! Liveness of a connection: a server that is silent is asked for a sign of life, and then given up. Pure.

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
    /// Whether it was asked for a sign of life since.
    was_asked: bool,
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, was_asked: false }
    }

    /// The server has sent something.
    pub(super) fn on_heard(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// When [`on_timeout`](Self::on_timeout) is due.
    pub(super) fn timeout(&self) -> Instant {
        let response = if self.was_asked { timing::RESPONSE } else { Default::default() };
        self.heard + timing::SILENCE + response
    }

    /// What the silence up to now means, if anything.
    pub(super) fn on_timeout(&mut self, now: Instant) -> Option<Silence> {
        if now < self.timeout() {
            return None;
        }
        let was_asked = std::mem::replace(&mut self.was_asked, true);
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
