//! Stanzas that came in, and to whom they go.

use std::time::Instant;

use xmpp_parsers::jid::FullJid;

use crate::protocol::AccountId;
use crate::secure::api::{Incoming, LONGEST_ID};
use crate::secure::endpoint::Endpoint;
use crate::secure::ids::{PathId, SessionKey};
use crate::secure::iq::{Iq, IqId};
use crate::secure::session::Block;
use crate::secure::shared::routes::Owner;

impl Endpoint {
    /// A stanza came to the account `via`. Whoever has not proved anything gets the answer of a client that knows no
    /// bytestreams, whatever it is that he wants.
    pub fn handle_stanza(&mut self, now: Instant, via: AccountId, from: &FullJid, incoming: Incoming) {
        match incoming {
            Incoming::Open { id, .. } | Incoming::Data { id, .. } | Incoming::Close { id, .. }
                if id.len() > LONGEST_ID =>
            {
                self.on_unknown(now, via, from, id);
            }
            Incoming::Open { id, sid, .. } => {
                if !self.on_open(now, via, from, &id, &sid) {
                    self.shared.accounts.refuse(via, from.clone(), id);
                }
            }
            Incoming::Data { id, sid, seq, data } => match self.shared.routes.path_of(via, from, sid) {
                Some(path) => self.on_block(now, path, Block { id, seq, data }),
                None => self.shared.accounts.refuse(via, from.clone(), id),
            },
            Incoming::Close { id, sid } => match self.shared.routes.path_of(via, from, sid) {
                Some(path) => self.on_close(now, path, id),
                None => self.shared.accounts.refuse(via, from.clone(), id),
            },
            Incoming::Unknown { id } => self.on_unknown(now, via, from, id),
            Incoming::Result { iq } => {
                if let Some((key, path, iq)) = self.answered(now, via, from, iq) {
                    self.with_session(now, key, |session, shared| {
                        session.handle_result(now, path, iq, shared);
                    });
                }
            }
            Incoming::Error { iq } => {
                if let Some((key, path, _)) = self.answered(now, via, from, iq) {
                    self.with_session(now, key, |session, shared| session.handle_error(now, path, shared));
                }
            }
            Incoming::Undelivered { iq } => {
                if let Some((key, path, _)) = self.answered(now, via, from, iq) {
                    self.with_session(now, key, |session, shared| {
                        session.handle_undelivered(now, path, shared);
                    });
                }
            }
        }
    }

    /// Whether `from` has any bytestream with our account `via`. Blocks of others are not worth reading.
    pub fn has_bytestream_with(&self, via: AccountId, from: &FullJid) -> bool {
        self.shared.routes.has_bytestream_with(via, from)
    }

    /// A block of a bytestream that we have.
    fn on_block(&mut self, now: Instant, path: PathId, block: Block) {
        match self.shared.routes.owner(path) {
            Some(Owner::Session(key)) => {
                self.with_session(now, key, |session, shared| session.handle_block(now, path, block, shared));
                self.shed(now);
            }
            Some(Owner::Guest) | None => self.on_guest_block(now, path, block),
        }
    }

    /// The peer has closed a bytestream that we have.
    fn on_close(&mut self, now: Instant, path: PathId, id: String) {
        match self.shared.routes.owner(path) {
            Some(Owner::Session(key)) => {
                self.with_session(now, key, |session, shared| session.handle_close(now, path, id, shared));
            }
            Some(Owner::Guest) | None => self.on_guest_close(now, path, id),
        }
    }

    /// The session, the path and the IQ that an answer is about, if it comes from whoever was asked. What answers nothing that is
    /// outstanding is nobody's.
    fn answered(
        &mut self,
        now: Instant,
        via: AccountId,
        from: &FullJid,
        id: IqId,
    ) -> Option<(SessionKey, PathId, Iq)> {
        let (path, iq) = self.shared.routes.asked(id)?;
        let key = self.session_of(path)?;
        self.sessions.get(&key).filter(|session| session.has_path(path, via, from))?;
        self.shared.routes.on_answered(id);
        self.shared.accounts.on_answered(now, via, iq);
        Some((key, path, iq))
    }
}
