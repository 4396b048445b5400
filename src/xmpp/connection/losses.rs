//! Losses: what becomes of what was sent when a connection, or the session on it, is over. Pure.

use super::presumption::Presumption;
use super::sm::Session;
use super::{Connection, Event, State};
use crate::xmpp::error::{AccountError, Step};

impl Connection {
    pub(super) fn close(&mut self, reason: AccountError) {
        if self.is_closed() {
            return;
        }
        let reason = match &self.state {
            State::Opening(..) => reason.during(Step::Bind),
            State::Open { .. } | State::Closed => reason,
        };
        self.lose_unanswered();
        let cannot_resume = self.session.as_ref().is_some_and(|session| session.resume().is_none());
        if self.has_features() && is_final(&reason) || cannot_resume {
            self.lose_session();
        }
        self.end(Event::Closed(reason));
    }

    /// Loses what was sent before the server has said whether we have the resource, or whether it counts.
    pub(super) fn lose_unanswered(&mut self) {
        let lost = match (&mut self.state, self.enabling.take()) {
            (State::Opening(opening, _), _) => {
                opening.take_presumption().map(Presumption::into_written).unwrap_or_default()
            }
            (_, None) => return,
            (_, Some(enabling)) => {
                // What was sent since is lost with its session, once.
                self.output.take_tags();
                enabling.into_tags().0
            }
        };
        self.events.extend(lost.into_iter().map(Event::Lost));
    }

    pub(super) fn end(&mut self, last: Event) {
        self.state = State::Closed;
        self.events.extend(self.output.clear().map(Event::Lost));
        self.events.push_back(last);
    }

    /// The session does not work, and is lost with its connection.
    pub(super) fn give_session_up(&mut self, why: Event) {
        self.lose_unanswered();
        self.lose_session();
        self.end(why);
    }

    pub(super) fn lose_session(&mut self) {
        let lost = self.session.take().into_iter().flat_map(Session::into_lost);
        self.events.extend(lost.map(Event::Lost));
    }
}

/// Whether a session ends with a connection that ends so. A server that ends a stream with an error forgets its session, and what was
/// too much or made no sense would come again behind every resumption.
fn is_final(reason: &AccountError) -> bool {
    matches!(
        reason,
        AccountError::Conflict
            | AccountError::StanzaTooLarge
            | AccountError::LoginTooLarge(_)
            | AccountError::OverLimit(..)
            | AccountError::SeeOtherHost(_)
            | AccountError::StreamError(..)
            | AccountError::TooMuch(_)
            | AccountError::Protocol(_)
    )
}
