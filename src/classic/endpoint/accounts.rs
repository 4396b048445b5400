//! Our accounts: what becomes of links and streams when one comes or goes.

use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use super::{Account, Endpoint, LinkId, Purpose};
use crate::classic::api::SetId;
use crate::classic::stream::{Phase, Stream};
use crate::classic::window::Window;
use crate::protocol::{AccountId, CloseReason, StreamId};

impl Endpoint {
    pub(super) fn on_suspended(&mut self, id: AccountId) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.online = false;
        }
    }

    pub(super) fn on_gone(&mut self, now: Instant, id: AccountId) {
        self.accounts.remove(&id);
        self.size_limits.remove(&id);
        self.refused.remove(&id);
        self.forget_sets_of(now, id);
        self.leave_links(now, id);
        self.leave_connects(now, id);
        self.break_hopeless(now);
    }

    pub(super) fn on_online(&mut self, now: Instant, id: AccountId, jid: FullJid, resumed: bool) {
        let before = self.accounts.get_mut(&id);
        let same_jid = before.as_ref().is_none_or(|account| account.jid == jid);
        if let (true, Some(account)) = (resumed && same_jid, before) {
            account.online = true;
        } else {
            let window = Window::new(self.config.sizes);
            self.accounts.insert(id, Account { jid, online: true, window });
            self.forget_sets_of(now, id);
        }
        if !same_jid {
            self.leave_links(now, id);
            self.break_hopeless(now);
        }
        self.send_waiting_connects(now, id);
    }

    /// What was on its way through an account is lost, or may be: send it again.
    fn forget_sets_of(&mut self, now: Instant, id: AccountId) {
        let lost: Vec<SetId> =
            self.sets.iter().filter(|(_, set)| set.via == id).map(|(&set, _)| set).collect();
        for set in lost {
            if let Some(outstanding) = self.sets.remove(&set) {
                self.on_set_lost(now, set, outstanding.purpose);
            }
        }
        for stream in self.streams.values_mut() {
            if let Phase::Connecting(connecting) = &mut stream.phase
                && let Some(attempt) = &mut connecting.attempt
                && attempt.via == id
            {
                connecting.attempt = None;
            }
        }
    }

    pub(super) fn on_set_lost(&mut self, now: Instant, set: SetId, purpose: Purpose) {
        if let Purpose::Packet(id, seq) = purpose
            && let Some(stream) = self.streams.get_mut(&id)
        {
            stream.send.on_lost(seq, set);
            self.after_change(now, id);
        }
    }

    /// The way that an ack went is no way any more: what waits for it would wait for ever.
    pub(super) fn unpin(&mut self, is_closed: impl Fn(AccountId, &FullJid) -> bool) {
        for stream in self.streams.values_mut() {
            stream.pinned.take_if(|(via, to)| is_closed(*via, to));
        }
    }

    /// A connect can be answered only by the account that was asked.
    fn withdraw_offers(&mut self, now: Instant, id: AccountId) {
        let asked = |stream: &Stream| matches!(stream.phase, Phase::Offered { via, .. } if via == id);
        let offers: Vec<StreamId> =
            self.streams.iter().filter(|(_, stream)| asked(stream)).map(|(&stream, _)| stream).collect();
        for stream in offers {
            self.close(now, stream, CloseReason::NoAccount);
        }
    }

    /// The account is gone, or is known under another JID now: no link can use it.
    fn leave_links(&mut self, now: Instant, id: AccountId) {
        self.unpin(|via, _| via == id);
        self.withdraw_offers(now, id);
        let links: Vec<LinkId> = self
            .routes
            .links()
            .filter(|(_, link)| link.accounts.contains(&id))
            .map(|(link, _)| link)
            .collect();
        for link in links {
            let Some(entry) = self.routes.link_mut(link) else { continue };
            entry.accounts.retain(|account| *account != id);
            if entry.accounts.is_empty() {
                for stream in self.routes.streams_of(link) {
                    self.close(now, stream, CloseReason::NoAccount);
                }
            }
        }
    }

    fn leave_connects(&mut self, now: Instant, id: AccountId) {
        let mut hopeless = Vec::new();
        for (&stream_id, stream) in &mut self.streams {
            if let Phase::Connecting(connecting) = &mut stream.phase {
                connecting.accounts.retain(|account| *account != id);
                if connecting.accounts.is_empty() {
                    hopeless.push(stream_id);
                }
            }
        }
        for stream in hopeless {
            self.close(now, stream, CloseReason::NoAccount);
        }
    }
}
