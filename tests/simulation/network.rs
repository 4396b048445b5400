//! Network of chat servers in the middle, on virtual time.
//!
//! What is kept is what XMPP promises: stanzas from one account to another stay in order, an IQ to
//! nobody comes back as an error, a resumed connection (XEP-0198) has lost nothing. Everything else is
//! up to [`Conditions`] and the seed.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use hexchat_pt::protocol::AccountId;
use xmpp_parsers::jid::{FullJid, Jid};

use crate::rng::Rng;

/// Time since the start of the run.
pub(crate) type Time = Duration;

/// Which of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Left, Self::Right];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// One account of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seat {
    pub(crate) side: Side,
    pub(crate) account: AccountId,
}

impl Seat {
    pub(crate) const fn new(side: Side, account: u64) -> Self {
        Self { side, account: AccountId(account) }
    }
}

/// What a stanza says, to a network that only carries it.
pub(crate) trait Letter: Clone + fmt::Debug + fmt::Display {
    /// Roughly its length as XML.
    fn size(&self) -> u64;
    /// The same after a trip through the encoding.
    fn through_the_wire(self) -> Self;
    /// What comes back when nobody is there; nothing for answers.
    fn bounce(&self, repeats_message: bool) -> Option<Self>;
    /// What comes out of the server's offline storage, if it is what servers keep there.
    fn stored(&self) -> Option<Self>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stanza<L> {
    pub(crate) id: String,
    pub(crate) body: L,
}

/// What an account hands to its program.
#[derive(Clone, Debug)]
pub(crate) enum Delivery<L> {
    Stanza {
        from: Jid,
        stanza: Stanza<L>,
    },
    /// The server has taken over the stanza with this id (XEP-0198).
    ServerAck {
        id: String,
    },
}

/// What this network is like.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    /// From an account to the server and back, in milliseconds; drawn for each stanza.
    pub(crate) uplink: Range<u64>,
    /// From the server to an account, in milliseconds; drawn for each stanza.
    pub(crate) downlink: Range<u64>,
    /// What the server reads from an account, in bytes a second.
    pub(crate) rate: Option<u64>,
    /// How much the server reads from an account at once, before it pauses for as long as that takes at its rate; none for a line that
    /// carries one byte after the other.
    pub(crate) reads: Option<u64>,
    /// How many bytes an account that has sent less than its rate may send without such a pause, at most; none where each read is followed
    /// by one.
    pub(crate) burst: Option<u64>,
    /// Stanzas in a thousand that are delivered twice.
    pub(crate) duplicates: u64,
    /// Stanzas in a thousand that vanish inside the server.
    pub(crate) losses: u64,
    /// A message to a bare JID goes to all of its resources, not to one.
    pub(crate) copies_messages: bool,
    /// Messages to nobody are kept until somebody comes.
    pub(crate) stores_offline: bool,
    /// What an account had not received when it was lost comes back as an error.
    pub(crate) returns_undelivered: bool,
    /// A message that comes back says what it said.
    pub(crate) repeats_bounced: bool,
    /// One stanza in so many is written as XML and read again.
    pub(crate) encoded: u64,
}

impl Default for Conditions {
    /// A good server nearby.
    fn default() -> Self {
        Self {
            uplink: 5..20,
            downlink: 5..20,
            rate: None,
            reads: None,
            burst: None,
            duplicates: 0,
            losses: 0,
            copies_messages: false,
            stores_offline: false,
            returns_undelivered: true,
            repeats_bounced: true,
            encoded: 1,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Online,
    /// Its connection broke; the server keeps everything for it.
    Suspended,
    /// Its connection is open at both ends and carries nothing.
    Swallowed,
    Offline,
}

#[derive(Debug)]
struct Account<L> {
    jid: FullJid,
    state: State,
    /// When the shaper has read everything that was sent; of a server that reads much at once, when it reads the last of it.
    uplink_free: Time,
    /// How many bytes it reads then.
    uplink_read: u64,
    /// What it may still send without a pause after the read before, less what it has sent too much.
    uplink_credit: i64,
    /// When the last stanza reaches the server.
    uplink_last: Time,
    /// What was under way in either direction when the connection broke, in order.
    held: Vec<InFlight<L>>,
    stored: Vec<(Jid, Stanza<L>)>,
}

impl<L> Account<L> {
    /// So many bytes come to the server: it reads them with what waits already as far as they fit, and the rest after the pauses that follow.
    fn join_reads(&mut self, arrival: Time, mut size: u64, (rate, most, burst): (u64, u64, Option<u64>)) {
        loop {
            let room = if self.uplink_free < arrival { 0 } else { most - self.uplink_read };
            let read = room.min(size);
            self.uplink_read += read;
            size -= read;
            if size == 0 {
                return;
            }
            self.begin_read(arrival, rate, burst);
        }
    }

    /// The server reads again, once it has paused and something has come.
    fn begin_read(&mut self, arrival: Time, rate: u64, burst: Option<u64>) {
        let left = self.uplink_credit - self.uplink_read as i64;
        let owed = if burst.is_some() { (-left).max(0) as u64 } else { self.uplink_read };
        let at = (self.uplink_free + time_of(owed, rate)).max(arrival);
        let regained = (rate as f64 * (at - self.uplink_free).as_secs_f64()) as i64;
        self.uplink_credit = burst.map_or(0, |burst| (left + regained).min(burst as i64));
        (self.uplink_free, self.uplink_read) = (at, 0);
    }
}

/// How long so many bytes take at so many a second.
fn time_of(bytes: u64, rate: u64) -> Duration {
    Duration::from_micros(bytes * 1_000_000 / rate)
}

#[derive(Clone, Debug)]
enum InFlight<L> {
    Up { from: Seat, to: Jid, stanza: Stanza<L> },
    Down { to: Seat, delivery: Delivery<L> },
}

impl<L> InFlight<L> {
    fn seat(&self) -> Seat {
        match self {
            Self::Up { from: seat, .. } | Self::Down { to: seat, .. } => *seat,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Network<L> {
    rng: Rng,
    conditions: Conditions,
    accounts: BTreeMap<Seat, Account<L>>,
    queue: BTreeMap<(Time, u64), InFlight<L>>,
    /// When the last stanza from one JID to an account arrives.
    order: BTreeMap<(Jid, Seat), Time>,
    next: u64,
    now: Time,
    mute: Option<Side>,
}

impl<L: Letter> Network<L> {
    pub(crate) fn new(rng: Rng, conditions: Conditions) -> Self {
        Self {
            rng,
            conditions,
            accounts: BTreeMap::new(),
            queue: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
            now: Time::ZERO,
            mute: None,
        }
    }

    pub(crate) fn add_account(&mut self, seat: Seat, jid: FullJid) {
        let account = Account {
            jid,
            state: State::Offline,
            uplink_free: Time::ZERO,
            uplink_read: 0,
            uplink_credit: 0,
            uplink_last: Time::ZERO,
            held: Vec::new(),
            stored: Vec::new(),
        };
        self.accounts.insert(seat, account);
    }

    pub(crate) fn jid(&self, seat: Seat) -> &FullJid {
        &self.accounts[&seat].jid
    }

    pub(crate) fn seats(&self, side: Side) -> Vec<Seat> {
        self.accounts.keys().copied().filter(|seat| seat.side == side).collect()
    }

    pub(crate) fn is_online(&self, seat: Seat) -> bool {
        self.accounts[&seat].state == State::Online
    }

    pub(crate) fn is_suspended(&self, seat: Seat) -> bool {
        self.accounts[&seat].state == State::Suspended
    }

    /// From then on nothing that `side` sends arrives anywhere.
    pub(crate) fn lose_everything_from(&mut self, side: Side) {
        self.mute = Some(side);
    }

    pub(crate) fn calm_down(&mut self) {
        self.conditions.losses = 0;
        self.conditions.duplicates = 0;
    }

    /// When something happens next.
    pub(crate) fn next_time(&self) -> Option<Time> {
        self.queue.first_key_value().map(|(&(at, _), _)| at)
    }

    fn push(&mut self, at: Time, what: InFlight<L>) {
        self.queue.insert((at, self.next), what);
        self.next += 1;
    }

    /// A program sends a stanza.
    pub(crate) fn send(&mut self, now: Time, from: Seat, to: Jid, stanza: Stanza<L>) {
        self.now = now;
        let encoded = self.rng.chance(1, self.conditions.encoded);
        let Stanza { id, body } = stanza;
        let body = if encoded { body.through_the_wire() } else { body };
        let stanza = Stanza { id, body };
        let what = InFlight::Up { from, to, stanza };
        match self.accounts[&from].state {
            State::Online => self.start_up(what),
            State::Suspended => self.hold(what),
            State::Swallowed | State::Offline => {}
        }
    }

    fn hold(&mut self, what: InFlight<L>) {
        if let Some(account) = self.accounts.get_mut(&what.seat()) {
            account.held.push(what);
        }
    }

    fn start_up(&mut self, what: InFlight<L>) {
        let InFlight::Up { from, stanza, .. } = &what else { return };
        let delay = self.rng.millis(self.conditions.uplink.clone());
        let Some(account) = self.accounts.get_mut(from) else { return };
        let size = stanza.body.size();
        match (self.conditions.rate, self.conditions.reads) {
            (Some(rate), Some(reads)) => {
                account.join_reads(self.now + delay, size, (rate, reads, self.conditions.burst));
            }
            (Some(rate), None) => {
                account.uplink_free = account.uplink_free.max(self.now) + time_of(size, rate);
            }
            (None, _) => account.uplink_free = self.now,
        }
        let delay = if self.conditions.reads.is_some() { Duration::ZERO } else { delay };
        let at = (account.uplink_free + delay).max(account.uplink_last);
        account.uplink_last = at;
        self.push(at, what);
    }

    fn start_down(&mut self, to: Seat, from: &Jid, delivery: Delivery<L>) {
        let what = InFlight::Down { to, delivery };
        match self.accounts[&to].state {
            State::Suspended => return self.hold(what),
            State::Swallowed => return,
            State::Online | State::Offline => {}
        }
        let delay = self.rng.millis(self.conditions.downlink.clone());
        let last = self.order.entry((from.clone(), to)).or_default();
        *last = (self.now + delay).max(*last);
        let at = *last;
        self.push(at, what);
    }

    /// The next thing that some account receives by `now`.
    pub(crate) fn pop(&mut self, now: Time) -> Option<(Seat, Delivery<L>)> {
        while let Some((&key, _)) = self.queue.first_key_value().filter(|((at, _), _)| *at <= now) {
            let what = self.queue.remove(&key)?;
            self.now = key.0;
            match what {
                InFlight::Up { from, to, stanza } => self.route(from, to, stanza),
                InFlight::Down { to, delivery } => return Some((to, delivery)),
            }
        }
        None
    }

    /// A stanza has reached the server.
    fn route(&mut self, from: Seat, to: Jid, stanza: Stanza<L>) {
        let sender: Jid = self.accounts[&from].jid.clone().into();
        let ack = Delivery::ServerAck { id: stanza.id.clone() };
        self.start_down(from, &Jid::new("the.server").expect("a JID"), ack);
        if self.mute == Some(from.side) || self.rng.chance(self.conditions.losses, 1000) {
            return;
        }
        let recipients = self.recipients(&to);
        if recipients.is_empty() {
            return self.nobody_there(from, to, stanza);
        }
        for seat in recipients {
            let copies = if self.rng.chance(self.conditions.duplicates, 1000) { 2 } else { 1 };
            for _ in 0..copies {
                let stanza = stanza.clone();
                self.start_down(seat, &sender, Delivery::Stanza { from: sender.clone(), stanza });
            }
        }
    }

    fn recipients(&self, to: &Jid) -> Vec<Seat> {
        let reachable = self.accounts.iter().filter(|(_, account)| account.state != State::Offline);
        let matching = reachable.filter(|(_, account)| match to.try_as_full() {
            Ok(full) => account.jid == *full,
            Err(bare) => account.jid.to_bare() == *bare,
        });
        let limit = if self.conditions.copies_messages { usize::MAX } else { 1 };
        matching.map(|(&seat, _)| seat).take(limit).collect()
    }

    fn nobody_there(&mut self, sender: Seat, to: Jid, stanza: Stanza<L>) {
        let Stanza { id, body } = stanza;
        if self.conditions.stores_offline
            && let Some(stored) = body.stored()
        {
            let sender: Jid = self.accounts[&sender].jid.clone().into();
            let stanza = Stanza { id, body: stored };
            if let Some(account) =
                self.accounts.values_mut().find(|account| account.jid.to_bare() == to.to_bare())
            {
                account.stored.push((sender, stanza));
            }
        } else if let Some(body) = body.bounce(self.conditions.repeats_bounced) {
            let stanza = Stanza { id, body };
            self.start_down(sender, &to.clone(), Delivery::Stanza { from: to, stanza });
        }
    }

    /// The connection of an account breaks.
    pub(crate) fn suspend(&mut self, now: Time, seat: Seat) {
        self.now = now;
        let under_way = self.take_under_way(seat);
        let Some(account) = self.accounts.get_mut(&seat) else { return };
        if account.state == State::Online {
            account.state = State::Suspended;
            account.held.extend(under_way);
        }
    }

    /// The line of an account swallows everything from now on, and neither end notices.
    pub(crate) fn swallow(&mut self, now: Time, seat: Seat) {
        self.now = now;
        drop(self.take_under_way(seat));
        if let Some(account) = self.accounts.get_mut(&seat) {
            account.state = State::Swallowed;
        }
    }

    pub(crate) fn is_swallowed(&self, seat: Seat) -> bool {
        self.accounts[&seat].state == State::Swallowed
    }

    fn take_under_way(&mut self, seat: Seat) -> Vec<InFlight<L>> {
        let keys: Vec<_> =
            self.queue.iter().filter(|(_, what)| what.seat() == seat).map(|(&key, _)| key).collect();
        keys.iter().filter_map(|key| self.queue.remove(key)).collect()
    }

    /// The connection of an account is back and nothing was lost.
    pub(crate) fn resume(&mut self, now: Time, seat: Seat) {
        self.now = now;
        let Some(account) = self.accounts.get_mut(&seat) else { return };
        account.state = State::Online;
        for what in std::mem::take(&mut account.held) {
            match what {
                InFlight::Up { .. } => self.start_up(what),
                InFlight::Down { to, delivery } => {
                    let from = match &delivery {
                        Delivery::Stanza { from, .. } => from.clone(),
                        Delivery::ServerAck { .. } => Jid::new("the.server").expect("a JID"),
                    };
                    self.start_down(to, &from, delivery);
                }
            }
        }
    }

    /// The server forgets an account's connection, and with it what was under way.
    pub(crate) fn drop_account(&mut self, now: Time, seat: Seat) {
        self.now = now;
        let under_way = self.take_under_way(seat);
        let Some(account) = self.accounts.get_mut(&seat) else { return };
        account.state = State::Offline;
        let lost = std::mem::take(&mut account.held).into_iter().chain(under_way);
        if !self.conditions.returns_undelivered {
            return;
        }
        let to: Jid = account.jid.clone().into();
        for what in lost {
            if let InFlight::Down { delivery: Delivery::Stanza { from, stanza }, .. } = what
                && let Some(sender) = self.seat_of(&from)
            {
                self.nobody_there(sender, to.clone(), stanza);
            }
        }
    }

    fn seat_of(&self, jid: &Jid) -> Option<Seat> {
        let found = self.accounts.iter().find(|(_, account)| jid.try_as_full() == Ok(&account.jid));
        found.filter(|(_, account)| account.state != State::Offline).map(|(&seat, _)| seat)
    }

    /// The server restarts: everybody is out, and everything inside is lost.
    pub(crate) fn restart(&mut self) {
        self.queue.clear();
        for account in self.accounts.values_mut() {
            account.state = State::Offline;
            account.held.clear();
        }
    }

    /// An account logs in anew.
    pub(crate) fn log_in(&mut self, now: Time, seat: Seat) {
        self.now = now;
        let Some(account) = self.accounts.get_mut(&seat) else { return };
        account.state = State::Online;
        (account.uplink_free, account.uplink_read) = (now, 0);
        account.uplink_credit = self.conditions.burst.unwrap_or_default() as i64;
        for (from, stanza) in std::mem::take(&mut account.stored) {
            self.start_down(seat, &from.clone(), Delivery::Stanza { from, stanza });
        }
    }
}
