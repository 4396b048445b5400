//! Data transfer, when all goes well.

use std::time::Duration;

use hexchat_pt::protocol::CloseReason;
use hexchat_pt::secure::Config;

use crate::flow::{Decision, End, Flow, Outcome, Script};
use crate::network::{Conditions, Side};
use crate::setup::{Setup, World, defaults, times_of_cells};

const SECOND: Duration = Duration::from_secs(1);

/// Sends `bytes` each way on one stream and waits for its end; how long it took.
fn transfer(setup: Setup, up: u64, down: u64) -> Duration {
    let mut world = World::new(setup);
    let flow =
        world.open(Script::writes(up).and_ends(End::AllDone), Script::writes(down).and_ends(End::AllDone));
    world.run_until_done(3600 * SECOND, |world| {
        Side::BOTH.iter().all(|&side| world.flows()[flow].is_over_at(side))
    });
    let took = world.now();
    world.assert_intact(flow);
    world.run_until_quiet(300 * SECOND);
    world.assert_nothing_left();
    took
}

#[test]
fn bytes_go_both_ways_and_the_ends_are_seen() {
    transfer(Setup::default(), 200_000, 200_000);
}

#[test]
fn a_psk_makes_no_difference_to_those_who_know_it() {
    transfer(Setup { psk: Some([9; 32]), ..Setup::default() }, 10_000, 10_000);
}

#[test]
fn one_direction_can_end_before_the_other_begins() {
    let mut world = World::new(Setup::default());
    let request = Script::writes(1000).and_ends(End::Written);
    let flow = world.open(request, Script::replies(1000, 100_000).and_ends(End::Written));
    world.run_until_quiet(300 * SECOND);
    world.assert_intact(flow);
    world.assert_nothing_left();
}

#[test]
fn a_refused_connection_is_closed_with_that_reason() {
    let mut world = World::new(Setup::default());
    let to = world.bare_jid(Side::Right);
    let flow = Flow::new(0, Side::Left, to, Decision::Refuse, [Script::default(), Script::default()]);
    world.plan_flow(world.now(), flow);
    world.run_until_quiet(300 * SECOND);
    assert_eq!(world.app(0, Side::Left).outcome, Outcome::Broken(CloseReason::Refused));
    world.assert_nothing_left();
}

#[test]
fn many_streams_share_one_session() {
    let mut world = World::new(Setup { accounts: [2, 2], ..Setup::default() });
    let flows: Vec<usize> = (0..100)
        .map(|_| {
            world.open(
                Script::writes(5000).and_ends(End::AllDone),
                Script::writes(5000).and_ends(End::AllDone),
            )
        })
        .collect();
    world.run_until_quiet(300 * SECOND);
    flows.into_iter().for_each(|flow| world.assert_intact(flow));
    world.assert_nothing_left();
}

#[test]
fn an_idle_session_lives_on_and_costs_less_and_less() {
    let mut world = World::new(Setup::default());
    let flow = world.open(Script::writes(1000), Script::default());
    world.run_until(10 * SECOND);
    let stanzas_in = |world: &mut World, seconds: u32| {
        let before = world.stanzas;
        world.run_for(seconds * SECOND);
        world.stanzas - before
    };
    let (soon, late) = (stanzas_in(&mut world, 90), stanzas_in(&mut world, 900));
    assert!(late < 6 * soon, "{soon} stanzas in the first 90 seconds, then {late} in 900");
    assert!(world.app(flow, Side::Left).closed.is_none());
    world.write_more(flow, Side::Left, 1000);
    world.run_for(SECOND);
    assert_eq!(world.app(flow, Side::Right).read, 2000);
}

#[test]
fn shaped_accounts_add_up() {
    let shaped = |accounts| Setup {
        accounts: [accounts, accounts],
        conditions: Conditions { rate: Some(10_000), ..Conditions::default() },
        ..Setup::default()
    };
    let one = transfer(shaped(1), 200_000, 0);
    let four = transfer(shaped(4), 200_000, 0);
    let speed_up = one.as_secs_f64() / four.as_secs_f64();
    assert!(speed_up > 2.8, "four accounts are {speed_up} times as fast as one");
}

#[test]
fn a_reader_that_stops_stops_the_writer_and_nothing_is_lost() {
    let config = Config { queue_per_stream: 65_536, queue_per_session: 262_144, ..defaults() };
    let mut world = World::new(Setup { config, ..Setup::default() });
    let mut reader = Script::default();
    reader.pauses.push(SECOND..61 * SECOND);
    let flow = world.open(Script::writes(4 << 20).and_ends(End::Written), reader);
    world.run_until(30 * SECOND);
    let stuck = world.app(flow, Side::Left).written - world.app(flow, Side::Right).read;
    assert!(stuck <= 2 * 65_536, "{stuck} bytes are under way to a reader that does not read");
    world.run_until_quiet(300 * SECOND);
    world.assert_intact(flow);
    world.assert_nothing_left();
}

#[test]
fn a_cell_waits_for_no_more_than_what_is_on_its_way_of_a_bulk_transfer() {
    let conditions = Conditions { rate: Some(10_000), uplink: 5..6, downlink: 5..6, ..Conditions::default() };
    let mut world = World::new(Setup { conditions, ..Setup::default() });
    world.open(Script::default(), Script::writes(10 << 20));
    let cells = world.open(Script::default(), Script::writes(514));
    world.run_until(60 * SECOND);
    let times = times_of_cells(&mut world, cells, SECOND / 7);
    assert!(times[10] < SECOND, "{times:?}");
    assert!(times[19] < 13 * SECOND / 10, "{times:?}");
}

#[test]
fn no_more_is_taken_from_an_application_than_a_slow_way_carries_in_some_seconds() {
    let conditions = Conditions { rate: Some(10_000), ..Conditions::default() };
    let mut world = World::new(Setup { conditions, ..Setup::default() });
    let flow = world.open(Script::default(), Script::writes(10 << 20));
    let mut most = 0;
    for _ in 0..60 {
        world.run_for(SECOND);
        most = most.max(world.app(flow, Side::Right).written - world.app(flow, Side::Left).read);
    }
    assert!(most <= 50_000, "{most} bytes are under way at 7 kB/s");
    assert!(world.app(flow, Side::Left).read > 350_000);
}

#[test]
fn a_sender_that_may_keep_little_does_not_wait_long_for_acknowledgements() {
    let config = Config { queue_total: 65_536, ..defaults() };
    let took = transfer(Setup { config, ..Setup::default() }, 400_000, 0);
    assert!(took < 10 * SECOND, "{took:?} for 400 kB");
}

#[test]
fn small_writes_in_quick_succession_share_packets() {
    let next_door = Conditions { uplink: 0..1, downlink: 0..1, ..Conditions::default() };
    let mut world = World::new(Setup { conditions: next_door, ..Setup::default() });
    let mut chatty = Script::writes(20_000).and_ends(End::Written);
    (chatty.piece, chatty.pace) = (100, Duration::from_micros(500));
    let flow = world.open(chatty, Script::default());
    world.run_until_quiet(300 * SECOND);
    world.assert_intact(flow);
    // Each of the 200 writes in a packet of its own would make more than 400, with its answer.
    assert!(world.stanzas < 200, "{} stanzas for 200 small writes", world.stanzas);
}
