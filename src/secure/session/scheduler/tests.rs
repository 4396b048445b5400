//! The scheduler over models of servers.

use std::collections::VecDeque;

use super::*;
use crate::secure::client_tag::ClientTag;
use crate::secure::delivery::Delivery;
use crate::secure::ids::Sending;
use crate::secure::path::server_model::Server;
use crate::secure::sizes::OF_TESTS;

const SECOND: Duration = Duration::from_secs(1);

/// A transfer over several paths, in virtual time.
struct Run {
    start: Instant,
    /// Now, from the start.
    time: Duration,
    paths: BTreeMap<PathId, Model>,
    senders: Senders<u8>,
    next_delivery: u64,
}

/// The session whose paths they are.
const ONLY: ClientTag = ClientTag(0);

struct Model {
    path: Path,
    /// One for all paths by the same account.
    server: usize,
    flying: VecDeque<(Delivery, Duration)>,
    /// Bytes of blocks that were sent.
    sent: usize,
}

impl Run {
    /// Paths by the given accounts, all of them open.
    fn new(accounts: &[u64]) -> Self {
        let start = Instant::now();
        let (paths, senders) = (BTreeMap::new(), Senders::new(&OF_TESTS));
        let mut run = Self { start, time: Duration::ZERO, paths, senders, next_delivery: 0 };
        for (n, &account) in accounts.iter().enumerate() {
            let mut path = Path::by(start, AccountId(account));
            path.allow_blocks();
            let model = Model { path, server: account as usize, flying: VecDeque::new(), sent: 0 };
            run.paths.insert(PathId(n as u64), model);
        }
        run
    }

    fn now(&self) -> Instant {
        self.start + self.time
    }

    fn choose(&self, waiting: usize) -> Choice {
        let paths = self.paths.iter().map(|(id, model)| (*id, &model.path));
        choose(paths, (&self.senders, ONLY), self.now(), waiting, &mut Vec::new())
    }

    fn send(&mut self, id: PathId, bytes: usize, servers: &mut [Server]) {
        let now = self.now();
        let model = self.paths.get_mut(&id).unwrap();
        let delivery = Delivery::nth(self.next_delivery);
        self.next_delivery += 1;
        model.path.on_sent(now, delivery, bytes);
        let sending = Sending { via: model.path.via(), client: ONLY, path: id, leg: None };
        self.senders.on_sent(now, sending, delivery, bytes);
        model.sent += bytes;
        model
            .flying
            .push_back((delivery, servers[model.server].answer_time(self.time, OF_TESTS.wire_size(bytes))));
    }

    /// Goes to the next answer, or to the end of a path's pause, if there is one before `end`.
    fn answer(&mut self, end: Duration) -> bool {
        let answer = self.paths.values().filter_map(|model| model.flying.front().map(|(_, at)| *at)).min();
        let start = self.start;
        let pause = |model: &Model| model.path.pauses_until().map(|until| until - start);
        if let Some(until) = self.paths.values().filter_map(pause).min()
            && until < answer.unwrap_or(end)
        {
            self.time = self.time.max(until);
            let now = self.now();
            self.paths.values_mut().for_each(|model| model.path.end_pause(now));
            return true;
        }
        let next =
            self.paths.values_mut().min_by_key(|model| model.flying.front().map_or(end, |(_, at)| *at));
        let Some(model) = next else { return false };
        let Some((delivery, at)) = model.flying.pop_front_if(|(_, at)| *at < end) else { return false };
        self.time = at;
        model.path.on_taken(self.start + at, delivery);
        self.senders.on_answered(self.start + at, model.path.via(), delivery);
        true
    }

    /// Sends up to `total` bytes, of which the sender holds `buffer` at a time, until `end`. What was not sent.
    fn transfer(&mut self, total: usize, buffer: usize, end: Duration, servers: &mut [Server]) -> usize {
        let mut left = total;
        loop {
            while left > 0
                && let Choice::Send(id, room) = self.choose(left.min(buffer))
            {
                let bytes = room.min(left);
                left -= bytes;
                self.send(id, bytes, servers);
            }
            if !self.answer(end) {
                return left;
            }
        }
    }

    /// How long a transfer takes until the last block has been answered.
    fn duration(&mut self, total: usize, servers: &mut [Server]) -> Duration {
        let begin = self.time;
        assert_eq!(self.transfer(total, 256 * 1024, Duration::MAX, servers), 0);
        self.time - begin
    }

    fn sent(&self) -> Vec<usize> {
        self.paths.values().map(|model| model.sent).collect()
    }
}

fn shaped(count: usize) -> Vec<Server> {
    vec![Server::stock_prosody(); count]
}

fn fast_and_slow() -> Vec<Server> {
    vec![Server::ten_megabits(Duration::from_millis(20)), Server::stock_prosody()]
}

#[test]
fn equal_shaped_accounts_add_up_and_share_evenly() {
    let mut rates = Vec::new();
    for count in [1_usize, 2, 4, 8] {
        let accounts: Vec<u64> = (0..count as u64).collect();
        let mut run = Run::new(&accounts);
        run.transfer(usize::MAX, 256 * 1024, 60 * SECOND, &mut shaped(count));
        let sent = run.sent();
        let total: usize = sent.iter().sum();
        rates.push(total as f64 / 60.0);
        for share in sent {
            assert!(share.abs_diff(total / count) < total / count / 10, "{share} of {total}");
        }
    }
    println!("1, 2, 4, 8 accounts: {rates:?} B/s");
    for (rate, count) in rates.iter().zip([1.0, 2.0, 4.0, 8.0]) {
        assert!(*rate > 7_000.0 * count && *rate > rates[0] * count * 0.95, "{rates:?}");
    }
}

#[test]
fn a_slow_path_does_not_hold_up_a_fast_one() {
    let mut alone = Run::new(&[0]);
    let mut both = Run::new(&[0, 1]);
    let (mut one, mut two) = (fast_and_slow(), fast_and_slow());
    for kilobytes in [5000, 1, 20, 100, 500, 5000] {
        let fast = alone.duration(kilobytes * 1024, &mut one);
        let pair = both.duration(kilobytes * 1024, &mut two);
        println!("{kilobytes} KiB: {fast:?} by the fast path, {pair:?} by both");
        assert!(pair <= fast + fast / 20, "{kilobytes} KiB: {fast:?} by the fast path, {pair:?} by both");
    }
}

#[test]
fn a_slow_path_helps_when_there_is_enough_to_do() {
    let mut servers = vec![Server::shaped(20_000, SECOND / 100), Server::stock_prosody()];
    let mut run = Run::new(&[0, 1]);
    run.transfer(usize::MAX, 256 * 1024, 60 * SECOND, &mut servers);
    let sent: usize = run.sent().iter().sum();
    assert!(sent as f64 > 60.0 * 0.7 * 30_000.0 * 0.95, "{sent}");
}

#[test]
fn paths_by_the_same_account_do_not_queue_more_than_one_of_them() {
    let mut servers = shaped(1);
    let mut run = Run::new(&[0, 0, 0, 0]);
    run.transfer(usize::MAX, 256 * 1024, 30 * SECOND, &mut servers);
    let in_flight: usize = run.paths.values().map(|model| model.path.in_flight()).sum();
    let sent: usize = run.sent().iter().sum();
    println!("4 paths by one account: {in_flight} bytes on their way, {sent} sent, {:?}", run.sent());
    assert!(in_flight < 12_000, "{in_flight}");
    assert!(sent > 30 * 6_500, "{sent}");
}

#[test]
fn a_path_that_falls_silent_is_passed_over() {
    let mut servers = shaped(2);
    let mut run = Run::new(&[0, 1]);
    run.transfer(usize::MAX, 256 * 1024, 20 * SECOND, &mut servers);
    let dead = PathId(0);
    run.paths.get_mut(&dead).unwrap().flying.clear();
    let before = run.sent();
    run.transfer(usize::MAX, 256 * 1024, 40 * SECOND, &mut servers);
    let during: Vec<_> = run.sent().iter().zip(before).map(|(after, before)| after - before).collect();
    assert!(during[0] < 10_000 && during[1] > 20 * 6_500, "{during:?}");
    let now = run.now();
    assert!(run.paths.get_mut(&dead).unwrap().path.check_stalled(now));
}

#[test]
fn nobody_waits_for_a_path_whose_account_is_offline() {
    let mut servers = shaped(2);
    let mut run = Run::new(&[0, 1]);
    run.transfer(usize::MAX, 256 * 1024, 20 * SECOND, &mut servers);
    while run.answer(Duration::MAX) {}
    let now = run.now();
    run.paths.get_mut(&PathId(1)).unwrap().path.suspend(now);
    assert!(matches!(run.choose(100), Choice::Send(PathId(0), _)));
    run.paths.get_mut(&PathId(0)).unwrap().path.suspend(now);
    assert_eq!(run.choose(100), Choice::Wait);
}

#[test]
fn something_small_goes_where_it_arrives_first() {
    let mut servers = fast_and_slow();
    let mut run = Run::new(&[1, 0]);
    run.transfer(2_000_000, 256 * 1024, Duration::MAX, &mut servers);
    assert!(matches!(run.choose(0), Choice::Send(PathId(1), _)), "the fast path");
}

#[test]
fn with_no_path_at_all_everything_waits() {
    let senders = Senders::<u8>::new(&OF_TESTS);
    assert_eq!(choose([], (&senders, ONLY), Instant::now(), 100, &mut Vec::new()), Choice::Wait);
}
