//! Delayed acknowledgement: it waits for something to be written with, as in TCP (RFC 1122 section 4.2.3.2). Pure.

use std::time::Instant;

use crate::xmpp::timing;

/// The acknowledgement that the server has asked for.
#[derive(Clone, Copy)]
pub(super) enum DelayedAck {
    /// It has not asked for one.
    NotAsked,
    /// It goes with the next thing that is written, or alone at this time.
    Until(Instant),
    /// It has waited long enough.
    Due,
}

impl DelayedAck {
    /// The server asks for one.
    pub(super) fn on_request(&mut self, now: Instant) {
        if let Self::NotAsked = self {
            *self = Self::Until(now + timing::ACK_DELAY);
        }
    }

    /// When [`on_timeout`](Self::on_timeout) is due.
    pub(super) fn timeout(&self) -> Option<Instant> {
        match self {
            Self::Until(at) => Some(*at),
            Self::NotAsked | Self::Due => None,
        }
    }

    pub(super) fn on_timeout(&mut self, now: Instant) {
        if self.timeout().is_some_and(|at| now >= at) {
            *self = Self::Due;
        }
    }

    /// Whether it goes now, when something else does or not.
    pub(super) fn is_due(&self, has_company: bool) -> bool {
        match self {
            Self::NotAsked => false,
            Self::Until(_) => has_company,
            Self::Due => true,
        }
    }
}
