//! Bounds on what an end keeps, whatever its applications and its peer do.

use std::time::Duration;

use hexchat_pt::protocol::CloseReason;
use hexchat_pt::secure::Config;

use crate::flow::{End, Outcome, Script};
use crate::network::Side;
use crate::setup::{Setup, World, defaults};

const SECOND: Duration = Duration::from_secs(1);
const TOTAL: usize = 1_000_000;
/// What every stream may keep.
const FLOOR: usize = 16 * 1024;

fn world(config: Config) -> World {
    World::new(Setup { config, ..Setup::default() })
}

/// A reader that does nothing for a long time.
fn lazy() -> Script {
    let mut script = Script::default();
    script.pauses.push(Duration::ZERO..300 * SECOND);
    script
}

#[test]
fn what_applications_write_is_taken_up_to_half_of_the_total_and_all_of_it_arrives() {
    let mut world = world(Config { queue_total: TOTAL, ..defaults() });
    let flows: Vec<usize> = (0..8)
        .map(|_| world.open(Script::writes(1_000_000).and_ends(End::Written), Script::default()))
        .collect();
    for _ in 0..200 {
        world.run_for(SECOND / 20);
        let kept = world.program(Side::Left).core().buffered();
        assert!(kept <= TOTAL / 2 + 8 * FLOOR, "{kept} bytes are kept");
    }
    world.run_until_quiet(600 * SECOND);
    flows.iter().for_each(|flow| world.assert_intact(*flow));
    world.assert_nothing_left();
}

#[test]
fn a_session_that_fills_the_whole_process_with_what_nobody_reads_is_closed() {
    let mut world = world(Config { queue_total: TOTAL, queue_per_stream: TOTAL / 2, ..defaults() });
    let flows: Vec<usize> =
        (0..8).map(|_| world.open(Script::writes(1_000_000).and_ends(End::Written), lazy())).collect();
    for _ in 0..200 {
        world.run_for(SECOND / 20);
        let kept = world.program(Side::Right).core().buffered();
        assert!(kept <= TOTAL, "{kept} bytes are kept");
    }
    for flow in flows {
        let outcome = world.app(flow, Side::Left).outcome;
        assert!(matches!(outcome, Outcome::Broken(CloseReason::TooManyStreams)), "{outcome:?}");
    }
}

#[test]
fn readers_that_stop_fill_a_session_no_further_than_its_credit() {
    let config = Config { queue_per_stream: 50_000, queue_per_session: 100_000, ..defaults() };
    let most = 100_000 + 8 * FLOOR;
    let mut world = world(config);
    let flows: Vec<usize> =
        (0..8).map(|_| world.open(Script::writes(200_000).and_ends(End::Written), lazy())).collect();
    for _ in 0..400 {
        world.run_for(SECOND / 2);
        for side in Side::BOTH {
            let kept = world.program(side).core().buffered();
            assert!(kept <= most, "{side:?} keeps {kept} bytes");
        }
    }
    world.run_until_quiet(900 * SECOND);
    flows.iter().for_each(|flow| world.assert_intact(*flow));
}
