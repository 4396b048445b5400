//! Timeouts of a session and its paths: how long it outlives the last word from its peer.

use std::time::{Duration, Instant};

use crate::protocol::CloseReason;
use crate::secure::api::Config;
use crate::secure::api::trace::PathEnd;
use crate::secure::ids::PathId;
use crate::secure::path::Path;
use crate::secure::session::established::Established;
use crate::secure::session::{Session, State};
use crate::secure::shared::Shared;
use crate::secure::wire::frame::SessionClose;

/// A client keeps a session without streams for 60 seconds, in case there is another one soon.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A bridge ends a session that has had no stream for 600 seconds: its client would have done so after [`IDLE_TIMEOUT`], and one that
/// does not keeps its place from others.
const BRIDGE_IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// A client may take 30 seconds to show that it has the keys: no application waits longer for a connect (`connect_timeout`, 25 s).
const CONFIRM_PATIENCE: Duration = Duration::from_secs(30);

impl Session {
    /// When [`handle_timeout`](Self::handle_timeout) has something to do. Deadlines of the session that have
    /// passed are left out: only a path that works can resolve them. Those of paths are kept, until somebody looks at the path.
    pub(crate) fn next_timeout(&self, now: Instant, config: &Config) -> Option<Instant> {
        let established = self.established();
        let own = [
            established.and_then(Established::next_timeout),
            established.map(|established| established.last_heard() + config.session_timeout),
            self.idle_since.map(|since| since + self.idle_timeout()),
            self.unproven().map(|established| established.last_heard() + CONFIRM_PATIENCE),
            self.client_side().and_then(|side| side.dial_at),
            self.held_until,
            established.and_then(|established| established.files()?.choice.next_timeout()),
        ];
        let paths = self.paths.values().filter_map(Path::next_timeout);
        own.into_iter().flatten().filter(|at| *at > now).chain(paths).min()
    }

    /// Does everything that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, shared: &mut Shared) {
        if let Some((reason, farewell)) = self.expiry(now, &shared.config) {
            return self.end(reason, farewell);
        }
        for id in self.ids_of(|path| path.next_timeout().is_some_and(|at| at <= now)) {
            self.on_path_timeout(now, id, shared);
        }
        if let Some(established) = self.state.established_mut() {
            established.handle_timeout(now);
        }
        self.has_paths_to_check = true;
        self.apply_changes(now, shared);
    }

    /// Why it is over by now, and what to tell the peer.
    fn expiry(&self, now: Instant, config: &Config) -> Option<(CloseReason, Option<SessionClose>)> {
        let is_over = |since: Option<Instant>, patience| since.is_some_and(|since| since + patience <= now);
        if is_over(self.established().map(Established::last_heard), config.session_timeout) {
            Some((CloseReason::NoPath, None))
        } else if is_over(self.idle_since, self.idle_timeout()) {
            Some((CloseReason::Finished, Some(SessionClose::Done)))
        } else if is_over(self.unproven().map(Established::last_heard), CONFIRM_PATIENCE) {
            Some((CloseReason::NoPath, Some(SessionClose::Limits)))
        } else {
            None
        }
    }

    fn idle_timeout(&self) -> Duration {
        if self.client_side().is_some() { IDLE_TIMEOUT } else { BRIDGE_IDLE_TIMEOUT }
    }

    /// What is shared with a client that has not shown yet that it holds the keys.
    fn unproven(&self) -> Option<&Established> {
        match &self.state {
            State::Unconfirmed(established) => Some(established),
            _ => None,
        }
    }

    fn on_path_timeout(&mut self, now: Instant, id: PathId, shared: &mut Shared) {
        let Some(path) = self.paths.get_mut(&id) else {
            // It has ended with one that was due before it.
            return;
        };
        path.end_pause(now);
        if path.is_dead(now) {
            return self.fail_path(now, id, PathEnd::Silent, shared);
        }
        let is_late = path.check_late(now);
        if path.check_stalled(now) {
            // It may come back, but others need not wait for it.
            shared.accounts.on_stalled(path);
            let is_too_large = !path.is_suspended() && shared.accounts.on_path_trouble(now, path);
            self.trace_stalled(now, id, shared);
            if is_too_large {
                // A server on the way may have refused the block, and then all that follows it is refused as well: a new path is there
                // sooner.
                return self.fail_path(now, id, PathEnd::TooLarge, shared);
            }
            if let Some(established) = self.state.established_mut() {
                established.requeue_sent_by(id);
            }
            self.note_reachability();
        } else if is_late && let Some(established) = self.state.established_mut() {
            established.requeue_sent_by(id);
        }
    }
}
