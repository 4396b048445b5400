//! Quotas of accounts: what is set for a login that comes online, and the task that keeps what was used.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use xmpp_parsers::jid::BareJid;

use super::files::budget;
use super::{Shared, State};
use crate::config::DailyFiles;
use crate::protocol::AccountId;
use crate::secure::QuotaUse;
use crate::xmpp::Uploader;

/// Keeps what accounts have used of what they may send and upload in a day, across restarts.
pub trait QuotaStore: Send + Sync {
    /// What still counts of it, in bytes on the wire, where the account may send `daily` in a day.
    fn used(&self, account: &BareJid, daily: u64) -> u64;

    /// Keeps what it has used by now. It may take as long as a disk takes.
    fn keep(&self, account: &BareJid, used: u64);

    /// What still counts of what it has put at its server's upload service, in bytes, where it may put `daily` there in a day.
    fn uploaded(&self, account: &BareJid, daily: u64) -> u64;

    /// Keeps that it puts so much there. It may take as long as a disk takes.
    fn add_upload(&self, account: &BareJid, daily: u64, bytes: u64);
}

/// The store, and the way to the task that writes to it.
pub(super) struct Keeper {
    store: Arc<dyn QuotaStore>,
    notes: mpsc::UnboundedSender<Note>,
}

enum Note {
    Used(QuotaUse),
    Uploaded {
        account: BareJid,
        daily: u64,
        bytes: u64,
    },
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
        let store = Arc::clone(&store);
        // What blocks panics only if the store does.
        let _ = match note {
            Note::Used(used) => spawn_blocking(move || store.keep(&used.name, used.bytes)).await,
            Note::Uploaded { account, daily, bytes } => {
                spawn_blocking(move || store.add_upload(&account, daily, bytes)).await
            }
            Note::Flush(done) => {
                // Nobody waits any more.
                let _ = done.send(());
                Ok(())
            }
        };
    }
}

impl Shared {
    /// Bounds what a login that is online may send, if its account has a quota.
    pub(super) fn set_quota(&self, state: &mut State, now: Instant, login: AccountId) {
        let Some((account, daily)) = self.pool.quota(login) else { return };
        let used = self.quotas.get().map_or(0, |keeper| keeper.store.used(&account, daily));
        state.cores.secure.handle_quota(now, login, account, (daily, used));
    }

    /// What still counts of what an account has uploaded.
    pub(super) fn uploaded(&self, account: &Uploader, daily: u64) -> u64 {
        let keeper = self.quotas.get().filter(|_| account.daily != DailyFiles::Unbounded);
        keeper.map_or(0, |keeper| keeper.store.uploaded(&account.name, daily))
    }

    /// Keeps that a login has asked for room for so many bytes at the service of its server, which takes files that are so large. Says when
    /// that was all for the day.
    pub(super) fn note_upload(&self, state: &mut State, login: AccountId, max_file: Option<u64>, bytes: u64) {
        let account = self.pool.uploader(login).filter(|account| account.daily != DailyFiles::Unbounded);
        if let (Some(account), Some(keeper)) = (account, self.quotas.get()) {
            let daily = budget::daily(account.daily, max_file);
            let used = keeper.store.uploaded(&account.name, daily).saturating_add(bytes);
            if budget::is_used_up(daily, used) {
                state.announcer.announce_lane(login, budget::USED_UP);
            }
            // The task ends after this.
            let _ = keeper.notes.send(Note::Uploaded { account: account.name, daily, bytes });
        }
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
