//! Failures of a program, an account or the server, and what becomes of connections.

use std::time::Duration;

use hexchat_pt::protocol::CloseReason;

use crate::flow::{End, Outcome, Script};
use crate::network::{Seat, Side};
use crate::setup::{Setup, World};
use crate::world::Fault;

const SECOND: Duration = Duration::from_secs(1);

fn outcome(world: &World, flow: usize) -> Outcome {
    world.app(flow, Side::Left).outcome
}

#[test]
fn when_the_peer_is_killed_an_idle_connection_is_closed_within_a_minute() {
    let mut world = World::new(Setup { accounts: [2, 2], ..Setup::default() });
    let flow = world.open(Script::writes(1000), Script::default());
    world.run_for(100 * SECOND);
    world.strike(Fault::Kill(Side::Right));
    world.run_for(60 * SECOND);
    assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::PeerSilent));
    world.run_until_quiet(60 * SECOND);
    world.assert_nothing_left();
}

#[test]
fn when_the_peer_is_killed_in_a_transfer_the_connection_is_closed_within_a_minute() {
    let mut world = World::new(Setup { accounts: [2, 2], ..Setup::default() });
    let flow = world.open(Script::writes(5 << 20), Script::default());
    world.run_for(SECOND);
    world.strike(Fault::Kill(Side::Right));
    world.run_for(60 * SECOND);
    assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::PeerSilent));
    world.run_until_quiet(60 * SECOND);
    world.assert_nothing_left();
}

#[test]
fn a_peer_that_was_started_again_and_has_forgotten_the_connection_is_noticed() {
    let mut world = World::new(Setup::default());
    let flow = world.open(Script::writes(5 << 20), Script::default());
    world.run_for(SECOND);
    world.restart_program(Side::Right);
    world.run_for(60 * SECOND);
    assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::PeerSilent));
    let next = world.open(Script::writes(1000).and_ends(End::Written), Script::default());
    world.run_until_quiet(60 * SECOND);
    world.assert_intact(next);
    world.assert_nothing_left();
}

#[test]
fn a_transfer_survives_a_restart_of_the_server() {
    for seed in 0..20 {
        let mut world = World::new(Setup { seed, accounts: [2, 2], ..Setup::default() });
        let up = world.open(Script::writes(2 << 20).and_ends(End::Written), Script::default());
        let down = world.open(Script::default(), Script::writes(2 << 20).and_ends(End::Written));
        world.run_for(Duration::from_millis(300 + 10 * seed));
        world.strike(Fault::Restart(10 * SECOND));
        world.run_until_quiet(120 * SECOND);
        world.assert_intact(up);
        world.assert_intact(down);
        world.assert_nothing_left();
    }
}

#[test]
fn a_transfer_survives_the_loss_of_all_accounts_but_one_at_each_end() {
    let mut world = World::new(Setup { accounts: [3, 3], ..Setup::default() });
    let flow = world.open(Script::writes(2 << 20).and_ends(End::Written), Script::default());
    world.run_for(Duration::from_millis(300));
    for side in Side::BOTH {
        world.strike(Fault::Gone(Seat::new(side, 0)));
        world.strike(Fault::Gone(Seat::new(side, 2)));
    }
    world.run_until_quiet(120 * SECOND);
    world.assert_intact(flow);
}

#[test]
fn without_any_account_left_the_connection_is_closed_at_once() {
    let mut world = World::new(Setup::default());
    let flow = world.open(Script::writes(1000), Script::default());
    world.run_for(SECOND);
    world.strike(Fault::Gone(Seat::new(Side::Left, 0)));
    assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::NoAccount));
    world.run_for(60 * SECOND);
    assert_eq!(world.app(flow, Side::Right).outcome, Outcome::Broken(CloseReason::PeerSilent));
    world.assert_nothing_left();
}

#[test]
fn an_end_that_gave_up_tells_the_other_which_may_hear_it_still() {
    let mut world = World::new(Setup { accounts: [1, 2], ..Setup::default() });
    let flow = world.open(Script::writes(5 << 20), Script::default());
    world.run_for(SECOND);
    // What the right side says is lost, and nobody says so.
    world.network.lose_everything_from(Side::Right);
    world.run_for(60 * SECOND);
    assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::PeerSilent));
    assert_ne!(world.app(flow, Side::Right).outcome, Outcome::Undecided);
}
