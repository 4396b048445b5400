//! Senders: what is on its way by each account of ours, which all paths by it share, whichever session they belong to.
//!
//! A server reads from each of its clients at a limited rate, and one after the other. So what any path has on its way
//! stands in front of everything that goes by the same account, and two blocks of each of a hundred sessions would be minutes.
//! A path that has its account to itself is bounded by its own window. Where several meet they have on their way
//! together what one of them would have, and take turns: [`FairQueue`] says whose it is.
//!
//! What an account's socket has not taken yet is on its way, too, whatever was answered or given up since: behind a backlog nobody
//! sends.
//!
//! An answer shows that the server has read what it answers and everything that was sent before. So those who answer late, or
//! not at all, take no room from others.
//!
//! Where the peer's server is another one, what is between the two servers may be full as well: [`LegSenders`].

mod size;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::protocol::size_limits::{SUSPICION_LASTS, SizeLimits};
use crate::protocol::{AccountId, SizeLimit};
use crate::secure::accounts::fair_queue::{FairQueue, Used};
use crate::secure::accounts::leg_senders::LegSenders;
use crate::secure::accounts::legs::Legs;
use crate::secure::accounts::quota::{Quotas, Restraint};
use crate::secure::client_tag::ClientTag;
use crate::secure::delivery::Delivery;
use crate::secure::ids::{PathId, Place, Sending};
use crate::secure::path::window::{Window, pipe};
use crate::secure::path::{Path, transfer};
use crate::secure::sizes::Sizes;
use crate::secure::tuning::{
    BUSY_SHARE, LONGEST_UNQUEUED_DELAY, MAX_UNWRITTEN_BYTES, MAX_UNWRITTEN_PIECES, SPENT_BLOCK,
    UNKNOWN_BACKLOG,
};

/// What an account has to say to a path by which a block might go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// In bytes on the wire, of all paths by the account.
    pub(crate) in_flight: usize,
    /// What goes before when the account is full, likewise.
    pub(crate) queue: usize,
    /// What the account carries in the long run, in bytes on the wire a second.
    pub(crate) rate: Option<f64>,
    /// How large a block may be.
    pub(crate) block: usize,
    /// Whether one may go as far as the account is concerned, and what is behind it.
    pub(crate) may_send: bool,
    /// What is full, or has a queue in which others come first, if none may.
    pub(crate) refused_by: Option<Place>,
}

/// One who sends, and the client whose share that takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow<K> {
    pub(crate) client: ClientTag,
    pub(crate) key: K,
}

/// All our accounts' sending sides, shared among clients, each of which may have several flows.
#[derive(Debug)]
pub(crate) struct Senders<K> {
    sizes: &'static Sizes,
    senders: BTreeMap<AccountId, Sender<K>>,
    /// What each client has used of all accounts. It outlives the client's sessions: otherwise a new one would come before all
    /// others each time.
    used: BTreeMap<ClientTag, Used>,
    /// Accounts at which somebody waits who might be able to send.
    open: BTreeSet<AccountId>,
    /// How large a block each account's server takes. It outlives connections.
    size_limits: SizeLimits<AccountId>,
    /// How large a block gets from those servers to others.
    pub(crate) legs: Legs,
    /// What is on its way from those servers to others.
    pub(crate) leg_senders: LegSenders<K>,
    /// What accounts may send in a day.
    pub(crate) quotas: Quotas,
}

/// The sending side of one account.
#[derive(Debug)]
struct Sender<K> {
    window: Window,
    /// What the server has not read yet, for all that we know.
    flight: BTreeMap<Delivery, Block>,
    /// Bytes of it, by path.
    by_path: BTreeMap<PathId, usize>,
    /// The last block before which nothing was on its way.
    unqueued_block: Option<Delivery>,
    /// What the paths by this account take while nothing is queued, lately.
    unqueued_delay: Option<Duration>,
    queue: FairQueue<Flow<K>>,
    /// Clients whose answers wait.
    answering: BTreeSet<ClientTag>,
    /// What was handed over has still to be written, and is too much for more.
    is_backed_up: bool,
}

/// A block on its way.
#[derive(Clone, Copy, Debug)]
struct Block {
    path: PathId,
    /// Of the block.
    bytes: usize,
    /// Unknown when the account was offline meanwhile.
    sent: Option<Instant>,
}

impl<K> Sender<K> {
    fn new(sizes: &'static Sizes) -> Self {
        Self {
            window: Window::without_breaks(sizes),
            flight: BTreeMap::new(),
            by_path: BTreeMap::new(),
            unqueued_block: None,
            unqueued_delay: None,
            queue: FairQueue::default(),
            answering: BTreeSet::new(),
            is_backed_up: false,
        }
    }
}

impl<K: Copy + Ord> Senders<K> {
    /// Nothing is on its way. `sizes` are the carrier's.
    pub(crate) fn new(sizes: &'static Sizes) -> Self {
        Self {
            sizes,
            senders: BTreeMap::new(),
            used: BTreeMap::new(),
            open: BTreeSet::new(),
            size_limits: SizeLimits::new(SUSPICION_LASTS),
            legs: Legs::default(),
            leg_senders: LegSenders::new(sizes),
            quotas: Quotas::default(),
        }
    }

    /// What the carrier says of sizes.
    pub(crate) fn sizes(&self) -> &'static Sizes {
        self.sizes
    }

    fn sender(&mut self, account: AccountId) -> &mut Sender<K> {
        self.senders.entry(account).or_insert_with(|| Sender::new(self.sizes))
    }

    /// What the account of `path` has to say to a session of the client's that wants to send `waiting` bytes and could send
    /// by so many `accounts`.
    pub(crate) fn share(
        &self,
        client: ClientTag,
        path: (PathId, &Path),
        waiting: usize,
        accounts: usize,
    ) -> Share {
        let used = self.used(client);
        let most = self.largest_on(path.1);
        let share = match self.senders.get(&path.1.via()) {
            Some(sender) => sender.share((client, used), path, waiting, accounts, most),
            None => Sender::<K>::new(self.sizes).share((client, used), path, waiting, accounts, most),
        };
        self.share_of_leg(path.1, used, waiting, self.share_of_quota(path.1, share))
    }

    /// The same, and what the account's quota has to say: once that is spent, the account is as slow as the quota comes in again.
    fn share_of_quota(&self, path: &Path, mut share: Share) -> Share {
        if let Some(Restraint { may_send, rate }) = self.quotas.restraint(path.via()) {
            share.may_send &= may_send;
            share.block = share.block.min(SPENT_BLOCK);
            share.rate = Some(share.rate.map_or(rate, |usual| usual.min(rate)));
        }
        share
    }

    /// Accounts whose quota was spent may send again.
    pub(crate) fn handle_quotas(&mut self, now: Instant) {
        let free = self.quotas.handle_timeout(now);
        self.open.extend(free);
    }

    /// The same, and what the leg behind the account has to say.
    fn share_of_leg(&self, path: &Path, used: Used, waiting: usize, mut share: Share) -> Share {
        if !share.may_send {
            share.refused_by = Some(Place::Account(path.via()));
        }
        if let Some(leg) = path.leg() {
            let of_leg = self.leg_senders.share(leg, used, waiting);
            share.block = share.block.min(of_leg.block);
            if share.may_send && !of_leg.may_send {
                (share.may_send, share.refused_by) = (false, Some(Place::Leg(leg)));
            }
        }
        share
    }

    /// How many sessions want to send by the account, one that does not wait there included.
    pub(crate) fn rivals(&self, account: AccountId) -> usize {
        self.senders.get(&account).map_or(1, |sender| sender.queue.waiting().max(1))
    }

    /// The largest block that the servers on the way of a path take.
    pub(crate) fn largest_on(&self, path: &Path) -> usize {
        self.size_limits.get(&path.via()).min(self.legs.limit(path))
    }

    /// Whether something small and in a hurry may go by the path although windows are full.
    pub(crate) fn admits_express(&self, path: &Path) -> bool {
        let by_leg = path.leg().is_none_or(|leg| self.leg_senders.admits_express(leg));
        by_leg && !self.is_backed_up(path.via())
    }

    /// The server of an account has shown something of the largest stanza that it takes.
    pub(crate) fn on_size_limit(&mut self, now: Instant, account: AccountId, limit: SizeLimit) {
        let largest = self.largest_block(account).unwrap_or_default();
        self.size_limits.on_shown(now, account, limit, largest, self.sizes.ladder());
    }

    fn largest_block(&self, account: AccountId) -> Option<usize> {
        self.senders.get(&account)?.flight.values().map(|block| block.bytes).max()
    }

    /// The largest stanza with a block that is on its way by the account, in bytes on the wire; none is 0.
    pub(crate) fn largest_on_its_way(&self, account: AccountId) -> usize {
        self.largest_block(account).map_or(0, |block| self.sizes.wire_size(block))
    }

    /// An account is gone for good.
    pub(crate) fn remove(&mut self, account: AccountId) {
        self.reset(account);
        self.size_limits.remove(&account);
        self.quotas.remove(account);
        self.legs.remove(account);
    }

    fn used(&self, client: ClientTag) -> Used {
        self.used.get(&client).copied().unwrap_or_default()
    }

    /// A block goes by a path of an account, to a client.
    pub(crate) fn on_sent(&mut self, now: Instant, sending: Sending, delivery: Delivery, bytes: usize) {
        let Sending { via, client, path, leg } = sending;
        if let Some(leg) = leg {
            let used = self.used(client);
            self.leg_senders.on_sent(now, (leg, via), delivery, (used, bytes));
        }
        self.sender(via).on_sent(now, path, delivery, bytes);
        self.on_share_used(now, via, client, self.sizes.wire_size(bytes));
    }

    /// So many bytes of answers went by the account to this client. They are a part of its share.
    pub(crate) fn on_answers_sent(
        &mut self,
        now: Instant,
        account: AccountId,
        client: ClientTag,
        bytes: usize,
    ) {
        self.on_share_used(now, account, client, bytes);
    }

    /// So many bytes on the wire went by the account to this client.
    fn on_share_used(&mut self, now: Instant, account: AccountId, client: ClientTag, bytes: usize) {
        self.quotas.on_sent(now, account, bytes);
        let used = self.used(client);
        let used = self.sender(account).queue.on_sent(used, bytes);
        self.used.insert(client, used);
    }

    /// Whether no other client that waits at the account comes before this one.
    pub(crate) fn is_next(&self, account: AccountId, client: ClientTag) -> bool {
        let used = self.used(client);
        let queue = self.senders.get(&account).map(|sender| &sender.queue);
        queue.is_none_or(|queue| queue.is_next_but_for(used, |flow| flow.client == client))
    }

    /// Answers to a client wait at the account.
    pub(crate) fn on_answers_wait(&mut self, account: AccountId, client: ClientTag) {
        self.sender(account).answering.insert(client);
    }

    /// No answers to the client wait there any more.
    pub(crate) fn on_answers_gone(&mut self, account: AccountId, client: ClientTag) {
        if let Some(sender) = self.senders.get_mut(&account) {
            sender.answering.remove(&client);
        }
    }

    /// Something that went by the account was answered.
    pub(crate) fn on_answered(&mut self, now: Instant, account: AccountId, delivery: Delivery) {
        let mut taken = 0;
        self.change(account, |sender| taken = sender.on_answered(now, delivery));
        self.size_limits.on_taken(now, account, taken);
    }

    /// Nobody waits any more for the answers to what went by a path of the account.
    pub(crate) fn forget(&mut self, account: AccountId, deliveries: impl IntoIterator<Item = Delivery>) {
        self.change(account, |sender| deliveries.into_iter().for_each(|delivery| sender.forget(delivery)));
    }

    /// The account is offline. What is on its way may still be answered.
    pub(crate) fn suspend(&mut self, account: AccountId) {
        self.leg_senders.suspend(account);
        self.change(account, |sender| sender.flight.values_mut().for_each(|block| block.sent = None));
    }

    /// The account has a new connection, or none any more.
    pub(crate) fn reset(&mut self, account: AccountId) {
        self.senders.remove(&account);
        self.open.remove(&account);
    }

    /// So much was handed over to the account and not written yet.
    pub(crate) fn note_backlog(&mut self, account: AccountId, pieces: usize, bytes: usize) {
        let is_backed_up = bytes > MAX_UNWRITTEN_BYTES || pieces > MAX_UNWRITTEN_PIECES;
        if is_backed_up != self.is_backed_up(account) {
            self.sender(account).is_backed_up = is_backed_up;
            self.open.insert(account);
        }
    }

    /// The carrier of the account may hold something back for so long, without a queue.
    pub(crate) fn expect_held_back(&mut self, account: AccountId, longest: Duration) {
        self.sender(account).window.expect_held_back(longest);
    }

    /// Whether nothing more should go by the account before some of what was handed over is written.
    pub(crate) fn is_backed_up(&self, account: AccountId) -> bool {
        self.senders.get(&account).is_some_and(|sender| sender.is_backed_up)
    }

    /// What the account carries in the long run, and what its path to the server takes while nothing is queued.
    pub(crate) fn pace(&self, account: AccountId) -> (Option<f64>, Duration) {
        let window = self.senders.get(&account).map(|sender| &sender.window);
        (window.and_then(Window::settled_rate), window.and_then(Window::base_delay).unwrap_or_default())
    }

    /// How long the server will take to read what is on its way by the account.
    pub(crate) fn backlog_time(&self, account: AccountId) -> Duration {
        let Some(window) = self.senders.get(&account).map(|sender| &sender.window) else {
            return Duration::ZERO;
        };
        let usual = window.round_trip().unwrap_or_default();
        usual.max(window.rate().map_or(UNKNOWN_BACKLOG, |rate| transfer(window.in_flight(), rate)))
    }

    fn change(&mut self, account: AccountId, change: impl FnOnce(&mut Sender<K>)) {
        if let Some(sender) = self.senders.get_mut(&account) {
            change(sender);
            self.open.insert(account);
        }
    }

    /// An account, or what is behind it, did not let this one send.
    pub(crate) fn wait(&mut self, place: Place, flow: Flow<K>) {
        let used = self.used(flow.client);
        match place {
            Place::Account(account) => self.sender(account).queue.wait(flow, used),
            Place::Leg(leg) => self.leg_senders.wait(leg, flow, used),
        }
    }

    /// It does not wait there any more.
    pub(crate) fn leave(&mut self, place: Place, flow: Flow<K>) {
        match place {
            Place::Account(account) => {
                if let Some(sender) = self.senders.get_mut(&account) {
                    sender.queue.leave(flow);
                }
            }
            Place::Leg(leg) => self.leg_senders.leave(leg, flow),
        }
    }

    /// Forgets what clients have used that makes no difference any more: where anybody waits, others have used as much.
    pub(crate) fn prune(&mut self) {
        let busy = self.senders.values().filter(|sender| sender.queue.waiting() > 0);
        let least = busy.map(|sender| sender.queue.clock()).chain(self.leg_senders.clocks()).min();
        self.used.retain(|_, used| least.is_some_and(|least| *used > least));
    }

    /// Who should try to send, and where it has waited. [`end_turn`](Self::end_turn) has to follow.
    pub(crate) fn next_turn(&mut self) -> Option<(Place, Flow<K>)> {
        let used = |flow: &Flow<K>| self.used.get(&flow.client).copied().unwrap_or_default();
        while let Some(account) = self.open.pop_first() {
            let sender = self.senders.get_mut(&account);
            if let Some(flow) = sender.and_then(|sender| sender.queue.pop(used)) {
                return Some((Place::Account(account), flow));
            }
        }
        let (leg, flow) = self.leg_senders.next_turn(used)?;
        Some((Place::Leg(leg), flow))
    }

    /// This one has had its turn. If it comes first again there is no room, and the next change will show whether
    /// there is again: something is on its way.
    pub(crate) fn end_turn(&mut self, place: Place, flow: Flow<K>) {
        let account = match place {
            Place::Account(account) => account,
            Place::Leg(leg) => return self.leg_senders.end_turn(leg, flow),
        };
        let first = self.senders.get(&account).and_then(|sender| sender.queue.first());
        if first.is_some_and(|first| first != flow) {
            self.open.insert(account);
        }
    }

    /// How many wait, everywhere together.
    pub(crate) fn waiting(&self) -> usize {
        self.senders.values().map(|sender| sender.queue.waiting()).sum::<usize>() + self.leg_senders.waiting()
    }

    /// What is on its way by all accounts, in bytes on the wire.
    pub(crate) fn all_in_flight(&self) -> usize {
        self.senders.values().map(|sender| sender.window.in_flight()).sum()
    }

    /// What is on its way by an account, in bytes on the wire.
    #[cfg(test)]
    fn in_flight(&self, account: AccountId) -> usize {
        self.senders.get(&account).map_or(0, |sender| sender.window.in_flight())
    }
}

impl<K: Copy + Ord> Sender<K> {
    fn share(
        &self,
        (client, used): (ClientTag, Used),
        (id, path): (PathId, &Path),
        waiting: usize,
        accounts: usize,
        most: usize,
    ) -> Share {
        let (in_flight, rate) = (self.window.in_flight(), self.window.rate());
        if self.belongs_to(client, id) {
            let may_send = !self.is_backed_up;
            let block = path.block_size().min(most);
            return Share { in_flight, queue: 0, rate, block, may_send, refused_by: None };
        }
        let block = self.block_size(path.block_size(), accounts).min(most);
        let is_next = self.queue.is_next(used);
        let packet = self.window.sizes().wire_size(waiting.min(block));
        let on_wire = self.window.sizes().wire_size(block);
        let may_send = is_next && !self.is_backed_up && self.window.admits(packet, self.limit(on_wire));
        let queue = if is_next { 0 } else { self.queue.waiting() * on_wire / accounts.max(1) };
        Share { in_flight, queue, rate, block, may_send, refused_by: None }
    }

    /// Whether nobody else wants anything of it.
    fn belongs_to(&self, client: ClientTag, path: PathId) -> bool {
        self.queue.waiting() == 0
            && self.by_path.keys().all(|other| *other == path)
            && self.answering.iter().all(|other| *other == client)
    }

    /// How much all paths may have on their way, with blocks of so many bytes on the wire. The window knows how short the
    /// nearest path is, but one of those far away has to be kept busy, too, where two blocks do not do that.
    fn limit(&self, block: usize) -> usize {
        let least = self.window.limit().max(2 * block);
        let Some(rate) = self.window.rate() else { return least };
        let delay = self.longest_unqueued_delay(block, rate);
        if delay < transfer(2 * block, rate).mul_f64(BUSY_SHARE) {
            least
        } else {
            least.max(pipe(rate, delay) + block)
        }
    }

    /// What the longest path takes while nothing is queued. Where there usually is a queue, what the block itself takes was
    /// a part of what was seen; where there is none, the account would be faster with more on its way.
    fn longest_unqueued_delay(&self, block: usize, rate: f64) -> Duration {
        let delay = self.unqueued_delay.unwrap_or_default();
        let queued = self.window.round_trip().unwrap_or_default().saturating_sub(delay);
        let own = if queued > delay / 4 { transfer(block, rate) } else { Duration::ZERO };
        delay.saturating_sub(own).min(LONGEST_UNQUEUED_DELAY)
    }

    /// What suits the account, and those who wait for their turns.
    fn block_size(&self, own: usize, accounts: usize) -> usize {
        let waiting = self.queue.waiting() as f64 / accounts.max(1) as f64;
        let on_wire = |block| self.window.sizes().wire_size(block);
        size::of_shared(self.window.block_size(), own, on_wire, self.window.rate(), waiting)
    }

    fn on_sent(&mut self, now: Instant, path: PathId, delivery: Delivery, bytes: usize) {
        if self.flight.is_empty() {
            self.unqueued_block = Some(delivery);
        }
        self.window.on_sent(now, bytes);
        self.flight.insert(delivery, Block { path, bytes, sent: Some(now) });
        *self.by_path.entry(path).or_default() += bytes;
    }

    /// The server has read a block and all before it, of which the largest had so many bytes.
    fn on_answered(&mut self, now: Instant, delivery: Delivery) -> usize {
        let mut largest = 0;
        if let Some(block) = self.flight.get(&delivery).filter(|_| self.unqueued_block == Some(delivery)) {
            self.note_unqueued(now, *block);
        }
        while let Some(oldest) = self.flight.first_entry().filter(|oldest| *oldest.key() <= delivery) {
            let block = oldest.remove();
            largest = largest.max(block.bytes);
            self.forget_bytes(block);
            match block.sent {
                Some(sent) => self.window.on_answered(now, sent, block.bytes),
                None => self.window.on_answered_late(now, block.bytes),
            }
        }
        largest
    }

    /// Nothing was queued before this block. The longest path counts, until it was not used for some time.
    fn note_unqueued(&mut self, now: Instant, block: Block) {
        let Some(sent) = block.sent else { return };
        let delay = now.saturating_duration_since(sent);
        // A shorter one moves it by a quarter: it may have gone by a shorter path.
        let follow = |longest: Duration| delay.max((longest * 3 + delay) / 4);
        self.unqueued_delay = Some(self.unqueued_delay.map_or(delay, follow));
    }

    fn forget(&mut self, delivery: Delivery) {
        if let Some(block) = self.flight.remove(&delivery) {
            self.forget_bytes(block);
            self.window.on_forgotten(block.bytes);
        }
    }

    fn forget_bytes(&mut self, block: Block) {
        if let Some(bytes) = self.by_path.get_mut(&block.path) {
            *bytes = bytes.saturating_sub(block.bytes);
            if *bytes == 0 {
                self.by_path.remove(&block.path);
            }
        }
    }
}
