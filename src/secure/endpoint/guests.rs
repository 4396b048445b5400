//! Guests: paths by which no handshake has come yet.

use std::time::Instant;

use xmpp_parsers::jid::BareJid;

use crate::protocol::CloseReason;
use crate::secure::accounts::answer_shares::Answer;
use crate::secure::api::Receipt;
use crate::secure::endpoint::{Endpoint, HalfOpenKey, TimerKey};
use crate::secure::ids::PathId;
use crate::secure::path::{Path, PathState};
use crate::secure::session::LastWord;
use crate::secure::wire::frame::SessionClose;

impl Endpoint {
    /// A block of a guest's: it has to be a handshake.
    pub(super) fn on_guest_block(&mut self, now: Instant, id: PathId, receipt: Receipt, data: &[u8]) {
        let Some(path) = self.guests.get_mut(&id) else { return };
        if self.shared.accounts.is_full_of_answers(path.via(), path.client()) {
            return self.fail_guest(now, id);
        }
        path.on_block(now);
        let is_awaited = matches!(path.state(), PathState::Listening);
        let Some(hello) = is_awaited.then(|| self.read_hello(id, data)).flatten() else {
            return self.refuse_guest(now, id, receipt);
        };
        let Some(answer) = self.guests.get(&id).map(|path| Answer::to_block_of(path, receipt)) else {
            return;
        };
        if self.on_hello(now, id, hello) {
            self.shared.accounts.answer_block(now, answer, data.len());
            self.shed(now);
        }
    }

    /// A block of a guest's is missing, or came twice.
    pub(super) fn on_guest_gap(&mut self, now: Instant, id: PathId, receipt: Receipt) {
        let Some(path) = self.guests.get(&id) else { return };
        if self.shared.accounts.is_full_of_answers(path.via(), path.client()) {
            self.fail_guest(now, id);
        } else {
            self.refuse_guest(now, id, receipt);
        }
    }

    /// What a guest has sent is no handshake.
    fn refuse_guest(&mut self, now: Instant, id: PathId, receipt: Receipt) {
        if let Some(path) = self.guests.get(&id) {
            self.shared.accounts.refuse(path.via(), path.peer().clone(), receipt);
        }
        self.fail_guest(now, id);
    }

    /// A path is no guest's any more.
    pub(super) fn take_guest(&mut self, id: PathId) -> Option<Path> {
        self.timers.cancel(TimerKey::Guest(id));
        self.guests.remove(&id)
    }

    /// A guest has closed its path.
    pub(super) fn on_guest_closed(&mut self, now: Instant, id: PathId, receipt: Receipt) {
        let Some(path) = self.drop_guest(now, id) else { return };
        if !self.shared.accounts.is_full_of_answers(path.via(), path.client()) {
            self.shared.accounts.answer(now, Answer::to_peer_of(&path, receipt));
        }
    }

    pub(super) fn on_guest_timeout(&mut self, now: Instant, id: PathId) {
        let Some(path) = self.guests.get(&id) else { return };
        if path.is_dead(now) {
            self.fail_guest(now, id);
        } else if let Some(at) = path.next_timeout() {
            self.timers.arm(TimerKey::Guest(id), at);
        }
    }

    /// Closes a guest's path; one that was not even answered yet is refused.
    pub(super) fn reject_guest(&mut self, now: Instant, id: PathId) {
        let Some(path) = self.guests.get(&id) else { return };
        match path.state() {
            PathState::Keeping(receipt) => {
                self.shared.accounts.refuse(path.via(), path.peer().clone(), receipt.clone());
                self.drop_guest(now, id);
            }
            _ => self.fail_guest(now, id),
        }
    }

    /// Tells a guest that its path is closed.
    pub(super) fn fail_guest(&mut self, now: Instant, id: PathId) {
        if let Some(path) = self.take_guest(id) {
            self.half_open.remove(HalfOpenKey::Guest(id));
            self.shared.close(now, &path);
        }
    }

    /// A guest is no more.
    pub(super) fn drop_guest(&mut self, now: Instant, id: PathId) -> Option<Path> {
        let path = self.take_guest(id)?;
        self.half_open.remove(HalfOpenKey::Guest(id));
        self.shared.forget(now, &path);
        Some(path)
    }

    /// Sees to it that there is a place for another handshake of `client` that is not complete.
    pub(super) fn make_half_open_room(&mut self, now: Instant, client: &BareJid) {
        while self.half_open.len() >= self.shared.config.max_half_open_sessions {
            let random = self.shared.random();
            let Some(victim) = self.half_open.victim(client, random) else { return };
            self.half_open.remove(victim);
            match victim {
                HalfOpenKey::Guest(path) => self.reject_guest(now, path),
                HalfOpenKey::Unconfirmed(key) => {
                    let farewell = LastWord::Ours(Some(SessionClose::Limits));
                    self.end_session(now, key, CloseReason::NoPath, farewell);
                }
            }
        }
    }
}
