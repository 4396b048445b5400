//! Client side of a session: what a client needs to reach its bridge.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use xmpp_parsers::jid::FullJid;

use crate::protocol::AccountId;
use crate::secure::accounts::Accounts;
use crate::secure::api::Bridge;
use crate::secure::crypto::line::{BridgeLine, LineKeys};
use crate::secure::ids::MAX_JIDS_USED;
use crate::secure::session::pairs::{PairRef, Pairs};
use crate::secure::shared::introductions::Introductions;
use crate::secure::tuning::{HOPELESS_FAILURES, HOPELESS_SHARE, LONGEST_PAUSE, LONGEST_PAUSE_OF_TOLD};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct ClientSide {
    pub(super) line: BridgeLine,
    pub(super) keys: LineKeys,
    accounts: Vec<AccountId>,
    /// Those that have not failed for good.
    accounts_left: BTreeSet<AccountId>,
    /// The bridge's accounts that the bridge line names.
    peers: BTreeSet<FullJid>,
    /// Those that the bridge has told of.
    told: BTreeSet<FullJid>,
    pub(super) pairs: Pairs,
    /// When there may be another path to ask for.
    pub(super) dial_at: Option<Instant>,
    last_path_number: u64,
}

impl ClientSide {
    pub(crate) fn new(bridge: &Bridge) -> Self {
        Self {
            keys: LineKeys::new(&bridge.line),
            line: bridge.line.clone(),
            accounts: bridge.accounts.clone(),
            accounts_left: bridge.accounts.iter().copied().collect(),
            peers: bridge.peers.clone(),
            told: BTreeSet::new(),
            pairs: Pairs::default(),
            dial_at: None,
            last_path_number: 0,
        }
    }

    /// Whether it leads to this bridge, by the same accounts.
    pub(crate) fn leads_to(&self, bridge: &Bridge) -> bool {
        self.line == bridge.line && self.accounts == bridge.accounts && self.peers == bridge.peers
    }

    /// Whether it may use an account of ours.
    pub(crate) fn uses(&self, account: AccountId) -> bool {
        self.accounts.contains(&account)
    }

    /// An account of ours is gone for good; true when it was the last one.
    pub(super) fn on_account_gone(&mut self, account: AccountId) -> bool {
        self.accounts_left.remove(&account);
        self.accounts_left.is_empty()
    }

    /// The accounts of ours that it uses, and tells the bridge of.
    pub(super) fn usable<'a>(&'a self, accounts: &'a Accounts) -> impl Iterator<Item = AccountId> + 'a {
        self.online(accounts).take(MAX_JIDS_USED)
    }

    fn online<'a>(&'a self, accounts: &'a Accounts) -> impl Iterator<Item = AccountId> + 'a {
        self.accounts.iter().copied().filter(|id| accounts.online(*id).is_some())
    }

    /// The bridge's accounts, as far as it knows them.
    pub(super) fn peers(&self) -> BTreeSet<&FullJid> {
        self.peers.iter().chain(&self.told).collect()
    }

    /// Takes note of the accounts that the bridge has told of, as far as it may.
    pub(super) fn update_bridge_jids(
        &mut self,
        now: Instant,
        theirs: &BTreeSet<FullJid>,
        introductions: &mut Introductions,
    ) {
        let bridge = self.line.key();
        self.told = introductions.admit(now, bridge, theirs);
        // A bridge that takes a name back and tells it again does not make us forget that nobody answers there.
        let is_known = |jid: &FullJid| self.peers.contains(jid) || introductions.knows(bridge, jid);
        self.pairs.keep_failures_of(is_known);
    }

    /// The number of another path of a session.
    pub(super) fn next_path_number(&mut self) -> u64 {
        self.last_path_number += 1;
        self.last_path_number
    }

    /// The longest pause before this account of the bridge's is tried again.
    pub(super) fn longest_pause(&self, peer: &FullJid) -> Duration {
        if self.peers.contains(peer) { LONGEST_PAUSE } else { LONGEST_PAUSE_OF_TOLD }
    }

    /// Whether every path to the bridge was refused, time and again. Then the application has to be told.
    pub(super) fn is_hopeless(&self, now: Instant, connect_timeout: Duration, accounts: &Accounts) -> bool {
        let patience = connect_timeout * HOPELESS_SHARE.0 / HOPELESS_SHARE.1;
        let has_lasted = self.pairs.failing_since().is_some_and(|since| since + patience <= now);
        has_lasted && self.is_so_of_all_pairs(accounts, |pair| self.pairs.failures(pair) >= HOPELESS_FAILURES)
    }

    /// Whether none of the bridge's accounts is there, as the chat servers say. Such a bridge is given up at once,
    /// because the application may have another one. One that refuses is tried again: it may just be full.
    pub(super) fn is_absent(&self, accounts: &Accounts) -> bool {
        self.is_so_of_all_pairs(accounts, |pair| self.pairs.is_absent(pair))
    }

    /// Of all pairs of an account of ours that is online and one of the bridge's.
    fn is_so_of_all_pairs(&self, accounts: &Accounts, is_so: impl Fn(PairRef<'_>) -> bool) -> bool {
        let peers = self.peers();
        self.online(accounts).flat_map(|ours| peers.iter().map(move |peer| (ours, *peer))).all(is_so)
    }
}
