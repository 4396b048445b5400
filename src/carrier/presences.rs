//! Presence of our accounts, as their servers send it back to them (RFC 6121 section 4.2.2).

use std::collections::BTreeMap;

use xmpp_parsers::jid::FullJid;
use xmpp_parsers::presence::{Presence, Type};

use crate::protocol::AccountId;

/// Who each account is, and the id of the presence that it sent last.
#[derive(Debug, Default)]
pub(super) struct Presences(BTreeMap<AccountId, Own>);

#[derive(Debug)]
struct Own {
    jid: FullJid,
    last: Option<String>,
}

impl Presences {
    /// The server knows an account as `jid` from now on.
    pub(super) fn on_online(&mut self, account: AccountId, jid: FullJid) {
        let last = self.last(account);
        self.0.insert(account, Own { jid, last });
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
