//! Answers that a server may not have read yet, shared fairly among the clients that call for them.
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
//! What has been read shows in the answers to IQs of ours: whoever answers one was sent it by a server that had read everything
//! before it. Where nothing of ours is on its way that would show it, somebody whose answers wait is to be asked something
//! ([`next_probe`](AnswerShares::next_probe)). Those who do not answer get no answers.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::path::PathId;
use super::window::LastingRate;
use super::{Outgoing, Transmit, fair_share, price};
use crate::protocol::AccountId;

/// Seconds of an account's rate that unread answers may fill, beside two round trips. They delay everybody else by as much.
const BUSY: f64 = 0.25;
/// The bounds of what that makes, in bytes: some forty answers at the least; a fast account needs no more than the most.
const LEAST: usize = 4 * 1024;
const MOST: usize = 256 * 1024;
/// What is unread may be so much, in bytes, while nobody knows what the account carries.
const UNKNOWN: usize = 32 * 1024;

/// Unread answers of a client that wait for no turn, in bytes: some eight. Where a hundred clients share a slow account a turn comes
/// once a minute, and a path is given up when nothing is answered for half of that.
const FEW: usize = 512;

/// What the answers that wait at one account may take in memory, in bytes at their prices, shared fairly among its clients. A client
/// alone may have half of it, some 500 answers: a window holds fewer blocks, and one that is not answered stops.
const MOST_KEPT: usize = 512 * 1024;

/// Clients whose answers wait that are looked at after each sign that the server has read something, and the next ones after the next
/// sign: what that costs does not grow with how many wait.
const LOOKS: usize = 8;

/// What has been written for so long has been read, or went with its connection. The server takes a second for as much as may be
/// unread of answers, and about two for what may be before them. Those who answer nothing would otherwise leave no room for good.
pub(super) const UNREAD_PATIENCE: Duration = Duration::from_secs(5);

/// What the result to an IQ weighs beyond its id and its recipient, in bytes: the element, and what the server adds to it.
const RESULT: usize = 32;

/// An answer to a client.
#[derive(Debug)]
pub(super) struct Answer<C> {
    pub(super) client: C,
    /// The path that it is about, as long as that exists.
    pub(super) path: Option<PathId>,
    pub(super) transmit: Transmit,
}

impl<C> Answer<C> {
    /// What it weighs on the wire, in bytes.
    pub(super) fn size(&self) -> usize {
        RESULT + self.letters()
    }

    /// What it takes in memory while it waits, in bytes.
    fn price(&self) -> usize {
        price::ANSWER + self.letters()
    }

    /// The length of its names, in bytes: its id and its recipient.
    fn letters(&self) -> usize {
        let id = match &self.transmit.stanza {
            Outgoing::Result { id } | Outgoing::Refusal { id } => id.len(),
            Outgoing::Open { .. } | Outgoing::Data { .. } | Outgoing::Close { .. } => 0,
        };
        id + self.transmit.to.as_str().len()
    }
}

/// What is known of an account's way to its server: the rate in bytes a second, and what a question and its answer take while
/// nothing is queued.
pub(super) type Pace = (Option<f64>, Duration);

/// The answers of all our accounts.
#[derive(Debug)]
pub(super) struct AnswerShares<C> {
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

#[derive(Debug)]
struct Account<C> {
    /// What was written and is not known to be read, in order.
    unread: VecDeque<Written<C>>,
    /// Bytes of it.
    total: usize,
    /// What the answers that wait take, at their prices.
    kept: usize,
    clients: BTreeMap<C, Client<C>>,
    /// Clients whose answers wait, in turn.
    turns: VecDeque<C>,
    /// How many of them are still to be looked at.
    looks: usize,
    /// The server has read everything before this IQ.
    read: u64,
    /// When that was known, and since when somebody waits.
    last_read: Option<Instant>,
    since: Option<Instant>,
    /// At what rate answers were read while more of them waited.
    drained: LastingRate,
    pace: Pace,
}

impl<C> Default for Account<C> {
    fn default() -> Self {
        Self {
            unread: VecDeque::new(),
            total: 0,
            kept: 0,
            clients: BTreeMap::new(),
            turns: VecDeque::new(),
            looks: 0,
            read: 0,
            last_read: None,
            since: None,
            drained: LastingRate::default(),
            pace: (None, Duration::ZERO),
        }
    }
}

/// Bytes that were written for a client behind the IQ with this number, and before the next.
#[derive(Debug)]
struct Written<C> {
    /// When the first of them were.
    since: Instant,
    behind: u64,
    client: C,
    bytes: usize,
}

#[derive(Debug)]
struct Client<C> {
    /// Bytes that were written and are not known to be read.
    unread: usize,
    waiting: VecDeque<Answer<C>>,
    /// What those take, at their prices.
    kept: usize,
    /// The last IQ that went to it while it waited.
    asked: Option<u64>,
}

impl<C> Default for Client<C> {
    fn default() -> Self {
        Self { unread: 0, waiting: VecDeque::new(), kept: 0, asked: None }
    }
}

impl<C: Clone + Ord> AnswerShares<C> {
    /// An answer that is to go behind the IQ with the number `behind`: given back if it may go now. If not, it waits. It is its
    /// client's turn at the account or not.
    pub(super) fn offer(
        &mut self,
        now: Instant,
        answer: Answer<C>,
        behind: u64,
        is_next: impl FnOnce() -> bool,
        pace: impl FnOnce() -> Pace,
    ) -> Option<Answer<C>> {
        let (via, client, bytes) = (answer.transmit.via, answer.client.clone(), answer.size());
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

    /// So many bytes that no answer asked for went to a client, because of what it did.
    pub(super) fn charge(&mut self, now: Instant, via: AccountId, client: &C, bytes: usize, behind: u64) {
        self.accounts.entry(via).or_default().write(now, client.clone(), bytes, behind);
    }

    /// Whether an answer of so many bytes may go now, or else would have to wait.
    pub(super) fn has_room(&self, via: AccountId, client: &C, bytes: usize) -> bool {
        let Some(account) = self.accounts.get(&via) else { return true };
        !account.waits(client) && account.has_room(account.unread_of(client), bytes, account.limit())
    }

    /// The next of those that waited and may go now, behind the IQ with the number `behind`. `is_next` says whose turn it is at an
    /// account.
    pub(super) fn pop(
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

    /// An IQ with this number went by the account to a client.
    pub(super) fn on_asked(&mut self, via: AccountId, client: &C, number: u64) {
        if let Some(client) = self.waiting_client(via, client) {
            client.asked = Some(number);
        }
    }

    /// The IQ with this number, which went by the account, was answered.
    pub(super) fn on_read(&mut self, now: Instant, via: AccountId, number: u64, pace: impl FnOnce() -> Pace) {
        if let Some(account) = self.accounts.get_mut(&via)
            && account.on_read(now, number, pace)
        {
            self.open.insert(via);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let first =
            |account: &Account<C>| account.unread.front().map(|written| written.since + UNREAD_PATIENCE);
        self.accounts.values().filter_map(first).min()
    }

    /// Gives up what was written long ago.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for (via, account) in &mut self.accounts {
            account.forget_unread(|written| written.since + UNREAD_PATIENCE <= now);
            if account.wakes() {
                self.open.insert(*via);
            }
        }
    }

    /// What went to a client by the account will not be answered soon, or not at all.
    pub(super) fn on_silence(&mut self, via: AccountId, client: &C) {
        if let Some(entry) = self.waiting_client(via, client) {
            entry.asked = None;
            self.unasked.insert((via, client.clone()));
        }
    }

    /// A path is no more, and nobody waits for what was to go by it.
    pub(super) fn forget_path(&mut self, via: AccountId, client: &C, path: PathId) {
        if let Some(entry) = self.accounts.get_mut(&via).and_then(|account| account.clients.get_mut(client)) {
            // It may have been asked by this path.
            entry.asked = None;
        }
        let Some(entry) = self.waiting_client(via, client) else { return };
        let (before, kept) = (entry.waiting.len(), entry.kept);
        entry.waiting.retain(|waiting| waiting.path != Some(path));
        entry.waiting.shrink_to_fit();
        entry.kept = entry.waiting.iter().map(Answer::price).sum();
        let (left, freed) = (entry.waiting.len(), kept - entry.kept);
        self.waiting -= before - left;
        let Some(account) = self.accounts.get_mut(&via) else { return };
        account.kept -= freed;
        if left > 0 {
            self.on_silence(via, client);
        } else {
            account.turns.retain(|other| other != client);
            account.forget_if_idle(client);
        }
    }

    /// The account has a new connection, or none any more.
    pub(super) fn reset(&mut self, via: AccountId) {
        let account = self.accounts.remove(&via);
        self.waiting -= account.map_or(0, |account| account.waiting());
        self.open.remove(&via);
        self.unasked.retain(|(other, _)| *other != via);
    }

    /// How many wait, at all accounts together.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// What those that wait take, at their prices, and what there is to remember those that went.
    pub(super) fn kept(&self) -> usize {
        let written = |account: &Account<C>| size_of::<Written<C>>() * account.unread.capacity();
        self.accounts.values().map(|account| account.kept + written(account)).sum()
    }

    /// Whether answers of the client wait at the account.
    pub(super) fn waits(&self, via: AccountId, client: &C) -> bool {
        self.accounts.get(&via).is_some_and(|account| account.waits(client))
    }

    /// Whether answers of a client's take so much while they wait at the account that no more of them should be due.
    pub(super) fn is_full(&self, via: AccountId, client: &C) -> bool {
        let has_room = |account: &Account<C>| {
            let own = account.clients.get(client).map_or(0, |entry| entry.kept);
            fair_share::room(MOST_KEPT, account.kept, own) > 0
        };
        self.waiting > 0 && !self.accounts.get(&via).is_none_or(has_room)
    }

    /// A path by which somebody should be asked something, because nothing else would show what the server has read.
    pub(super) fn next_probe(&mut self) -> Option<PathId> {
        loop {
            let (via, client) = self.unasked.pop_first()?;
            let Some(account) = self.accounts.get(&via) else { continue };
            let entry = account.clients.get(&client).filter(|entry| !account.has_asked(entry));
            let path = entry.and_then(|entry| entry.waiting.iter().find_map(|waiting| waiting.path));
            if path.is_some() {
                return path;
            }
        }
    }

    /// A client, if answers of it wait.
    fn waiting_client(&mut self, via: AccountId, client: &C) -> Option<&mut Client<C>> {
        if self.waiting == 0 {
            return None;
        }
        let entry = self.accounts.get_mut(&via)?.clients.get_mut(client)?;
        (!entry.waiting.is_empty()).then_some(entry)
    }
}

/// What came of looking at a client.
enum Look<C> {
    /// An answer of it goes.
    Goes(Answer<C>),
    /// It has no room, and nothing on its way that would make some.
    Waits(C),
}

impl<C: Clone + Ord> Account<C> {
    /// What may be unread, in bytes.
    fn limit(&self) -> usize {
        let (carries, delay) = self.pace;
        let seconds = BUSY + 2.0 * delay.as_secs_f64();
        match self.drained.get().or(carries) {
            Some(rate) => ((rate * seconds) as usize).clamp(LEAST, MOST),
            None => UNKNOWN,
        }
    }

    /// Whether `bytes` more may be unread of one who has so many already.
    fn has_room(&self, unread: usize, bytes: usize, limit: usize) -> bool {
        unread == 0 || unread + bytes <= limit.saturating_sub(self.total)
    }

    /// Whether answers of the client wait.
    fn waits(&self, client: &C) -> bool {
        self.clients.get(client).is_some_and(|entry| !entry.waiting.is_empty())
    }

    fn unread_of(&self, client: &C) -> usize {
        self.clients.get(client).map_or(0, |entry| entry.unread)
    }

    fn takes(
        &mut self,
        client: &C,
        bytes: usize,
        is_next: impl FnOnce() -> bool,
        pace: impl FnOnce() -> Pace,
    ) -> bool {
        let unread = self.unread_of(client);
        if self.waits(client) || !(unread + bytes <= FEW || is_next()) {
            return false;
        }
        if self.has_room(unread, bytes, LEAST) {
            return true;
        }
        self.pace = pace();
        self.has_room(unread, bytes, self.limit())
    }

    fn write(&mut self, now: Instant, client: C, bytes: usize, behind: u64) {
        self.total += bytes;
        self.clients.entry(client.clone()).or_default().unread += bytes;
        match self.unread.back_mut() {
            Some(last) if last.behind == behind && last.client == client => last.bytes += bytes,
            _ => self.unread.push_back(Written { since: now, behind, client, bytes }),
        }
    }

    /// An answer waits; true when nothing is on its way to the client that would make room.
    fn hold(&mut self, now: Instant, answer: Answer<C>) -> bool {
        if self.turns.is_empty() {
            self.since = Some(now);
        }
        let entry = self.clients.entry(answer.client.clone()).or_default();
        if entry.waiting.is_empty() {
            self.turns.push_back(answer.client.clone());
        }
        entry.kept += answer.price();
        self.kept += answer.price();
        entry.waiting.push_back(answer);
        entry.asked.is_none_or(|asked| asked <= self.read)
    }

    fn has_asked(&self, client: &Client<C>) -> bool {
        client.asked.is_some_and(|asked| asked > self.read)
    }

    /// Looks at those that wait, in turn, until there is something to say of one.
    fn next(&mut self, now: Instant, behind: u64, is_next: impl Fn(&C) -> bool) -> Option<Look<C>> {
        let limit = self.limit();
        while self.looks > 0 {
            let client = self.turns.pop_front()?;
            let Some(entry) = self.clients.get(&client) else { continue };
            let Some(bytes) = entry.waiting.front().map(Answer::size) else { continue };
            let is_due = entry.unread + bytes <= FEW || is_next(&client);
            if is_due && self.has_room(entry.unread, bytes, limit) {
                return self.let_go(now, client, behind).map(Look::Goes);
            }
            self.looks -= 1;
            let has_asked = self.has_asked(entry);
            self.turns.push_back(client.clone());
            if !has_asked {
                return Some(Look::Waits(client));
            }
        }
        None
    }

    /// The first answer of a client that waits; it takes its turn again if there are more.
    fn let_go(&mut self, now: Instant, client: C, behind: u64) -> Option<Answer<C>> {
        let entry = self.clients.get_mut(&client)?;
        let answer = entry.waiting.pop_front()?;
        entry.kept -= answer.price();
        self.kept -= answer.price();
        if entry.waiting.is_empty() {
            entry.waiting.shrink_to_fit();
        } else {
            self.turns.push_back(client.clone());
        }
        self.write(now, client, answer.size(), behind);
        Some(answer)
    }

    /// The server has read everything before the IQ with this number; true when there may be room for some that wait.
    fn on_read(&mut self, now: Instant, number: u64, pace: impl FnOnce() -> Pace) -> bool {
        self.read = self.read.max(number);
        let bytes = self.forget_unread(|written| written.behind < number);
        let last = self.last_read.replace(now);
        if self.turns.is_empty() {
            self.since = None;
            return false;
        }
        if let Some(since) = self.since {
            let begin = last.map_or(since, |last| last.max(since));
            self.drained.update(now.saturating_duration_since(begin), bytes);
        }
        self.pace = pace();
        self.wakes()
    }

    /// Whether there are clients to look at, now that there may be room.
    fn wakes(&mut self) -> bool {
        self.looks = LOOKS.min(self.turns.len());
        self.looks > 0
    }

    /// Forgets the first of what was written, as far as it is `read`; how many bytes that were.
    fn forget_unread(&mut self, is_read: impl Fn(&Written<C>) -> bool) -> usize {
        let mut bytes = 0;
        while let Some(written) = self.unread.pop_front_if(|written| is_read(written)) {
            bytes += written.bytes;
            if let Some(entry) = self.clients.get_mut(&written.client) {
                entry.unread = entry.unread.saturating_sub(written.bytes);
            }
            self.forget_if_idle(&written.client);
        }
        self.total = self.total.saturating_sub(bytes);
        bytes
    }

    fn forget_if_idle(&mut self, client: &C) {
        if self.clients.get(client).is_some_and(|entry| entry.unread == 0 && entry.waiting.is_empty()) {
            self.clients.remove(client);
        }
    }

    fn waiting(&self) -> usize {
        self.clients.values().map(|entry| entry.waiting.len()).sum()
    }
}
