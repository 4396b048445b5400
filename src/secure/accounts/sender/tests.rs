//! Many sessions by one account, over models of servers.

use xmpp_parsers::jid::BareJid;

use super::*;
use crate::secure::path::server_model::Server;
use crate::secure::session::scheduler::{Choice, choose};
use crate::secure::sizes::OF_TESTS;
use crate::secure::tuning::LARGEST_SHARED_BLOCK;

const SECOND: Duration = Duration::from_secs(1);
const ACCOUNT: AccountId = AccountId(1);

/// Sessions of one path each, by the same account, in virtual time.
struct Run {
    start: Instant,
    /// Now, from the start.
    time: Duration,
    server: Server,
    senders: Senders<u64>,
    peers: Vec<Peer>,
    /// When the answers come, and to what.
    answers: BTreeSet<(Duration, Delivery, u64)>,
    ready: BTreeSet<u64>,
    next_delivery: u64,
    /// The most that was in front of a block, in bytes on the wire.
    ahead: usize,
}

struct Peer {
    client: ClientTag,
    path: Path,
    /// How much longer its answers take than those of the nearest; none while it does not answer.
    distance: Option<Duration>,
    waiting: usize,
    sent: usize,
    /// When it began to wait, and the longest that it waited for its turn and its answer.
    since: Duration,
    longest: Duration,
}

impl Run {
    fn new(server: Server, count: usize) -> Self {
        let start = Instant::now();
        let peer = |n| {
            let client = ClientTag(n as u64);
            let mut path = Path::by(start, ACCOUNT);
            path.allow_blocks();
            let (since, longest) = (Duration::ZERO, Duration::ZERO);
            Peer {
                client,
                path,
                distance: Some(Duration::ZERO),
                waiting: usize::MAX,
                sent: 0,
                since,
                longest,
            }
        };
        Self {
            start,
            time: Duration::ZERO,
            server,
            senders: Senders::new(&OF_TESTS),
            peers: (0..count).map(peer).collect(),
            answers: BTreeSet::new(),
            ready: (0..count as u64).collect(),
            next_delivery: 0,
            ahead: 0,
        }
    }

    fn flow(&self, key: u64) -> Flow<u64> {
        Flow { client: self.peers[key as usize].client, key }
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
                self.senders.end_turn(place, self.flow(key));
            }
        }
    }

    fn try_to_send(&mut self, key: u64) {
        let (now, mut full) = (self.start + self.time, Vec::new());
        let flow = self.flow(key);
        let peer = &mut self.peers[key as usize];
        self.senders.leave(Place::Account(ACCOUNT), flow);
        if peer.waiting == 0 {
            return;
        }
        let path = (PathId(key), &peer.path);
        match choose([path], (&self.senders, flow.client), now, peer.waiting, &mut full) {
            Choice::Wait => full.into_iter().for_each(|place| self.senders.wait(place, flow)),
            Choice::Send(path, room) => {
                let bytes = room.min(peer.waiting);
                let delivery = Delivery::nth(self.next_delivery);
                self.next_delivery += 1;
                self.ahead = self.ahead.max(self.senders.in_flight(ACCOUNT));
                peer.path.on_sent(now, delivery, bytes);
                let sending = Sending { via: ACCOUNT, client: flow.client, path, leg: None };
                self.senders.on_sent(now, sending, delivery, bytes);
                peer.sent += bytes;
                peer.waiting -= bytes;
                let answer = self.server.answer_time(self.time, OF_TESTS.wire_size(bytes));
                if let Some(distance) = peer.distance {
                    self.answers.insert((answer + distance, delivery, key));
                }
                self.ready.insert(key);
            }
        }
    }

    /// What paths have on their way that are not answered for too long is given up.
    fn give_up_stalled(&mut self) {
        let now = self.start + self.time;
        for peer in &mut self.peers {
            if peer.path.check_stalled(now) {
                self.senders.forget(ACCOUNT, peer.path.outstanding());
            }
        }
    }

    /// The first answer before `end`, after the pauses that end before it.
    fn next_answer(&mut self, end: Duration) -> Option<(Duration, Delivery, u64)> {
        loop {
            let answer = self.answers.first().copied().filter(|(at, ..)| *at < end);
            let until = self.peers.iter().filter_map(|peer| peer.path.pauses_until()).min();
            let until = until.map(|until| until - self.start);
            let Some(until) = until.filter(|until| *until < answer.map_or(end, |(at, ..)| at)) else {
                return answer;
            };
            self.time = self.time.max(until);
            self.end_pauses();
        }
    }

    fn end_pauses(&mut self) {
        let now = self.start + self.time;
        for (key, peer) in (0..).zip(&mut self.peers) {
            if peer.path.pauses_until().is_some_and(|until| until <= now) {
                peer.path.end_pause(now);
                self.ready.insert(key);
            }
        }
        self.send_all();
    }

    fn run_until(&mut self, end: Duration) {
        self.give_up_stalled();
        self.send_all();
        while let Some((at, delivery, key)) = self.next_answer(end) {
            self.answers.pop_first();
            self.time = at;
            let peer = &mut self.peers[key as usize];
            peer.path.on_taken(self.start + at, delivery);
            peer.longest = peer.longest.max(at - peer.since);
            self.senders.on_answered(self.start + at, ACCOUNT, delivery);
            self.ready.insert(key);
            self.send_all();
        }
        self.time = end;
    }

    /// Bytes that each has sent from now on for so long.
    fn observe(&mut self, duration: Duration) -> Vec<usize> {
        let before: Vec<usize> = self.peers.iter().map(|peer| peer.sent).collect();
        self.ahead = 0;
        self.run_until(self.time + duration);
        self.peers.iter().zip(before).map(|(peer, before)| peer.sent - before).collect()
    }
}

fn total(sent: &[usize]) -> f64 {
    sent.iter().sum::<usize>() as f64
}

#[test]
fn a_hundred_sessions_share_an_account_fairly_and_queue_no_more_than_one_of_them() {
    for count in [2, 10, 100, 400] {
        let mut run = Run::new(Server::stock_prosody(), count);
        run.observe(120 * SECOND);
        let sent = run.observe(600 * SECOND);
        let (most, least) = (sent.iter().max().unwrap(), sent.iter().min().unwrap());
        println!("{count}: {} B/s, {} ahead, {least} to {most}", total(&sent) / 600.0, run.ahead);
        assert!(run.ahead <= 10_000, "{} bytes were in front of a block", run.ahead);
        assert!(most - least <= 2 * LARGEST_SHARED_BLOCK, "{count}: from {least} to {most}");
        assert!(
            total(&sent) > 600.0 * if count < 40 { 6_900.0 } else { 6_000.0 },
            "{}",
            total(&sent) / 600.0
        );
    }
}

#[test]
fn whoever_sends_now_and_then_does_not_wait_for_all_the_others() {
    let mut run = Run::new(Server::stock_prosody(), 100);
    run.peers[99].waiting = 0;
    run.run_until(120 * SECOND);
    run.peers[99].longest = Duration::ZERO;
    for n in 0..20 {
        run.peers[99].waiting = 500;
        run.peers[99].since = run.time;
        run.ready.insert(99);
        run.run_until((140 + 20 * n) * SECOND);
    }
    let longest = run.peers[99].longest;
    println!("among 100: {longest:?} at most, there and back");
    assert_eq!(run.peers[99].sent, 20 * 500);
    assert!(longest < 2 * SECOND, "{longest:?}");
}

#[test]
fn those_who_do_not_answer_take_nothing_from_those_who_do() {
    let mut run = Run::new(Server::stock_prosody(), 50);
    run.peers[..25].iter_mut().for_each(|peer| peer.distance = None);
    for _ in 0..60 {
        run.observe(SECOND);
    }
    let sent = run.observe(120 * SECOND);
    println!("25 of 50 answer: {} B/s", total(&sent) / 120.0);
    assert!(total(&sent[25..]) > 120.0 * 6_900.0, "{sent:?}");
}

#[test]
fn those_far_away_are_as_fast_together_as_one_of_them_alone() {
    let far = |run: &mut Run, from: usize| {
        run.peers[from..].iter_mut().for_each(|peer| peer.distance = Some(SECOND / 3));
    };
    let server = || Server::ten_megabits(Duration::from_millis(1));
    let mut alone = Run::new(server(), 1);
    far(&mut alone, 0);
    alone.observe(30 * SECOND);
    let alone = total(&alone.observe(60 * SECOND));
    // One nearby says something now and then, which shows how short the way to the server is.
    let mut together = Run::new(server(), 11);
    far(&mut together, 1);
    together.peers[0].waiting = 0;
    let mut sent = 0.0;
    for n in 0..90 {
        together.peers[0].waiting = 500;
        together.ready.insert(0);
        let now = total(&together.observe(SECOND));
        sent += if n < 30 { 0.0 } else { now };
    }
    println!("far away: {} B/s alone, {} B/s ten of them", alone / 60.0, sent / 60.0);
    assert!(sent > 0.9 * alone, "{sent} and {alone}");
}

#[test]
fn many_on_a_fast_server_use_it_and_queue_little() {
    let mut run = Run::new(Server::fast_prosody(), 200);
    run.observe(10 * SECOND);
    let sent = run.observe(10 * SECOND);
    let (most, least) = (sent.iter().max().unwrap(), sent.iter().min().unwrap());
    println!("fast: {} B/s, {} ahead, {least} to {most}", total(&sent) / 10.0, run.ahead);
    assert!(total(&sent) > 10.0 * 0.85 * 5.7e6, "{}", total(&sent));
    assert!(run.ahead < 600_000, "{}", run.ahead);
    assert!(*least as f64 > 0.8 * *most as f64, "{least} to {most}");
}

#[test]
fn what_was_on_its_way_by_a_path_that_is_no_more_takes_no_room() {
    let mut run = Run::new(Server::stock_prosody(), 2);
    run.observe(60 * SECOND);
    for key in 0..2 {
        let deliveries: Vec<Delivery> = run.peers[key].path.outstanding().collect();
        run.senders.forget(ACCOUNT, deliveries);
    }
    assert_eq!(run.senders.in_flight(ACCOUNT), 0);
    assert!(run.senders.senders[&ACCOUNT].by_path.is_empty());
}

#[test]
fn behind_a_backlog_nobody_sends_whatever_is_answered_and_then_all_go_on() {
    for count in [1, 10] {
        let mut run = Run::new(Server::stock_prosody(), count);
        run.observe(10 * SECOND);
        for (pieces, bytes) in [(1, MAX_UNWRITTEN_BYTES + 1), (MAX_UNWRITTEN_PIECES + 1, 1)] {
            run.senders.note_backlog(ACCOUNT, pieces, bytes);
            let sent = run.observe(60 * SECOND);
            assert!(sent.iter().all(|bytes| *bytes == 0), "{sent:?}");
            assert_eq!(run.senders.in_flight(ACCOUNT), 0, "everything is answered");
            run.senders.note_backlog(ACCOUNT, MAX_UNWRITTEN_PIECES, MAX_UNWRITTEN_BYTES);
            let sent = run.observe(60 * SECOND);
            assert!(total(&sent) > 60.0 * 6_000.0, "{sent:?}");
        }
    }
}

#[test]
fn a_client_with_many_sessions_gets_no_more_than_one_with_one() {
    let mut run = Run::new(Server::stock_prosody(), 9);
    run.peers[..8].iter_mut().for_each(|peer| peer.client = ClientTag(0));
    run.observe(120 * SECOND);
    let sent = run.observe(600 * SECOND);
    let (many, one) = (total(&sent[..8]), total(&sent[8..]));
    println!("eight of one client: {} B/s, one of another: {} B/s", many / 600.0, one / 600.0);
    assert!((0.8..1.25).contains(&(many / one)), "{many} and {one}");
}

#[test]
fn a_client_that_makes_sessions_anew_comes_no_earlier_for_that() {
    let mut run = Run::new(Server::stock_prosody(), 2);
    run.observe(60 * SECOND);
    let mut sent = [0, 0];
    for n in 0..200 {
        // The session of the first client has ended, and another one takes its place.
        run.senders.leave(Place::Account(ACCOUNT), run.flow(0));
        run.senders.prune();
        let deliveries: Vec<Delivery> = run.peers[0].path.outstanding().collect();
        run.senders.forget(ACCOUNT, deliveries);
        run.peers[0] = Run::new(Server::stock_prosody(), 1).peers.remove(0);
        run.answers.retain(|(_, _, key)| *key != 0);
        run.ready.insert(0);
        let now = run.observe(SECOND);
        // It was counted from nothing.
        sent[0] += if n > 0 { now[0] } else { 0 };
        sent[1] += now[1];
    }
    println!("{sent:?}");
    assert!(sent[0] < sent[1] * 5 / 4, "{sent:?}");
}

#[test]
fn an_account_that_has_sent_all_that_it_may_in_a_day_sends_a_small_block_when_that_has_come_in_again() {
    let (now, mut senders) = (Instant::now(), Senders::<u64>::new(&OF_TESTS));
    let alice = BareJid::new("alice@chat.example").unwrap();
    senders.quotas.set(now, ACCOUNT, alice, (86_400_000, 86_400_500));
    let mut path = Path::by(now, ACCOUNT);
    path.allow_blocks();
    let flow = Flow { client: ClientTag(1), key: 1 };
    let share = |senders: &Senders<u64>| senders.share(flow.client, (PathId(1), &path), 1 << 20, 1);
    let spent = share(&senders);
    assert_eq!((spent.may_send, spent.refused_by), (false, Some(Place::Account(ACCOUNT))));
    senders.wait(Place::Account(ACCOUNT), flow);
    senders.handle_quotas(now);
    assert_eq!(senders.next_turn(), None);
    senders.handle_quotas(senders.quotas.next_timeout().unwrap());
    assert_eq!(senders.next_turn(), Some((Place::Account(ACCOUNT), flow)));
    let free = share(&senders);
    assert!(free.may_send && free.block <= SPENT_BLOCK && free.rate <= Some(1000.0), "{free:?}");
}
