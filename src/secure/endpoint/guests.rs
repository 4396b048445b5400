//! Guests: paths by which no handshake has come yet.

use std::time::Instant;

use xmpp_parsers::jid::BareJid;

use crate::protocol::CloseReason;
use crate::secure::accounts::answer_shares::Answer;
use crate::secure::api::Receipt;
use crate::secure::endpoint::{Endpoint, HalfOpenKey, TimerKey};
use crate::secure::ids::PathId;
use crate::secure::path::{FirstBlock, Path, PathState};
use crate::secure::session::LastWord;
use crate::secure::wire::frame::SessionClose;

impl Endpoint {
    /// A block of a guest's. It has to be a handshake; whatever it is, the path is no guest's any more. The first one waits until the
    /// handshake is noted down.
    pub(super) fn on_guest_block(&mut self, now: Instant, id: PathId, block: FirstBlock) {
        let Some(guest) = self.guests.get_mut(&id) else {
            // Never: the routes name only guests that are there.
            return;
        };
        if let Err(block) = guest.keep_hello(block) {
            self.take_hello(now, id, block);
        }
    }

    /// Takes a guest's half of the handshake.
    pub(super) fn take_hello(&mut self, now: Instant, id: PathId, block: FirstBlock) {
        let FirstBlock { receipt, message } = block;
        let Some(mut path) = self.take_guest(id) else {
            // It was there a moment ago.
            return;
        };
        if self.shared.accounts.is_full_of_answers(path.via(), path.client()) {
            return self.close_guest(now, &path);
        }
        path.on_block(now, message.len());
        let is_awaited = matches!(path.state(), PathState::Listening);
        let Some(hello) = is_awaited.then(|| self.read_hello(&path, &message)).flatten() else {
            return self.refuse_guest(now, &path, receipt);
        };
        let answer = Answer::to_block_of(&path, receipt);
        if self.on_hello(now, path, hello) {
            self.shared.accounts.answer_block(now, answer, message.len());
            self.shed(now);
        }
    }

    /// A block of a guest's is missing, or came twice.
    pub(super) fn on_guest_gap(&mut self, now: Instant, id: PathId, receipt: Receipt) {
        let Some(path) = self.take_guest(id) else {
            // Never: the routes name only guests that are there.
            return;
        };
        if self.shared.accounts.is_full_of_answers(path.via(), path.client()) {
            self.close_guest(now, &path);
        } else {
            self.refuse_guest(now, &path, receipt);
        }
    }

    /// A guest has closed its path.
    pub(super) fn on_guest_closed(&mut self, now: Instant, id: PathId, receipt: Receipt) {
        let Some(path) = self.drop_guest(now, id) else {
            // Never: the routes name only guests that are there.
            return;
        };
        if !self.shared.accounts.is_full_of_answers(path.via(), path.client()) {
            self.shared.accounts.answer(now, Answer::to_peer_of(&path, receipt));
        }
    }

    /// Closes a guest's path; one that was not even answered yet is refused.
    pub(super) fn reject_guest(&mut self, now: Instant, id: PathId) {
        let Some(path) = self.take_guest(id) else {
            // Never: whoever holds a place for a handshake is there.
            return;
        };
        match path.state() {
            PathState::Keeping { open, hello } => {
                let receipts = [Some(open), hello.as_ref().map(|hello| &hello.receipt)];
                for receipt in receipts.into_iter().flatten() {
                    self.shared.accounts.refuse(path.via(), path.peer().clone(), receipt.clone());
                }
                self.half_open.remove(HalfOpenKey::Guest(id));
                self.shared.forget(now, &path);
            }
            _ => self.close_guest(now, &path),
        }
    }

    /// A guest's path has failed, or its time is up.
    pub(super) fn fail_guest(&mut self, now: Instant, id: PathId) {
        // There always is one: whoever takes a guest cancels its timer.
        if let Some(path) = self.take_guest(id) {
            self.close_guest(now, &path);
        }
    }

    /// A guest is no more.
    pub(super) fn drop_guest(&mut self, now: Instant, id: PathId) -> Option<Path> {
        let path = self.take_guest(id)?;
        self.half_open.remove(HalfOpenKey::Guest(id));
        self.shared.forget(now, &path);
        Some(path)
    }

    /// What a guest has sent is no handshake.
    fn refuse_guest(&mut self, now: Instant, path: &Path, receipt: Receipt) {
        self.shared.accounts.refuse(path.via(), path.peer().clone(), receipt);
        self.close_guest(now, path);
    }

    /// Tells one who was a guest that its path is closed.
    pub(super) fn close_guest(&mut self, now: Instant, path: &Path) {
        self.half_open.remove(HalfOpenKey::Guest(path.id()));
        self.shared.close(now, path);
    }

    /// A path is no guest's any more.
    fn take_guest(&mut self, id: PathId) -> Option<Path> {
        self.timers.cancel(TimerKey::Guest(id));
        self.guests.remove(&id)
    }

    /// Sees to it that there is a place for another handshake of `client` that is not complete.
    pub(super) fn make_half_open_room(&mut self, now: Instant, client: &BareJid) {
        while self.half_open.len() >= self.shared.config.max_half_open_sessions {
            let random = self.shared.random();
            let Some(victim) = self.half_open.victim(client, random) else {
                // There are no places at all.
                return;
            };
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
