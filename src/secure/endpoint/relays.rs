//! Relays: what the driver is told to do about them, and what it tells (doc/lanes.md).

use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use crate::protocol::{AccountId, SizeLimit};
use crate::secure::api::relays::{RelayKey, RelayPath, RelayTask};
use crate::secure::endpoint::Endpoint;
use crate::secure::ids::SessionKey;
use crate::secure::wire::relay_frame::{RelayEndReason, Rendezvous};

/// The size up to which a relay takes blocks, as that of their stanzas would be: 128 KiB, more than any block needs. Nobody on the way has
/// a limit.
const NO_LIMIT: usize = 128 * 1024;

impl Endpoint {
    /// Tells whether the server of an account of ours that is online has a proxy for byte streams.
    pub fn handle_proxy(&mut self, now: Instant, id: AccountId, is_there: bool) {
        if !is_there {
            self.shared.proxied.remove(&id);
        } else if self.shared.proxied.insert(id) {
            for key in self.sessions_using(id) {
                self.with_session(now, key, |session, shared| session.handle_proxy(now, shared));
            }
        }
    }

    /// The next thing to do about a relay.
    pub fn poll_relay_task(&mut self) -> Option<RelayTask> {
        self.relay_tasks.pop_front()
    }

    /// The outcome of [`RelayTask::Find`]: we are connected to the proxy there.
    pub fn handle_relay_found(&mut self, now: Instant, relay: RelayKey, rendezvous: Rendezvous) {
        self.with_session(now, relay.session, |session, shared| {
            session.handle_relay_found(now, relay.number, rendezvous, shared);
        });
    }

    /// The outcome of [`RelayTask::Join`]: we are connected to the proxy.
    pub fn handle_relay_joined(&mut self, now: Instant, relay: RelayKey) {
        self.with_session(now, relay.session, |session, shared| {
            session.handle_relay_joined(now, relay.number, shared);
        });
    }

    /// The relay carries. `account`, a name that no account has or had, stands for it from now on, as an account whose only path it is.
    /// Returns that path; none if nobody needs the relay any more, or ever did.
    pub fn handle_relay_up(
        &mut self,
        now: Instant,
        relay: RelayKey,
        account: AccountId,
    ) -> Option<RelayPath> {
        let (ours, peer) = self.names_on(relay)?;
        self.shared.accounts.on_online(account, ours, false);
        self.shared.accounts.on_size_limit(now, account, SizeLimit::Told(NO_LIMIT));
        let path = self.with_session(now, relay.session, |session, shared| {
            session.handle_relay_up(now, relay.number, (account, peer.clone()), shared)
        });
        let Some(path) = path.flatten() else {
            self.shared.accounts.remove(account);
            return None;
        };
        Some(RelayPath { account, path, peer })
    }

    /// The relay has failed, or its connection has ended. What went by it and was not acknowledged goes again by what there is.
    pub fn handle_relay_down(&mut self, now: Instant, relay: RelayKey, reason: RelayEndReason) {
        self.with_session(now, relay.session, |session, shared| {
            session.handle_relay_down(now, relay.number, reason, shared);
        });
    }

    /// What the two ends of a relay are called, ours first. Nobody else sees these names.
    fn names_on(&self, relay: RelayKey) -> Option<(FullJid, FullJid)> {
        let name = |end: &str| FullJid::new(&format!("{end}@relay.invalid/{}", relay.number)).ok();
        let (client, bridge) = (name("client")?, name("bridge")?);
        Some(if self.admission.is_none() { (client, bridge) } else { (bridge, client) })
    }

    /// A session is over, and so is its relay. What was to be left before is left all the same.
    pub(super) fn cancel_relay(
        &mut self,
        key: SessionKey,
        (relay, account): (Option<RelayKey>, Option<AccountId>),
    ) {
        let is_left = |task: &RelayTask| matches!(task, RelayTask::Leave { .. });
        self.relay_tasks.retain(|task| task.relay().session != key || is_left(task));
        let reason = RelayEndReason::Done;
        let leave = |relay| RelayTask::Leave { relay, reason, by_peer: false };
        self.relay_tasks.extend(relay.map(leave));
        account.into_iter().for_each(|account| self.shared.accounts.remove(account));
    }
}
