//! Presence subscriptions: who sees when our accounts are there.

use std::collections::BTreeMap;

use xmpp_parsers::presence::{Presence, Type};

use super::{Shared, State};
use crate::persona;
use crate::xmpp::{AccountId, AccountStatus, Parcel};

/// The id of the presence that each account sent last, as its server sent it back.
pub(super) type LastPresences = BTreeMap<AccountId, String>;

impl Shared {
    /// An account that serves treats its contacts as an unattended client does. The account of a user is not ours to
    /// make friends with.
    pub(super) fn on_presence(&self, state: &mut State, id: AccountId, presence: &Presence) {
        if self.is_our_own(id, presence) {
            state.last_presences.extend(presence.id.clone().map(|presence| (id, presence)));
        } else if state.cores.accepts_on(id) {
            let last = state.last_presences.get(&id).cloned();
            for reply in persona::reply_to_presence(presence, persona::ReplyIds::new(last, rand::random())) {
                self.pool.send(id, Parcel::reply(reply), None);
            }
        }
    }

    /// Servers send back what an account tells everybody (RFC 6121 section 4.2.2).
    fn is_our_own(&self, id: AccountId, presence: &Presence) -> bool {
        match (self.pool.status(id), &presence.from) {
            (AccountStatus::Online(jid), Some(from)) => presence.type_ == Type::None && *from == jid,
            _ => false,
        }
    }
}
