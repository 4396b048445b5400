//! Ends of connections: what an account makes of each, and of attempts that came to nothing.

use std::time::Duration;

use super::Account;
use crate::xmpp::api::{AccountEvent, AccountStatus, Persistence};
use crate::xmpp::connection::Counting;
use crate::xmpp::error::{AccountError, Pause, Step};
use crate::xmpp::reports::Reports;
use crate::xmpp::timing;

impl Account {
    /// The connection is over, for this reason.
    pub(super) fn on_closed(&mut self, reason: &AccountError, reports: &mut Reports) {
        if self.persistence == Persistence::Once {
            // It is not tried again.
            return self.disconnected(reason, reports);
        }
        let has_worked = self.link.is_up() && self.presumed.is_none();
        let lasted = self.link.up_since().map(|since| since.elapsed()).unwrap_or_default();
        // After a short time a server that lets us in and then falls silent would be logged in to without end.
        let was_silent = lasted >= timing::STEADY && matches!(reason, AccountError::TimedOut(_));
        let was_cut = has_worked && (reason.is_cut() || was_silent) && !self.link.owes_end();
        // Delays begin anew after a long session. After a short one they do not: a server that ended it so soon would do it again.
        if has_worked && lasted >= timing::STEADY {
            self.backoff.reset();
            self.connector.handle_steady();
        }
        let not_followed = match reason {
            AccountError::SeeOtherHost(host) => self.connector.follow(host).err(),
            _ => None,
        };
        let reason = not_followed.as_ref().unwrap_or(reason);
        let can_help_at_once = has_worked && reason.pause() == Pause::None;
        self.note_fault(reason, reports);
        self.disconnected(reason, reports);
        match (was_cut, can_help_at_once) {
            (true, _) => self.attempt_after_cut(lasted),
            (false, true) => self.attempt_soon(),
            (false, false) => self.attempt_later(),
        }
    }

    /// The server does not know us as was presumed.
    pub(super) fn on_misbound(&mut self, reason: &AccountError, reports: &mut Reports) {
        self.presuming.on_refuted();
        self.disconnected(reason, reports);
        // The next login presumes nothing. Only if that is refused as well was it the server's answer to what we want.
        self.attempt_after(Duration::ZERO);
    }

    /// The session that was resumed does not work.
    pub(super) fn on_unproven(&mut self, reports: &mut Reports) {
        // The next session that it resumes would not work either.
        self.counting = Counting::OneConnection;
        self.disconnected(&AccountError::TimedOut(Step::Session), reports);
        self.attempt_after(Duration::ZERO);
    }

    /// The server offers to count, and then does not say whether it does.
    pub(super) fn on_never_counting(&mut self, reports: &mut Reports) {
        self.counting = Counting::No;
        self.disconnected(&AccountError::TimedOut(Step::Session), reports);
        self.attempt_later();
    }

    /// The connection is over. Another attempt is to follow.
    fn disconnected(&mut self, reason: &AccountError, reports: &mut Reports) {
        let was_up = self.link.is_up();
        if self.presumed.take().is_some() {
            self.presuming.on_unanswered();
        }
        self.session = self.link.take_wire().and_then(|wire| wire.leave());
        if self.persistence == Persistence::Once {
            self.failure = Some(reason.clone());
            return;
        }
        if was_up {
            let rests = self.backoff.rest().is_some();
            reports.status(self.status_after(reason.clone(), rests));
            reports.event(AccountEvent::Suspended { reason: reason.clone() });
        } else {
            self.unreachable(reason.clone(), reports);
        }
        self.answer_size.on_closed(reason);
    }

    /// An attempt came to nothing.
    pub(super) fn unreachable(&self, error: AccountError, reports: &mut Reports) {
        let is_barred = self.backoff.rest().is_some() || error.rests() || error.is_refusal();
        reports.status(self.status_after(error.clone(), is_barred));
        reports.event(AccountEvent::Unreachable(error));
    }

    fn status_after(&self, error: AccountError, is_barred: bool) -> AccountStatus {
        match (is_barred, self.was_online) {
            (true, _) => AccountStatus::Barred(error),
            (false, true) => AccountStatus::Suspended { last_error: Some(error) },
            (false, false) => AccountStatus::Connecting { last_error: Some(error) },
        }
    }
}
