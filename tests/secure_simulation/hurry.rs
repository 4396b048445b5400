//! Cells beside bulk, on several slow paths: one account that is logged in several times, at a server with its usual limits.

use std::time::Duration;

use crate::flow::Script;
use crate::network::{Conditions, Side};
use crate::setup::{Setup, World};

const SECOND: Duration = Duration::from_secs(1);

/// One of Tor's.
const CELL: u64 = 514;

/// How many cells are sent, one each two to three seconds.
const CELLS: u64 = 60;

/// For how long bulk goes alone: until its windows have opened, and then while it is measured.
const ALONE: Duration = Duration::from_secs(60);

/// In how many worlds.
const SEEDS: u64 = 5;

/// Reads of 8 KiB, at 10 kB/s.
fn stock_prosody() -> Conditions {
    Conditions {
        rate: Some(10_000),
        reads: Some(8192),
        uplink: 0..2,
        downlink: 0..2,
        ..Conditions::default()
    }
}

/// Reads of all there is, at 3 kB/s, and no pause for who has sent less.
fn stock_ejabberd() -> Conditions {
    Conditions {
        rate: Some(3000),
        reads: Some(65_536),
        burst: Some(20_000),
        uplink: 0..2,
        downlink: 0..2,
        ..Conditions::default()
    }
}

/// What cells take there and back beside bulk, from the fastest to the slowest, and which part of the rate of bulk they leave.
fn cells_beside_bulk(seed: u64, logins: u64, conditions: Conditions) -> (Vec<Duration>, f64) {
    let mut world = World::new(Setup {
        seed,
        accounts: [logins, logins],
        conditions,
        keep_log: false,
        ..Setup::default()
    });
    let bulk = world.open(Script::default(), Script::writes(100 << 20));
    world.run_for(ALONE);
    let carried = |world: &mut World| world.app(bulk, Side::Left).read;
    let rate = |world: &mut World, run: &mut dyn FnMut(&mut World)| {
        let (start, before) = (world.now(), carried(world));
        run(world);
        (carried(world) - before) as f64 / (world.now() - start).as_secs_f64()
    };
    let alone = rate(&mut world, &mut |world| world.run_for(ALONE));
    let cells = world.open(Script::default(), Script::default());
    // It is opened as a person opens one, some time before he writes.
    world.run_for(2 * SECOND);
    let mut times = Vec::new();
    let beside = rate(&mut world, &mut |world| {
        for n in 1..=CELLS {
            let begin = world.now();
            world.write_more(cells, Side::Left, CELL);
            wait_until_read(world, (cells, Side::Right), n * CELL);
            world.write_more(cells, Side::Right, CELL);
            wait_until_read(world, (cells, Side::Left), n * CELL);
            times.push(world.now() - begin);
            world.run_for(2 * SECOND + SECOND * (n as u32 * 7 % 10) / 10);
        }
    });
    times.sort();
    (times, beside / alone)
}

fn wait_until_read(world: &mut World, (flow, side): (usize, Side), bytes: u64) {
    let deadline = world.now() + 30 * SECOND;
    while world.app(flow, side).read < bytes {
        assert!(world.now() < deadline, "a cell has not arrived for 30 seconds");
        world.run_for(SECOND / 1000);
    }
}

/// Asserts that half of all cells take no longer than `most[0]` milliseconds there and back, 99 of 100 no longer than `most[1]`, and that they
/// leave nine tenths of the bulk rate.
fn assert_prompt(logins: u64, conditions: &Conditions, most: [u64; 2]) {
    let (mut all, mut kept_in_all) = (Vec::new(), 0.0);
    for seed in 1..=SEEDS {
        let (times, kept) = cells_beside_bulk(seed, logins, conditions.clone());
        all.extend(times);
        kept_in_all += kept / SEEDS as f64;
    }
    all.sort();
    let reached = [50, 99].map(|share| all[all.len() * share / 100].as_millis() as u64);
    println!("{logins} logins: {reached:?} ms, {kept_in_all:.3} kept");
    assert!(reached[0] <= most[0] && reached[1] <= most[1], "{logins} logins: {reached:?} of {all:?}");
    assert!(kept_in_all >= 0.9, "{logins} logins: {kept_in_all}");
}

#[test]
fn a_cell_beside_bulk_hardly_waits_at_a_stock_prosody_where_one_account_is_logged_in_two_or_four_times() {
    assert_prompt(2, &stock_prosody(), [150, 500]);
    assert_prompt(4, &stock_prosody(), [150, 500]);
}

/// There and back a cell takes 100 milliseconds while nothing else goes.
fn far(conditions: &Conditions) -> Conditions {
    Conditions { uplink: 24..26, downlink: 24..26, ..conditions.clone() }
}

#[test]
fn a_cell_that_takes_a_tenth_of_a_second_anyway_hardly_waits_either() {
    assert_prompt(4, &far(&stock_prosody()), [150, 500]);
    assert_prompt(2, &far(&stock_prosody()), [200, 500]);
}

/// A block of 1 KiB takes half a second there.
#[test]
fn at_a_stock_ejabberd_a_cell_hardly_ever_waits_for_longer_than_a_block_takes() {
    assert_prompt(4, &stock_ejabberd(), [150, 600]);
    assert_prompt(4, &far(&stock_ejabberd()), [250, 500]);
    assert_prompt(2, &stock_ejabberd(), [250, 600]);
    assert_prompt(2, &far(&stock_ejabberd()), [350, 700]);
}

/// What bulk alone carries by so many logins, in bytes a second.
fn rate(logins: u64, conditions: &Conditions) -> f64 {
    let conditions = conditions.clone();
    let mut world =
        World::new(Setup { seed: 7, accounts: [logins; 2], conditions, keep_log: false, ..Setup::default() });
    let bulk = world.open(Script::default(), Script::writes(100 << 20));
    world.run_for(ALONE);
    let before = world.app(bulk, Side::Left).read;
    world.run_for(2 * ALONE);
    (world.app(bulk, Side::Left).read - before) as f64 / (2 * ALONE).as_secs_f64()
}

/// Which part of so many times what one login carries two, three and four do.
fn shares(conditions: &Conditions) -> [f64; 3] {
    let one = rate(1, conditions);
    [2, 3, 4].map(|logins| rate(logins, conditions) / (logins as f64 * one))
}

#[test]
fn several_logins_carry_several_times_as_much() {
    for conditions in [stock_prosody(), far(&stock_prosody()), stock_ejabberd(), far(&stock_ejabberd())] {
        let shares = shares(&conditions);
        assert!(shares.iter().all(|share| *share > 0.97), "{shares:?} at {conditions:?}");
    }
}

#[test]
fn where_answers_are_up_to_half_a_second_late_several_logins_lose_hardly_anything() {
    for stock in [stock_prosody(), stock_ejabberd()] {
        for (uplink, downlink) in [(0..2, 5..500), (5..500, 0..2)] {
            let conditions = Conditions { uplink, downlink, ..stock.clone() };
            let shares = shares(&conditions);
            assert!(shares.iter().all(|share| *share > 0.9), "{shares:?} at {conditions:?}");
        }
    }
}
