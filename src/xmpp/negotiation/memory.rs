//! Memory of a login: what is known of a server from the last one, with which the next takes fewer round trips.
//!
//! It lasts as long as the account. What it says is only ever a guess: what the server offers now is looked at all the same, and
//! a login that does not come off with it is followed by one without.

use secrecy::SecretString;

use super::offer::Offer;

/// What is known.
#[derive(Clone, Debug, Default)]
pub(in crate::xmpp) struct Memory {
    /// What the server offered.
    pub(super) offer: Option<Offer>,
    /// What it gave us to log in with.
    pub(super) token: Option<Token>,
    /// Whether the last login with this has ended in a fault of the network.
    pub(super) is_doubted: bool,
    /// Whether a login was bound to its connection. It is never forgotten: whoever stands in between could have us forget it.
    pub(super) was_bound: bool,
}

/// A secret that stands for the password at this server (XEP-0484).
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// The one mechanism that it is good for.
    pub(super) mechanism: &'static str,
    pub(super) secret: SecretString,
}

impl Memory {
    /// The connection has failed during a login. That says little of what is known, but when it happens twice in a row, the server may
    /// not take what it is told.
    pub(in crate::xmpp) fn on_network_fault(&mut self) {
        if self.is_doubted {
            self.forget();
        } else {
            self.is_doubted = true;
        }
    }

    /// What the server offers is to be looked at anew.
    pub(in crate::xmpp) fn forget(&mut self) {
        *self = Self { was_bound: self.was_bound, ..Self::default() };
    }

    /// Whether there is anything to begin a login with before the server has said a word.
    pub(in crate::xmpp) fn is_of_use(&self) -> bool {
        self.offer.is_some()
    }
}
