//! Relays that become slow, and some that only seem to: a session leaves the one for what is better, and stays with the others.

use std::time::Duration;

use crate::flow::{End, Script};
use crate::network::{Conditions, Seat, Side};
use crate::proxy::{Proxy, Site};
use crate::setup::{Setup, World, times_of_cells};
use crate::upload_service::{self, Uploads};
use crate::world::Fault;

const SECOND: Duration = Duration::from_secs(1);
const MB: u64 = 1_000_000;

/// What a relay carries while it is well, in bytes a second.
const WELL: u64 = 2 * MB;

/// What stanzas carry beside it.
const STANZAS: u64 = 5000;

/// What a file carries beside it.
const FILES: u64 = 400_000;

/// How a relay becomes slow.
#[derive(Clone, Copy, Debug)]
enum Fall {
    /// To 2 kB/s.
    Rate,
    /// To 20 seconds there and back.
    Delay,
}

impl Fall {
    const ALL: [Self; 2] = [Self::Rate, Self::Delay];

    fn happen(self, proxy: &Proxy) {
        match self {
            Self::Rate => proxy.set_rate(2000),
            Self::Delay => proxy.set_delay(10 * SECOND),
        }
    }
}

/// A session that has downloaded 4 of 100 MB by a relay, and so far nothing else.
struct Relayed {
    world: World,
    proxy: Proxy,
    bulk: usize,
}

impl Relayed {
    fn new(seed: u64, site: Site, has_files: bool) -> Self {
        let conditions =
            Conditions { rate: Some(STANZAS), uplink: 20..30, downlink: 20..30, ..Conditions::default() };
        let proxy = Proxy::new(seed, site);
        let service = upload_service::Site { rate: FILES, ..upload_service::Site::default() };
        let uploads = has_files.then(|| (Uploads::new(seed, service), [true; 2]));
        let joiner = Some((proxy.clone(), [true; 2]));
        let mut world = World::new(Setup {
            seed,
            conditions,
            uploads,
            proxy: joiner,
            keep_log: false,
            ..Setup::default()
        });
        let [up, down] = [0, 100 * MB].map(|bytes| Script::writes(bytes).and_ends(End::AllDone));
        let bulk = world.open(up, down);
        let mut relayed = Self { world, proxy, bulk };
        let took = relayed.time_until(60 * SECOND, |it| it.read() >= 4 * MB);
        assert!(took < 60 * SECOND, "the relay does not begin");
        relayed
    }

    /// What has come of the download.
    fn read(&mut self) -> u64 {
        self.world.app(self.bulk, Side::Left).read
    }

    /// What comes of it within so much time.
    fn read_within(&mut self, time: Duration) -> u64 {
        let before = self.read();
        self.world.run_for(time);
        self.read() - before
    }

    /// How long it takes, up to `most`, until this is so.
    fn time_until(&mut self, most: Duration, is_so: impl Fn(&mut Self) -> bool) -> Duration {
        let begin = self.world.now();
        while !is_so(self) && self.world.now() - begin < most {
            self.world.run_for(SECOND / 20);
        }
        self.world.now() - begin
    }
}

#[test]
fn a_relay_that_becomes_slower_than_what_is_beside_it_is_left_within_three_seconds() {
    for (seed, fall) in (1..).zip(Fall::ALL) {
        for has_files in [false, true] {
            let mut relayed = Relayed::new(seed, Site { rate: WELL, ..Site::default() }, has_files);
            fall.happen(&relayed.proxy);
            let took = relayed.time_until(60 * SECOND, |it| !it.proxy.is_in_use());
            // What the relay carried before comes within the first tenth of a second.
            relayed.world.run_for((3 * SECOND).saturating_sub(took));
            let read = relayed.read_within(6 * SECOND);
            println!(
                "{fall:?}, files {has_files}: left after {took:?}, {read} bytes in the 6 seconds from the third on"
            );
            assert!(took < 3 * SECOND, "{fall:?}, files {has_files}: it is left after {took:?}");
            let least = if has_files { FILES } else { STANZAS * 3 / 4 } * 6 / 2;
            assert!(read > least, "{fall:?}, files {has_files}: {read} bytes");
        }
    }
}

#[test]
fn a_cell_waits_for_a_moment_when_the_relay_becomes_slow() {
    for (seed, fall) in (1..).zip(Fall::ALL) {
        for has_files in [false, true] {
            let mut relayed = Relayed::new(seed, Site { rate: WELL, ..Site::default() }, has_files);
            let cells = relayed.world.open(Script::default(), Script::writes(514));
            relayed.world.run_for(2 * SECOND);
            fall.happen(&relayed.proxy);
            // For eight seconds: the next relay is begun after ten.
            let times = times_of_cells(&mut relayed.world, cells, SECOND / 50);
            println!("{fall:?}, files {has_files}: {times:?}");
            // One second until the relay is late. A cell beside bulk takes another one, or a little more, by stanzas alone.
            assert!(times[19] < SECOND * 5 / 2, "{fall:?}, files {has_files}: {times:?}");
            assert!(times[15] < SECOND * 3 / 2, "{fall:?}, files {has_files}: {times:?}");
        }
    }
}

#[test]
fn the_next_relay_that_is_as_slow_is_left_as_soon_and_comes_later_each_time() {
    let mut relayed = Relayed::new(3, Site { rate: WELL, ..Site::default() }, true);
    Fall::Rate.happen(&relayed.proxy);
    let read = relayed.read_within(120 * SECOND);
    let joined = relayed.proxy.joined();
    println!("{joined} relays, {read} bytes in 120 seconds");
    assert!((2..=5).contains(&joined), "{joined} relays");
    assert!(read > FILES * 120 / 2, "{read} bytes");
}

#[test]
fn a_relay_that_stops_for_half_a_second_now_and_then_is_not_left() {
    let mut relayed = Relayed::new(4, Site { rate: WELL, ..Site::default() }, true);
    for _ in 0..10 {
        relayed.proxy.hiccup(SECOND / 2);
        let read = relayed.read_within(2 * SECOND);
        assert!(read > MB, "{read} bytes in two seconds");
    }
    assert!(relayed.proxy.is_in_use() && relayed.proxy.joined() == 1);
}

#[test]
fn where_the_whole_line_stops_for_three_seconds_the_relay_is_not_left() {
    let mut relayed = Relayed::new(7, Site { rate: WELL, ..Site::default() }, true);
    relayed.world.strike(Fault::Swallow(Seat::new(Side::Left, 0)));
    relayed.proxy.hiccup(3 * SECOND);
    relayed.world.run_for(3 * SECOND);
    let read = relayed.read_within(2 * SECOND);
    assert!(relayed.proxy.is_in_use() && relayed.proxy.joined() == 1);
    assert!(read > MB, "{read} bytes in two seconds");
}

#[test]
fn a_relay_that_is_far_is_not_left() {
    let delay = Duration::from_millis(150);
    let mut relayed = Relayed::new(5, Site { rate: WELL, delay, ..Site::default() }, true);
    let read = relayed.read_within(20 * SECOND);
    assert!(relayed.proxy.is_in_use() && relayed.proxy.joined() == 1);
    assert!(read > 10 * MB, "{read} bytes");
}

#[test]
fn a_relay_that_others_share_from_now_on_is_not_left_for_stanzas() {
    let mut relayed = Relayed::new(6, Site { rate: WELL, ..Site::default() }, false);
    for rate in [WELL / 4, WELL / 20] {
        relayed.proxy.set_rate(rate);
        relayed.world.run_for(3 * SECOND);
        let read = relayed.read_within(10 * SECOND);
        assert!(relayed.proxy.is_in_use() && relayed.proxy.joined() == 1, "at {rate} bytes a second");
        assert!(read > 10 * rate * 2 / 3, "{read} bytes at {rate} bytes a second");
    }
}
