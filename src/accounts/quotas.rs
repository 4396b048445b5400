//! Quotas in the state directory: what accounts have used of theirs.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use xmpp_parsers::jid::BareJid;

use crate::state::{QuotaUsed, StateDir};
use crate::tunnel::QuotaStore;

/// A day, in seconds.
const DAY: u64 = 24 * 3600;

/// See the [module](self).
pub(crate) struct KeptQuotas {
    state: Arc<StateDir>,
}

impl KeptQuotas {
    pub(crate) fn new(state: Arc<StateDir>) -> Self {
        Self { state }
    }
}

impl QuotaStore for KeptQuotas {
    fn used(&self, account: &BareJid, daily: u64) -> u64 {
        self.state.quota_used(account).map_or(0, |used| left_of(used, daily, now()))
    }

    fn keep(&self, account: &BareJid, bytes: u64) {
        if let Err(error) = self.state.keep_quota_used(account, QuotaUsed { bytes, at: now() }) {
            tracing::debug!("what an account has sent today cannot be kept: {error}");
        }
    }

    fn uploaded(&self, account: &BareJid, daily: u64) -> u64 {
        self.state.uploaded(account).map_or(0, |used| left_of(used, daily, now()))
    }

    fn add_upload(&self, account: &BareJid, daily: u64, bytes: u64) {
        let bytes = self.uploaded(account, daily).saturating_add(bytes);
        if let Err(error) = self.state.keep_uploaded(account, QuotaUsed { bytes, at: now() }) {
            tracing::debug!("what an account has uploaded today cannot be kept: {error}");
        }
    }
}

/// What of that still counts: all of it is over within a day. A clock that was set back makes it count for longer.
fn left_of(used: QuotaUsed, daily: u64, now: u64) -> u64 {
    let passed = now.saturating_sub(used.at).min(DAY);
    used.bytes.saturating_sub(daily / DAY * passed)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    #[test]
    fn what_was_used_is_over_within_a_day() {
        let used = QuotaUsed { bytes: 86_400_000, at: 1000 };
        let left = |now| left_of(used, 86_400_000, now);
        assert_eq!(
            [left(1000), left(2000), left(1000 + DAY), left(1000 + 2 * DAY)],
            [86_400_000, 85_400_000, 0, 0]
        );
        assert_eq!(left(0), 86_400_000, "a clock that was set back");
    }

    #[test]
    fn it_counts_after_a_restart_and_for_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let open = || KeptQuotas::new(Arc::new(StateDir::open(directory.path()).unwrap()));
        let (alice, bob) =
            ["alice", "bob"].map(|user| BareJid::new(&format!("{user}@chat.example")).unwrap()).into();
        open().keep(&alice, 1_000_000);
        let quotas = open();
        assert!((999_000..=1_000_000).contains(&quotas.used(&alice, 86_400)), "a second is a byte");
        assert_eq!(quotas.used(&bob, 86_400), 0);
    }

    #[test]
    fn what_was_uploaded_adds_up_and_is_kept_beside_what_was_sent() {
        let directory = tempfile::tempdir().unwrap();
        let quotas = KeptQuotas::new(Arc::new(StateDir::open(directory.path()).unwrap()));
        let alice = BareJid::new("alice@chat.example").unwrap();
        quotas.keep(&alice, 5);
        for _ in 0..2 {
            quotas.add_upload(&alice, 86_400, 1_000_000);
        }
        assert!((1_999_000..=2_000_000).contains(&quotas.uploaded(&alice, 86_400)), "a second is a byte");
        assert!(quotas.used(&alice, 86_400) <= 5);
    }
}
