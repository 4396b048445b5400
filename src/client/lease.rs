//! Leases of logins that requests have brought: who uses them, and their end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::Notify;

use super::logins::{LoginLimits, Logins, TooMany};
use crate::tunnel::Tunnel;
use crate::xmpp::{AccountId, AccountStatus};

/// Ends logins that nothing uses.
pub(super) struct Keeper {
    tunnel: Tunnel,
    logins: Mutex<Logins>,
    /// Another one may be due first, or there will be none.
    changed: Arc<Notify>,
}

/// Somebody uses these accounts, for as long as this exists.
pub(super) struct Lease {
    keeper: Arc<Keeper>,
    ids: Vec<AccountId>,
}

impl Keeper {
    /// Must be called within a Tokio runtime.
    pub(super) fn start(tunnel: Tunnel, limits: LoginLimits) -> Arc<Self> {
        let changed = Arc::new(Notify::new());
        let logins = Mutex::new(Logins::new(limits));
        let keeper = Arc::new(Self { tunnel, logins, changed: Arc::clone(&changed) });
        tokio::spawn(run(Arc::downgrade(&keeper), changed));
        keeper
    }

    /// The use of the accounts that `open` opens; none when there are too many of them.
    pub(super) fn lease(self: &Arc<Self>, open: impl FnOnce() -> Vec<AccountId>) -> Option<Lease> {
        let mut logins = self.logins();
        // Under the lock: nobody else takes the place in between.
        let ids = open();
        let (lease, to_close) = match logins.take(now(), &ids) {
            Ok(unused) => (Some(Lease { keeper: Arc::clone(self), ids }), unused),
            Err(TooMany(new)) => (None, new),
        };
        to_close.into_iter().for_each(|id| self.tunnel.close_account(id));
        lease
    }

    fn expire(&self) -> Option<Instant> {
        // What is refused for good has no connection to keep, and would be asked again for nothing.
        let has_failed = |id| matches!(self.tunnel.pool().status(id), AccountStatus::Failed(_));
        let mut logins = self.logins();
        for id in logins.take_expired(now(), has_failed) {
            let name = self.tunnel.pool().name(id);
            tracing::info!("{name} is logged out, because nothing has used it for long");
            self.tunnel.close_account(id);
        }
        logins.next_expiry()
    }

    fn logins(&self) -> MutexGuard<'_, Logins> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    pub(super) fn accounts(&self) -> &[AccountId] {
        &self.ids
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.logins().give_back(now(), &self.ids);
        self.keeper.changed.notify_one();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// Runs until the keeper is gone.
async fn run(keeper: Weak<Keeper>, changed: Arc<Notify>) {
    while let Some(strong) = keeper.upgrade() {
        let next = strong.expire();
        drop(strong);
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = changed.notified() => {}
        }
    }
}

/// As the runtime has it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
