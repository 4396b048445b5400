//! Lines that swallow everything: silence is all that shows it.

use std::time::Duration;

use crate::flow::{End, Script};
use crate::network::{Conditions, Seat, Side};
use crate::setup::{Setup, World};
use crate::world::Fault;

const SECOND: Duration = Duration::from_secs(1);

/// Looked at so often, in virtual time.
const STEP: Duration = Duration::from_millis(20);

const SWALLOWED: Seat = Seat::new(Side::Left, 0);

/// What became of a transfer of 4 MB and of the client's first account, whose line swallowed everything after three seconds.
#[derive(Debug)]
struct Outcome {
    /// The longest time in which nothing arrived.
    pause: Duration,
    /// When the account was back, after its line was swallowed.
    back: Duration,
}

fn swallow(seed: u64, accounts: u64, to: Side) -> Outcome {
    let conditions = Conditions { rate: Some(200_000), ..Conditions::default() };
    let setup = Setup { seed, accounts: [accounts, 1], conditions, ..Setup::default() };
    let mut world = World::new(setup);
    let (much, nothing) = (Script::writes(4 << 20).and_ends(End::Written), Script::default());
    let flow = if to == Side::Right { world.open(much, nothing) } else { world.open(nothing, much) };
    world.run_for(3 * SECOND);
    world.strike(Fault::Swallow(SWALLOWED));
    let (begun, mut last, mut read) = (world.now(), world.now(), 0);
    let mut outcome = Outcome { pause: Duration::ZERO, back: Duration::MAX };
    while read < 4 << 20 && world.now() < begun + 120 * SECOND {
        world.run_for(STEP);
        if world.app(flow, to).read > read {
            outcome.pause = outcome.pause.max(world.now() - last);
            (read, last) = (world.app(flow, to).read, world.now());
        }
        if world.network.is_online(SWALLOWED) {
            outcome.back = outcome.back.min(world.now() - begun);
        }
    }
    world.run_until_quiet(400 * SECOND);
    world.assert_intact(flow);
    world.assert_nothing_left();
    outcome
}

#[test]
fn where_the_line_of_one_of_two_accounts_is_swallowed_the_other_carries_on_after_three_seconds() {
    for seed in 0..8 {
        for to in Side::BOTH {
            let outcome = swallow(seed, 2, to);
            println!("{seed}, to {to:?}: {outcome:?}");
            assert!(outcome.pause < 3 * SECOND, "{seed}, to {to:?}: {outcome:?}");
        }
    }
}

#[test]
fn an_account_that_sends_is_back_nine_seconds_after_its_line_was_swallowed() {
    for seed in 0..8 {
        for accounts in [1, 2] {
            let outcome = swallow(seed, accounts, Side::Right);
            assert!(outcome.back < 9 * SECOND, "{seed}, {accounts}: {outcome:?}");
        }
    }
}

#[test]
fn a_session_by_one_account_survives_and_goes_on_when_the_account_is_back() {
    for seed in 0..8 {
        for to in Side::BOTH {
            let outcome = swallow(seed, 1, to);
            println!("{seed}, to {to:?}: {outcome:?}");
            assert!(outcome.pause < 12 * SECOND, "{seed}, to {to:?}: {outcome:?}");
        }
    }
}
