//! Relays among paths: a session goes by a byte stream through a proxy where there is one, whatever becomes of that.

use std::time::Duration;

use crate::flow::{End, Script};
use crate::network::{Conditions, Side};
use crate::proxy::{Mood, Proxy, Site};
use crate::setup::{Setup, World, times_of_cells};
use crate::upload_service::{self, Uploads};

const SECOND: Duration = Duration::from_secs(1);
const MB: u64 = 1_000_000;

/// A stock Prosody at a round trip of 100 ms.
fn stock() -> Conditions {
    Conditions { rate: Some(10_000), uplink: 20..30, downlink: 20..30, ..Conditions::default() }
}

fn setup(seed: u64, proxy: &Proxy) -> Setup {
    let proxy = Some((proxy.clone(), [true; 2]));
    Setup { seed, conditions: stock(), proxy, keep_log: false, ..Setup::default() }
}

/// A download of so much, of which nothing has come yet.
fn begin(world: &mut World, bytes: u64) -> usize {
    let [up, down] = [0, bytes].map(|bytes| Script::writes(bytes).and_ends(End::AllDone));
    world.open(up, down)
}

fn run_to_the_end(world: &mut World, flow: usize) -> Duration {
    let begin = world.now();
    world.run_until_done(40_000 * SECOND, |world| {
        Side::BOTH.iter().all(|&side| world.flows()[flow].is_over_at(side))
    });
    world.assert_intact(flow);
    world.now() - begin
}

#[test]
fn a_session_of_slow_accounts_is_as_fast_as_its_relay() {
    let proxy = Proxy::new(1, Site::default());
    let mut world = World::new(setup(1, &proxy));
    let flow = begin(&mut world, 20 * MB);
    let took = run_to_the_end(&mut world, flow);
    assert!(took < 8 * SECOND, "{took:?} by a relay of 20 MB/s");
    assert_eq!(proxy.joined(), 1);
    let by_accounts = (20 * MB).saturating_sub(proxy.carried() as u64);
    assert!(by_accounts < 50_000, "{by_accounts} bytes went by accounts");
    world.run_until_quiet(300 * SECOND);
    world.assert_nothing_left();
}

#[test]
fn a_cell_beside_bulk_takes_no_longer_than_the_relay_makes_it() {
    let proxy = Proxy::new(2, Site { rate: 1_000_000, ..Site::default() });
    let mut world = World::new(setup(2, &proxy));
    let cells = world.open(Script::default(), Script::writes(514));
    begin(&mut world, 100 * MB);
    world.run_for(10 * SECOND);
    let times = times_of_cells(&mut world, cells, SECOND / 17);
    assert!(times[10] < SECOND * 15 / 100 && times[19] < SECOND / 2, "{times:?}");
}

#[test]
fn where_one_end_knows_no_relays_none_is_begun() {
    for knows in [[true, false], [false, true], [false, false]] {
        let proxy = Proxy::new(3, Site::default());
        let mut world = World::new(Setup {
            proxy: Some((proxy.clone(), knows)),
            ..setup(3, &Proxy::new(0, Site::default()))
        });
        let flow = begin(&mut world, 50_000);
        run_to_the_end(&mut world, flow);
        assert_eq!(proxy.joined(), 0);
    }
}

#[test]
fn whatever_a_proxy_does_in_the_middle_of_a_download_it_goes_on_within_ten_seconds_and_comes_whole() {
    for (seed, mood) in Mood::BAD.into_iter().enumerate() {
        let proxy = Proxy::new(seed as u64, Site { rate: 2_000_000, ..Site::default() });
        let uploads = Uploads::new(seed as u64, upload_service::Site::default());
        let uploads = Some((uploads, [true; 2]));
        let mut world = World::new(Setup { uploads, ..setup(seed as u64, &proxy) });
        let flow = begin(&mut world, 20 * MB);
        let longest = longest_pause_in(&mut world, (&proxy, mood), flow, 300 * SECOND);
        assert!(longest < 10 * SECOND, "{mood:?}: nothing came for {longest:?}");
        assert_eq!(world.app(flow, Side::Left).read, 20 * MB, "{mood:?}");
        run_to_the_end(&mut world, flow);
    }
}

#[test]
fn where_a_relay_ends_and_only_slow_accounts_are_left_a_download_goes_on_within_ten_seconds() {
    for (seed, mood) in [Mood::Silent, Mood::Cutting, Mood::Damaging].into_iter().enumerate() {
        let proxy = Proxy::new(seed as u64, Site { rate: 2_000_000, ..Site::default() });
        let mut world = World::new(setup(seed as u64, &proxy));
        let flow = begin(&mut world, 20 * MB);
        let longest = longest_pause_in(&mut world, (&proxy, mood), flow, 100 * SECOND);
        assert!(longest < 10 * SECOND, "{mood:?}: nothing came for {longest:?}");
    }
}

/// The longest time in which nothing comes of a download of 20 MB within so much time, after the proxy has turned bad in the middle of it.
fn longest_pause_in(
    world: &mut World,
    (proxy, mood): (&Proxy, Mood),
    flow: usize,
    time: Duration,
) -> Duration {
    while world.app(flow, Side::Left).read < 4 * MB {
        world.run_for(SECOND / 10);
        assert!(world.now() < 30 * SECOND, "{mood:?}: the relay does not begin");
    }
    proxy.set_mood(mood);
    let mut last = (world.now(), world.app(flow, Side::Left).read);
    let mut longest = Duration::ZERO;
    while last.1 < 20 * MB && world.now() < time {
        world.run_for(SECOND / 10);
        let read = world.app(flow, Side::Left).read;
        longest = longest.max(world.now() - last.0);
        if read > last.1 {
            last = (world.now(), read);
        }
    }
    longest
}

#[test]
fn a_proxy_that_comes_back_is_used_again() {
    let proxy = Proxy::new(5, Site::default());
    proxy.set_mood(Mood::Refusing);
    let mut world = World::new(setup(5, &proxy));
    let flow = begin(&mut world, 5 * MB);
    world.run_for(15 * SECOND);
    assert_eq!(proxy.carried(), 0);
    proxy.set_mood(Mood::Well);
    let took = run_to_the_end(&mut world, flow);
    assert!(took < 60 * SECOND && proxy.carried() as u64 > 4 * MB, "{took:?}");
}
