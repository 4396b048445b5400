//! Paths of a session: how they open, fail and go.

use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use crate::protocol::{AccountId, CloseReason};
use crate::secure::api::trace::PathEnd;
use crate::secure::ids::PathId;
use crate::secure::path::Path;
use crate::secure::session::{Role, Session, SessionEvent, State};
use crate::secure::shared::Shared;
use crate::secure::shared::routes::Owner;

/// Paths of a session at a time. A client wants half as many, and the others may be some that it has lost.
const MAX_PATHS_OF_A_SESSION: usize = 32;

impl Session {
    /// On a bridge: a path by which the client has proved itself is one of the session's.
    pub(crate) fn handle_path(&mut self, now: Instant, path: Path, shared: &mut Shared) {
        self.make_room_for_a_path(now, shared);
        if let Role::Bridge { peer_jids } = &mut self.role
            && peer_jids.insert(path.peer().clone())
        {
            let added = vec![path.peer().clone()];
            self.events.push_back(SessionEvent::PeerJidsChanged { added, removed: Vec::new() });
        }
        let id = self.adopt(path, shared);
        self.on_path_open(now, id, shared);
        self.apply_changes(now, shared);
    }

    /// On a bridge: by a new handshake the client has taken the session up again, which shows that it holds the keys.
    pub(crate) fn handle_resumption(&mut self, now: Instant, path: Path, shared: &mut Shared) {
        if self.state.on_confirmed() {
            self.trace_confirmed(now, shared);
        }
        self.trace_resumed(now, path.id(), shared);
        self.events.extend(self.client.clone().map(SessionEvent::Confirmed));
        self.handle_path(now, path, shared);
    }

    /// On a client: the path by which the session was made in place of a lost one.
    pub(crate) fn begin_with(&mut self, now: Instant, path: Path, shared: &mut Shared) {
        self.trace_opened(now, shared);
        let id = self.adopt(path, shared);
        self.announce_ours(shared);
        self.on_path_open(now, id, shared);
        self.apply_changes(now, shared);
    }

    /// A path is the session's from now on, and so is its share of our account.
    pub(super) fn adopt(&mut self, mut path: Path, shared: &mut Shared) -> PathId {
        let id = path.id();
        path.set_client(self.tag);
        shared.routes.add(id, Owner::Session(self.key));
        self.paths.insert(id, path);
        id
    }

    /// A path works.
    pub(super) fn on_path_open(&mut self, now: Instant, id: PathId, shared: &mut Shared) {
        let Some(path) = self.paths.get_mut(&id) else {
            // Never: it was just adopted, or its open was just answered.
            return;
        };
        path.open(now);
        let (via, peer) = (path.via(), path.peer().clone());
        self.trace_path_opened(now, id, shared);
        // Between two accounts there is one path of a session; the client has given up the others.
        let is_older = |path: &Path| path.id() != id && path.via() == via && *path.peer() == peer;
        for older in self.ids_of(is_older) {
            self.drop_path(now, older, PathEnd::Replaced, shared);
        }
        if let Some(side) = self.client_side_mut() {
            side.pairs.on_works((via, &peer));
        }
        self.state.on_path_works();
        self.on_paths_changed();
    }

    /// Closes the path that nothing has come by for the longest, if the session has as many as it may.
    fn make_room_for_a_path(&mut self, now: Instant, shared: &mut Shared) {
        if self.paths.len() < MAX_PATHS_OF_A_SESSION {
            return;
        }
        if let Some(id) = self.paths.values().min_by_key(|path| path.last_heard()).map(Path::id) {
            self.fail_path(now, id, PathEnd::Crowded, shared);
        }
    }

    /// A path has failed: the peer is told, and what was on it goes by another.
    pub(super) fn fail_path(&mut self, now: Instant, id: PathId, cause: PathEnd, shared: &mut Shared) {
        self.end_path(now, id, (cause, Shared::close), shared);
    }

    /// A path is no more.
    pub(super) fn drop_path(&mut self, now: Instant, id: PathId, cause: PathEnd, shared: &mut Shared) {
        self.end_path(now, id, (cause, Shared::forget), shared);
    }

    fn end_path(
        &mut self,
        now: Instant,
        id: PathId,
        (cause, end): (PathEnd, fn(&mut Shared, Instant, &Path)),
        shared: &mut Shared,
    ) {
        let Some(path) = self.paths.remove(&id) else {
            // It has ended by what came before, as when another one opened between the same accounts.
            return;
        };
        self.trace_path_ended(now, &path, cause, shared);
        end(shared, now, &path);
        if let Some(early) = self.state.early_mut() {
            early.on_failed(CloseReason::ConnectTimedOut);
        }
        if let Some(established) = self.state.established_mut() {
            established.requeue_sent_by(id);
        }
        // One that has stalled proves nothing: the bridge may have forgotten it, too.
        if !self.paths.values().any(Path::works) {
            self.state.on_no_path(!path.is_open() && !path.is_first_contact());
        }
        let jitter = shared.random();
        let is_relay = self.is_relay(path.via());
        if let Some(relay) = self.relay_mut() {
            relay.handle_path_gone(now, path.via());
        }
        if let Role::Client(side) = &mut self.role
            && !path.has_worked(now)
            && !is_relay
        {
            let pause = side.longest_pause(path.peer());
            side.pairs.on_failed(now, (path.via(), path.peer().clone()), pause, jitter);
        }
        self.on_paths_changed();
        self.give_up_if_hopeless(now, shared);
    }

    fn give_up_if_hopeless(&mut self, now: Instant, shared: &Shared) {
        let timeout = shared.config.connect_timeout;
        if self.is_connecting()
            && self.client_side().is_some_and(|side| side.is_hopeless(now, timeout, &shared.accounts))
        {
            let was_refused = self.client_side().is_some_and(|side| side.pairs.was_refused());
            let reason = if was_refused { CloseReason::LineRefused } else { CloseReason::PeerUnavailable };
            self.end(reason, None);
        }
    }

    /// Whether a client has not shaken hands yet.
    pub(crate) fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting(_))
    }

    /// Takes no more from applications than paths and files will soon carry.
    pub(super) fn fit_buffers(&mut self) {
        let send_buffer_target =
            self.paths.values().filter(|path| path.is_open()).map(Path::send_buffer_target).sum::<usize>();
        if let Some(established) = self.state.established_mut() {
            let target = send_buffer_target + established.room_for_files();
            established.streams.fit_send_buffers(target);
        }
    }

    pub(super) fn on_paths_changed(&mut self) {
        self.has_paths_to_check = true;
        self.fit_buffers();
    }

    /// Paths work again, or none does for now.
    pub(super) fn note_reachability(&mut self) {
        if self.paths.values().any(Path::works) {
            self.state.on_path_works();
        } else {
            self.state.on_no_path(self.state.must_ask());
        }
        self.on_paths_changed();
    }

    pub(super) fn ids_of(&self, is_it: impl Fn(&Path) -> bool) -> Vec<PathId> {
        self.paths.values().filter(|path| is_it(path)).map(Path::id).collect()
    }

    // Our accounts.

    /// Whether it may have paths by an account of ours: a bridge's, by any.
    pub(crate) fn uses(&self, account: AccountId) -> bool {
        self.client_side().is_none_or(|side| side.uses(account))
    }

    /// Whether packets go by one of these accounts.
    pub(crate) fn has_open_path_by(&self, accounts: &[AccountId]) -> bool {
        self.paths.values().any(|path| path.is_open() && accounts.contains(&path.via()))
    }

    /// An account of ours is back, and nothing that it sent is lost.
    pub(crate) fn handle_resumed(&mut self, now: Instant, account: AccountId) {
        for path in self.paths.values_mut().filter(|path| path.via() == account) {
            path.resume(now);
        }
        self.note_reachability();
    }

    /// An account of ours has a new connection. What was on its way is lost, and a path that has lost a block is over. The peer
    /// is told, because it may have nothing to send by which it would find out.
    pub(crate) fn handle_reset(&mut self, now: Instant, account: AccountId, shared: &mut Shared) {
        for id in self.ids_of(|path| path.via() == account) {
            self.fail_path(now, id, PathEnd::AccountReset, shared);
        }
    }

    /// An account of ours is online: a client uses it, and tells the bridge.
    pub(crate) fn handle_online(&mut self, now: Instant, account: AccountId, shared: &mut Shared) {
        if let Some(side) = self.client_side_mut() {
            side.pairs.start_over(account);
        }
        self.announce_ours(shared);
        self.has_paths_to_check = true;
        self.apply_changes(now, shared);
    }

    /// An account of ours is offline for now.
    pub(crate) fn handle_suspended(&mut self, now: Instant, account: AccountId, shared: &mut Shared) {
        for path in self.paths.values_mut().filter(|path| path.via() == account) {
            path.suspend(now);
        }
        self.note_reachability();
        self.apply_changes(now, shared);
    }

    /// An account of ours is gone for good.
    pub(crate) fn handle_gone(&mut self, now: Instant, account: AccountId, shared: &mut Shared) {
        for id in self.ids_of(|path| path.via() == account) {
            self.drop_path(now, id, PathEnd::AccountGone, shared);
        }
        if self.client_side_mut().is_some_and(|side| side.on_account_gone(account)) {
            return self.end(CloseReason::NoAccount, None);
        }
        self.announce_ours(shared);
        self.has_paths_to_check = true;
        self.apply_changes(now, shared);
    }

    /// A client tells the bridge which accounts it uses.
    pub(super) fn announce_ours(&mut self, shared: &Shared) {
        let Role::Client(side) = &self.role else {
            // Admission control announces a bridge's accounts.
            return;
        };
        let usable = side.usable(&shared.accounts);
        let ours = usable.filter_map(|id| shared.accounts.online(id)).cloned().collect();
        self.announce(ours);
    }

    /// Tells the peer which of our accounts it can use.
    pub(crate) fn announce(&mut self, ours: Vec<FullJid>) {
        if let Some(established) = self.state.established_mut() {
            established.jids.announce(ours);
        }
    }
}
