//! Relay among the paths of its session: when there is one, what the driver is to do about it, and what it tells.

use std::time::{Duration, Instant};

use xmpp_parsers::jid::FullJid;

use crate::protocol::AccountId;
use crate::secure::api::relays::{RelayKey, RelayTask};
use crate::secure::api::trace::PathEnd;
use crate::secure::crypto::credential::Credential;
use crate::secure::ids::PathId;
use crate::secure::path::{Contact, Path, PathState};
use crate::secure::session::established::Established;
use crate::secure::session::relay::{Relay, Whose};
use crate::secure::session::{Session, SessionEvent};
use crate::secure::shared::Shared;
use crate::secure::tuning::{LEAST_STOCK_RATE, RELAY_LATE, RELAY_OUTDONE};
use crate::secure::wire::relay_frame::{RelayEndReason, Rendezvous};

/// A proxy may hold back the end of what it has read until more comes, which is some milliseconds later (`tunnel::relays`), or some more on a
/// busy machine: 20 ms. Beside a near proxy that looked like a queue: windows went down to two blocks, and 20 MB/s to half of one.
const HELD_BACK: Duration = Duration::from_millis(20);

impl Session {
    /// The server of an account has a proxy, so that a relay may be begun.
    pub(crate) fn handle_proxy(&mut self, now: Instant, shared: &mut Shared) {
        self.apply_changes(now, shared);
    }

    /// A client is connected to the proxy of its server.
    pub(crate) fn handle_relay_found(
        &mut self,
        now: Instant,
        number: u64,
        rendezvous: Rendezvous,
        shared: &mut Shared,
    ) {
        self.change_relay(now, shared, |relay| relay.handle_found(number, rendezvous));
    }

    /// A bridge is connected to the proxy of the client's server.
    pub(crate) fn handle_relay_joined(&mut self, now: Instant, number: u64, shared: &mut Shared) {
        self.change_relay(now, shared, |relay| relay.handle_joined(number));
    }

    /// The relay carries: these names stand for it as accounts, ours and the peer's. Returns its path, unless nobody needs it any more.
    pub(crate) fn handle_relay_up(
        &mut self,
        now: Instant,
        number: u64,
        (via, peer): (AccountId, FullJid),
        shared: &mut Shared,
    ) -> Option<PathId> {
        let relay = self.relay_mut()?;
        if !relay.handle_up(now, number, via) {
            return None;
        }
        let (id, credential) = (PathId(shared.next_number()), Credential::NOBODYS);
        let contact = Contact { via, peer, leg: None, client: self.tag, credential };
        let mut path = Path::new(now, id, contact, PathState::Open, shared.config.sizes).by_relay();
        path.expect_held_back(HELD_BACK);
        shared.accounts.expect_held_back(via, HELD_BACK);
        self.adopt(path, shared);
        self.on_path_open(now, id, shared);
        self.apply_changes(now, shared);
        Some(id)
    }

    /// The relay has failed, or its connection has ended.
    pub(crate) fn handle_relay_down(
        &mut self,
        now: Instant,
        number: u64,
        reason: RelayEndReason,
        shared: &mut Shared,
    ) {
        self.change_relay(now, shared, |relay| relay.handle_down(now, number, reason));
    }

    fn change_relay(&mut self, now: Instant, shared: &mut Shared, change: impl FnOnce(&mut Relay)) {
        self.relay_mut().map(change);
        self.apply_changes(now, shared);
    }

    /// Looks after the relay at every change: the path of one that is over goes with it, and a client whose session has streams begins one
    /// where it can.
    pub(super) fn use_relay(&mut self, now: Instant, shared: &mut Shared) {
        if self.is_relay_outdone(now)
            && let Some(relay) = self.relay_mut()
        {
            relay.handle_outdone(now);
        }
        if let Some(account) = self.relay_mut().and_then(Relay::poll_over) {
            for id in self.ids_of(|path| path.via() == account) {
                self.drop_path(now, id, PathEnd::RelayOver, shared);
            }
            self.events.push_back(SessionEvent::RelayOver(account));
        }
        if self.is_idle() || !self.relay().is_some_and(|relay| relay.is_wanted(now)) {
            return;
        }
        let is_proxied = |path: &&Path| path.works() && shared.proxied.contains(&path.via());
        let proxied = self.paths.values().find(is_proxied).map(|path| (path.via(), path.peer().clone()));
        if let Some((relay, (account, peer))) = self.relay_mut().zip(proxied) {
            relay.begin(now, account, peer);
        }
    }

    /// The next thing that the driver has to do about the relay.
    pub(crate) fn poll_relay_task(&mut self) -> Option<RelayTask> {
        let whose = Whose { session: self.key, client: self.client.as_ref() };
        self.state.established_mut()?.relay_mut()?.poll_task(&whose)
    }

    /// The relay of which the driver has something, and the account that stood for one last.
    pub(super) fn busy_relay(&self) -> (Option<RelayKey>, Option<AccountId>) {
        let key = |number| RelayKey { session: self.key, number };
        let relay = self.relay();
        (relay.and_then(Relay::number).map(key), relay.and_then(Relay::last_account))
    }

    /// Whether packets go by a relay.
    pub(crate) fn is_relayed(&self) -> bool {
        self.relay_path().is_some()
    }

    /// The path of a relay that works.
    fn relay_path(&self) -> Option<&Path> {
        self.path_of_relay().filter(|path| path.works())
    }

    /// The same, be it stalled.
    fn path_of_relay(&self) -> Option<&Path> {
        let account = self.relay().and_then(Relay::account)?;
        self.paths.values().find(|path| path.via() == account)
    }

    /// Whether the relay has become slower than what is beside it. Another path has to have said something since, or else it is the line
    /// that has stopped.
    fn is_relay_outdone(&self, now: Instant) -> bool {
        let Some((relay, since)) = self.path_of_relay().and_then(|path| Some((path, path.too_late_since()?)))
        else {
            return false;
        };
        let others = || self.paths.values().filter(|path| path.works() && path.via() != relay.via());
        if !others().any(|other| other.last_heard() > since + RELAY_LATE) {
            return false;
        }
        let by_paths: f64 = others().map(|other| other.settled_rate().unwrap_or(LEAST_STOCK_RATE)).sum();
        let round_trip = others().map(Path::distance).min().unwrap_or_default();
        let by_files = self.established().and_then(|established| {
            established.files()?.rate(now, established.streams.waiting_bytes(), round_trip)
        });
        RELAY_OUTDONE * relay.rate(now) < by_paths.max(by_files.unwrap_or_default())
    }

    /// The account of a relay that works, unless its answers are late or another path is known to be faster. All goes by it then: what went by an
    /// account with a limit would hold up all that follows it in its stream. What a window that still opens shows of an account is no rate: a
    /// server may let a burst pass.
    pub(super) fn fast_relay(&self, now: Instant) -> Option<AccountId> {
        let relay = self.relay_path().filter(|path| path.late_since().is_none())?;
        let (account, rate) = (relay.via(), relay.rate(now));
        let mut others = self.paths.values().filter(|path| path.works() && path.via() != account);
        let is_fast = others.all(|other| other.settled_rate().is_none_or(|other| other <= rate));
        is_fast.then_some(account)
    }

    /// Whether this account stands for the relay, or for the one that has just ended: none of a chat server.
    pub(super) fn is_relay(&self, account: AccountId) -> bool {
        self.relay().and_then(Relay::last_account) == Some(account)
    }

    fn relay(&self) -> Option<&Relay> {
        self.established().and_then(Established::relay)
    }

    pub(super) fn relay_mut(&mut self) -> Option<&mut Relay> {
        self.state.established_mut()?.relay_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::CloseReason;
    use crate::secure::api::trace::TraceEvent;
    use crate::secure::session::LastWord;
    use crate::secure::session::testing::{OURS, World, bridge_jid};
    use crate::secure::wire::relay_frame::{ADDRESS, RelayFrame};

    const RELAY: AccountId = AccountId(1 << 40);

    /// A client whose first relay carries.
    fn relayed() -> World {
        let (mut world, _peer) = World::established_client();
        world.shared.proxied.insert(OURS);
        world.session.handle_proxy(world.now, &mut world.shared);
        assert!(matches!(world.session.poll_relay_task(), Some(RelayTask::Find { .. })));
        let rendezvous = Rendezvous::new("proxy.example", 7777, [1; ADDRESS]).unwrap();
        world.session.handle_relay_found(world.now, 0, rendezvous, &mut world.shared);
        says(&mut world, RelayFrame::Joined { relay: 0 });
        let names = (RELAY, bridge_jid());
        assert!(world.session.handle_relay_up(world.now, 0, names, &mut world.shared).is_some());
        world
    }

    fn says(world: &mut World, frame: RelayFrame) {
        world.session.relay_mut().unwrap().handle_frame(world.now, frame).unwrap();
    }

    #[test]
    fn a_relay_that_ends_soon_is_no_failure_of_a_pair_of_accounts() {
        let mut world = relayed();
        world.session.handle_relay_down(world.now, 0, RelayEndReason::Unreachable, &mut world.shared);
        assert_eq!(world.session.paths.len(), 1, "its path is no more");
        let side = world.session.client_side().unwrap();
        assert_eq!(side.pairs.failures((RELAY, &bridge_jid())), 0);
        assert_eq!(side.pairs.failing_since(), None);
    }

    #[test]
    fn what_stood_for_a_relay_is_told_with_its_session_though_the_relay_ended_just_before() {
        let mut world = relayed();
        says(&mut world, RelayFrame::RelayEnd { relay: 0, reason: RelayEndReason::Done });
        let World { session, mut shared, now, .. } = world;
        let closed = session.close(now, CloseReason::Finished, LastWord::Theirs, &mut shared);
        assert_eq!(closed.relay, (None, Some(RELAY)));
    }

    /// Causes for which relays are over, as they are traced.
    fn traced_ends(shared: &mut Shared) -> Vec<(u64, RelayEndReason)> {
        let events = std::iter::from_fn(|| shared.tracer.poll()).map(|traced| traced.event);
        let end = |event| match event {
            TraceEvent::RelayEnded { relay, cause, .. } => Some((relay, cause)),
            _ => None,
        };
        events.filter_map(end).collect()
    }

    #[test]
    fn a_relay_is_traced_as_over_with_its_session_at_the_latest() {
        let mut world = relayed();
        world.shared.tracer.start();
        world.session.handle_proxy(world.now, &mut world.shared);
        let World { session, mut shared, now, .. } = world;
        session.close(now, CloseReason::Finished, LastWord::Theirs, &mut shared);
        assert_eq!(traced_ends(&mut shared), [(0, RelayEndReason::Done)]);
    }

    #[test]
    fn why_a_relay_is_over_is_traced_once() {
        let mut world = relayed();
        world.shared.tracer.start();
        world.session.handle_proxy(world.now, &mut world.shared);
        world.session.handle_relay_down(world.now, 0, RelayEndReason::Unreachable, &mut world.shared);
        let World { session, mut shared, now, .. } = world;
        session.close(now, CloseReason::Finished, LastWord::Theirs, &mut shared);
        assert_eq!(traced_ends(&mut shared), [(0, RelayEndReason::Unreachable)]);
    }
}
