//! Presence of our accounts: what their servers send back to them, and who was told of it (RFC 6121 sections 4.2.2 and 4.6).

use std::collections::{BTreeMap, BTreeSet};

use xmpp_parsers::jid::{BareJid, FullJid};
use xmpp_parsers::presence::{Presence, Type};

use crate::protocol::AccountId;

/// The most peers that an account greets: 64, some times as many as a bridge tells a client of.
const MOST_GREETED: usize = 64;

/// Who each account is, the id of the presence that it sent last, and whom it has greeted.
#[derive(Debug, Default)]
pub(super) struct Presences(BTreeMap<AccountId, Own>);

#[derive(Debug)]
struct Own {
    jid: FullJid,
    last: Option<String>,
    /// Since it was online last.
    greeted: BTreeSet<BareJid>,
}

impl Presences {
    /// The server knows an account as `jid` from now on.
    pub(super) fn on_online(&mut self, account: AccountId, jid: FullJid) {
        let last = self.last(account);
        self.0.insert(account, Own { jid, last, greeted: BTreeSet::new() });
    }

    /// Whether an account is to send its presence to a peer before it asks that for something. Servers that keep strangers away let a peer
    /// through which has been sent presence under its bare JID.
    pub(super) fn greet(&mut self, account: AccountId, peer: BareJid) -> bool {
        let Some(own) = self.0.get_mut(&account) else {
            // It is closed.
            return false;
        };
        own.jid.to_bare() != peer && own.greeted.len() < MOST_GREETED && own.greeted.insert(peer)
    }

    /// An account is closed.
    pub(super) fn on_closed(&mut self, account: AccountId) {
        self.0.remove(&account);
    }

    /// Whether a presence is what the account itself tells everybody.
    pub(super) fn is_own(&self, account: AccountId, presence: &Presence) -> bool {
        match (self.0.get(&account), &presence.from) {
            (Some(own), Some(from)) => presence.type_ == Type::None && *from == own.jid,
            _ => false,
        }
    }

    /// Such a presence has come back.
    pub(super) fn on_own(&mut self, account: AccountId, presence: &Presence) {
        if let (Some(own), Some(id)) = (self.0.get_mut(&account), &presence.id) {
            own.last = Some(id.clone());
        }
    }

    /// The id of the account's last presence.
    pub(super) fn last(&self, account: AccountId) -> Option<String> {
        self.0.get(&account)?.last.clone()
    }
}
