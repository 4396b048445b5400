//! Conversations with the program of 2013.

use std::time::Duration;

use hexchat_pt::protocol::CloseReason;

use crate::flow::{Decision, End, Flow, Outcome, Script};
use crate::network::{Conditions, Side};
use crate::setup::{Setup, World};

const SECOND: Duration = Duration::from_secs(1);

/// Three accounts a side; between any two of them stanzas overtake each other.
fn reordering(seed: u64) -> World {
    let conditions = Conditions { uplink: 5..60, downlink: 5..400, ..Conditions::default() };
    World::new(Setup { seed, accounts: [3, 3], old_right: true, conditions, ..Setup::default() })
}

fn open_from(world: &mut World, opener: Side, left: Script, right: Script) -> usize {
    let to = world.bare_jid(opener.other());
    let flow = Flow::new(world.flows().len(), opener, to, Decision::Accept, [left, right]);
    world.plan_flow(world.now(), flow)
}

#[test]
fn our_client_gets_a_reply_from_its_server() {
    for seed in 0..50 {
        let mut world = reordering(seed);
        let request = Script::writes(20_000).and_ends(End::AllDone);
        let flow = open_from(&mut world, Side::Left, request, Script::replies(20_000, 60_000));
        world.run_until_quiet(120 * SECOND);
        world.assert_intact(flow);
        world.assert_nothing_left();
    }
}

#[test]
fn our_server_gives_its_client_a_reply() {
    for seed in 0..50 {
        let mut world = reordering(seed);
        let request = Script::writes(20_000).and_ends(End::AllDone);
        let flow = open_from(&mut world, Side::Right, Script::replies(20_000, 300_000), request);
        world.run_until_quiet(120 * SECOND);
        world.assert_intact(flow);
        world.assert_nothing_left();
    }
}

#[test]
fn whoever_ends_first_everything_before_the_end_arrives() {
    for seed in 0..50 {
        let mut world = reordering(seed);
        let upload = Script::writes(200_000).and_ends(End::Written);
        let flow = open_from(&mut world, Side::Left, upload.clone(), Script::default());
        let other = open_from(
            &mut world,
            Side::Right,
            Script::default(),
            Script::writes(40_000).and_ends(End::Written),
        );
        world.run_until_quiet(120 * SECOND);
        world.assert_intact(flow);
        world.assert_intact(other);
        world.assert_nothing_left();
    }
}

#[test]
fn our_server_may_speak_first() {
    for seed in 0..50 {
        let mut world = reordering(seed);
        let greeting = Script::writes(100_000).and_ends(End::Written);
        let flow = open_from(&mut world, Side::Right, greeting, Script::default());
        world.run_until_quiet(120 * SECOND);
        world.assert_intact(flow);
    }
}

#[test]
fn its_refusal_is_understood() {
    let mut world = reordering(1);
    let to = world.bare_jid(Side::Right);
    let flow = Flow::new(0, Side::Left, to, Decision::Refuse, [Script::default(), Script::default()]);
    world.plan_flow(world.now(), flow);
    world.run_until_quiet(60 * SECOND);
    assert_eq!(world.app(0, Side::Left).outcome, Outcome::Broken(CloseReason::Refused));
}

#[test]
fn an_idle_connection_with_it_stays() {
    let mut world = reordering(1);
    let flow = open_from(&mut world, Side::Left, Script::writes(100), Script::default());
    world.run_for(3600 * SECOND);
    assert_eq!(world.app(flow, Side::Left).closed, None);
    assert_eq!(world.app(flow, Side::Right).closed, None);
    world.write_more(flow, Side::Left, 1000);
    world.finish(flow, Side::Left);
    world.run_until_quiet(60 * SECOND);
    world.assert_intact(flow);
}
