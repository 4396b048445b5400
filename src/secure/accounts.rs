//! Accounts: what all sessions share of each account of ours.
//!
//! Under which name it is online; how much may be on its way to its server, and whose turn it is ([`Senders`]); the answers to blocks,
//! which wait for each other and ride behind blocks of the same account ([`Answers`]), and how many of them each client may call for
//! ([`AnswerShares`]); how large a block gets from its server to others ([`Legs`](legs::Legs)), and how much may be on its way there
//! ([`LegSenders`](leg_senders::LegSenders)); and what goes before all packets.

pub(crate) mod answer_shares;
pub(crate) mod answers;
pub(crate) mod fair_queue;
pub(crate) mod leg_senders;
mod leg_window;
pub(crate) mod legs;
mod quota;
pub(crate) mod sender;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use xmpp_parsers::jid::{BareJid, FullJid};

use crate::protocol::timers::Timers;
use crate::protocol::{AccountId, SizeLimit};
use crate::secure::accounts::answer_shares::{Answer, AnswerShares};
use crate::secure::accounts::answers::Answers;
use crate::secure::accounts::sender::{Flow, Senders};
use crate::secure::api::stats::AccountStats;
use crate::secure::api::{Outgoing, QuotaUse, Receipt, Transmit};
use crate::secure::client_tag::ClientTag;
use crate::secure::crypto::entropy::Entropy;
use crate::secure::delivery::{Delivery, Token};
use crate::secure::ids::{LegId, PathId, Place, Sending, SessionKey};
use crate::secure::path::Path;
use crate::secure::sizes::Sizes;
use crate::secure::tuning::{ORPHANED, UNREAD_PATIENCE};

/// All our accounts.
#[derive(Debug)]
pub(crate) struct Accounts {
    accounts: BTreeMap<AccountId, Account>,
    senders: Senders<SessionKey>,
    shares: AnswerShares<ClientTag>,
    /// Everything to send that is no packet, in order.
    urgent: VecDeque<Transmit>,
    /// Accounts with answers that wait for each other no longer.
    released: BTreeSet<AccountId>,
    /// What went by paths that are no more, until when it counts as on its way if nothing shows that it was read.
    orphans: Vec<(Instant, Sending, Vec<Delivery>)>,
    /// Those by which something is not answered, until their servers are asked for a sign of life.
    doubted: BTreeSet<AccountId>,
    timers: Timers<TimerKey>,
    last_delivery: u64,
}

#[derive(Debug)]
struct Account {
    jid: FullJid,
    is_online: bool,
    answers: Answers<Answer<ClientTag>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TimerKey {
    /// Answers of this account have waited for company long enough.
    Answers(AccountId),
    /// The first of what went by paths that are no more need not be waited for any longer.
    Orphans,
    /// The first of the answers that went need not be waited for any longer.
    Unread,
    /// An account that has sent all that it may in a day may send again.
    Quotas,
}

impl Accounts {
    /// None yet. `sizes` are the carrier's.
    pub(crate) fn new(sizes: &'static Sizes) -> Self {
        Self {
            accounts: BTreeMap::new(),
            senders: Senders::new(sizes),
            shares: AnswerShares::default(),
            urgent: VecDeque::new(),
            released: BTreeSet::new(),
            orphans: Vec::new(),
            doubted: BTreeSet::new(),
            timers: Timers::default(),
            last_delivery: 0,
        }
    }

    // What is known of them.

    /// The name of an account, online or not.
    pub(crate) fn jid_of(&self, id: AccountId) -> Option<&FullJid> {
        self.accounts.get(&id).map(|account| &account.jid)
    }

    /// The name of an account that is online.
    pub(crate) fn online(&self, id: AccountId) -> Option<&FullJid> {
        self.accounts.get(&id).filter(|account| account.is_online).map(|account| &account.jid)
    }

    /// What is between the server of an account of ours and a peer's, if they are two.
    pub(crate) fn leg(&mut self, via: AccountId, peer: &FullJid) -> Option<LegId> {
        let home = self.accounts.get(&via)?.jid.domain();
        self.senders.leg_senders.between(home.as_str(), peer.domain().as_str())
    }

    /// The windows and turns of all accounts.
    pub(crate) fn senders(&self) -> &Senders<SessionKey> {
        &self.senders
    }

    /// The carrier of an account may hold something back for so long, without a queue.
    pub(crate) fn expect_held_back(&mut self, id: AccountId, longest: Duration) {
        self.senders.expect_held_back(id, longest);
    }

    /// How many things are written down: answers, what goes before packets, sessions that wait for their turn.
    pub(crate) fn entries(&self) -> usize {
        self.shares.waiting() + self.orphans.len() + self.senders.waiting() + self.urgent.len()
    }

    /// What answers keep in memory, in bytes at their prices.
    pub(crate) fn kept(&self) -> usize {
        self.shares.kept()
    }

    /// What they do.
    pub(crate) fn stats(&self, now: Instant) -> AccountStats {
        AccountStats {
            online: self.accounts.values().filter(|account| account.is_online).count(),
            in_flight: self.senders.all_in_flight(),
            waiting: self.senders.waiting(),
            quota_used: self.senders.quotas.most_used(now),
            uploads_used: None,
        }
    }

    // What happens to them.

    /// An account is online under this name. True when it is the one from before, and nothing that was sent is lost.
    pub(crate) fn on_online(&mut self, id: AccountId, jid: FullJid, resumed: bool) -> bool {
        match self.accounts.get_mut(&id) {
            Some(account) if account.jid == jid => {
                account.is_online = true;
                resumed
            }
            _ => {
                self.senders.legs.on_online(id, &jid);
                self.accounts.insert(id, Account { jid, is_online: true, answers: Answers::default() });
                false
            }
        }
    }

    /// What was on its way by an account is lost.
    pub(crate) fn reset(&mut self, id: AccountId) {
        self.senders.reset(id);
        self.shares.reset(id);
    }

    /// An account is offline. What is on its way may still arrive.
    pub(crate) fn suspend(&mut self, id: AccountId) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.is_online = false;
        }
        self.senders.suspend(id);
    }

    /// An account is gone for good.
    pub(crate) fn remove(&mut self, id: AccountId) {
        self.accounts.remove(&id);
        self.reset(id);
        self.senders.remove(id);
    }

    /// The server of an account has shown something of the largest stanza that it takes.
    pub(crate) fn on_size_limit(&mut self, now: Instant, id: AccountId, limit: SizeLimit) {
        self.senders.on_size_limit(now, id, limit);
    }

    /// A block of a path has arrived, or its open.
    pub(crate) fn on_path_taken(&mut self, now: Instant, path: &Path, delivery: Delivery) {
        self.senders.legs.on_taken(now, path);
        if let Some(leg) = path.leg() {
            self.senders.leg_senders.on_answered(now, leg, path.via(), delivery);
        }
    }

    /// A path has lost a block, or is silent, although our account is online. Returns whether a server behind our account's may have refused
    /// a block as too large.
    pub(crate) fn on_path_trouble(&mut self, now: Instant, path: &Path) -> bool {
        self.senders.legs.on_trouble(now, path, path.sizes().ladder())
    }

    /// The largest stanza with a block that is on its way by the account, in bytes on the wire; none is 0.
    pub(crate) fn largest_on_its_way(&self, id: AccountId) -> usize {
        self.senders.largest_on_its_way(id)
    }

    /// So many pieces, of so many bytes, were handed over to an account and not written to its connection yet.
    pub(crate) fn note_backlog(&mut self, id: AccountId, pieces: usize, bytes: usize) {
        self.senders.note_backlog(id, pieces, bytes);
    }

    // What they may send in a day.

    /// What goes by this login counts for the account of that name, which may send so much in a day and has sent so much of it.
    pub(crate) fn set_quota(&mut self, now: Instant, id: AccountId, name: BareJid, quota: (u64, u64)) {
        self.senders.quotas.set(now, id, name, quota);
        self.arm_quotas();
    }

    /// The next account that has used a hundredth more of its quota.
    pub(crate) fn poll_quota_use(&mut self) -> Option<QuotaUse> {
        self.senders.quotas.poll_news()
    }

    /// Tells what all accounts have used of theirs.
    pub(crate) fn tell_quotas(&mut self) {
        self.senders.quotas.tell_all();
    }

    /// Whether one of these has sent about all that it may in a day.
    pub(crate) fn is_spent(&self, ids: &[AccountId]) -> bool {
        ids.iter().any(|id| self.senders.quotas.restraint(*id).is_some())
    }

    /// What an account has used of what it may send in a day, in hundredths, when that is another tenth than when this was asked last.
    pub(crate) fn poll_tenth(&mut self, id: AccountId) -> Option<u8> {
        self.senders.quotas.poll_tenth(id)
    }

    fn arm_quotas(&mut self) {
        if let Some(at) = self.senders.quotas.next_timeout() {
            self.timers.arm(TimerKey::Quotas, at);
        }
    }

    // What goes before packets.

    /// Sends something before all packets.
    pub(crate) fn send_first(&mut self, transmit: Transmit) {
        self.urgent.push_back(transmit);
    }

    /// Answers as somebody does who knows nothing of what is wanted.
    pub(crate) fn refuse(&mut self, via: AccountId, to: FullJid, receipt: Receipt) {
        self.send_first(Transmit { via, to, action: Outgoing::Refused { receipt } });
    }

    /// The next thing that goes before all packets.
    pub(crate) fn poll_urgent(&mut self) -> Option<Transmit> {
        self.urgent.pop_front()
    }

    // What is answered.

    /// Another open or block of ours.
    pub(crate) fn new_delivery(&mut self, entropy: &mut dyn Entropy) -> Delivery {
        self.last_delivery += 1;
        Delivery { number: self.last_delivery, token: Token::generate(entropy) }
    }

    /// A block of so many bytes goes.
    pub(crate) fn on_sent(&mut self, now: Instant, sending: Sending, delivery: Delivery, bytes: usize) {
        self.senders.on_sent(now, sending, delivery, bytes);
        self.arm_quotas();
        self.shares.on_asked(sending.via, &sending.client, delivery.number);
    }

    /// Something that went by the account was answered: its server has read that and everything before.
    pub(crate) fn on_answered(&mut self, now: Instant, via: AccountId, delivery: Delivery) {
        self.senders.on_answered(now, via, delivery);
        self.shares.on_read(now, via, delivery.number, || self.senders.pace(via));
    }

    /// What is on its way by a path is not answered for so long that nobody should wait for it.
    pub(crate) fn on_stalled(&mut self, path: &Path) {
        let sending = path.sending();
        if let Some(leg) = path.leg() {
            self.senders.leg_senders.on_stalled(leg, sending.via, path.outstanding());
        }
        self.senders.forget(sending.via, path.outstanding());
        self.shares.on_silence(sending.via, &sending.client);
        if self.online(sending.via).is_some() {
            self.doubted.insert(sending.via);
        }
    }

    /// The next account whose server is to be asked for a sign of life, because a path by it has stalled.
    pub(crate) fn poll_doubt(&mut self) -> Option<AccountId> {
        self.doubted.pop_first()
    }

    /// A path is no more. What is on its way by it still stands in front of everything else, until a later answer shows that the
    /// server has read it, or it should have done so by the account's rate: otherwise paths that come and go could fill all there is
    /// behind the account. Answers about the path are wanted no more.
    pub(crate) fn on_path_gone(&mut self, now: Instant, sending: Sending, outstanding: Vec<Delivery>) {
        let Sending { via, client, path, .. } = sending;
        if !outstanding.is_empty() {
            let until = now + self.senders.backlog_time(via).min(ORPHANED);
            self.orphans.push((until, sending, outstanding));
            self.timers.arm(TimerKey::Orphans, until);
        }
        if let Some(account) = self.accounts.get_mut(&via) {
            account.answers.retain(|answer| answer.path != Some(path));
        }
        self.shares.forget_path(via, &client, path);
        self.note_whether_answers_wait(via, client);
    }

    // Answers.

    /// Whether an answer of so many bytes may go now.
    pub(crate) fn has_room_for_answer(&self, via: AccountId, client: ClientTag, bytes: usize) -> bool {
        self.shares.has_room(via, &client, bytes)
    }

    /// Whether so many answers to a client wait at the account that no more of them should be due.
    pub(crate) fn is_full_of_answers(&self, via: AccountId, client: ClientTag) -> bool {
        self.shares.is_full(via, &client)
    }

    /// Answers an open or a close at once, unless its client has called for too many answers.
    pub(crate) fn answer(&mut self, now: Instant, answer: Answer<ClientTag>) {
        let transmit = self.share(now, answer);
        self.urgent.extend(transmit);
    }

    /// Answers a block of so many bytes, in company.
    pub(crate) fn answer_block(&mut self, now: Instant, answer: Answer<ClientTag>, bytes: usize) {
        let via = answer.transmit.via;
        let Some(account) = self.accounts.get_mut(&via) else {
            // It is gone for good, and sends nothing any more.
            return;
        };
        if let Some(at) = account.answers.push(now, answer, bytes) {
            self.timers.arm(TimerKey::Answers(via), at);
        }
        if account.answers.is_released() {
            self.released.insert(via);
        }
    }

    /// A block of so many bytes goes by the account: answers ride behind a large one.
    pub(crate) fn carry_answers(&mut self, now: Instant, via: AccountId, bytes: usize) {
        let Some(account) = self.accounts.get_mut(&via) else {
            // It is gone for good, and sends nothing any more.
            return;
        };
        account.answers.ride_along(now, bytes);
        if account.answers.is_released() {
            self.released.insert(via);
        }
    }

    /// Something that is no answer goes because of what a client did, and is a part of its share all the same.
    pub(crate) fn charge(&mut self, now: Instant, via: AccountId, client: ClientTag, bytes: usize) {
        if self.accounts.contains_key(&via) {
            self.shares.charge(now, via, &client, bytes, self.last_delivery);
            self.on_answers_sent(now, via, client, bytes);
        }
    }

    /// The next answer that may go: of those that waited for their server, then of those that waited for each other.
    pub(crate) fn poll_answer(&mut self, now: Instant) -> Option<Transmit> {
        loop {
            let is_next = |via, client: &ClientTag| self.senders.is_next(via, *client);
            if let Some(waited) = self.shares.pop(now, self.last_delivery, is_next) {
                self.note_whether_answers_wait(waited.transmit.via, waited.client);
                return Some(self.grant(now, waited));
            }
            let via = *self.released.first()?;
            match self.accounts.get_mut(&via).and_then(|account| account.answers.pop()) {
                Some(answer) => {
                    let answer = self.share(now, answer);
                    if answer.is_some() {
                        return answer;
                    }
                }
                None => {
                    self.released.remove(&via);
                }
            }
        }
    }

    /// A path by which somebody should be asked something, because nothing else would show what its server has read.
    pub(crate) fn poll_probe(&mut self) -> Option<PathId> {
        self.shares.next_probe()
    }

    /// The answer, if it may go behind everything of ours so far; or else it waits.
    fn share(&mut self, now: Instant, answer: Answer<ClientTag>) -> Option<Transmit> {
        let (via, client) = (answer.transmit.via, answer.client);
        if !self.accounts.contains_key(&via) {
            return None;
        }
        let (is_next, pace) = (|| self.senders.is_next(via, client), || self.senders.pace(via));
        match self.shares.offer(now, answer, self.last_delivery, is_next, pace) {
            Some(answer) => Some(self.grant(now, answer)),
            None => {
                self.senders.on_answers_wait(via, client);
                None
            }
        }
    }

    /// An answer goes, as a part of its client's share of the account.
    fn grant(&mut self, now: Instant, answer: Answer<ClientTag>) -> Transmit {
        self.on_answers_sent(now, answer.transmit.via, answer.client, answer.bytes);
        answer.transmit
    }

    fn on_answers_sent(&mut self, now: Instant, via: AccountId, client: ClientTag, bytes: usize) {
        self.senders.on_answers_sent(now, via, client, bytes);
        self.arm_quotas();
        self.timers.arm(TimerKey::Unread, now + UNREAD_PATIENCE);
    }

    fn note_whether_answers_wait(&mut self, via: AccountId, client: ClientTag) {
        if !self.shares.waits(via, &client) {
            self.senders.on_answers_gone(via, client);
        }
    }

    // The fair queues.

    /// These have no room for what somebody has to send: it waits for its turn there.
    pub(crate) fn wait(&mut self, flow: Flow<SessionKey>, places: &[Place]) {
        places.iter().for_each(|place| self.senders.wait(*place, flow));
    }

    /// Somebody waits there no more.
    pub(crate) fn leave(&mut self, flow: Flow<SessionKey>, places: impl IntoIterator<Item = Place>) {
        places.into_iter().for_each(|place| self.senders.leave(place, flow));
    }

    /// Who should try to send, and where it has waited. [`end_turn`](Self::end_turn) has to follow.
    pub(crate) fn next_turn(&mut self) -> Option<(Place, Flow<SessionKey>)> {
        self.senders.next_turn()
    }

    /// This one has had its turn.
    pub(crate) fn end_turn(&mut self, place: Place, flow: Flow<SessionKey>) {
        self.senders.end_turn(place, flow);
    }

    /// A session is over: forgets what its client has used, where that makes no difference any more.
    pub(crate) fn prune(&mut self) {
        self.senders.prune();
    }

    // Time.

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does everything that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                TimerKey::Answers(via) => self.release_answers(via),
                TimerKey::Orphans => self.forget_orphans(now),
                TimerKey::Unread => self.give_up_unread(now),
                TimerKey::Quotas => {
                    self.senders.handle_quotas(now);
                    self.arm_quotas();
                }
            }
        }
    }

    fn release_answers(&mut self, via: AccountId) {
        if let Some(account) = self.accounts.get_mut(&via) {
            account.answers.release();
            self.released.insert(via);
        }
    }

    fn forget_orphans(&mut self, now: Instant) {
        for (_, sending, deliveries) in self.orphans.extract_if(.., |(until, ..)| *until <= now) {
            if let Some(leg) = sending.leg {
                self.senders.leg_senders.forget(leg, sending.via, &deliveries);
            }
            self.senders.forget(sending.via, deliveries);
        }
        if let Some(until) = self.orphans.iter().map(|(until, ..)| *until).min() {
            self.timers.arm(TimerKey::Orphans, until);
        }
    }

    /// What was written long ago and is not known to be read has been.
    fn give_up_unread(&mut self, now: Instant) {
        self.shares.handle_timeout(now);
        self.senders.prune();
        if let Some(at) = self.shares.next_timeout() {
            self.timers.arm(TimerKey::Unread, at);
        }
    }
}
