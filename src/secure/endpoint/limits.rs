//! Limits over all sessions: who has to give something back.

use std::time::Instant;

use xmpp_parsers::jid::BareJid;

use crate::protocol::CloseReason;
use crate::secure::budget::domain_group::group_of;
use crate::secure::endpoint::Endpoint;
use crate::secure::ids::SessionKey;
use crate::secure::session::LastWord;
use crate::secure::wire::frame::SessionClose;

impl Endpoint {
    /// When more is kept than there may be, the greediest client loses its largest session. Applications can be
    /// made to wait, but peers have been given credit, each its own.
    pub(super) fn shed(&mut self, now: Instant) {
        self.shed_streams(now);
        while let Some(key) = self.greediest_session() {
            let reason = CloseReason::Overflow;
            self.end_session(now, key, reason, LastWord::Ours(Some(SessionClose::Limits)));
            self.discard_unread(key, reason);
        }
    }

    /// The largest session of the client that has to give something back, if one has to.
    fn greediest_session(&self) -> Option<SessionKey> {
        let client = self.shared.ledger.greediest(group_of_client)?.as_ref();
        let living = self.sessions.iter().map(|(key, session)| (key, session.client(), session.usage()));
        let ended = self.ended.iter().map(|(key, ended)| (key, ended.client.as_ref(), ended.usage));
        let own = living.chain(ended).filter(|(_, owner, _)| *owner == client);
        own.max_by_key(|(.., usage)| usage.bytes()).map(|(key, ..)| *key)
    }

    /// When somebody has opened more streams than are free, whoever has most loses as many. To find out who that is takes a look at all
    /// clients, so before the next look it loses up to half of the streams of its largest session.
    fn shed_streams(&mut self, now: Instant) {
        while let Some((key, count)) = self.session_with_most_streams() {
            let has_given =
                self.with_session(now, key, |session, shared| session.give_up_streams(now, count, shared));
            if has_given != Some(true) {
                return;
            }
        }
    }

    /// The session with the most streams of the client that has to give some up, if one has to, and how many it is to lose.
    fn session_with_most_streams(&self) -> Option<(SessionKey, usize)> {
        let (client, too_many) = self.shared.ledger.greediest_of_streams(group_of_client)?;
        let own = self.sessions.iter().filter(|(_, session)| session.client() == client.as_ref());
        let (key, session) = own.max_by_key(|(_, session)| session.usage().streams)?;
        Some((*key, too_many.min(session.usage().streams.div_ceil(2))))
    }

    /// What was not read of a session that is over is given up, too.
    fn discard_unread(&mut self, key: SessionKey, reason: CloseReason) {
        // Nothing is left of it if its applications had let go of all its streams.
        if let Some(ended) = self.ended.remove(&key) {
            ended.give_up(&mut self.shared);
        }
        self.directory.discard(key, reason);
    }
}

/// The domain group of a client.
fn group_of_client(client: &Option<BareJid>) -> Option<&str> {
    client.as_ref().map(group_of)
}
