//! Last resort of a race: the domain's WebSocket, for which it has to be asked over HTTPS (XEP-0156). Pure.
//!
//! Where a network passes port 443 alone, it is what gets through; where a server answers, nobody needs it. So the question is asked
//! when nothing else is left to try, or when nothing has connected for some time. If it is what worked last, it goes first, and the
//! others wait for as long.

use std::time::{Duration, Instant};

use super::telling_more;
use crate::xmpp::error::AccountError;
use crate::xmpp::srv::Endpoint;

/// How long the others, or it, are alone: 3 seconds. Who asks for a TCP connection asks again after 1 second (RFC 6298 section 2), and
/// has 2 more for an answer; so one lost packet is no reason to ask a web server.
const ALONE: Duration = Duration::from_secs(3);

/// What has become of it.
#[derive(Debug, Default)]
pub(super) struct LastResort {
    stage: Stage,
    /// When it, or what it waits for, was first tried.
    begun: Option<Instant>,
    is_first: bool,
    endpoint: Option<Endpoint>,
    fault: Option<AccountError>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Unwanted,
    Due,
    Asked,
    Answered,
}

impl LastResort {
    pub(super) fn want(&mut self) {
        self.stage = Stage::Due;
    }

    /// It is what is tried first, if it is wanted at all.
    pub(super) fn put_first(&mut self, now: Instant) -> bool {
        self.is_first = self.is_due();
        self.begun = self.is_first.then_some(now);
        self.is_first
    }

    /// Whether the domain may have to be asked yet.
    pub(super) fn is_due(&self) -> bool {
        self.stage == Stage::Due
    }

    /// Whether the domain is being asked.
    pub(super) fn is_asked(&self) -> bool {
        self.stage == Stage::Asked
    }

    /// Whether it is time to ask, even if others are not done.
    pub(super) fn is_time(&self, now: Instant) -> bool {
        self.is_due() && (self.is_first || self.is_past(now))
    }

    /// Whether those that it goes before need not wait any longer.
    pub(super) fn lets_others_begin(&self, now: Instant) -> bool {
        self.fault.is_some() || self.is_past(now)
    }

    /// When the time has come for it, or for those that it goes before.
    pub(super) fn turn_ends(&self) -> Option<Instant> {
        self.begun.map(|begun| begun + ALONE)
    }

    /// Something is dialled.
    pub(super) fn on_dialled(&mut self, now: Instant) {
        self.begun.get_or_insert(now);
    }

    pub(super) fn on_asked(&mut self) {
        self.stage = Stage::Asked;
    }

    pub(super) fn handle_found(&mut self, found: Result<Endpoint, AccountError>) {
        self.stage = Stage::Answered;
        match found {
            Ok(endpoint) => self.endpoint = Some(endpoint),
            Err(error) => self.note(error),
        }
    }

    pub(super) fn note(&mut self, error: AccountError) {
        self.fault = Some(telling_more(error, self.fault.take()));
    }

    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Why it is of no use.
    pub(super) fn fault(&self) -> Option<AccountError> {
        self.fault.clone()
    }

    fn is_past(&self, now: Instant) -> bool {
        self.turn_ends().is_some_and(|at| now >= at)
    }
}
