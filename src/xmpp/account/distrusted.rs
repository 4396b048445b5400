//! Distrusted accounts: those that presume nothing any more, by their bare JIDs. All accounts of a pool share the list.
//!
//! An account does not live for long where only requests have brought it. The next one with its name would be wrong again, and break off
//! what it had begun.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp_parsers::jid::BareJid;

/// How many are remembered, the newest: 256, four times as many as a client has logins by requests. A JID has 2 kB at the most, so that
/// they take half a megabyte, whoever brings logins. Who is forgotten is wrong once more.
const MOST: usize = 256;

/// The list. Clones share it.
#[derive(Clone, Default)]
pub(in crate::xmpp) struct Distrusted {
    jids: Arc<Mutex<VecDeque<BareJid>>>,
}

impl Distrusted {
    pub(super) fn contains(&self, jid: &BareJid) -> bool {
        self.jids().contains(jid)
    }

    pub(super) fn insert(&self, jid: &BareJid) {
        let mut jids = self.jids();
        if jids.contains(jid) {
            return;
        }
        if jids.len() >= MOST {
            jids.pop_front();
        }
        jids.push_back(jid.clone());
    }

    fn jids(&self) -> MutexGuard<'_, VecDeque<BareJid>> {
        self.jids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first_and_nobody_is_there_twice() {
        let distrusted = Distrusted::default();
        let jid = |number: usize| format!("user{number}@chat.example").parse().unwrap();
        for number in (0..=MOST).chain([MOST]) {
            distrusted.insert(&jid(number));
        }
        assert!(!distrusted.contains(&jid(0)));
        assert!((1..=MOST).all(|number| distrusted.contains(&jid(number))));
    }
}
