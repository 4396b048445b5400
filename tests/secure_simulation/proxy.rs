//! Proxy for byte streams at a simulated chat server, and the drivers that meet there.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hexchat_pt::carrier::records::Records;
use hexchat_pt::protocol::AccountId;
use hexchat_pt::secure::Transmit;
use hexchat_pt::secure::relays::{RelayKey, RelayPath, RelaySeals, RelayTask};
use hexchat_pt::secure::wire::relay_frame::{ADDRESS, RelayEndReason, Rendezvous};

use crate::network::Side;
use crate::over_ibb::OverIbb;
use crate::rng::Rng;

/// The accounts that stand for relays are counted from here.
const FIRST_ACCOUNT: u64 = 1 << 40;

/// How often the ends read what has come: every 5 ms.
const ONE_READ: Duration = Duration::from_millis(5);

pub(crate) fn stands_for_a_relay(account: AccountId) -> bool {
    account.0 >= FIRST_ACCOUNT
}

/// How a proxy behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Nobody is there.
    Gone,
    /// It does not join connections.
    Refusing,
    /// It takes what it is given and passes nothing on.
    Silent,
    /// It ends connections.
    Cutting,
    /// It changes a byte of what it passes on.
    Damaging,
}

impl Mood {
    pub(crate) const BAD: [Self; 5] =
        [Self::Gone, Self::Refusing, Self::Silent, Self::Cutting, Self::Damaging];
}

/// What a proxy is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// From one end to the other.
    pub(crate) delay: Duration,
    /// Bytes a second of each direction of each connection.
    pub(crate) rate: u64,
    /// One in so many things goes wrong; 0: none does.
    pub(crate) faults: u64,
}

impl Default for Site {
    /// At a round trip of 100 ms.
    fn default() -> Self {
        Self { delay: Duration::from_millis(50), rate: 20_000_000, faults: 0 }
    }
}

/// What is on its way from one end to the other.
#[derive(Debug, Default)]
struct Pipe {
    pieces: VecDeque<(Instant, Bytes)>,
    free_at: Option<Instant>,
    ends_at: Option<Instant>,
}

#[derive(Debug)]
struct State {
    site: Site,
    mood: Mood,
    rng: Rng,
    next: u8,
    /// By the address for which both ends ask, and by whether they lead to the bridge, on the right.
    pipes: BTreeMap<([u8; ADDRESS], bool), Pipe>,
    /// When something was first passed on.
    begins_at: Option<Instant>,
    carried: usize,
    joined: usize,
}

/// A proxy that both programs reach.
#[derive(Clone, Debug)]
pub(crate) struct Proxy(Rc<RefCell<State>>);

impl Proxy {
    pub(crate) fn new(seed: u64, site: Site) -> Self {
        let (mood, rng, pipes) = (Mood::Well, Rng::new(seed), BTreeMap::new());
        Self(Rc::new(RefCell::new(State {
            site,
            mood,
            rng,
            next: 0,
            pipes,
            begins_at: None,
            carried: 0,
            joined: 0,
        })))
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.0.borrow_mut().mood = mood;
    }

    /// What comes from now on is passed on at so many bytes a second.
    pub(crate) fn set_rate(&self, rate: u64) {
        self.0.borrow_mut().site.rate = rate;
    }

    /// What comes from now on takes so long from one end to the other.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.0.borrow_mut().site.delay = delay;
    }

    /// Passes nothing on for so long, and then goes on.
    pub(crate) fn hiccup(&self, duration: Duration) {
        for pipe in self.0.borrow_mut().pipes.values_mut() {
            pipe.pieces.iter_mut().for_each(|(at, _)| *at += duration);
            pipe.free_at = pipe.free_at.map(|at| at + duration);
        }
    }

    /// Whether it joins connections that neither end has left.
    pub(crate) fn is_in_use(&self) -> bool {
        let is_left = |pipe: &Pipe| pipe.ends_at.is_some();
        let state = self.0.borrow();
        let addresses = state.pipes.keys().filter(|(_, to_right)| *to_right).map(|(address, _)| *address);
        let mut pairs = addresses.map(|address| [false, true].map(|to| state.pipes.get(&(address, to))));
        pairs.any(|pair| !pair.into_iter().flatten().any(is_left))
    }

    /// Bytes that it has passed on.
    pub(crate) fn carried(&self) -> usize {
        self.0.borrow().carried
    }

    /// Connections that it has joined.
    pub(crate) fn joined(&self) -> usize {
        self.0.borrow().joined
    }

    /// How it behaves at this request.
    fn mood(&self) -> Mood {
        let state = &mut *self.0.borrow_mut();
        let is_fault = state.site.faults > 0 && state.rng.chance(1, state.site.faults);
        if is_fault { state.rng.pick(&Mood::BAD) } else { state.mood }
    }

    fn round_trips(&self, count: u32) -> Duration {
        2 * count * self.0.borrow().site.delay
    }

    fn rendezvous(&self) -> Rendezvous {
        let state = &mut *self.0.borrow_mut();
        state.next = state.next.wrapping_add(1);
        let mut address = [state.next; ADDRESS];
        address[0] = state.rng.next() as u8;
        Rendezvous::new("proxy.x", 7777, address).unwrap()
    }

    /// Passes bytes on to one of the ends.
    fn pass(&self, now: Instant, address: [u8; ADDRESS], to: Side, bytes: Bytes) {
        let mood = self.mood();
        let state = &mut *self.0.borrow_mut();
        let Some(pipe) = state.pipes.get_mut(&(address, to == Side::Right)) else { return };
        if pipe.ends_at.is_some() {
            return;
        }
        let took = Duration::from_secs_f64(bytes.len() as f64 / state.site.rate as f64);
        let free_at = pipe.free_at.map_or(now, |at| at.max(now)) + took;
        pipe.free_at = Some(free_at);
        let begins_at = *state.begins_at.get_or_insert(now);
        let reads = (free_at + state.site.delay - begins_at).as_micros().div_ceil(ONE_READ.as_micros());
        let at = begins_at + ONE_READ * reads as u32;
        match mood {
            Mood::Silent => {}
            Mood::Cutting => pipe.ends_at = Some(at),
            Mood::Damaging => {
                let mut bytes = bytes.to_vec();
                bytes[0] ^= 1;
                pipe.pieces.push_back((at, bytes.into()));
            }
            Mood::Well | Mood::Gone | Mood::Refusing => {
                state.carried += bytes.len();
                pipe.pieces.push_back((at, bytes));
            }
        }
    }

    fn end(&self, now: Instant, address: [u8; ADDRESS], to: Side) {
        let state = &mut *self.0.borrow_mut();
        if let Some(pipe) = state.pipes.get_mut(&(address, to == Side::Right)) {
            let at = pipe.free_at.map_or(now, |at| at.max(now)) + state.site.delay;
            pipe.ends_at = pipe.ends_at.or(Some(at));
        }
    }
}

/// What a driver will tell its endpoint.
#[derive(Debug)]
enum News {
    Found(Rendezvous),
    Joined,
    Activated(RelaySeals),
    Failed(RelayEndReason),
}

/// A connection to the proxy, as its driver has it.
#[derive(Debug)]
struct Connection {
    relay: RelayKey,
    address: [u8; ADDRESS],
    records: Option<Records>,
    /// While it carries.
    path: Option<RelayPath>,
}

/// Carries out what an endpoint wants done about relays.
#[derive(Debug)]
pub(crate) struct Caller {
    proxy: Proxy,
    side: Side,
    agenda: BTreeMap<(Instant, u64), (RelayKey, News)>,
    count: u64,
    connections: Vec<Connection>,
}

impl Caller {
    pub(crate) fn new(proxy: Proxy, side: Side) -> Self {
        Self { proxy, side, agenda: BTreeMap::new(), count: 0, connections: Vec::new() }
    }

    pub(crate) fn on_online(&self, now: Instant, account: AccountId, endpoint: &mut OverIbb) {
        endpoint.handle_proxy(now, account, true);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let state = self.proxy.0.borrow();
        let pipes = self.connections.iter().filter_map(|it| state.pipes.get(&(it.address, self.is_right())));
        let pieces = pipes.filter_map(|pipe| pipe.pieces.front().map(|(at, _)| *at).or(pipe.ends_at));
        self.agenda.keys().next().map(|(at, _)| *at).into_iter().chain(pieces).min()
    }

    /// Tells the endpoint what has happened by now.
    pub(crate) fn handle_timeout(&mut self, now: Instant, endpoint: &mut OverIbb) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let (relay, news) = entry.remove();
            match news {
                News::Found(rendezvous) => endpoint.handle_relay_found(now, relay, rendezvous),
                News::Joined => endpoint.handle_relay_joined(now, relay),
                News::Failed(reason) => endpoint.handle_relay_down(now, relay, reason),
                News::Activated(seals) => self.on_activated(now, relay, seals, endpoint),
            }
        }
        for at in (0..self.connections.len()).rev() {
            self.read(now, at, endpoint);
        }
    }

    fn is_right(&self) -> bool {
        self.side == Side::Right
    }

    fn other(&self) -> Side {
        if self.is_right() { Side::Left } else { Side::Right }
    }

    fn on_activated(&mut self, now: Instant, relay: RelayKey, seals: RelaySeals, endpoint: &mut OverIbb) {
        let other = self.other();
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.relay == relay)
        else {
            return;
        };
        let mut records = Records::new(seals);
        self.proxy.pass(now, connection.address, other, records.padding(100));
        connection.records = Some(records);
        self.bring_up(now, relay, endpoint);
    }

    fn bring_up(&mut self, now: Instant, relay: RelayKey, endpoint: &mut OverIbb) {
        self.count += 1;
        let account = AccountId(FIRST_ACCOUNT + self.count);
        let path = endpoint.handle_relay_up(now, relay, account);
        if let Some(connection) = self.connections.iter_mut().find(|connection| connection.relay == relay) {
            connection.path = path;
        }
    }

    /// Reads what has come by a connection.
    fn read(&mut self, now: Instant, at: usize, endpoint: &mut OverIbb) {
        loop {
            let Some(connection) = self.connections.get_mut(at) else { return };
            let piece = {
                let state = &mut *self.proxy.0.borrow_mut();
                let Some(pipe) = state.pipes.get_mut(&(connection.address, self.side == Side::Right)) else {
                    return;
                };
                let piece = pipe.pieces.pop_front_if(|(at, _)| *at <= now);
                if piece.is_none() && !(pipe.pieces.is_empty() && pipe.ends_at.is_some_and(|at| at <= now)) {
                    return;
                }
                piece
            };
            let relay = connection.relay;
            let Some((_, mut bytes)) = piece else {
                self.connections.remove(at);
                return endpoint.handle_relay_down(now, relay, RelayEndReason::Unreachable);
            };
            let Some(records) = &mut connection.records else { return };
            if connection.path.is_none() {
                match records.read_greeting(&mut bytes) {
                    Ok(true) => self.bring_up(now, relay, endpoint),
                    Ok(false) => continue,
                    Err(_) => return self.break_off(now, at, endpoint),
                }
            }
            let Some(Connection { path: Some(path), records: Some(records), .. }) =
                self.connections.get_mut(at)
            else {
                return;
            };
            if records.handle(endpoint, now, path, bytes).is_err() {
                return self.break_off(now, at, endpoint);
            }
        }
    }

    fn break_off(&mut self, now: Instant, at: usize, endpoint: &mut OverIbb) {
        let connection = self.connections.remove(at);
        self.proxy.end(now, connection.address, self.other());
        endpoint.handle_relay_down(now, connection.relay, RelayEndReason::Damaged);
    }

    /// Begins what the endpoint wants done.
    pub(crate) fn carry_out(&mut self, now: Instant, endpoint: &mut OverIbb) {
        while let Some(task) = endpoint.poll_relay_task() {
            match task {
                RelayTask::Find { relay, .. } => self.find(now, relay),
                RelayTask::Join { relay, rendezvous, seals, .. } => {
                    self.join(now, relay, rendezvous.address(), seals);
                }
                RelayTask::Activate { relay, seals } => self.activate(now, relay, seals),
                RelayTask::Leave { relay, .. } => self.leave(now, relay),
            }
        }
    }

    /// Takes what is to go by a relay.
    pub(crate) fn send(&mut self, now: Instant, transmit: Transmit) -> Option<Transmit> {
        if !stands_for_a_relay(transmit.via) {
            return Some(transmit);
        }
        let other = self.other();
        let is_its = |connection: &&mut Connection| {
            connection.path.as_ref().is_some_and(|path| path.account == transmit.via)
        };
        let connection = self.connections.iter_mut().find(is_its)?;
        if let Some(bytes) = connection.records.as_mut()?.write(&transmit.action) {
            self.proxy.pass(now, connection.address, other, bytes);
        }
        None
    }

    fn later(&mut self, at: Instant, relay: RelayKey, news: News) {
        self.count += 1;
        self.agenda.insert((at, self.count), (relay, news));
    }

    fn find(&mut self, now: Instant, relay: RelayKey) {
        let (at, mood) = (now + self.proxy.round_trips(3), self.proxy.mood());
        if mood == Mood::Gone {
            return self.later(at, relay, News::Failed(RelayEndReason::Unreachable));
        }
        let rendezvous = self.proxy.rendezvous();
        self.connections.push(Connection { relay, address: rendezvous.address(), records: None, path: None });
        self.later(at, relay, News::Found(rendezvous));
    }

    fn join(&mut self, now: Instant, relay: RelayKey, address: [u8; ADDRESS], seals: RelaySeals) {
        let (at, mood) = (now + self.proxy.round_trips(3), self.proxy.mood());
        if mood == Mood::Gone {
            return self.later(at, relay, News::Failed(RelayEndReason::Unreachable));
        }
        self.connections.push(Connection { relay, address, records: Some(Records::new(seals)), path: None });
        self.later(at, relay, News::Joined);
    }

    fn activate(&mut self, now: Instant, relay: RelayKey, seals: RelaySeals) {
        let (at, mood) = (now + self.proxy.round_trips(1), self.proxy.mood());
        if mood == Mood::Refusing {
            return self.later(at, relay, News::Failed(RelayEndReason::Refused));
        }
        if let Some(connection) = self.connections.iter().find(|connection| connection.relay == relay) {
            let state = &mut *self.proxy.0.borrow_mut();
            state.joined += 1;
            for to_right in [false, true] {
                state.pipes.insert((connection.address, to_right), Pipe::default());
            }
        }
        self.later(at, relay, News::Activated(seals));
    }

    fn leave(&mut self, now: Instant, relay: RelayKey) {
        self.agenda.retain(|_, (other, _)| *other != relay);
        let other = self.other();
        for connection in self.connections.extract_if(.., |connection| connection.relay == relay) {
            self.proxy.end(now, connection.address, other);
        }
    }
}
