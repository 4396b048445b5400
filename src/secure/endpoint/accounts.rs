//! Our accounts: what becomes of sessions and guests when one comes or goes.

use std::time::Instant;

use xmpp_parsers::jid::{BareJid, FullJid};

use crate::protocol::{AccountId, SizeLimit};
use crate::secure::api::trace::TraceEvent;
use crate::secure::api::{Load, QuotaUse};
use crate::secure::endpoint::Endpoint;
use crate::secure::ids::{PathId, SessionKey};
use crate::secure::path::Path;
use crate::secure::session::Session;
use crate::secure::streams::Streams;

impl Endpoint {
    /// Tells how much of what an account was handed is not written to its connection yet, in pieces and in bytes. The driver says so
    /// before it polls for what to send, and when it has become less after it was much.
    pub fn handle_backlog(&mut self, id: AccountId, pieces: usize, bytes: usize) {
        self.shared.accounts.note_backlog(id, pieces, bytes);
    }

    /// Tells what the server of an account has shown of the largest stanza that it takes: no larger blocks go by the account from then
    /// on. If a connection has ended because of one, this comes before the word that the account is suspended.
    pub fn handle_size_limit(&mut self, now: Instant, id: AccountId, limit: SizeLimit) {
        self.shared.accounts.on_size_limit(now, id, limit);
    }

    /// The largest stanza with a block that is on its way by the account, in bytes on the wire; none is 0.
    pub fn largest_on_its_way(&self, id: AccountId) -> usize {
        self.shared.accounts.largest_on_its_way(id)
    }

    /// Bounds what an account may send in a day by this and its other logins: so much, in bytes on the wire, of which so much has gone. An
    /// account that has sent all sends as fast as its quota comes in again. Without this, there is no such bound.
    pub fn handle_quota(&mut self, now: Instant, login: AccountId, account: BareJid, quota: (u64, u64)) {
        self.shared.accounts.set_quota(now, login, account, quota);
    }

    /// The next account that has used a hundredth more of its quota, to be kept, and to be told to whoever runs the program.
    pub fn poll_quota_use(&mut self) -> Option<QuotaUse> {
        self.shared.accounts.poll_quota_use()
    }

    /// Tells what all accounts have used of their quotas: the program ends.
    pub fn tell_quotas(&mut self) {
        self.shared.accounts.tell_quotas();
    }

    /// The next account of ours by which something is not answered, so that its server is to be asked for a sign of life.
    pub fn poll_doubt(&mut self) -> Option<AccountId> {
        self.shared.accounts.poll_doubt()
    }

    /// The next account of ours by which a bridge was reached that does not accept its bridge line.
    pub fn poll_turned_away(&mut self) -> Option<AccountId> {
        self.shared.turned_away.pop_first()
    }

    /// By how many minutes the clock of a client, who has the bridge line, is ahead of ours (behind it, where this is negative): too many
    /// for it to be let in. Of several, the latest. It can also be that somebody repeats what a client has sent.
    pub fn poll_strange_clock(&mut self) -> Option<i64> {
        self.strange_clock.take()
    }

    /// What there is to send by these accounts.
    pub fn load(&self, now: Instant, ids: &[AccountId]) -> Load {
        if self.shared.accounts.is_spent(ids) {
            // A further login has the same quota.
            return Load::default();
        }
        // What has a relay needs no further logins.
        let uses = |session: &&Session| session.has_open_path_by(ids) && !session.is_relayed();
        let sessions = self.sessions.values().filter(uses);
        let streams = || sessions.clone().filter_map(Session::streams);
        let rates = ids.iter().filter_map(|id| self.shared.accounts.senders().pace(*id).0);
        Load {
            is_blocked: streams().any(Streams::is_blocked),
            unsent: streams().map(Streams::unsent_bytes).sum(),
            rate: rates.reduce(|sum, rate| sum + rate),
            is_by_files: sessions.clone().any(|session| session.is_by_files(now)),
        }
    }

    /// The account is about to be logged out: nothing goes by it any more but the word to its peers that its paths are closed. Once that
    /// is sent, it is [gone](crate::protocol::AccountChange::Gone).
    pub fn retire(&mut self, now: Instant, id: AccountId) {
        self.shared.accounts.suspend(id);
        for path in self.ids_of_guests_at(id) {
            self.fail_guest(now, path);
        }
        for key in self.sessions_using(id) {
            self.with_session(now, key, |session, shared| {
                session.handle_reset(now, id, shared);
                session.handle_suspended(now, id, shared);
            });
        }
    }

    pub(super) fn on_online(&mut self, now: Instant, id: AccountId, jid: FullJid, resumed: bool) {
        self.shared.tracer.note(now, TraceEvent::AccountOnline { account: id, resumed });
        let users = self.sessions_using(id);
        if self.shared.accounts.on_online(id, jid, resumed) {
            for key in &users {
                self.with_session(now, *key, |session, _| session.handle_resumed(now, id));
            }
            self.guests_at(id).for_each(|path| path.resume(now));
        } else {
            for key in &users {
                self.with_session(now, *key, |session, shared| session.handle_reset(now, id, shared));
            }
            for path in self.ids_of_guests_at(id) {
                self.fail_guest(now, path);
            }
            self.shared.accounts.reset(id);
        }
        for key in users {
            self.with_session(now, key, |session, shared| session.handle_online(now, id, shared));
        }
        self.announce_to_all(now);
    }

    pub(super) fn on_suspended(&mut self, now: Instant, id: AccountId) {
        if self.shared.accounts.online(id).is_some() {
            self.shared.tracer.note(now, TraceEvent::AccountSuspended { account: id });
        }
        self.shared.accounts.suspend(id);
        self.guests_at(id).for_each(|path| path.suspend(now));
        for key in self.sessions_using(id) {
            self.with_session(now, key, |session, shared| session.handle_suspended(now, id, shared));
        }
    }

    pub(super) fn on_gone(&mut self, now: Instant, id: AccountId) {
        // Others were never online.
        let is_known = self.shared.accounts.jid_of(id).is_some();
        if let Some(trace) = self.shared.tracer.on().filter(|_| is_known) {
            trace.note(now, TraceEvent::AccountGone { account: id });
        }
        self.shared.accounts.remove(id);
        self.shared.proxied.remove(&id);
        for path in self.ids_of_guests_at(id) {
            self.drop_guest(now, path);
        }
        for key in self.sessions_using(id) {
            self.with_session(now, key, |session, shared| session.handle_gone(now, id, shared));
        }
        self.announce_to_all(now);
        self.shared.accounts.reset(id);
    }

    /// Tells the clients of a bridge which of its accounts they can use by now.
    fn announce_to_all(&mut self, now: Instant) {
        let Some(admission) = &self.admission else {
            // The sessions of a client tell their bridges themselves, each of the accounts that it uses.
            return;
        };
        for session in self.sessions.values_mut() {
            admission.announce_to(session, &self.shared.accounts);
        }
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.process_events(now, key);
        }
    }

    fn guests_at(&mut self, id: AccountId) -> impl Iterator<Item = &mut Path> {
        self.guests.values_mut().filter(move |path| path.via() == id)
    }

    fn ids_of_guests_at(&self, id: AccountId) -> Vec<PathId> {
        self.guests.values().filter(|path| path.via() == id).map(|path| path.id()).collect()
    }

    /// The sessions that may have paths by this account: on a bridge, all.
    pub(super) fn sessions_using(&self, id: AccountId) -> Vec<SessionKey> {
        self.sessions.iter().filter(|(_, session)| session.uses(id)).map(|(key, _)| *key).collect()
    }
}
