//! Failures of a program, an account or the server, and what becomes of connections.

use std::time::Duration;

use hexchat_pt::protocol::CloseReason;

use crate::flow::{End, Outcome, Script};
use crate::network::{Conditions, Seat, Side};
use crate::setup::{Setup, World};
use crate::world::Fault;

const SECOND: Duration = Duration::from_secs(1);

fn outcome(world: &World, flow: usize) -> Outcome {
    world.app(flow, Side::Left).outcome
}

fn two_accounts(seed: u64) -> Setup {
    Setup { seed, accounts: [2, 2], named: 2, ..Setup::default() }
}

/// A transfer each way, large enough that faults of the first seconds strike it in the middle.
fn transfers(world: &mut World) -> [usize; 2] {
    let up = world.open(Script::writes(2 << 20).and_ends(End::Written), Script::default());
    let down = world.open(Script::default(), Script::writes(2 << 20).and_ends(End::Written));
    [up, down]
}

fn all_intact(mut world: World, flows: [usize; 2]) {
    world.run_until_quiet(400 * SECOND);
    flows.into_iter().for_each(|flow| world.assert_intact(flow));
    world.assert_nothing_left();
}

#[test]
fn a_transfer_survives_a_restart_of_the_server() {
    for seed in 0..20 {
        let mut world = World::new(two_accounts(seed));
        let flows = transfers(&mut world);
        world.plan_fault(SECOND / 2, Fault::Restart(20 * SECOND));
        all_intact(world, flows);
    }
}

#[test]
fn a_transfer_survives_connections_that_break_every_two_seconds_and_are_not_resumed() {
    for seed in 0..20 {
        let conditions = Conditions { rate: Some(200_000), ..Conditions::default() };
        let mut world = World::new(Setup { conditions, ..two_accounts(seed) });
        let flows = transfers(&mut world);
        for n in 1..8 {
            for side in Side::BOTH {
                for account in 0..2 {
                    let fault = Fault::Reset(Seat::new(side, account), SECOND / 5);
                    world.plan_fault(n * 2 * SECOND, fault);
                }
            }
        }
        all_intact(world, flows);
    }
}

#[test]
fn a_transfer_goes_on_when_one_of_two_accounts_is_lost_for_good() {
    for (seed, side) in [(1, Side::Left), (2, Side::Right)] {
        let mut world = World::new(two_accounts(seed));
        let flows = transfers(&mut world);
        world.plan_fault(SECOND / 2, Fault::Gone(Seat::new(side, 0)));
        all_intact(world, flows);
    }
}

#[test]
fn a_peer_that_is_killed_is_given_up_within_130_seconds() {
    for is_busy in [false, true] {
        let mut world = World::new(two_accounts(1));
        let total = if is_busy { 50 << 20 } else { 1000 };
        let flow = world.open(Script::writes(total), Script::default());
        world.run_for(3 * SECOND);
        world.strike(Fault::Kill(Side::Right));
        world.run_for(130 * SECOND);
        assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::NoPath), "busy: {is_busy}");
        world.run_until_quiet(300 * SECOND);
        world.assert_nothing_left();
    }
}

#[test]
fn a_bridge_that_was_started_again_says_so_within_20_seconds_and_takes_the_next_connection() {
    // In the last three all windows are full of what the old bridge had, and nothing can be sent to the new one.
    for (seed, is_busy) in [(1, false), (1, true), (4, true), (12, true)] {
        let mut world = World::new(two_accounts(seed));
        let total = if is_busy { 50 << 20 } else { 1000 };
        let flow = world.open(Script::writes(total), Script::default());
        world.run_for(3 * SECOND);
        world.restart_program(Side::Right);
        world.run_for(20 * SECOND);
        assert_eq!(
            outcome(&world, flow),
            Outcome::Broken(CloseReason::SessionLost),
            "{seed}, busy: {is_busy}"
        );
        let next = world.open(Script::writes(1000).and_ends(End::Written), Script::default());
        world.run_until_quiet(300 * SECOND);
        world.assert_intact(next);
        world.assert_nothing_left();
    }
}

#[test]
fn a_session_outlives_a_minute_without_any_path() {
    let mut world = World::new(two_accounts(3));
    let flows = transfers(&mut world);
    for account in 0..2 {
        world.plan_fault(SECOND / 2, Fault::Reset(Seat::new(Side::Right, account), 60 * SECOND));
    }
    all_intact(world, flows);
}

#[test]
fn a_connect_to_an_absent_bridge_fails_within_two_seconds() {
    let mut world = World::new(Setup::default());
    world.strike(Fault::Gone(Seat::new(Side::Right, 0)));
    let flow = world.open(Script::writes(1000), Script::default());
    world.run_for(2 * SECOND);
    assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::PeerUnavailable));
    world.run_until_quiet(60 * SECOND);
    world.assert_nothing_left();
}
