//! Reports of an account to its owner: events in order, and the latest status.

use std::collections::VecDeque;

use tokio::sync::{mpsc, watch};

use super::api::{AccountEvent, AccountStatus};
use super::error::AccountError;
use crate::protocol::AccountId;

/// The way out for events. Never blocks: what the owner has no room for waits here, and
/// [`is_congested`](Self::is_congested) tells the account to read no more until it has left.
pub(super) struct Reports {
    id: AccountId,
    events: mpsc::Sender<(AccountId, AccountEvent)>,
    waiting: VecDeque<AccountEvent>,
    status: watch::Sender<AccountStatus>,
}

impl Reports {
    pub(super) fn new(
        id: AccountId,
        events: mpsc::Sender<(AccountId, AccountEvent)>,
        status: watch::Sender<AccountStatus>,
    ) -> Self {
        Self { id, events, waiting: VecDeque::new(), status }
    }

    /// Reports `event`, at once if there is room.
    pub(super) fn event(&mut self, event: AccountEvent) {
        self.waiting.push_back(event);
        self.flush();
    }

    /// Reports that nobody knows what became of stanzas with these tags.
    pub(super) fn lost(&mut self, tags: impl IntoIterator<Item = u64>) {
        self.waiting.extend(tags.into_iter().map(|tag| AccountEvent::Lost { tag }));
        self.flush();
    }

    /// Why the account is not online, as far as was reported.
    pub(super) fn last_error(&self) -> Option<AccountError> {
        self.status.borrow().error().cloned()
    }

    /// Sets the status.
    pub(super) fn status(&self, status: AccountStatus) {
        self.status.send_replace(status);
    }

    /// Whether events wait for room.
    pub(super) fn is_congested(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Waits for room and uses it. False when nobody listens any more. Cancel-safe.
    pub(super) async fn drain(&mut self) -> bool {
        {
            // Used, not given back: two congested accounts would pass it to each other for ever.
            let Ok(permit) = self.events.reserve().await else { return false };
            if let Some(event) = self.waiting.pop_front() {
                permit.send((self.id, event));
            }
        }
        self.flush();
        true
    }

    fn flush(&mut self) {
        while !self.waiting.is_empty() {
            let Ok(permit) = self.events.try_reserve() else { return };
            if let Some(event) = self.waiting.pop_front() {
                permit.send((self.id, event));
            }
        }
    }
}
