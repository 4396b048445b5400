//! Tests of the policy, on a made-up time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(250);

/// A stock Prosody's.
const SLOW: f64 = 10_000.0;

fn deep() -> Load {
    Load { is_blocked: true, unsent: 20_000, rate: Some(SLOW), is_by_files: false }
}

fn shallow() -> Load {
    Load { is_blocked: false, unsent: 500, rate: Some(SLOW), is_by_files: false }
}

/// An account whose siblings log in at once, and a server.
struct World {
    policy: Policy,
    now: Instant,
    siblings: usize,
    others: usize,
    load: Load,
    is_online: bool,
    /// How many logins carry all that can be carried.
    of_use: usize,
}

impl World {
    /// One that may have so many logins.
    fn new(most: usize) -> Self {
        Self::with_policy(Policy::new((most, most), Caution::default()))
    }

    /// One whose user has not said how many.
    fn unasked() -> Self {
        Self::with_policy(Policy::new((2, 4), Caution::default()))
    }

    fn with_policy(policy: Policy) -> Self {
        let (now, load) = (Instant::now(), deep());
        Self { policy, now, siblings: 0, others: 0, load, is_online: true, of_use: usize::MAX }
    }

    fn tick(&mut self) -> Step {
        let carrying = self.of_use.min(1 + self.siblings);
        let rate = self.load.rate.map(|of_one| of_one * carrying as f64);
        let scene = Scene {
            is_online: self.is_online,
            load: Load { rate, ..self.load },
            siblings: self.siblings,
            is_coming: false,
            others: self.others,
            has_place: true,
        };
        let step = self.policy.step(self.now, &scene);
        match step {
            Step::Open => {
                self.siblings += 1;
                self.policy.on_login(self.now);
            }
            Step::Close => self.siblings -= 1,
            Step::Stay => {}
        }
        self.now += TICK;
        step
    }

    /// Runs until there are so many siblings.
    fn run_until(&mut self, siblings: usize) {
        let end = self.now + 60 * SECOND;
        while self.siblings != siblings {
            assert!(self.now < end, "{} siblings, not {siblings}", self.siblings);
            self.tick();
        }
    }

    fn run(&mut self, time: Duration) -> usize {
        let end = self.now + time;
        while self.now < end {
            self.tick();
        }
        self.siblings
    }
}

#[test]
fn a_second_login_comes_after_a_second_and_each_further_one_after_three() {
    let mut world = World::new(4);
    assert_eq!(world.run(SECOND), 0);
    assert_eq!(world.run(SECOND), 1);
    assert_eq!(world.run(2 * SECOND), 1);
    assert_eq!(world.run(SECOND), 2);
    assert_eq!(world.run(60 * SECOND), 3, "and never a fifth");
}

#[test]
fn where_nobody_has_said_how_many_there_are_soon_two_and_up_to_four_where_much_goes_on_waiting() {
    let mut world = World::unasked();
    assert_eq!(world.run(2 * SECOND), 1);
    assert_eq!(world.run(5 * SECOND), 1);
    assert_eq!(world.run(2 * SECOND), 2);
    assert_eq!(world.run(10 * SECOND), 3);
    assert_eq!(world.run(600 * SECOND), 3, "and never a fifth");
}

#[test]
fn where_each_carries_as_much_as_the_first_all_stay() {
    for most in 2..=8 {
        let mut world = World::new(most);
        world.run(60 * SECOND);
        assert_eq!(world.run(600 * SECOND), most - 1);
    }
}

#[test]
fn a_login_that_carries_nothing_more_goes_and_does_not_come_again_for_an_hour() {
    for (of_use, most) in [(1, 2), (1, 4), (2, 4), (3, 4), (3, 8)] {
        let mut world = World::new(most);
        world.of_use = of_use;
        world.run_until(most - 1);
        assert_eq!(world.run(120 * SECOND), of_use - 1, "{of_use} of {most} are of use");
        assert_eq!(world.run(3400 * SECOND), of_use - 1, "{of_use} of {most} are of use");
        world.of_use = usize::MAX;
        assert_eq!(world.run(300 * SECOND), most - 1, "there is more to be had by now");
    }
}

#[test]
fn while_bulk_goes_by_files_there_are_several_logins_whatever_they_carry() {
    for rate in [None, Some(SLOW)] {
        let mut world = World::unasked();
        world.load = Load { is_by_files: true, rate, ..shallow() };
        world.of_use = 1;
        assert_eq!(world.run(2 * SECOND), 1, "{rate:?}");
        assert_eq!(world.run(60 * SECOND), 3, "{rate:?}");
        world.load = Load { rate, ..shallow() };
        assert_eq!(world.run(IDLE + SECOND), 0, "{rate:?}");
    }
}

#[test]
fn what_was_too_little_to_tell_is_no_trial() {
    let mut world = World::new(2);
    world.of_use = 1;
    for _ in 0..10 {
        world.load = deep();
        assert_eq!(world.run(10 * SECOND), 1);
        world.load = shallow();
        assert_eq!(world.run(2 * SECOND), 1);
    }
}

#[test]
fn there_are_as_many_logins_as_are_asked_for_and_no_more() {
    for most in 1..=8 {
        let mut world = World::new(most);
        assert_eq!(world.run(60 * SECOND), most - 1);
    }
}

#[test]
fn what_all_logins_carry_together_may_be_more_than_one_carries_where_nobody_limits_it() {
    let mut world = World::new(4);
    for _ in 0..120 {
        world.load.rate = Some(600_000.0);
        world.load.unsent = 5_000_000;
        world.run(SECOND);
    }
    assert_eq!(world.siblings, 3, "and they stay");
}

#[test]
fn a_short_visit_has_one_login() {
    let mut world = World::new(4);
    for _ in 0..100 {
        world.load = deep();
        assert_eq!(world.run(3 * TICK), 0);
        world.load = shallow();
        assert_eq!(world.run(2 * SECOND), 0);
    }
}

#[test]
fn a_moment_between_two_writes_ends_nothing() {
    let mut world = World::new(4);
    for n in 0..8 {
        world.load = if n % 2 == 0 { deep() } else { shallow() };
        world.tick();
    }
    assert_eq!(world.siblings, 1);
}

#[test]
fn where_no_server_limits_anything_there_is_one_login() {
    let mut world = World::new(4);
    world.load.rate = Some(5_000_000.0);
    assert_eq!(world.run(60 * SECOND), 0);
    world.load.rate = None;
    assert_eq!(world.run(60 * SECOND), 0, "nor where nobody knows");
}

#[test]
fn an_account_that_is_only_beginning_to_send_has_one_login() {
    let mut world = World::new(4);
    for round in 0..20 {
        world.load.rate = Some(SLOW * 1.5_f64.powi(round));
        assert_eq!(world.run(2 * TICK), 0);
    }
}

#[test]
fn siblings_go_after_two_minutes_of_idleness_and_not_before() {
    let mut world = World::new(4);
    assert_eq!(world.run(20 * SECOND), 3);
    world.load = shallow();
    assert_eq!(world.run(119 * SECOND), 3);
    assert_eq!(world.run(3 * SECOND), 0);
}

#[test]
fn a_phone_leaves_room_for_three_of_ours_and_one_that_comes_later_gets_a_place() {
    let mut world = World::new(4);
    world.others = 1;
    assert_eq!(world.run(60 * SECOND), 2);
    let mut world = World::new(4);
    assert_eq!(world.run(60 * SECOND), 3);
    world.others = 1;
    assert_eq!(world.run(SECOND), 2);
    world.others = 5;
    assert_eq!(world.run(SECOND), 0);
}

#[test]
fn a_phone_that_ends_as_we_come_shows_how_many_there_may_be() {
    let mut world = World::new(8);
    world.others = 1;
    world.run_until(4);
    let total = 1 + world.siblings + world.others;
    world.others = 0;
    world.policy.on_other_ended(world.now, total);
    assert_eq!(world.tick(), Step::Close, "at once");
    assert_eq!(world.run(2 * 3600 * SECOND), 0);
    world.load = shallow();
    assert_eq!(world.run(3600 * SECOND), 0);
    world.load = deep();
    assert_eq!(world.run(60 * SECOND), 2, "6 were too many and 5 allowed, of which two stay free");
}

#[test]
fn a_phone_that_ends_at_another_time_has_a_reason_of_its_own() {
    let mut world = World::new(2);
    world.others = 1;
    assert_eq!(world.run(20 * SECOND), 1);
    world.policy.on_other_ended(world.now, 3);
    assert_eq!(world.run(60 * SECOND), 1);
}

#[test]
fn a_conflict_or_a_refusal_ends_it_for_hours() {
    for ending in [Ending::Crowded, Ending::Refused] {
        let mut world = World::new(2);
        assert_eq!(world.run(20 * SECOND), 1);
        world.siblings = 0;
        world.policy.on_ended(world.now, ending, 5);
        assert_eq!(world.run(3 * 3600 * SECOND), 0, "{ending:?}");
        assert_eq!(world.run(20 * SECOND), 1, "{ending:?}");
    }
}

#[test]
fn several_that_end_by_one_cut_are_one_fault() {
    let mut world = World::new(4);
    world.run_until(3);
    for left in (0..3).rev() {
        world.policy.on_ended(world.now, Ending::Fault, 1 + left);
    }
    world.siblings = 0;
    assert_eq!(world.run(FIRST_PAUSE - SECOND), 0);
    world.run_until(1);
    assert!(world.run(3 * SECOND) >= 1);
}

#[test]
fn faults_of_the_network_make_longer_and_longer_pauses() {
    let mut world = World::new(2);
    for pause in [30, 60, 120] {
        assert_eq!(world.run(pause * SECOND + 10 * SECOND), 1);
        world.siblings = 0;
        world.policy.on_ended(world.now, Ending::Fault, 2);
        assert_eq!(world.run(pause * SECOND), 0);
    }
}

#[test]
fn while_the_first_login_is_away_nobody_comes_or_goes() {
    let mut world = World::new(3);
    world.run_until(1);
    (world.is_online, world.load) = (false, shallow());
    assert_eq!(world.run(600 * SECOND), 1);
    world.is_online = true;
    assert_eq!(world.run(SECOND), 0, "there was nothing to send for long");
}

#[test]
fn while_the_first_login_is_away_no_other_is_found_to_be_of_no_use() {
    let mut world = World::new(3);
    world.run_until(2);
    (world.is_online, world.of_use) = (false, 1);
    assert_eq!(world.run(60 * SECOND), 2);
    (world.is_online, world.of_use) = (true, usize::MAX);
    assert_eq!(world.run(60 * SECOND), 2);
}

#[test]
fn what_a_server_has_shown_outlives_the_login() {
    let mut world = World::new(4);
    world.policy.on_ended(world.now, Ending::Refused, 2);
    world.policy = Policy::new((4, 4), world.policy.caution());
    assert_eq!(world.run(3600 * SECOND), 0);
}

/// What can happen to an account.
#[derive(Clone, Debug)]
enum Happening {
    Time(u64),
    Load(bool),
    Others(usize),
    Online(bool),
    SiblingEnds(bool),
    OtherEnds,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (1..200_u64).prop_map(Happening::Time),
        any::<bool>().prop_map(Happening::Load),
        (0..6_usize).prop_map(Happening::Others),
        any::<bool>().prop_map(Happening::Online),
        any::<bool>().prop_map(Happening::SiblingEnds),
        Just(Happening::OtherEnds),
    ]
}

proptest! {
    /// Whatever happens: never more than allowed, never one shortly after another, none while it rests, none without a reason.
    #[test]
    fn a_login_is_made_only_where_there_is_room_and_reason(
        most in 1..=8_usize,
        happenings in proptest::collection::vec(happening(), 1..60),
    ) {
        let mut world = World::new(most);
        let mut last: Option<Instant> = None;
        for happening in happenings {
            match happening {
                Happening::Load(is_deep) => world.load = if is_deep { deep() } else { shallow() },
                Happening::Others(others) => world.others = others,
                Happening::Online(is_online) => world.is_online = is_online,
                Happening::SiblingEnds(is_refused) if world.siblings > 0 => {
                    let ending = if is_refused { Ending::Refused } else { Ending::Fault };
                    world.policy.on_ended(world.now, ending, 1 + world.siblings + world.others);
                    world.siblings -= 1;
                }
                Happening::OtherEnds if world.others > 0 => {
                    world.policy.on_other_ended(world.now, 1 + world.siblings + world.others);
                    world.others -= 1;
                }
                Happening::SiblingEnds(_) | Happening::OtherEnds => {}
                Happening::Time(ticks) => for _ in 0..ticks {
                    let (at, rests) = (world.now, world.policy.caution.rests(world.now));
                    if world.tick() == Step::Open {
                        prop_assert!(world.is_online && world.load == deep() && !rests);
                        prop_assert!(world.siblings < most);
                        prop_assert!(1 + world.siblings + world.others <= most.max(4));
                        prop_assert!(last.is_none_or(|last| last + WATCHED <= at));
                        last = Some(at);
                    }
                }
            }
        }
        (world.load, world.is_online) = (shallow(), true);
        prop_assert_eq!(world.run(130 * SECOND), 0);
    }
}
