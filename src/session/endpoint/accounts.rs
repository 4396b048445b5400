//! Our accounts: what becomes of paths and sessions when one comes or goes.

use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use super::{Account, Endpoint, SessionKey};
use crate::protocol::{AccountId, CloseReason};
use crate::session::path::PathId;

impl Endpoint {
    /// So many stanzas, of so many bytes, were handed over to an account and not written to its connection yet. The driver says so
    /// before it polls for what to send, and when it has become less after it was much.
    pub fn handle_backlog(&mut self, id: AccountId, stanzas: usize, bytes: usize) {
        self.senders.note_backlog(id, stanzas, bytes);
    }

    pub(super) fn on_online(&mut self, now: Instant, id: AccountId, jid: FullJid, resumed: bool) {
        let is_same = self.accounts.get(&id).is_some_and(|account| account.jid == jid);
        self.accounts.insert(id, Account { jid, is_online: true });
        if resumed && is_same {
            for path in self.ways_via(id) {
                if let Some(way) = self.ways.get_mut(&path) {
                    way.path.resume(now);
                }
                self.watch(path);
            }
        } else {
            // What was on its way is lost, and a bytestream that has lost a block is over. The peer is told, because it may
            // have nothing to send by which it would find out.
            self.ways_via(id).into_iter().for_each(|path| self.fail_way(now, path));
            self.senders.reset(id);
            self.answer_shares.reset(id);
        }
        for key in self.sessions_using(id) {
            if let Some(caller) = self.sessions.get_mut(&key).and_then(|session| session.caller.as_mut()) {
                caller.dialing.start_over(id);
            }
            self.announce_jids(key);
            self.after_change(now, key);
        }
    }

    pub(super) fn on_suspended(&mut self, now: Instant, id: AccountId) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.is_online = false;
        }
        self.senders.suspend(id);
        for path in self.ways_via(id) {
            if let Some(way) = self.ways.get_mut(&path) {
                way.path.suspend(now);
            }
            self.watch(path);
        }
        self.sessions_using(id).into_iter().for_each(|key| self.after_change(now, key));
    }

    pub(super) fn on_gone(&mut self, now: Instant, id: AccountId) {
        self.accounts.remove(&id);
        self.ways_via(id).into_iter().for_each(|path| self.drop_way(now, path));
        self.senders.reset(id);
        self.answer_shares.reset(id);
        for key in self.sessions_using(id) {
            if let Some(caller) = self.sessions.get_mut(&key).and_then(|session| session.caller.as_mut()) {
                caller.accounts_left.remove(&id);
                if caller.accounts_left.is_empty() {
                    self.end_session(now, key, CloseReason::NoAccount, None);
                    continue;
                }
            }
            self.announce_jids(key);
            self.after_change(now, key);
        }
    }

    fn ways_via(&self, id: AccountId) -> Vec<PathId> {
        self.ways.iter().filter(|(_, way)| way.via == id).map(|(path, _)| *path).collect()
    }

    /// The sessions that may have paths by this account: on a bridge, all.
    fn sessions_using(&self, id: AccountId) -> Vec<SessionKey> {
        let uses = |session: &super::Session| {
            session.caller.as_ref().is_none_or(|caller| caller.accounts.contains(&id))
        };
        self.sessions.iter().filter(|(_, session)| uses(session)).map(|(key, _)| *key).collect()
    }
}
