//! Answer shares: answers that a server may not have read yet, shared fairly among the clients that call for them.
//!
//! A server reads from an account at a limited rate. Each block that comes calls for an answer, so that a client whose own server is
//! fast can call for more of them than that: they would stand in front of everybody else's packets, in our socket and in the
//! server's buffers, for as long as it likes. So what has been written and is not known to be read is bounded, by account, by what
//! the account carries in a fraction of a second; and a client may have as much of it as is still free (the dynamic thresholds
//! of Choudhury and Hahne, 1998), so that one alone leaves half of it to those who come. More than that waits here, and a client
//! that keeps to the rules sends no more while its answers wait: its window is full.
//!
//! Whoever else wants to send by the account comes in turn: where others wait, all but a few of a client's answers wait until it is
//! next, as its packets do, and they count as what it has been sent.
//!
//! What has been read shows in the answers to blocks of ours: whoever answers one was sent it by a server that had read everything
//! before it. Where nothing of ours is on its way that would show it, somebody whose answers wait is to be asked something
//! ([`next_probe`](AnswerShares::next_probe)). Those who do not answer get more only after [`UNREAD_PATIENCE`].

mod account;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::protocol::AccountId;
use crate::secure::api::{Outgoing, Receipt, Transmit};
use crate::secure::budget::price;
use crate::secure::client_tag::ClientTag;
use crate::secure::ids::PathId;
use crate::secure::path::Path;
use crate::secure::tuning::UNREAD_PATIENCE;
use account::{Account, Look};

/// An answer to a client.
#[derive(Debug)]
pub(crate) struct Answer<C> {
    pub(crate) client: C,
    /// The path that it is about, as long as that exists.
    pub(crate) path: Option<PathId>,
    pub(crate) transmit: Transmit,
    /// What it takes up on the wire.
    pub(crate) bytes: usize,
}

impl Answer<ClientTag> {
    /// Tells the peer of `path` that something was taken, which is wanted whatever becomes of the path.
    pub(crate) fn to_peer_of(path: &Path, receipt: Receipt) -> Self {
        let action = Outgoing::Taken { receipt };
        let transmit = Transmit { via: path.via(), to: path.peer().clone(), action };
        let bytes = path.sizes().answer + letters(&transmit);
        Self { client: path.client(), path: None, transmit, bytes }
    }

    /// The same for a block, which nobody waits for when the path is no more.
    pub(crate) fn to_block_of(path: &Path, receipt: Receipt) -> Self {
        Self { path: Some(path.id()), ..Self::to_peer_of(path, receipt) }
    }
}

impl<C> Answer<C> {
    /// What it takes in memory while it waits, in bytes.
    fn price(&self) -> usize {
        price::ANSWER + letters(&self.transmit)
    }
}

/// The length of the names in an answer, in bytes: its receipt's and its recipient's.
fn letters(answer: &Transmit) -> usize {
    let receipt = match &answer.action {
        Outgoing::Taken { receipt } => receipt.len(),
        _ => 0,
    };
    receipt + answer.to.as_str().len()
}

/// What is known of an account's connection to its server: the rate in bytes a second, and what a question and its answer take while
/// nothing is queued.
pub(crate) type RateAndDelay = (Option<f64>, Duration);

/// The answers of all our accounts.
#[derive(Debug)]
pub(crate) struct AnswerShares<C> {
    accounts: BTreeMap<AccountId, Account<C>>,
    /// How many wait, at all accounts together.
    waiting: usize,
    /// Accounts at which some that wait may have got room.
    open: BTreeSet<AccountId>,
    /// Clients that wait and may have nothing on its way to them.
    unasked: BTreeSet<(AccountId, C)>,
}

impl<C> Default for AnswerShares<C> {
    fn default() -> Self {
        Self { accounts: BTreeMap::new(), waiting: 0, open: BTreeSet::new(), unasked: BTreeSet::new() }
    }
}

impl<C: Clone + Ord> AnswerShares<C> {
    /// An answer that is to go behind the delivery with the number `behind`: given back if it may go now. If not, it waits.
    /// `is_next` says whether it is its client's turn at the account.
    pub(crate) fn offer(
        &mut self,
        now: Instant,
        answer: Answer<C>,
        behind: u64,
        is_next: impl FnOnce() -> bool,
        pace: impl FnOnce() -> RateAndDelay,
    ) -> Option<Answer<C>> {
        let (via, client, bytes) = (answer.transmit.via, answer.client.clone(), answer.bytes);
        let account = self.accounts.entry(via).or_default();
        if account.takes(&client, bytes, is_next, pace) {
            account.write(now, client, bytes, behind);
            return Some(answer);
        }
        self.waiting += 1;
        if account.hold(now, answer) {
            self.unasked.insert((via, client));
        }
        None
    }

    /// Other bytes than answers went to a client because of what it did.
    pub(crate) fn charge(&mut self, now: Instant, via: AccountId, client: &C, bytes: usize, behind: u64) {
        self.accounts.entry(via).or_default().write(now, client.clone(), bytes, behind);
    }

    /// Whether an answer of so many bytes may go now, or else would have to wait.
    pub(crate) fn has_room(&self, via: AccountId, client: &C, bytes: usize) -> bool {
        self.accounts.get(&via).is_none_or(|account| account.has_room_for(client, bytes))
    }

    /// The next of those that waited and may go now, behind the delivery with the number `behind`. `is_next` says whose turn it is at an
    /// account.
    pub(crate) fn pop(
        &mut self,
        now: Instant,
        behind: u64,
        is_next: impl Fn(AccountId, &C) -> bool,
    ) -> Option<Answer<C>> {
        loop {
            let via = *self.open.first()?;
            let account = self.accounts.get_mut(&via);
            match account.and_then(|account| account.next(now, behind, |client| is_next(via, client))) {
                Some(Look::Goes(answer)) => {
                    self.waiting -= 1;
                    return Some(answer);
                }
                Some(Look::Waits(client)) => {
                    self.unasked.insert((via, client));
                }
                None => {
                    self.open.remove(&via);
                }
            }
        }
    }

    /// A delivery with this number went by the account to a client.
    pub(crate) fn on_asked(&mut self, via: AccountId, client: &C, number: u64) {
        if let Some(account) = self.account_that_holds(via) {
            account.on_asked(client, number);
        }
    }

    /// The delivery with this number, which went by the account, was answered.
    pub(crate) fn on_read(
        &mut self,
        now: Instant,
        via: AccountId,
        number: u64,
        pace: impl FnOnce() -> RateAndDelay,
    ) {
        if let Some(account) = self.accounts.get_mut(&via)
            && account.on_read(now, number, pace)
        {
            self.open.insert(via);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.accounts.values().filter_map(Account::unread_since).min().map(|since| since + UNREAD_PATIENCE)
    }

    /// Gives up what was written long ago.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for (via, account) in &mut self.accounts {
            if account.give_up_unread(|since| since + UNREAD_PATIENCE <= now) {
                self.open.insert(*via);
            }
        }
    }

    /// What went to a client by the account will not be answered soon, or not at all.
    pub(crate) fn on_silence(&mut self, via: AccountId, client: &C) {
        if let Some(account) = self.account_that_holds(via)
            && account.forget_asked(client)
        {
            self.unasked.insert((via, client.clone()));
        }
    }

    /// A path is no more, and nobody waits for what was to go by it.
    pub(crate) fn forget_path(&mut self, via: AccountId, client: &C, path: PathId) {
        let Some(account) = self.accounts.get_mut(&via) else {
            // No answer goes by it, or waits for it.
            return;
        };
        // It may have been asked by this path.
        let waits = account.forget_asked(client);
        if waits {
            self.waiting -= account.forget_path(client, path);
            self.on_silence(via, client);
        }
    }

    /// The account has a new connection, or none any more.
    pub(crate) fn reset(&mut self, via: AccountId) {
        let account = self.accounts.remove(&via);
        self.waiting -= account.map_or(0, |account| account.waiting());
        self.open.remove(&via);
        self.unasked.retain(|(other, _)| *other != via);
    }

    /// How many wait, at all accounts together.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// What those that wait take, at their prices, and what there is to remember those that went.
    pub(crate) fn kept(&self) -> usize {
        self.accounts.values().map(Account::cost).sum()
    }

    /// Whether answers of the client wait at the account.
    pub(crate) fn waits(&self, via: AccountId, client: &C) -> bool {
        self.accounts.get(&via).is_some_and(|account| account.waits(client))
    }

    /// Whether answers of a client's take so much while they wait at the account that no more of them should be due.
    pub(crate) fn is_full(&self, via: AccountId, client: &C) -> bool {
        self.waiting > 0 && self.accounts.get(&via).is_some_and(|account| account.is_full(client))
    }

    /// A path by which somebody should be asked something, because nothing else would show what the server has read.
    pub(crate) fn next_probe(&mut self) -> Option<PathId> {
        loop {
            let (via, client) = self.unasked.pop_first()?;
            let path = self.accounts.get(&via).and_then(|account| account.unasked_path(&client));
            if path.is_some() {
                return path;
            }
        }
    }

    /// The account, if answers wait anywhere.
    fn account_that_holds(&mut self, via: AccountId) -> Option<&mut Account<C>> {
        if self.waiting == 0 { None } else { self.accounts.get_mut(&via) }
    }
}
