//! Lists of accounts: which of them the two ends tell each other to use.

use std::collections::BTreeSet;

use xmpp_parsers::jid::FullJid;

use crate::secure::ids::MAX_JIDS_USED;
use crate::secure::wire::frame::Frame;

/// Our list, and whether the peer has it; the peer's list. Each new list replaces the one before.
#[derive(Debug, Default)]
pub(crate) struct Jids {
    ours: Vec<FullJid>,
    /// The number of our list; 0 is the empty one, which needs no telling.
    serial: u64,
    is_waiting: bool,
    theirs: BTreeSet<FullJid>,
    their_serial: u64,
    has_news: bool,
}

impl Jids {
    /// What can be used on our side from now on.
    pub(crate) fn announce(&mut self, ours: Vec<FullJid>) {
        if self.ours != ours {
            self.ours = ours;
            self.serial += 1;
            self.is_waiting = true;
        }
    }

    /// Whether the peer should be told.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// What to tell the peer.
    pub(crate) fn waiting(&self) -> Option<Frame> {
        self.is_waiting.then(|| Frame::Jids { serial: self.serial, jids: self.ours.clone() })
    }

    /// It is on its way; the number of the list.
    pub(crate) fn on_sent(&mut self) -> u64 {
        self.is_waiting = false;
        self.serial
    }

    /// The peer did not get the list with this number.
    pub(crate) fn on_lost(&mut self, serial: u64) {
        self.is_waiting |= serial == self.serial;
    }

    /// What the peer tells us; a list that was overtaken by a later one is no news.
    pub(crate) fn on_told(&mut self, serial: u64, theirs: Vec<FullJid>) {
        if serial > self.their_serial {
            self.their_serial = serial;
            self.theirs = theirs.into_iter().take(MAX_JIDS_USED).collect();
            self.has_news = true;
        }
    }

    /// Whether the peer's list has changed since this was last asked.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// The peer's accounts, as it last told us.
    pub(crate) fn theirs(&self) -> &BTreeSet<FullJid> {
        &self.theirs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(name: &str) -> FullJid {
        FullJid::new(&format!("{name}@chat.example/r")).unwrap()
    }

    #[test]
    fn a_list_is_told_once_and_again_when_it_was_lost_and_is_still_true() {
        let mut jids = Jids::default();
        assert_eq!(jids.waiting(), None);
        jids.announce(vec![jid("a")]);
        assert_eq!(jids.waiting(), Some(Frame::Jids { serial: 1, jids: vec![jid("a")] }));
        assert_eq!(jids.on_sent(), 1);
        assert_eq!(jids.waiting(), None);
        jids.on_lost(1);
        assert!(jids.is_waiting());
        jids.on_sent();
        jids.announce(vec![jid("a")]);
        assert!(!jids.is_waiting(), "nothing has changed");
        jids.announce(vec![]);
        assert_eq!(jids.on_sent(), 2);
        jids.on_lost(1);
        assert!(!jids.is_waiting(), "that list is out of date");
    }

    #[test]
    fn a_list_that_was_overtaken_by_a_later_one_is_no_news() {
        let mut jids = Jids::default();
        jids.on_told(2, vec![jid("b")]);
        assert!(jids.take_news());
        jids.on_told(1, vec![jid("a")]);
        jids.on_told(2, vec![jid("c")]);
        assert!(!jids.take_news());
        assert_eq!(jids.theirs(), &BTreeSet::from([jid("b")]));
    }

    #[test]
    fn a_peer_with_endless_accounts_is_remembered_with_some() {
        let mut jids = Jids::default();
        jids.on_told(1, (0..1000).map(|n| jid(&format!("a{n}"))).collect());
        assert_eq!(jids.theirs().len(), MAX_JIDS_USED);
    }
}
