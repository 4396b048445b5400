//! Sibling logins: how the tunnel opens and closes siblings, and what it does when they end.

use std::time::Instant;

use safelog::sensitive;

use super::driver::size_limit;
use super::siblings::Action;
use super::{Shared, State};
use crate::protocol::{AccountChange, Core as _};
use crate::xmpp::{AccountEvent, AccountId};

impl Shared {
    /// Does what is to be done about siblings now.
    pub(super) fn see_to_siblings(&self, state: &mut State, now: Instant) {
        let secure = &state.cores.secure;
        for action in state.siblings.poll(now, |logins| secure.load(now, logins)) {
            match action {
                Action::Open { account, sibling } => {
                    tracing::debug!("{}: logging in once more, because much waits", self.pool.name(account));
                    self.pool.open_sibling(account, sibling);
                }
                Action::Close { account, sibling } => {
                    tracing::info!("{}: one login fewer", self.pool.name(account));
                    self.log_out_sibling(state, now, sibling);
                }
            }
        }
    }

    /// What happens to a sibling, before all that happens to accounts. False where there is no more to it.
    pub(super) fn on_sibling_event(
        &self,
        state: &mut State,
        now: Instant,
        (account, sibling): (AccountId, AccountId),
        event: &AccountEvent,
    ) -> bool {
        match event {
            AccountEvent::Online { jid, .. } => {
                tracing::info!("{}: one login more, {}", self.pool.name(account), sensitive(jid));
                let limit = state.siblings.on_sibling_online(now, sibling, jid);
                state.desk.handle_online(sibling, jid.clone());
                let change = AccountChange::Online { jid: jid.clone(), resumed: false };
                // The classic protocol has no use for accounts that come and go.
                state.cores.secure.handle_account(now, sibling, change);
                self.set_quota(state, now, sibling);
                if let Some(limit) = limit {
                    state.cores.secure.handle_size_limit(now, sibling, limit);
                }
                false
            }
            AccountEvent::Failed(reason) => {
                tracing::info!("{}: one login fewer: {reason}", self.pool.name(account));
                let largest = state.cores.secure.largest_on_its_way(sibling);
                if let Some(limit) = size_limit(reason) {
                    // The account is at the same server.
                    state.cores.secure.handle_size_limit(now, account, limit);
                }
                state.siblings.on_sibling_ended(now, sibling, (reason, largest));
                self.remove_sibling(state, now, sibling);
                false
            }
            // The account's first login hears of it, too.
            AccountEvent::Resource { .. } => false,
            _ => true,
        }
    }

    /// An account is logged out, and with it its siblings: also those that were never logged in, for which sessions may be waiting.
    pub(super) fn close_siblings_of(
        &self,
        state: &mut State,
        now: Instant,
        account: AccountId,
        siblings: &[AccountId],
    ) {
        state.siblings.forget(now, account);
        for sibling in siblings {
            self.remove_sibling(state, now, *sibling);
        }
    }

    /// Ends a sibling in good order: its peers are told that its paths are closed.
    fn log_out_sibling(&self, state: &mut State, now: Instant, sibling: AccountId) {
        state.cores.secure.retire(now, sibling);
        // What is to be said goes before the farewell to the server.
        self.drain(state, now);
        self.remove_sibling(state, now, sibling);
    }

    fn remove_sibling(&self, state: &mut State, now: Instant, sibling: AccountId) {
        self.pool.close(sibling);
        // The classic core, which never saw it online, may know how large its stanzas may be.
        state.cores.handle_account(now, sibling, AccountChange::Gone);
        state.desk.handle_closed(sibling);
    }
}
