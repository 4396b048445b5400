//! Routing of what carriers tell: to which session or guest it goes.

use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use crate::protocol::AccountId;
use crate::secure::api::{Incoming, Receipt};
use crate::secure::delivery::{Delivery, Token};
use crate::secure::endpoint::Endpoint;
use crate::secure::ids::PathId;
use crate::secure::path::FirstBlock;
use crate::secure::session::Session;
use crate::secure::shared::Shared;
use crate::secure::shared::routes::Owner;

impl Endpoint {
    /// Something came to the account `via`. What belongs to no path is refused like anything unknown. Opens have a [method](Self::handle_open) of their own.
    pub fn handle_incoming(&mut self, now: Instant, via: AccountId, from: &FullJid, incoming: Incoming) {
        match incoming {
            Incoming::Block { path, receipt, data } => match self.shared.routes.owner(path) {
                Some(owner) => self.on_block(now, path, owner, receipt, data),
                None => self.shared.accounts.refuse(via, from.clone(), receipt),
            },
            Incoming::Gap { path, receipt } => match self.shared.routes.owner(path) {
                Some(owner) => self.on_gap(now, path, owner, receipt),
                None => self.shared.accounts.refuse(via, from.clone(), receipt),
            },
            Incoming::Closed { path, receipt } => match self.shared.routes.owner(path) {
                Some(owner) => self.on_closed(now, path, owner, receipt),
                None => self.shared.accounts.refuse(via, from.clone(), receipt),
            },
            Incoming::Unknown { receipt } => self.on_unknown(now, via, from, receipt),
            Incoming::Taken { token } => {
                self.on_answer(now, via, from, token, |session, path, delivery, shared| {
                    session.handle_taken(now, path, delivery, shared);
                });
            }
            Incoming::Refused { token } => {
                self.on_answer(now, via, from, token, |session, path, _, shared| {
                    session.handle_refused(now, path, shared);
                });
            }
            Incoming::Unreachable { token } => {
                self.on_answer(now, via, from, token, |session, path, _, shared| {
                    session.handle_unreachable(now, path, shared);
                });
            }
            Incoming::Undelivered { token } => {
                self.on_answer(now, via, from, token, |session, path, _, shared| {
                    session.handle_undelivered(now, path, shared);
                });
            }
        }
    }

    fn on_block(&mut self, now: Instant, path: PathId, owner: Owner, receipt: Receipt, data: Vec<u8>) {
        match owner {
            Owner::Session(key) => {
                self.with_session(now, key, |session, shared| {
                    session.handle_block(now, path, receipt, data, shared);
                });
                self.shed(now);
            }
            Owner::Guest => self.on_guest_block(now, path, FirstBlock { receipt, message: data }),
        }
    }

    fn on_gap(&mut self, now: Instant, path: PathId, owner: Owner, receipt: Receipt) {
        match owner {
            Owner::Session(key) => {
                self.with_session(now, key, |session, shared| session.handle_gap(now, path, receipt, shared));
            }
            Owner::Guest => self.on_guest_gap(now, path, receipt),
        }
    }

    fn on_closed(&mut self, now: Instant, path: PathId, owner: Owner, receipt: Receipt) {
        match owner {
            Owner::Session(key) => {
                self.with_session(now, key, |session, shared| {
                    session.handle_closed(now, path, receipt, shared);
                });
            }
            Owner::Guest => self.on_guest_closed(now, path, receipt),
        }
    }

    /// Lets the session handle the answer to something that it has sent, if the answer comes from whoever was asked.
    fn on_answer(
        &mut self,
        now: Instant,
        via: AccountId,
        from: &FullJid,
        token: Token,
        handle: impl FnOnce(&mut Session, PathId, Delivery, &mut Shared),
    ) {
        let Some((path, delivery)) = self.shared.routes.asked(token) else {
            // It was answered before, its path is over, or somebody makes it up.
            return;
        };
        let Some(key) = self.session_of(path) else {
            // A guest is sent nothing that wants an answer.
            return;
        };
        self.with_session(now, key, |session, shared| {
            if session.has_path(path, via, from) {
                shared.routes.on_answered(token);
                shared.accounts.on_answered(now, via, delivery);
                handle(session, path, delivery, shared);
            }
        });
    }
}
