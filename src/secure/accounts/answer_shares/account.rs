//! Answers of one account: those that may be unread, and those that wait.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::secure::accounts::answer_shares::{Answer, RateAndDelay};
use crate::secure::budget::fair_share;
use crate::secure::ids::PathId;
use crate::secure::path::window::LastingRate;
use crate::secure::tuning::{
    ANSWERS_ALWAYS_KEPT, ANSWERS_KEPT, FEW_UNREAD, LOOKS, MAX_UNREAD, MIN_UNREAD, UNKNOWN_ANSWER_RATE,
    UNREAD_TIME,
};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Account<C> {
    /// What was written and is not known to be read, in order.
    unread: VecDeque<Written<C>>,
    /// Bytes of it.
    pub(super) total: usize,
    /// What the answers that wait take, at their prices.
    pub(super) kept: usize,
    pub(super) clients: BTreeMap<C, Client<C>>,
    /// Clients whose answers wait, in turn.
    waiting_clients: VecDeque<C>,
    /// How many of these clients are still to be looked at.
    looks: usize,
    /// The server has read everything before this delivery.
    read: u64,
    /// When that was known, and since when somebody waits.
    last_read: Option<Instant>,
    since: Option<Instant>,
    /// At what rate answers were read while more of them waited.
    drained: LastingRate,
    pace: RateAndDelay,
}

impl<C> Default for Account<C> {
    fn default() -> Self {
        Self {
            unread: VecDeque::new(),
            total: 0,
            kept: 0,
            clients: BTreeMap::new(),
            waiting_clients: VecDeque::new(),
            looks: 0,
            read: 0,
            last_read: None,
            since: None,
            drained: LastingRate::default(),
            pace: (None, Duration::ZERO),
        }
    }
}

/// Bytes that were written for a client behind the delivery with this number, and before the next.
#[derive(Debug)]
struct Written<C> {
    /// When the first of them were.
    since: Instant,
    behind: u64,
    client: C,
    bytes: usize,
}

/// What there is of a client's at the account.
#[derive(Debug)]
pub(super) struct Client<C> {
    /// Bytes that were written and are not known to be read.
    unread: usize,
    waiting: VecDeque<Answer<C>>,
    /// What those take, at their prices.
    kept: usize,
    /// The last delivery that went to it while it waited.
    asked: Option<u64>,
}

impl<C> Default for Client<C> {
    fn default() -> Self {
        Self { unread: 0, waiting: VecDeque::new(), kept: 0, asked: None }
    }
}

/// What came of looking at a client.
pub(super) enum Look<C> {
    /// An answer of it goes.
    Goes(Answer<C>),
    /// It has no room, and nothing on its way that would make some.
    Waits(C),
}

impl<C: Clone + Ord> Account<C> {
    /// Whether an answer of so many bytes may go to the client now.
    pub(super) fn has_room_for(&self, client: &C, bytes: usize) -> bool {
        !self.waits(client) && self.has_room(self.unread_of(client), bytes, self.limit())
    }

    /// When the first was written of what is not known to be read.
    pub(super) fn unread_since(&self) -> Option<Instant> {
        self.unread.front().map(|written| written.since)
    }

    /// Gives up what was written at a time that is `long_ago`; true when there may be room for some that wait.
    pub(super) fn give_up_unread(&mut self, long_ago: impl Fn(Instant) -> bool) -> bool {
        self.forget_unread(|written| long_ago(written.since));
        self.wakes()
    }

    /// What the answers that wait take, and what there is to remember those that went.
    pub(super) fn cost(&self) -> usize {
        self.kept + size_of::<Written<C>>() * self.unread.capacity()
    }

    /// Whether the answers of a client that wait take so much that no more of them should be due.
    pub(super) fn is_full(&self, client: &C) -> bool {
        let own = self.clients.get(client).map_or(0, |entry| entry.kept);
        own >= ANSWERS_ALWAYS_KEPT && fair_share::room(ANSWERS_KEPT, self.kept, own) == 0
    }

    /// A path by which the client should be asked something: its answers wait, and nothing on its way to it would show what was
    /// read.
    pub(super) fn unasked_path(&self, client: &C) -> Option<PathId> {
        let entry = self.clients.get(client).filter(|entry| !self.has_asked(entry))?;
        entry.waiting.iter().find_map(|waiting| waiting.path)
    }

    /// A delivery with this number went to the client.
    pub(super) fn on_asked(&mut self, client: &C, number: u64) {
        if let Some(entry) = self.clients.get_mut(client)
            && !entry.waiting.is_empty()
        {
            entry.asked = Some(number);
        }
    }

    /// Nobody will answer what went to the client; true when answers of it wait.
    pub(super) fn forget_asked(&mut self, client: &C) -> bool {
        let entry = self.clients.get_mut(client);
        entry.is_some_and(|entry| {
            entry.asked = None;
            !entry.waiting.is_empty()
        })
    }

    /// Forgets the answers that were to go by this path; how many those were.
    pub(super) fn forget_path(&mut self, client: &C, path: PathId) -> usize {
        let Some(entry) = self.clients.get_mut(client) else {
            // None of its answers waits.
            return 0;
        };
        let (before, kept) = (entry.waiting.len(), entry.kept);
        entry.waiting.retain(|waiting| waiting.path != Some(path));
        entry.waiting.shrink_to_fit();
        entry.kept = entry.waiting.iter().map(Answer::price).sum();
        let left = entry.waiting.len();
        self.kept -= kept - entry.kept;
        if left == 0 {
            self.waiting_clients.retain(|other| other != client);
            self.forget_if_idle(client);
        }
        before - left
    }

    /// What may be unread, in bytes.
    fn limit(&self) -> usize {
        let (carries, delay) = self.pace;
        let seconds = UNREAD_TIME.as_secs_f64() + 2.0 * delay.as_secs_f64();
        let rate = self.drained.get().or(carries).unwrap_or(UNKNOWN_ANSWER_RATE);
        ((rate * seconds) as usize).clamp(MIN_UNREAD, MAX_UNREAD)
    }

    /// Whether `bytes` more may be unread of one who has so many already.
    fn has_room(&self, unread: usize, bytes: usize, limit: usize) -> bool {
        unread == 0 || unread + bytes <= limit.saturating_sub(self.total)
    }

    /// Whether answers of the client wait.
    pub(super) fn waits(&self, client: &C) -> bool {
        self.clients.get(client).is_some_and(|entry| !entry.waiting.is_empty())
    }

    fn unread_of(&self, client: &C) -> usize {
        self.clients.get(client).map_or(0, |entry| entry.unread)
    }

    /// Whether an answer of so many bytes goes to the client at once.
    pub(super) fn takes(
        &mut self,
        client: &C,
        bytes: usize,
        is_next: impl FnOnce() -> bool,
        pace: impl FnOnce() -> RateAndDelay,
    ) -> bool {
        let unread = self.unread_of(client);
        if self.waits(client) || !(unread + bytes <= FEW_UNREAD || is_next()) {
            return false;
        }
        if self.has_room(unread, bytes, MIN_UNREAD) {
            return true;
        }
        self.pace = pace();
        self.has_room(unread, bytes, self.limit())
    }

    /// So many bytes went to a client, behind this delivery.
    pub(super) fn write(&mut self, now: Instant, client: C, bytes: usize, behind: u64) {
        self.total += bytes;
        self.clients.entry(client.clone()).or_default().unread += bytes;
        match self.unread.back_mut() {
            Some(last) if last.behind == behind && last.client == client => last.bytes += bytes,
            _ => self.unread.push_back(Written { since: now, behind, client, bytes }),
        }
    }

    /// An answer waits; true when nothing is on its way to the client that would make room.
    pub(super) fn hold(&mut self, now: Instant, answer: Answer<C>) -> bool {
        if self.waiting_clients.is_empty() {
            self.since = Some(now);
        }
        let entry = self.clients.entry(answer.client.clone()).or_default();
        if entry.waiting.is_empty() {
            self.waiting_clients.push_back(answer.client.clone());
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
    pub(super) fn next(
        &mut self,
        now: Instant,
        behind: u64,
        is_next: impl Fn(&C) -> bool,
    ) -> Option<Look<C>> {
        let limit = self.limit();
        while self.looks > 0 {
            let client = self.waiting_clients.pop_front()?;
            let Some(entry) = self.clients.get(&client) else { continue };
            let Some(bytes) = entry.waiting.front().map(|answer| answer.bytes) else { continue };
            let is_due = entry.unread + bytes <= FEW_UNREAD || is_next(&client);
            if is_due && self.has_room(entry.unread, bytes, limit) {
                return self.let_go(now, client, behind).map(Look::Goes);
            }
            self.looks -= 1;
            let has_asked = self.has_asked(entry);
            self.waiting_clients.push_back(client.clone());
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
            self.waiting_clients.push_back(client.clone());
        }
        self.write(now, client, answer.bytes, behind);
        Some(answer)
    }

    /// The server has read everything before the delivery with this number; true when there may be room for some that wait.
    pub(super) fn on_read(&mut self, now: Instant, number: u64, pace: impl FnOnce() -> RateAndDelay) -> bool {
        self.read = self.read.max(number);
        let bytes = self.forget_unread(|written| written.behind < number);
        let last = self.last_read.replace(now);
        if self.waiting_clients.is_empty() {
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
        self.looks = LOOKS.min(self.waiting_clients.len());
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

    /// How many answers wait.
    pub(super) fn waiting(&self) -> usize {
        self.clients.values().map(|entry| entry.waiting.len()).sum()
    }

    /// Sums are what they sum up, and nobody waits without a turn.
    #[cfg(test)]
    pub(super) fn check(&self)
    where
        C: std::fmt::Debug,
    {
        assert_eq!(self.kept, self.clients.values().map(|entry| entry.kept).sum::<usize>());
        assert_eq!(self.total, self.unread.iter().map(|written| written.bytes).sum::<usize>());
        for (client, entry) in &self.clients {
            let unread = self.unread.iter().filter(|written| written.client == *client);
            assert_eq!(entry.unread, unread.map(|written| written.bytes).sum::<usize>());
            assert_eq!(entry.kept, entry.waiting.iter().map(Answer::price).sum::<usize>());
            let times = self.waiting_clients.iter().filter(|other| *other == client).count();
            assert_eq!(times, usize::from(!entry.waiting.is_empty()));
            assert!(entry.unread > 0 || !entry.waiting.is_empty(), "an entry for nothing: {client:?}");
        }
    }
}
