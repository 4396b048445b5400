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

/// Reads of 8 KiB, at 10 kB/s.
fn stock_prosody() -> Conditions {
    Conditions {
        rate: Some(10_000),
        reads: Some(8192),
        uplink: 5..10,
        downlink: 5..10,
        ..Conditions::default()
    }
}

/// What cells take there and back beside bulk, in order, and which part of the rate of bulk they leave.
fn cells_beside_bulk(seed: u64, logins: u64, conditions: Conditions) -> (Vec<Duration>, f64) {
    let mut world = World::new(Setup { seed, accounts: [logins, logins], conditions, ..Setup::default() });
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

/// Asserts that cells wait for no longer than they may, and leave most of the bulk rate, whatever the seed.
fn assert_prompt(logins: u64, conditions: &Conditions) {
    for seed in 1..=3 {
        let (times, kept) = cells_beside_bulk(seed, logins, conditions.clone());
        let (median, slow) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{logins} logins, seed {seed}: p50 {median:?}, p99 {slow:?}, {kept:.3} kept");
        assert!(median <= 150 * SECOND / 1000, "{logins} logins, seed {seed}: {times:?}");
        assert!(slow <= SECOND / 2, "{logins} logins, seed {seed}: {times:?}");
        assert!(kept >= 0.9, "{logins} logins, seed {seed}: {kept}");
    }
}

#[test]
fn a_cell_beside_bulk_hardly_waits_at_a_stock_prosody_where_one_account_is_logged_in_two_or_four_times() {
    assert_prompt(2, &stock_prosody());
    assert_prompt(4, &stock_prosody());
}
