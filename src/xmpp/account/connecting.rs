//! From a lost connection to the next one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_xmpp::stanzastream::StanzaStream;

use super::link::{Arrival, Link, Progress};
use super::{Account, QUEUE, Slot, Wire};
use crate::xmpp::binding::{self, Bound};
use crate::xmpp::connector::LoggedIn;
use crate::xmpp::error::AccountError;
use crate::xmpp::reports::Reports;
use crate::xmpp::retire::put_to_rest;
use crate::xmpp::{AccountEvent, AccountStatus, StreamManagement, timing};

impl Account {
    pub(super) fn disconnected(&mut self, reason: &AccountError, reports: &mut Reports) {
        match std::mem::replace(&mut self.link, Link::Waiting) {
            Link::Up { since, .. } => {
                // In some networks no connection lives for long, and much gets through all the same in the time that
                // each has. A server that itself ends a session soon would do it again.
                if reason.is_cut() || since.elapsed() >= timing::STEADY {
                    self.backoff.reset();
                }
                reports.status(AccountStatus::Suspended { last_error: Some(reason.clone()) });
                reports.event(AccountEvent::Suspended { reason: reason.clone() });
            }
            _ => self.unreachable(reason.clone(), reports),
        }
        // Whoever took our resource would lose it again, and take it back, as fast as we can dial.
        if *reason == AccountError::Conflict {
            self.backoff.exhaust();
        }
    }

    pub(super) fn unreachable(&self, error: AccountError, reports: &mut Reports) {
        let last_error = Some(error.clone());
        reports.status(match self.bound {
            Some(_) => AccountStatus::Suspended { last_error },
            None => AccountStatus::Connecting { last_error },
        });
        reports.event(AccountEvent::Unreachable(error));
    }

    pub(super) fn on_slot(&mut self, slot: Slot) {
        self.slot = Some(slot);
        self.attempt_later();
    }

    pub(super) fn attempt_later(&mut self) {
        let delay = self.backoff.next_delay(rand::random());
        self.attempt_after(delay);
    }

    pub(super) fn attempt_after(&mut self, delay: Duration) {
        let connector = Arc::clone(&self.connector);
        let (dialer, identity) = (self.dialer.clone(), self.identity.clone());
        let management = self.management;
        self.link = Link::Attempting(Box::pin(async move {
            sleep(delay).await;
            let logged_in = connector.log_in(&dialer, identity).await?;
            match management {
                StreamManagement::Wanted => Ok(Arrival::LoggedIn(Box::new(logged_in))),
                StreamManagement::Unwanted => {
                    binding::bind(logged_in).await.map(Box::new).map(Arrival::Bound)
                }
            }
        }));
    }

    pub(super) fn on_progress(
        &mut self,
        progress: Progress,
        reports: &mut Reports,
    ) -> Result<(), AccountError> {
        match progress {
            Progress::Attempted(Ok(Arrival::LoggedIn(logged_in))) => self.plug_in(*logged_in),
            Progress::Attempted(Ok(Arrival::Bound(bound))) => {
                let Bound { jid, plain, line } = *bound;
                self.line = line;
                self.wire = Wire::Plain(Box::new(plain));
                self.begin(jid, reports);
            }
            Progress::Attempted(Err(error)) if error.is_permanent() => return Err(error),
            Progress::Attempted(Err(error)) => {
                if error == AccountError::Conflict {
                    self.backoff.exhaust();
                }
                self.unreachable(error, reports);
                self.attempt_later();
            }
            Progress::NotOpened => {
                self.link = Link::Opening(Box::pin(sleep(timing::OPENING)));
                self.line.hang_up();
            }
            Progress::NotProven => self.on_not_proven(reports),
        }
        Ok(())
    }

    /// Gives a new connection to the stanza stream, which is made for the first one.
    pub(super) fn plug_in(&mut self, LoggedIn { mut connection, line }: LoggedIn) {
        self.line = line;
        if self.without_acks {
            connection.features.stream_management = None;
        }
        self.link = Link::Opening(Box::pin(sleep(timing::OPENING)));
        if !matches!(self.wire, Wire::Managed(_)) {
            self.start_stream();
        }
        if let Some(slot) = self.slot.take() {
            // If the stream is gone, its end is the next event.
            drop(slot.send(connection));
        }
    }

    pub(super) fn start_stream(&mut self) {
        let (slots_in, slots) = mpsc::unbounded_channel();
        let identity = self.identity.clone();
        let pass_on = move |_, slot| {
            if let Err(unwanted) = slots_in.send(slot) {
                tokio::spawn(put_to_rest(unwanted.0, identity.clone()));
            }
        };
        self.wire = Wire::Managed(StanzaStream::new(Box::new(pass_on), QUEUE));
        self.slots = slots;
        // The first slot is there before `new` returns.
        self.slot = self.slots.try_recv().ok();
    }
}
