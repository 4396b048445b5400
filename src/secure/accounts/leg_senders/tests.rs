//! Paths of ours from one server to another, beside strangers who write to each other there, in virtual time.

use std::time::Duration;

use super::*;
use crate::secure::accounts::sender::Senders;
use crate::secure::client_tag::ClientTag;
use crate::secure::ids::{PathId, Place, Sending};
use crate::secure::path::Path;
use crate::secure::path::server_model::Server;
use crate::secure::session::scheduler::{Choice, choose};
use crate::secure::sizes::OF_TESTS;

const SECOND: Duration = Duration::from_secs(1);

/// What a person writes to another one, in bytes on the wire.
const MESSAGE: usize = 300;

/// So often somebody writes: no multiple of anything else here.
const BETWEEN_MESSAGES: Duration = Duration::from_millis(1370);

/// Paths of a session each, by an account each, that always have something to send; and strangers.
struct Run {
    start: Instant,
    /// Now, from the start.
    time: Duration,
    /// Between the servers: one queue for everybody.
    leg: Server,
    senders: Senders<u64>,
    peers: Vec<Peer>,
    events: BTreeSet<(Duration, Event)>,
    ready: BTreeSet<u64>,
    next_delivery: u64,
    /// When each message of strangers was written, and how long it took.
    messages: Vec<(Duration, Duration)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A block of this peer's has been read by our server.
    AtLeg(u64, Delivery, usize),
    Answer(u64, Delivery, usize),
    /// A stranger writes.
    Message,
}

struct Peer {
    path: Path,
    /// What our server makes of the account.
    account: Option<Server>,
    is_dead: bool,
    /// In bytes on the wire.
    answered: usize,
}

impl Run {
    /// So many accounts, of which our server reads at the rate of a shaper, or at any.
    fn new(leg: Server, count: u64, shaped: Option<usize>) -> Self {
        let start = Instant::now();
        let mut senders = Senders::new(&OF_TESTS);
        let id = senders.leg_senders.between("home.example", "abroad.example").unwrap();
        let peer = |n| {
            let mut path = Path::by(start, AccountId(n));
            path.set_leg(id);
            path.allow_blocks();
            let account = shaped.map(|rate| Server::shaped(rate, Duration::ZERO));
            Peer { path, account, is_dead: false, answered: 0 }
        };
        Self {
            start,
            time: Duration::ZERO,
            leg,
            senders,
            peers: (0..count).map(peer).collect(),
            events: [(SECOND, Event::Message)].into(),
            ready: (0..count).collect(),
            next_delivery: 1,
            messages: Vec::new(),
        }
    }

    /// The same without a window of the leg's.
    fn without_leg(leg: Server, count: u64, shaped: Option<usize>) -> Self {
        let mut run = Self::new(leg, count, shaped);
        for (n, peer) in (0..).zip(&mut run.peers) {
            peer.path = Path::by(run.start, AccountId(n));
            peer.path.allow_blocks();
        }
        run
    }

    fn flow(key: u64) -> Flow<u64> {
        Flow { client: ClientTag(key), key }
    }

    fn send_all(&mut self) {
        loop {
            let (place, key) = match self.ready.pop_first() {
                Some(key) => (None, key),
                None => match self.senders.next_turn() {
                    Some((place, flow)) => (Some(place), flow.key),
                    None => return,
                },
            };
            self.try_to_send(key);
            if let Some(place) = place {
                self.senders.end_turn(place, Self::flow(key));
            }
        }
    }

    fn try_to_send(&mut self, key: u64) {
        let (now, mut full) = (self.start + self.time, Vec::new());
        let flow = Self::flow(key);
        let path = &self.peers[key as usize].path;
        let places = [Some(Place::Account(path.via())), path.leg().map(Place::Leg)];
        places.into_iter().flatten().for_each(|place| self.senders.leave(place, flow));
        let choice = choose([(PathId(key), path)], (&self.senders, flow.client), now, 1 << 20, &mut full);
        match choice {
            Choice::Wait => full.into_iter().for_each(|place| self.senders.wait(place, flow)),
            Choice::Send(_, bytes) => self.send(key, bytes),
        }
    }

    fn send(&mut self, key: u64, bytes: usize) {
        let (now, size) = (self.start + self.time, OF_TESTS.wire_size(bytes));
        let delivery = Delivery::nth(self.next_delivery);
        self.next_delivery += 1;
        let peer = &mut self.peers[key as usize];
        let (via, leg) = (peer.path.via(), peer.path.leg());
        let sending = Sending { via, client: ClientTag(key), path: PathId(key), leg };
        self.senders.on_sent(now, sending, delivery, bytes);
        peer.path.on_sent(now, delivery, bytes);
        let read = peer.account.as_mut().map_or(self.time, |account| account.answer_time(self.time, size));
        self.events.insert((read, Event::AtLeg(key, delivery, size)));
        self.ready.insert(key);
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::AtLeg(key, delivery, size) => {
                let answer = self.leg.answer_time(self.time, size);
                if !self.peers[key as usize].is_dead {
                    self.events.insert((answer, Event::Answer(key, delivery, size)));
                }
            }
            Event::Answer(key, delivery, size) => self.on_answer(key, delivery, size),
            Event::Message => {
                let arrives = self.leg.answer_time(self.time, MESSAGE) - self.leg.delay;
                self.messages.push((self.time, arrives - self.time));
                self.events.insert((self.time + BETWEEN_MESSAGES, Event::Message));
            }
        }
    }

    fn on_answer(&mut self, key: u64, delivery: Delivery, size: usize) {
        let now = self.start + self.time;
        let peer = &mut self.peers[key as usize];
        peer.answered += size;
        peer.path.on_taken(now, delivery);
        self.senders.on_answered(now, peer.path.via(), delivery);
        if let Some(leg) = peer.path.leg() {
            self.senders.leg_senders.on_answered(now, leg, peer.path.via(), delivery);
        }
        self.ready.insert(key);
    }

    fn on_pauses_and_stalls(&mut self) {
        let now = self.start + self.time;
        for (key, peer) in (0..).zip(&mut self.peers) {
            if peer.path.pauses_until().is_some_and(|until| until <= now) {
                peer.path.end_pause(now);
                self.ready.insert(key);
            }
            if peer.path.check_stalled(now) {
                let (via, outstanding) = (peer.path.via(), peer.path.outstanding());
                if let Some(leg) = peer.path.leg() {
                    self.senders.leg_senders.on_stalled(leg, via, outstanding);
                }
                self.senders.forget(via, peer.path.outstanding());
            }
        }
    }

    fn run_until(&mut self, end: Duration) {
        self.send_all();
        loop {
            let event = self.events.first().map(|(at, _)| *at);
            let pause = self.peers.iter().filter_map(|peer| peer.path.pauses_until()).min();
            let pause = pause.map(|until| until - self.start);
            let Some(at) = event.into_iter().chain(pause).min().filter(|at| *at < end) else { break };
            self.time = self.time.max(at);
            if event == Some(at)
                && let Some((_, event)) = self.events.pop_first()
            {
                self.on_event(event);
            }
            self.on_pauses_and_stalls();
            self.send_all();
        }
        self.time = end;
    }

    fn answered(&self) -> usize {
        self.peers.iter().map(|peer| peer.answered).sum()
    }

    /// What goes from now on for so long, in bytes on the wire a second, and the latest message of a stranger's.
    fn observe(&mut self, duration: Duration) -> (f64, Duration) {
        let (before, since) = (self.answered(), self.time);
        self.run_until(self.time + duration);
        let messages = self.messages.iter().filter(|(at, _)| *at >= since).map(|(_, took)| *took);
        ((self.answered() - before) as f64 / duration.as_secs_f64(), messages.max().unwrap_or_default())
    }
}

/// How long a message takes while nobody else sends.
fn idle(leg: &Server) -> Duration {
    leg.clone().answer_time(Duration::ZERO, MESSAGE) - leg.delay
}

/// What a stranger has to put up with.
fn bearable(leg: &Server) -> Duration {
    2 * idle(leg) + SECOND
}

/// After this time everything about a leg is known that there is to know.
const START_UP: Duration = Duration::from_secs(20);

#[test]
fn no_message_of_strangers_is_late_and_what_is_left_by_them_is_used() {
    let mut faults = Vec::new();
    for rate in [3_000, 10_000, 30_000, 100_000, 500_000] {
        for delay in [10, 100, 300].map(Duration::from_millis) {
            for (count, shaped) in [(1, None), (4, None), (16, None), (4, Some(10_000))] {
                for leg in [Server::shaped(rate, delay), Server::line(rate as f64, delay)] {
                    let mut run = Run::new(leg.clone(), count, shaped);
                    run.run_until(START_UP);
                    let (carried, latest) = run.observe(60 * SECOND);
                    let offered = shaped.map_or(f64::MAX, |rate| (rate as u64 * count) as f64);
                    let messages = MESSAGE as f64 / BETWEEN_MESSAGES.as_secs_f64();
                    let possible = offered.min(rate as f64 - messages);
                    let line = format!(
                        "{rate} B/s, {delay:?}, {count} of {shaped:?}: {:.2}, {latest:?} of {:?}",
                        carried / possible,
                        bearable(&leg)
                    );
                    println!("{line}");
                    if latest > bearable(&leg) || carried < 0.7 * possible {
                        faults.push(line);
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn without_the_window_of_the_leg_they_would_be() {
    let leg = Server::shaped(30_000, Duration::from_millis(20));
    let (_, latest) = Run::without_leg(leg.clone(), 16, None).observe(60 * SECOND);
    assert!(latest > bearable(&leg), "{latest:?}");
}

#[test]
fn where_nothing_limits_the_leg_nobody_is_held_up() {
    for (count, shaped) in [(1, None), (4, None), (2, Some(10_000)), (4, Some(10_000))] {
        let leg = Server::line(5e6, Duration::from_millis(30));
        let carried = |mut run: Run| {
            run.run_until(START_UP);
            run.observe(20 * SECOND).0
        };
        let with = carried(Run::new(leg.clone(), count, shaped));
        let without = carried(Run::without_leg(leg, count, shaped));
        println!("{count} of {shaped:?}: {with} B/s, {without} without");
        assert!(with > 0.85 * without, "{count} of {shaped:?}: {with}, {without} without");
    }
}

#[test]
fn everybody_has_his_turn() {
    let mut run = Run::new(Server::shaped(30_000, Duration::from_millis(20)), 8, None);
    run.run_until(START_UP);
    let before: Vec<_> = run.peers.iter().map(|peer| peer.answered).collect();
    run.run_until(10 * START_UP);
    let sent: Vec<_> = run.peers.iter().zip(before).map(|(peer, before)| peer.answered - before).collect();
    let (most, least) = (sent.iter().max().unwrap(), sent.iter().min().unwrap());
    assert!(*least as f64 > 0.8 * *most as f64, "{sent:?}");
}

#[test]
fn a_queue_of_somebody_elses_at_the_start_is_not_taken_for_the_leg_for_long() {
    let mut leg = Server::line(30_000.0, Duration::from_millis(50));
    let bearable = bearable(&leg);
    leg.answer_time(Duration::ZERO, 100_000);
    let mut run = Run::new(leg, 4, None);
    run.run_until(2 * START_UP);
    let (carried, latest) = run.observe(60 * SECOND);
    assert!(latest <= bearable && carried > 0.8 * 30_000.0, "{latest:?}, {carried}");
}

#[test]
fn a_leg_that_becomes_slower_or_faster_is_believed_within_seconds() {
    let mut run = Run::new(Server::line(200_000.0, Duration::from_millis(50)), 4, None);
    run.run_until(START_UP);
    for rate in [20_000.0, 200_000.0] {
        run.leg.set_line_rate(rate);
        let bearable = bearable(&Server::line(rate, Duration::from_millis(50)));
        run.observe(START_UP);
        let (carried, latest) = run.observe(30 * SECOND);
        assert!(latest <= bearable && carried > 0.7 * rate, "{rate}: {latest:?}, {carried}");
    }
}

#[test]
fn those_who_do_not_answer_take_no_room_from_those_who_do() {
    let mut run = Run::new(Server::shaped(30_000, Duration::from_millis(20)), 4, None);
    run.run_until(START_UP);
    run.peers[0].is_dead = true;
    run.run_until(2 * START_UP);
    let (carried, _) = run.observe(30 * SECOND);
    assert!(carried > 0.7 * 30_000.0, "{carried}");
}

#[test]
fn what_was_on_its_way_by_an_account_that_is_offline_takes_no_room() {
    let mut run = Run::new(Server::shaped(30_000, Duration::from_millis(20)), 1, None);
    run.run_until(START_UP);
    run.senders.suspend(AccountId(0));
    let leg = run.senders.leg_senders.legs.values().next().unwrap();
    assert_eq!((leg.in_flight, leg.flight.len(), leg.by_account.len()), (0, 0, 0));
}

#[test]
fn between_accounts_of_one_server_there_is_no_leg_and_between_two_servers_there_is_one_for_everybody() {
    let mut legs = LegSenders::<u64>::new(&OF_TESTS);
    assert_eq!(legs.between("chat.example", "chat.example"), None);
    let there = legs.between("home.example", "chat.example");
    assert!(there.is_some());
    assert_eq!(legs.between("home.example", "chat.example"), there);
    assert_ne!(legs.between("chat.example", "home.example"), there, "back is another one");
}

#[test]
fn legs_that_nobody_uses_are_forgotten_when_there_are_too_many() {
    let mut legs = LegSenders::<u64>::new(&OF_TESTS);
    let used = legs.between("home.example", "used.example").unwrap();
    legs.on_sent(Instant::now(), (used, AccountId(1)), Delivery::nth(1), (0, 1000));
    for n in 0..3 * MOST_LEGS {
        legs.between("home.example", &format!("{n}.example"));
    }
    assert!(legs.names.len() <= MOST_LEGS, "{}", legs.names.len());
    assert_eq!(legs.between("home.example", "used.example"), Some(used));
}
