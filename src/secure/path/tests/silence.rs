//! A path on models of servers: it is never missed while they answer, and soon when they do not.

use proptest::prelude::*;

use super::*;
use crate::secure::path::server_model::Server;

const MS: Duration = Duration::from_millis(1);

/// What is sent in a part of a run.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// Always as much as there is room for, for so long.
    Bulk(Duration),
    /// Blocks of so many bytes, each so long after the one before was answered.
    Cells(usize, Duration),
    /// Nothing, for so long.
    Rest(Duration),
}

struct Run {
    path: Path,
    server: Server,
    start: Instant,
    time: Duration,
    /// What is on its way, and when it is answered.
    flying: VecDeque<(Duration, Delivery)>,
    sent: u64,
    /// How often the path was missed.
    stalls: usize,
}

impl Run {
    fn new(server: Server) -> Self {
        let start = begin();
        let mut path = Path::by(start, AccountId(1));
        path.open(start);
        let flying = VecDeque::new();
        let mut run = Self { path, server, start, time: Duration::ZERO, flying, sent: 0, stalls: 0 };
        run.send(128);
        run.answer(Duration::MAX);
        run
    }

    fn now(&self) -> Instant {
        self.start + self.time
    }

    fn send(&mut self, bytes: usize) {
        let (now, delivery) = (self.now(), Delivery::nth(self.sent));
        self.sent += 1;
        self.path.on_sent(now, delivery, bytes);
        self.flying
            .push_back((self.server.answer_time(self.time, self.path.sizes().wire_size(bytes)), delivery));
    }

    /// The next answer, if it comes before `end`.
    fn answer(&mut self, end: Duration) -> bool {
        let Some((at, delivery)) = self.flying.pop_front_if(|(at, _)| *at < end) else { return false };
        self.time = at;
        self.stalls += usize::from(self.path.check_stalled(self.now()));
        assert!(!self.path.is_dead(self.now()));
        self.path.on_taken(self.now(), delivery);
        true
    }

    fn load(&mut self, load: Load) {
        match load {
            Load::Bulk(time) => {
                let end = self.time + time;
                loop {
                    while self.path.room() > 0 {
                        self.send(self.path.room());
                    }
                    if !self.answer(end) {
                        break self.time = end;
                    }
                }
            }
            Load::Cells(bytes, pause) => {
                for _ in 0..5 {
                    while self.path.room() == 0 && self.answer(Duration::MAX) {}
                    self.send(bytes);
                    while self.answer(Duration::MAX) {}
                    self.time += pause;
                }
            }
            Load::Rest(time) => self.time += time,
        }
    }
}

fn loads() -> impl Strategy<Value = Vec<Load>> {
    let load = prop_oneof![
        (1_u32..20_000).prop_map(|ms| Load::Bulk(ms * MS)),
        (1_usize..2000, 0_u32..3000).prop_map(|(bytes, ms)| Load::Cells(bytes, ms * MS)),
        (1_u32..60_000).prop_map(|ms| Load::Rest(ms * MS)),
    ];
    prop::collection::vec(load, 1..20)
}

/// All models of servers that slow clients down or rest, near and far.
fn servers() -> Vec<Server> {
    let both_ways = |every| {
        let mut server = Server::stock_prosody();
        server.answers_every = every * MS;
        server
    };
    vec![
        Server::stock_prosody(),
        both_ways(820),
        both_ways(1640),
        Server::stock_ejabberd(),
        Server::fast_prosody(),
        Server::line(8000.0, 100 * MS),
        Server::ten_megabits(150 * MS),
        Server::shaped(5000, MS),
        Server::shaped(20_000, 150 * MS),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_path_whose_server_answers_in_its_way_is_never_missed(loads in loads(), which in 0..9_usize) {
        let mut run = Run::new(servers().swap_remove(which));
        loads.into_iter().for_each(|load| run.load(load));
        prop_assert_eq!(run.stalls, 0);
    }

    #[test]
    fn answers_that_vary_by_as_much_as_they_take_are_never_missed(
        round_trip in 1_u32..12_000,
        shares in prop::collection::vec(0.0_f64..1.0, 1..100),
    ) {
        let mut now = begin();
        let mut path = Path::by(now, AccountId(1));
        path.open(now);
        path.window.on_delay(now, round_trip * MS);
        for (number, share) in shares.into_iter().enumerate() {
            path.on_sent(now, Delivery::nth(number as u64), 100);
            now += (round_trip * MS).mul_f64(1.0 + share);
            prop_assert!(!path.check_stalled(now), "{path:?}");
            path.on_taken(now, Delivery::nth(number as u64));
        }
    }

    #[test]
    fn a_silence_is_missed_within_three_round_trips_and_makes_a_death_within_half_a_minute(
        round_trip in 1_u32..10_000,
    ) {
        let mut now = begin();
        let mut path = Path::by(now, AccountId(1));
        path.open(now);
        for number in 0..20 {
            path.on_sent(now, Delivery::nth(number), 100);
            now += round_trip * MS;
            path.on_taken(now, Delivery::nth(number));
        }
        path.on_sent(now, Delivery::nth(20), 100);
        prop_assert!(!path.check_stalled(now + LEAST_TIMEOUT.max(2 * round_trip * MS) - MS));
        prop_assert!(path.check_stalled(now + LEAST_TIMEOUT.max(3 * round_trip * MS)));
        prop_assert!(!path.is_dead(now + TIMEOUTS_UNTIL_DEATH * LEAST_TIMEOUT - MS));
        prop_assert!(path.is_dead(now + PATH_DEAD));
    }
}
