//! Log of accounts: each change once, however often an attempt is repeated.

use std::collections::{BTreeMap, BTreeSet};

use safelog::sensitive;

use crate::xmpp::{AccountError, AccountEvent, AccountId};

/// Remembers what was said last of each account.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    faults: BTreeMap<AccountId, AccountError>,
    /// What their servers ended connections for.
    ends: BTreeMap<AccountId, AccountError>,
    /// Those that will never be online again.
    failed: BTreeSet<AccountId>,
}

impl Announcer {
    /// Says what `event` means for whoever runs the program, if that is news.
    pub(super) fn announce(&mut self, id: AccountId, event: &AccountEvent) {
        let account = id.0;
        match event {
            AccountEvent::Online { jid, resumed } => {
                self.faults.remove(&id);
                tracing::info!(
                    "account {account} is online as {}{}",
                    sensitive(jid),
                    if *resumed { " again" } else { "" }
                );
            }
            AccountEvent::Suspended { reason } if reason.is_for_a_person() && self.note_end(id, reason) => {
                tracing::warn!("account {account} lost its connection: {reason}; {}", reason.advice());
            }
            AccountEvent::Suspended { reason } => {
                tracing::info!("account {account} lost its connection: {reason}");
            }
            AccountEvent::Unreachable(error) if self.note_fault(id, error) => {
                tracing::warn!("account {account} is not online: {error}; {}", error.advice());
            }
            AccountEvent::Failed(error) => {
                self.failed.insert(id);
                tracing::error!("account {account} cannot be used: {error}; {}", error.advice());
            }
            _ => {}
        }
    }

    /// The account is closed: nothing will happen to it any more.
    pub(super) fn forget(&mut self, id: AccountId) {
        self.faults.remove(&id);
        self.ends.remove(&id);
        self.failed.remove(&id);
    }

    /// Whether it was said that this account cannot be used.
    pub(super) fn has_failed(&self, id: AccountId) -> bool {
        self.failed.contains(&id)
    }

    /// Whether that is another reason than the last time: a login that works again in between changes nothing about it.
    fn note_end(&mut self, id: AccountId, error: &AccountError) -> bool {
        self.ends.insert(id, error.clone()).as_ref() != Some(error)
    }

    fn note_fault(&mut self, id: AccountId, error: &AccountError) -> bool {
        self.faults.insert(id, error.clone()).as_ref() != Some(error)
    }
}
