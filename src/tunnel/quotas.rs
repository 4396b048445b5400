//! Quotas of accounts: what is set for a login that comes online, and the task that keeps what was used.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use xmpp_parsers::jid::BareJid;

use super::{Shared, State};
use crate::protocol::AccountId;
use crate::secure::QuotaUse;

/// Keeps what accounts have used of what they may send in a day, across restarts.
pub trait QuotaStore: Send + Sync {
    /// What still counts of it, in bytes on the wire, where the account may send `daily` in a day.
    fn used(&self, account: &BareJid, daily: u64) -> u64;

    /// Keeps what it has used by now. It may take as long as a disk takes.
    fn keep(&self, account: &BareJid, used: u64);
}

/// The store, and the way to the task that writes to it.
pub(super) struct Keeper {
    store: Arc<dyn QuotaStore>,
    notes: mpsc::UnboundedSender<Note>,
}

enum Note {
    Used(QuotaUse),
    /// Everything before is to be written.
    Flush(oneshot::Sender<()>),
}

impl Keeper {
    /// Must be called within a Tokio runtime.
    pub(super) fn start(store: Arc<dyn QuotaStore>) -> Self {
        let (notes, to_write) = mpsc::unbounded_channel();
        tokio::spawn(write(Arc::clone(&store), to_write));
        Self { store, notes }
    }

    /// Waits until everything is written.
    pub(super) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        // Without the task nothing is written any more.
        let _ = self.notes.send(Note::Flush(done));
        let _ = is_done.await;
    }
}

async fn write(store: Arc<dyn QuotaStore>, mut notes: mpsc::UnboundedReceiver<Note>) {
    while let Some(note) = notes.recv().await {
        match note {
            Note::Used(used) => {
                let store = Arc::clone(&store);
                let keep = move || store.keep(&used.name, used.bytes);
                // It panics only if the store does.
                let _ = tokio::task::spawn_blocking(keep).await;
            }
            Note::Flush(done) => drop(done.send(())),
        }
    }
}

impl Shared {
    /// Bounds what a login that is online may send, if its account has a quota.
    pub(super) fn set_quota(&self, state: &mut State, now: Instant, login: AccountId) {
        let Some((account, daily)) = self.pool.quota(login) else { return };
        let used = self.quotas.get().map_or(0, |keeper| keeper.store.used(&account, daily));
        state.cores.secure.handle_quota(now, login, account, (daily, used));
    }

    /// Says and keeps what was used.
    pub(super) fn note_quotas(&self, state: &mut State) {
        while let Some(used) = state.cores.secure.poll_quota_use() {
            let account = state.siblings.account_of(used.account).unwrap_or(used.account);
            state.announcer.announce_quota(account, used.percent);
            if let Some(keeper) = self.quotas.get() {
                // The task ends after this.
                let _ = keeper.notes.send(Note::Used(used));
            }
        }
    }
}
