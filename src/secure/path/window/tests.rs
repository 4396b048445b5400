//! Windows on models of servers. What the models do is what was measured with real ones.

use super::*;
use crate::secure::crypto::entropy::Entropy as _;
use crate::secure::crypto::entropy::testing::Seeded;
use crate::secure::path::pacer::Pacer;
use crate::secure::path::server_model::Server;
use crate::secure::sizes::OF_TESTS;
use crate::secure::tuning::SHAPER_BURST;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// From 0 to 1, at random.
fn share(random: &mut Seeded) -> f64 {
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

/// One path that always has something to send.
struct Run {
    window: Window,
    pacer: Pacer,
    server: Server,
    start: Instant,
    /// Now, from the start.
    time: Duration,
    /// When what is on its way was sent, when it is answered, and how large it is.
    flying: std::collections::VecDeque<(Duration, Duration, usize)>,
    /// How much the sender keeps until it is known to have arrived, in bytes on the wire.
    buffer: usize,
    /// Answers come up to so much later at random, and in order.
    jitter: Duration,
    random: Seeded,
}

/// What happened in a part of a run.
#[derive(Debug, Default)]
struct Observed {
    /// Bytes of blocks a second.
    goodput: f64,
    /// Bytes on the wire a second.
    used: f64,
    /// What was in front of a block when it was sent, at most, in bytes on the wire.
    ahead: usize,
    /// The longest round trip.
    longest: Duration,
    /// The median round trip.
    typical: Duration,
    block_size: usize,
}

impl Run {
    fn new(server: Server) -> Self {
        let start = Instant::now();
        Self {
            window: Window::new(&OF_TESTS),
            pacer: Pacer::default(),
            server,
            start,
            time: Duration::ZERO,
            flying: Default::default(),
            buffer: usize::MAX,
            jitter: Duration::ZERO,
            random: Seeded(0),
        }
    }

    fn now(&self) -> Instant {
        self.start + self.time
    }

    fn send(&mut self, bytes: usize) {
        let size = OF_TESTS.wire_size(bytes);
        let late = self.jitter.mul_f64(share(&mut self.random));
        let answer = self.server.answer_time(self.time, size) + late;
        let answer = self.flying.back().map_or(answer, |(_, before, _)| answer.max(*before));
        self.flying.push_back((self.time, answer, bytes));
        self.window.on_sent(self.now(), bytes);
        if let Some(pace) = self.window.pace(self.now()) {
            self.pacer.on_sent(self.now(), size, pace);
        }
    }

    /// Sends as much as there is room for on the way and in the buffer, at the pace of the path.
    fn fill(&mut self, observed: &mut Observed) {
        self.pacer.handle_timeout(self.now());
        while self.window.room() > 0 && !self.pacer.is_pausing() {
            if self.window.in_flight() + OF_TESTS.wire_size(self.window.room()) > self.buffer {
                return self.window.on_backed_up(self.start + self.time);
            }
            observed.ahead = observed.ahead.max(self.window.in_flight());
            self.send(self.window.room());
        }
    }

    /// When the pacer lets the next block go, if that is sooner than the next answer and than `end`.
    fn pause_until(&self, end: Duration) -> Option<Duration> {
        let pause = self.pacer.next_timeout()? - self.start;
        let answer = self.flying.front().map_or(end, |(_, answer, _)| end.min(*answer));
        (pause < answer).then_some(pause)
    }

    /// The next answer, if it comes before `end`.
    fn answer(&mut self, end: Duration) -> Option<(Duration, usize)> {
        let (sent, answer, bytes) = self.flying.pop_front_if(|(_, answer, _)| *answer < end)?;
        self.time = answer;
        self.window.on_answered(self.start + answer, self.start + sent, bytes);
        Some((answer - sent, bytes))
    }

    fn observe(&mut self, duration: Duration) -> Observed {
        let end = self.time + duration;
        let mut observed = Observed::default();
        let mut delays = Vec::new();
        loop {
            self.fill(&mut observed);
            if let Some(pause) = self.pause_until(end) {
                self.time = pause;
                continue;
            }
            let Some((delay, bytes)) = self.answer(end) else { break };
            delays.push(delay);
            observed.goodput += bytes as f64 / duration.as_secs_f64();
            observed.used += OF_TESTS.wire_size(bytes) as f64 / duration.as_secs_f64();
        }
        self.time = end;
        delays.sort();
        observed.typical = delays.get(delays.len() / 2).copied().unwrap_or_default();
        observed.longest = delays.last().copied().unwrap_or_default();
        observed.block_size = self.window.block_size();
        observed
    }
}

fn report(name: &str, observed: &Observed, rate: f64) {
    let queue = observed.ahead as f64 / rate;
    println!("{name}: {observed:?}, queue {queue:.3} s, {:.3} of the rate", observed.used / rate);
}

#[test]
fn behind_prosodys_shaper_it_uses_the_rate_and_queues_less_than_a_second() {
    let mut run = Run::new(Server::stock_prosody());
    let first = run.observe(10 * SECOND);
    report("prosody, first 10 s", &first, 10_000.0);
    let later = run.observe(120 * SECOND);
    report("prosody, later", &later, 10_000.0);
    for observed in [&first, &later] {
        assert!(observed.ahead < 10_000, "{observed:?}");
    }
    assert!(later.used > 9_000.0, "{later:?}");
    assert!(later.goodput > 7_000.0, "{later:?}");
    assert_eq!(later.block_size, 4096);
}

#[test]
fn behind_ejabberds_shaper_it_uses_the_rate_and_queues_less_than_a_second() {
    let mut run = Run::new(Server::stock_ejabberd());
    let first = run.observe(15 * SECOND);
    report("ejabberd, first 15 s", &first, 3_000.0);
    let later = run.observe(120 * SECOND);
    report("ejabberd, later", &later, 3_000.0);
    assert!(first.ahead < 6_000, "the burst ends with little on its way: {first:?}");
    // Now and then a larger block is tried.
    assert!(later.ahead < 3_200, "{later:?}");
    assert!(later.used > 2_700.0, "{later:?}");
    assert!(later.typical < Duration::from_millis(1_100), "{later:?}");
    assert_eq!(later.block_size, 1024);
}

#[test]
fn answers_that_wait_behind_the_peers_own_blocks_cost_little_of_the_rate() {
    let mut server = Server::stock_prosody();
    server.answers_every = Duration::from_millis(820);
    let mut run = Run::new(server);
    run.observe(60 * SECOND);
    let later = run.observe(120 * SECOND);
    report("prosody, both ways", &later, 10_000.0);
    assert!(later.used > 8_500.0, "{later:?}");
    // Some of it has been taken and only not answered.
    assert!(later.ahead < 12_000, "{later:?}");
}

#[test]
fn what_its_carrier_holds_back_is_no_queue_to_a_window_that_expects_it() {
    let goodput = |expected| {
        let mut run = Run::new(Server::fast_ejabberd());
        run.jitter = 12 * MS;
        run.window.expect_held_back(expected);
        run.observe(5 * SECOND);
        run.observe(20 * SECOND).goodput
    };
    let [unexpected, expected] = [Duration::ZERO, 20 * MS].map(goodput);
    assert!(expected > 3.0 * unexpected, "{unexpected:.0} and {expected:.0} B/s");
}

#[test]
fn behind_shapers_of_other_rates_and_far_away_it_is_as_good() {
    for rate in [2_000, 5_000, 20_000, 50_000, 100_000, 300_000] {
        for delay in [1, 50, 150].map(Duration::from_millis) {
            let mut run = Run::new(Server::shaped(rate, delay));
            run.observe(20 * SECOND);
            let observed = run.observe(120 * SECOND);
            report(&format!("{rate} B/s, {delay:?}"), &observed, rate as f64);
            assert!(observed.used > 0.9 * rate as f64, "{rate} {delay:?} {observed:?}");
            let in_flight = rate as f64 * 2.0 * delay.as_secs_f64();
            assert!(observed.ahead as f64 - in_flight < rate as f64, "{rate} {delay:?} {observed:?}");
        }
    }
}

#[test]
fn it_fills_a_long_path_within_two_seconds_and_does_not_flood_it() {
    let mut run = Run::new(Server::ten_megabits(Duration::from_millis(25)));
    let first = run.observe(2 * SECOND);
    report("10 Mbit/s, first 2 s", &first, 1_250_000.0);
    let later = run.observe(30 * SECOND);
    report("10 Mbit/s, later", &later, 1_250_000.0);
    assert!(first.used > 0.5 * 1_250_000.0, "{first:?}");
    assert!(later.used > 0.95 * 1_250_000.0, "{later:?}");
    assert!(later.longest < Duration::from_millis(250), "{later:?}");
}

#[test]
fn where_large_blocks_are_slow_they_stay_small() {
    let mut run = Run::new(Server::fast_prosody());
    let first = run.observe(2 * SECOND);
    report("fast prosody, first 2 s", &first, 7.9e6);
    let later = run.observe(20 * SECOND);
    report("fast prosody, later", &later, 7.9e6);
    assert!(first.goodput > 0.7 * 5.7e6, "{first:?}");
    assert!(later.goodput > 0.92 * 5.7e6, "{later:?}");
    assert!(later.longest < Duration::from_millis(400), "{later:?}");
    assert!(run.window.size.home() < 8 * 1024);
}

#[test]
fn where_small_blocks_are_slow_they_become_large() {
    let mut run = Run::new(Server::fast_ejabberd());
    let first = run.observe(2 * SECOND);
    report("fast ejabberd, first 2 s", &first, 1.4e8);
    let later = run.observe(20 * SECOND);
    report("fast ejabberd, later", &later, 1.4e8);
    assert!(later.goodput > 0.92 * 1.08e8, "{later:?}");
    assert!(run.window.size.home() >= 32 * 1024);
}

#[test]
fn a_sender_that_keeps_less_than_the_window_holds_finds_the_best_size_of_block_too() {
    let mut run = Run::new(Server::fast_ejabberd());
    run.buffer = 256 * 1024;
    run.observe(2 * SECOND);
    let later = run.observe(20 * SECOND);
    report("fast ejabberd, small buffer", &later, 1.4e8);
    assert!(run.window.limit() > run.buffer);
    assert!(later.goodput > 0.92 * 1.08e8, "{later:?}");
    assert!(run.window.size.home() >= 32 * 1024);
}

#[test]
fn an_idle_sender_does_not_open_it() {
    let mut run = Run::new(Server::fast_prosody());
    for _ in 0..1000 {
        run.send(100);
        run.answer(Duration::MAX);
    }
    assert_eq!((run.window.limit, run.window.in_flight), (INITIAL_WINDOW, 0));
}

#[test]
fn a_pause_of_the_application_changes_nothing() {
    let mut run = Run::new(Server::stock_prosody());
    run.observe(60 * SECOND);
    while run.answer(Duration::MAX).is_some() {}
    let before = (run.window.limit, run.window.block_size());
    run.time += 600 * SECOND;
    assert_eq!((run.window.limit, run.window.block_size()), before);
    let observed = run.observe(60 * SECOND);
    assert!(observed.ahead < 10_000 && observed.used > 9_000.0, "{observed:?}");
}

#[test]
fn it_follows_a_path_that_becomes_slow_and_fast_again() {
    let fast = Server::ten_megabits(Duration::from_millis(25));
    let mut run = Run::new(fast.clone());
    run.observe(10 * SECOND);
    while run.answer(Duration::MAX).is_some() {}
    let change = |run: &mut Run, server: Server| {
        run.server = server;
        run.server.idle_until(run.time);
    };
    change(&mut run, Server::shaped(100_000, Duration::from_millis(25)));
    run.observe(20 * SECOND);
    let slow = run.observe(20 * SECOND);
    assert!(slow.ahead < 60_000 && slow.used > 90_000.0, "{slow:?}");
    while run.answer(Duration::MAX).is_some() {}
    change(&mut run, fast);
    run.observe(20 * SECOND);
    let fast = run.observe(20 * SECOND);
    assert!(fast.used > 0.9 * 1_250_000.0, "{fast:?}");
}

/// On a line of this rate, in bytes a second: it is used, and what waits does so for a tenth of a second.
fn assert_suits_line(run: &mut Run, rate: f64, name: &str) {
    let observed = run.observe(10 * SECOND);
    let block = Duration::from_secs_f64(OF_TESTS.wire_size(observed.block_size) as f64 / rate);
    let queue = observed.typical.saturating_sub(2 * run.server.delay);
    assert!(observed.used >= 0.7 * rate, "{name}: {:.2} of the line, {observed:?}", observed.used / rate);
    assert!(queue <= Duration::from_millis(100) + 2 * block, "{name}: {queue:?} waiting, {observed:?}");
}

#[test]
fn lines_from_near_to_far_and_from_slow_to_fast_are_used_without_a_long_queue_also_when_they_change() {
    for seed in 0..60 {
        let mut random = Seeded(seed);
        let delay = Duration::from_secs_f64(0.005 * 30_f64.powf(share(&mut random)));
        let rate = 1e5 * 1000_f64.powf(share(&mut random));
        let mut run = Run::new(Server::line(rate, delay));
        let name = format!("seed {seed}: {:.2} MB/s, {delay:?} one way", rate / 1e6);
        run.observe(15 * SECOND);
        assert_suits_line(&mut run, rate, &name);
        let changed = rate * 16_f64.powf(share(&mut random) - 0.5);
        run.server.set_line_rate(changed);
        run.observe(15 * SECOND);
        assert_suits_line(&mut run, changed, &format!("{name}, then {:.2} MB/s", changed / 1e6));
    }
}

#[test]
fn a_line_of_a_round_trip_of_400_ms_is_filled_within_five_seconds() {
    for rate in [2e6, 1e7, 5e7] {
        let mut run = Run::new(Server::line(rate, 200 * MS));
        let first = run.observe(5 * SECOND);
        let then = run.observe(5 * SECOND);
        report("far", &first, rate);
        report("then", &then, rate);
        assert!(then.used >= 0.8 * rate, "{rate}: {then:?}");
        assert!(then.longest <= 2 * 400 * MS + 2 * LATE, "{rate}: {then:?}");
    }
}

#[test]
fn on_a_line_of_a_round_trip_of_400_ms_half_a_megabyte_is_on_its_way_after_the_fifth() {
    let mut run = Run::new(Server::line(5e7, 200 * MS));
    let mut limits = Vec::new();
    for _ in 0..5 {
        run.observe(400 * MS + MS);
        limits.push(run.window.limit());
    }
    assert!(run.window.limit() >= 500_000, "{limits:?}");
}

#[test]
fn far_from_a_shaper_that_lets_a_burst_pass_what_is_sent_before_it_shows_waits_for_three_seconds_at_most() {
    let mut far = Server::stock_ejabberd();
    far.delay = 200 * MS;
    let mut run = Run::new(far);
    let first = run.observe(15 * SECOND);
    report("far ejabberd, first 15 s", &first, 3_000.0);
    assert!(first.longest <= 3 * SECOND, "{first:?}");
}

#[test]
fn a_window_opens_as_fast_when_answers_come_many_at_a_time() {
    let reached = |answers_every| {
        let mut server = Server::line(2e7, 200 * MS);
        server.answers_every = answers_every;
        let mut run = Run::new(server);
        run.observe(3 * SECOND);
        run.window.limit()
    };
    let (one_by_one, together) = (reached(Duration::from_nanos(1)), reached(30 * MS));
    assert!(
        together >= one_by_one / 2 && one_by_one > 2_000_000,
        "{one_by_one} one by one, {together} together"
    );
}

#[test]
fn a_far_path_that_becomes_much_faster_is_used_within_seconds() {
    let mut run = Run::new(Server::line(1e6, 200 * MS));
    run.observe(20 * SECOND);
    run.server.set_line_rate(2e7);
    run.observe(8 * SECOND);
    let then = run.observe(5 * SECOND);
    assert!(then.used >= 0.7 * 2e7, "{then:?}");
    assert!(then.typical <= 400 * MS + 2 * LATE, "{then:?}");
}

#[test]
fn a_server_that_rests_for_a_moment_does_not_end_slow_start() {
    let mut run = Run::new(Server::line(2e7, 200 * MS));
    run.observe(3 * SECOND);
    run.server.idle_until(run.time + 300 * MS);
    run.observe(3 * SECOND);
    let then = run.observe(4 * SECOND);
    assert!(then.used >= 0.8 * 2e7, "{then:?}");
}

#[test]
fn a_far_line_whose_delay_varies_is_used_none_the_less() {
    for (rate, delay) in [(1e6, 200), (2e7, 200), (9e7, 200), (2e7, 51)] {
        for (jitter, seed) in [10, 50, 100].into_iter().flat_map(|jitter| [(jitter, 1), (jitter, 2)]) {
            let mut run = Run::new(Server::line(rate, delay * MS));
            (run.jitter, run.random) = (jitter * MS, Seeded(seed));
            run.observe(10 * SECOND);
            let observed = run.observe(20 * SECOND);
            let name = format!("{rate} B/s, {delay} ms, jitter {jitter} ms: {observed:?}");
            assert!(observed.used >= 0.85 * rate, "{name}");
            let block = Duration::from_secs_f64(OF_TESTS.wire_size(observed.block_size) as f64 / rate);
            assert!(observed.typical <= (2 * delay + jitter + 100) * MS + 2 * block, "{name}");
        }
    }
}

#[test]
fn a_far_server_that_rests_again_and_again_is_used_in_between() {
    for (rate, seed) in [2e6, 2e7, 9e7].into_iter().flat_map(|rate| (0..5).map(move |seed| (rate, seed))) {
        let mut run = Run::new(Server::line(rate, 200 * MS));
        let mut random = Seeded(seed);
        let (mut used, mut rested) = (0.0, Duration::ZERO);
        while run.time < 30 * SECOND {
            let (time, rest) = (600 * MS.mul_f64(share(&mut random)), 120 * MS.mul_f64(share(&mut random)));
            let observed = run.observe(time + MS);
            run.server.rest(rest);
            if run.time >= 10 * SECOND {
                (used, rested) = (used + observed.used * (time + MS).as_secs_f64(), rested + rest);
            }
        }
        let possible = rate * (20 * SECOND - rested).as_secs_f64();
        assert!(used >= 0.8 * possible, "{rate} B/s, seed {seed}: {:.2}", used / possible);
    }
}

#[test]
fn what_one_cell_at_a_time_takes_says_nothing_about_the_window() {
    let mut run = Run::new(Server::line(1e7, 200 * MS));
    for n in 0..40 {
        run.server.idle_until(run.time + 200 * MS + (n % 4) * 60 * MS);
        run.send(600);
        run.answer(Duration::MAX);
        run.time += 500 * MS;
    }
    assert!(run.window.slow_start.is_some());
    let first = run.observe(5 * SECOND);
    assert!(first.used > 0.3 * 1e7, "{first:?}");
}

#[test]
fn what_is_sent_slowly_and_with_rests_does_not_use_up_a_shapers_burst() {
    let mut far = Server::stock_prosody();
    far.delay = 50 * MS;
    let mut run = Run::new(far);
    for _ in 0..60 {
        (0..2).for_each(|_| run.send(1000));
        while run.answer(Duration::MAX).is_some() {}
        run.time += 200 * MS;
    }
    let first = run.observe(20 * SECOND);
    assert!(first.ahead <= SHAPER_BURST + INITIAL_WINDOW, "{first:?}");
}

#[test]
fn a_transfer_after_a_pause_begins_with_the_window_that_there_was() {
    let mut run = Run::new(Server::line(1e6, 200 * MS));
    run.observe(6 * SECOND);
    while run.answer(Duration::MAX).is_some() {}
    let limit = run.window.limit();
    run.time += 60 * SECOND;
    run.observe(SECOND);
    assert!(run.window.limit() >= limit / 2, "{} after {limit}", run.window.limit());
}
