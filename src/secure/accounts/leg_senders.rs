//! Leg senders: what is on its way between each two servers, by all accounts, sessions and paths of ours together.
//!
//! An endpoint has all paths of its process, and so the legs are its, too: what several sessions, clients or further logins send from the
//! same server to the same other one has one window ([`LegWindow`]), and who finds it full waits for his turn ([`FairQueue`]), in the order
//! of what each client has been sent. Between accounts of one server there is no leg.
//!
//! An answer shows that what it answers has come through, and what the same account has sent by the same leg before it: servers keep that
//! order. What went by a path that is no more is forgotten as it is at its account. What went by one that has stalled is when something came
//! through that was sent later: until then perhaps the leg is what holds it up.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::protocol::AccountId;
use crate::secure::accounts::fair_queue::{FairQueue, Used};
use crate::secure::accounts::leg_window::{Answered, LegWindow};
use crate::secure::accounts::sender::Flow;
use crate::secure::delivery::Delivery;
use crate::secure::ids::LegId;
use crate::secure::sizes::Sizes;
use crate::secure::tuning::{EXPRESS_SIZE, LEG_BLOCKS, LITTLE_BYTES, MOST_LEGS, SMALLEST_LEG_BLOCK};

/// All legs by which something of ours has gone.
#[derive(Debug)]
pub(crate) struct LegSenders<K> {
    sizes: &'static Sizes,
    /// By the domains at either end.
    names: BTreeMap<(String, String), LegId>,
    legs: BTreeMap<LegId, LegSender<K>>,
    /// Legs at which somebody waits who might be able to send.
    open: BTreeSet<LegId>,
    last_id: u64,
}

/// The sending side of one leg.
#[derive(Debug)]
struct LegSender<K> {
    window: LegWindow,
    /// What has not come through yet, for all that we know.
    flight: BTreeMap<(AccountId, Delivery), Block>,
    /// When the last of what has come through was sent.
    last_passed: Option<Instant>,
    /// How many blocks of it are each account's.
    by_account: BTreeMap<AccountId, usize>,
    /// In bytes on the wire.
    in_flight: usize,
    queue: FairQueue<Flow<K>>,
}

/// A block on its way.
#[derive(Clone, Copy, Debug)]
struct Block {
    sent: Instant,
    /// In bytes on the wire.
    size: usize,
    /// Nothing else was on its way when it went.
    was_alone: bool,
    /// Its path has stalled.
    has_stalled: bool,
}

/// What a leg has to say to a path by which a block might go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegShare {
    /// How large the block may be.
    pub(crate) block: usize,
    /// Whether it may go as far as the leg is concerned.
    pub(crate) may_send: bool,
}

impl<K> Default for LegSender<K> {
    fn default() -> Self {
        Self {
            window: LegWindow::default(),
            flight: BTreeMap::new(),
            last_passed: None,
            by_account: BTreeMap::new(),
            in_flight: 0,
            queue: FairQueue::default(),
        }
    }
}

impl<K: Copy + Ord> LegSender<K> {
    /// How large a block may be: so small that the window holds two for each of the accounts that send, which their servers limit each by
    /// itself: one that the server reads, and the next. There may be more accounts than fit, but then the leg is full without each of them.
    fn block(&self, sizes: &Sizes) -> usize {
        if self.window.is_probing() {
            return SMALLEST_LEG_BLOCK;
        }
        let room = self.window.limit() / (2 * self.by_account.len()).clamp(2, LEG_BLOCKS);
        let fits = |block: &&usize| sizes.wire_size(**block) <= room;
        sizes.blocks.iter().rev().find(fits).copied().unwrap_or(SMALLEST_LEG_BLOCK)
    }

    fn share(&self, used: Used, waiting: usize, sizes: &Sizes) -> LegShare {
        let block = self.block(sizes);
        let has_room = self.window.admits(self.in_flight, sizes.wire_size(block));
        if has_room && self.queue.is_next(used) {
            return LegShare { block, may_send: true };
        }
        let may_send = waiting as u64 <= LITTLE_BYTES && self.window.admits_small(self.in_flight);
        LegShare { block: block.min(EXPRESS_SIZE), may_send }
    }

    fn on_sent(&mut self, now: Instant, key: (AccountId, Delivery), block: Block) {
        self.in_flight += block.size;
        *self.by_account.entry(key.0).or_default() += 1;
        self.flight.insert(key, block);
        self.window.on_sent(now, self.in_flight);
    }

    fn on_answered(&mut self, now: Instant, (account, delivery): (AccountId, Delivery)) {
        let Some(block) = self.flight.get(&(account, delivery)).copied() else { return };
        let in_flight = self.in_flight;
        let passed: Vec<_> = self
            .flight
            .range((account, Delivery::FIRST)..=(account, delivery))
            .map(|(key, _)| *key)
            .collect();
        passed.into_iter().for_each(|key| self.forget(key));
        self.last_passed = self.last_passed.max(Some(block.sent));
        self.forget_stalled();
        let Block { sent, size, was_alone, .. } = block;
        self.window.on_answered(now, &Answered { sent, size, in_flight, was_alone });
        self.note_emptiness();
    }

    fn forget(&mut self, key: (AccountId, Delivery)) {
        let Some(block) = self.flight.remove(&key) else { return };
        self.in_flight -= block.size;
        if let Some(blocks) = self.by_account.get_mut(&key.0) {
            *blocks -= 1;
        }
        self.by_account.retain(|_, blocks| *blocks > 0);
    }

    /// Their path has stalled.
    fn on_stalled(&mut self, keys: impl Iterator<Item = (AccountId, Delivery)>) {
        for key in keys {
            if let Some(block) = self.flight.get_mut(&key) {
                block.has_stalled = true;
            }
        }
        self.forget_stalled();
    }

    /// What has stalled though something came through that was sent later.
    fn forget_stalled(&mut self) {
        let is_over = |block: &Block| block.has_stalled && Some(block.sent) <= self.last_passed;
        let over: Vec<_> =
            self.flight.iter().filter(|(_, block)| is_over(block)).map(|(key, _)| *key).collect();
        over.into_iter().for_each(|key| self.forget(key));
    }

    fn note_emptiness(&mut self) {
        if self.flight.is_empty() {
            self.window.on_empty();
        }
    }

    fn is_idle(&self) -> bool {
        self.flight.is_empty() && self.queue.waiting() == 0
    }
}

impl<K: Copy + Ord> LegSenders<K> {
    /// None yet. `sizes` are the carrier's.
    pub(crate) fn new(sizes: &'static Sizes) -> Self {
        let (names, legs) = (BTreeMap::new(), BTreeMap::new());
        Self { sizes, names, legs, open: BTreeSet::new(), last_id: 0 }
    }

    /// The leg from a server of ours to a peer's, unless they are the same.
    pub(crate) fn between(&mut self, home: &str, abroad: &str) -> Option<LegId> {
        if home == abroad {
            return None;
        }
        let name = (home.to_owned(), abroad.to_owned());
        if let Some(id) = self.names.get(&name) {
            return Some(*id);
        }
        if self.names.len() >= MOST_LEGS {
            self.legs.retain(|_, leg| !leg.is_idle());
            self.names.retain(|_, id| self.legs.contains_key(id));
        }
        self.last_id += 1;
        let id = LegId(self.last_id);
        self.names.insert(name, id);
        Some(id)
    }

    /// What a leg has to say to a path of a client who has `used` so much, and wants to send `waiting` bytes.
    pub(crate) fn share(&self, leg: LegId, used: Used, waiting: usize) -> LegShare {
        match self.legs.get(&leg) {
            Some(leg) => leg.share(used, waiting, self.sizes),
            None => LegSender::<K>::default().share(used, waiting, self.sizes),
        }
    }

    /// Whether something small and in a hurry may go though the window is full.
    pub(crate) fn admits_express(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_none_or(|leg| leg.window.admits_small(leg.in_flight))
    }

    /// A block of so many bytes goes by the account, to a client who had `used` so much.
    pub(crate) fn on_sent(
        &mut self,
        now: Instant,
        (leg, account): (LegId, AccountId),
        delivery: Delivery,
        (used, bytes): (Used, usize),
    ) {
        let size = self.sizes.wire_size(bytes);
        let leg = self.legs.entry(leg).or_default();
        let block = Block { sent: now, size, was_alone: leg.flight.is_empty(), has_stalled: false };
        leg.on_sent(now, (account, delivery), block);
        leg.queue.on_sent(used, size);
    }

    /// Something that went by the leg was answered.
    pub(crate) fn on_answered(&mut self, now: Instant, id: LegId, account: AccountId, delivery: Delivery) {
        self.change(id, |leg| leg.on_answered(now, (account, delivery)));
    }

    /// What a path of the account has on its way is not answered for too long.
    pub(crate) fn on_stalled(
        &mut self,
        id: LegId,
        account: AccountId,
        outstanding: impl Iterator<Item = Delivery>,
    ) {
        self.change(id, |leg| {
            leg.on_stalled(outstanding.map(|delivery| (account, delivery)));
            leg.note_emptiness();
        });
    }

    /// Nobody waits any more for the answers to what went by the account.
    pub(crate) fn forget(&mut self, id: LegId, account: AccountId, deliveries: &[Delivery]) {
        self.change(id, |leg| {
            deliveries.iter().for_each(|delivery| leg.forget((account, *delivery)));
            leg.note_emptiness();
        });
    }

    /// The account is offline, and when what it has on its way will be answered nobody knows.
    pub(crate) fn suspend(&mut self, account: AccountId) {
        for id in self.legs.keys().copied().collect::<Vec<_>>() {
            self.change(id, |leg| {
                let all: Vec<_> = leg.flight.keys().filter(|(by, _)| *by == account).copied().collect();
                all.into_iter().for_each(|key| leg.forget(key));
                leg.note_emptiness();
            });
        }
    }

    fn change(&mut self, id: LegId, change: impl FnOnce(&mut LegSender<K>)) {
        if let Some(leg) = self.legs.get_mut(&id) {
            change(leg);
            self.open.insert(id);
        }
    }

    // Turns.

    /// The leg did not let this one send, who has `used` so much.
    pub(crate) fn wait(&mut self, id: LegId, flow: Flow<K>, used: Used) {
        self.legs.entry(id).or_default().queue.wait(flow, used);
    }

    /// It does not wait there any more.
    pub(crate) fn leave(&mut self, id: LegId, flow: Flow<K>) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.queue.leave(flow);
        }
    }

    /// Who should try to send, and by which leg, by what each has used. [`end_turn`](Self::end_turn) has to follow.
    pub(crate) fn next_turn(&mut self, used: impl Fn(&Flow<K>) -> Used) -> Option<(LegId, Flow<K>)> {
        loop {
            let id = self.open.pop_first()?;
            let leg = self.legs.get_mut(&id);
            if let Some(flow) = leg.and_then(|leg| leg.queue.pop(&used)) {
                return Some((id, flow));
            }
        }
    }

    /// This one has had its turn. If it comes first again there is no room, and the next change will show whether there is again.
    pub(crate) fn end_turn(&mut self, id: LegId, flow: Flow<K>) {
        let first = self.legs.get(&id).and_then(|leg| leg.queue.first());
        if first.is_some_and(|first| first != flow) {
            self.open.insert(id);
        }
    }

    /// How many wait, at all legs together.
    pub(crate) fn waiting(&self) -> usize {
        self.legs.values().map(|leg| leg.queue.waiting()).sum()
    }

    /// Up to where clients have used their shares, by the clock of each leg at which somebody waits.
    pub(crate) fn clocks(&self) -> impl Iterator<Item = Used> + '_ {
        self.legs.values().filter(|leg| leg.queue.waiting() > 0).map(|leg| leg.queue.clock())
    }
}
