//! Retry: when an account tries again, and with what.

use std::sync::Arc;
use std::time::Duration;

use super::link::Link;
use super::{Account, new_id};
use crate::xmpp::api::AccountEvent;
use crate::xmpp::connection::Start;
use crate::xmpp::error::{AccountError, Pause};
use crate::xmpp::reports::Reports;
use crate::xmpp::timing;
use crate::xmpp::wire::now;

impl Account {
    /// Makes the back-off longer where this fault wants that: two programs with one resource would take it from each other as fast as they
    /// can dial, and whoever insists on too much is shut out. If the account is to rest for hours, it says so, before it says why.
    pub(super) fn note_fault(&mut self, error: &AccountError, reports: &mut Reports) {
        match error.pause() {
            Pause::None | Pause::Usual | Pause::Hour => {}
            Pause::Long => self.backoff.exhaust(),
            Pause::HoursIfRepeated => self.backoff.on_refused(now(), rand::random()),
            Pause::Hours => self.backoff.on_too_much(rand::random()),
        }
        if let Some(rest) = self.backoff.rest() {
            reports.event(AccountEvent::Rests(rest));
        }
    }

    /// Tries again after a session that lasted so long and was cut: at once, most of the time. In some networks no connection lives for long,
    /// and much gets through all the same in the time that each has.
    pub(super) fn attempt_after_cut(&mut self, lasted: Duration) {
        if lasted >= timing::OF_USE {
            self.backoff.reset();
        }
        self.attempt_soon();
    }

    /// Tries again at once, unless that was done a moment ago.
    pub(super) fn attempt_soon(&mut self) {
        let delay = self.backoff.short_delay(now(), rand::random());
        self.attempt_after(delay);
    }

    pub(super) fn attempt_later(&mut self) {
        if let Some(rest) = self.backoff.rest() {
            self.remembered.resting.insert(&self.identity.to_bare(), now(), rest);
        }
        let delay = self.backoff.next_delay(rand::random());
        self.attempt_after(delay);
    }

    pub(super) fn attempt_after(&mut self, delay: Duration) {
        let domain = self.connector.domain().to_owned();
        let resource = self.identity.resource().map(ToString::to_string);
        let known = self.identity.try_as_full().ok().filter(|jid| self.keeps_name && jid.node().is_some());
        let presumed = known.filter(|_| self.presuming.may_presume()).cloned();
        self.start = Start { domain, resource, id: new_id(), counting: self.counting, presumed };
        let first_request = self.start.first_request(self.session.as_ref());
        self.link = Link::attempt(delay, Arc::clone(&self.connector), self.dialer.clone(), first_request);
    }
}
