//! Last resort of a race: the domain's WebSocket, for which it has to be asked over HTTPS (XEP-0156). Pure.
//!
//! Where a network passes port 443 alone, it is what gets through; where a server answers, nobody needs it. So the question is asked
//! when nothing else is left to try, or when nothing has connected for some time. If it is what worked in an earlier run, it is asked at
//! once, beside the others: they are not given up for good because they were out of reach once.

use std::time::{Duration, Instant};

use super::telling_more;
use crate::xmpp::error::AccountError;
use crate::xmpp::srv::Endpoint;

/// How long the others are alone: 3 seconds. Who asks for a TCP connection asks again after 1 second (RFC 6298 section 2), and
/// has 2 more for an answer; so one lost packet is no reason to ask a web server.
const ALONE: Duration = Duration::from_secs(3);

/// What has become of it.
#[derive(Debug, Default)]
pub(super) struct LastResort {
    stage: Stage,
    /// When what it waits for was first tried.
    begun: Option<Instant>,
    /// Whether it waits for nothing.
    is_hurried: bool,
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

    /// It does not wait for the others, or it does.
    pub(super) fn hurry(&mut self, is_hurried: bool) {
        self.is_hurried = is_hurried;
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
        self.is_due() && (self.is_hurried || self.turn_begins().is_some_and(|at| now >= at))
    }

    /// When the time has come for it.
    pub(super) fn turn_begins(&self) -> Option<Instant> {
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
}
