//! Random worlds, thousands of them.

use std::time::Duration;

use hexchat_pt::classic::Config;
use hexchat_pt::protocol::CloseReason;
use xmpp_parsers::jid::Jid;

use crate::flow::{Decision, End, Flow, Outcome, Script};
use crate::network::{Conditions, Seat, Side, Time};
use crate::rng::Rng;
use crate::seeds::try_seeds;
use crate::setup::{Setup, World, defaults};
use crate::world::{Fault, LogOnPanic};

const SECOND: Duration = Duration::from_secs(1);

/// How bad it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Delay, reordering, shaping, slow readers.
    Calm,
    /// Also connections that break and are resumed, and stanzas that come twice: still nothing is lost.
    Bumpy,
    /// Everything that can happen.
    Stormy,
}

#[test]
fn in_calm_weather_every_stream_arrives_intact() {
    try_seeds("in_calm_weather", 400, |seed, keep_log| drop(play(seed, Weather::Calm, keep_log)));
}

#[test]
fn when_nothing_is_lost_every_stream_arrives_intact() {
    try_seeds("when_nothing_is_lost", 400, |seed, keep_log| drop(play(seed, Weather::Bumpy, keep_log)));
}

#[test]
fn in_a_storm_every_stream_arrives_or_is_closed_at_both_ends() {
    try_seeds("in_a_storm", 1200, |seed, keep_log| drop(play(seed, Weather::Stormy, keep_log)));
}

#[test]
fn the_same_seed_gives_the_same_log() {
    for seed in 0..20 {
        let logs = [(); 2].map(|()| {
            let mut world = draw(seed, Weather::Stormy, true).world;
            world.run_until(200 * SECOND);
            world.log().to_owned()
        });
        assert!(logs[0].len() > 1000, "seed {seed} does nothing");
        assert!(logs[0] == logs[1], "seed {seed} does not repeat");
    }
    let log = |seed| {
        let mut world = draw(seed, Weather::Stormy, true).world;
        world.run_until(60 * SECOND);
        world.log().to_owned()
    };
    assert_ne!(log(1), log(2), "seeds make no difference");
}

/// A world and what is known of it beforehand.
struct Case {
    world: World,
    /// When the last fault is over, the last reader reads again, and everything could have been sent.
    settled_at: Time,
    killed: Option<Side>,
}

fn play(seed: u64, weather: Weather, keep_log: bool) -> World {
    let Case { world, settled_at, killed } = draw(seed, weather, keep_log);
    let mut guard = LogOnPanic(world);
    let world = &mut guard.0;
    let alive = |side: &Side| Some(*side) != killed;
    let over = |world: &World| {
        let ended = |flow: &Flow| {
            // A word of farewell can be lost in a storm: then an end that waits for the other to speak
            // learns nothing, as in TCP.
            let orphan = weather == Weather::Stormy && flow.is_orphaned();
            orphan || Side::BOTH.iter().filter(|side| alive(side)).all(|&side| flow.is_over_at(side))
        };
        world.flows().iter().all(ended)
    };
    world.run_until_done(settled_at + 120 * SECOND, over);
    if weather == Weather::Stormy {
        world.run_for(60 * SECOND);
        world.hang_up_orphans();
    }
    world.run_until_quiet(120 * SECOND);
    world.assert_nothing_left();
    if weather != Weather::Stormy {
        (0..world.flows().len()).for_each(|flow| check_calm_flow(world, flow));
    }
    let empty = World::new(Setup::default());
    std::mem::replace(&mut guard.0, empty)
}

/// What must have come of a flow when nothing was lost.
fn check_calm_flow(world: &World, number: usize) {
    let flow = &world.flows()[number];
    let opener = flow.app(flow.opener);
    let closer = Side::BOTH.into_iter().find(|&side| flow.app(side).script.end != End::Never);
    let cut_short = Side::BOTH.into_iter().any(|side| flow.app(side).script.release_at.is_some());
    match (flow.decision, closer) {
        (Decision::Accept, Some(closer)) if !cut_short => {
            let (from, to) = (flow.app(closer), flow.app(closer.other()));
            let all =
                if from.script.end == End::AllDone { flow.is_intact() } else { to.read == from.script.total };
            assert!(all && to.outcome == Outcome::Ended, "flow {number} is not intact: {from:#?}{to:#?}");
        }
        (Decision::Refuse, _) if !cut_short => {
            assert_eq!(opener.outcome, Outcome::Broken(CloseReason::Refused));
        }
        (Decision::Never, _) if opener.script.release_at.is_none() => {
            assert_eq!(opener.outcome, Outcome::Broken(CloseReason::ConnectTimedOut));
        }
        _ => {}
    }
}

fn draw(seed: u64, weather: Weather, keep_log: bool) -> Case {
    let mut rng = Rng::new(seed);
    let accounts = [rng.within(1..5), rng.within(1..5)];
    let conditions = draw_conditions(&mut rng, weather);
    let rate = conditions.rate;
    let config = Config {
        send_buffer: rng.pick(&[5_000, 20_000, 65_536, 256 * 1024]),
        receive_buffer: rng.pick(&[1, 5_000, 20_000, 256 * 1024]),
        ..defaults()
    };
    let one_bare_jid = rng.chance(1, 4);
    let setup = Setup { seed, accounts, one_bare_jid, conditions, config, old_right: false, keep_log };
    let mut world = World::new(setup);
    let mut bytes = 0;
    let mut settled_at = 60 * SECOND;
    for number in 0..rng.within(1..6) as usize {
        let (starts, flow) = draw_flow(&mut rng, &world, number);
        for script in Side::BOTH.map(|side| &flow.app(side).script) {
            bytes += script.total;
            let pieces = script.total.div_ceil(script.piece);
            settled_at = settled_at.max(starts + script.pace * pieces as u32);
            settled_at = script.pauses.iter().fold(settled_at, |at, pause| at.max(pause.end));
        }
        world.plan_flow(starts, flow);
    }
    let slowest = rate.map_or(Time::ZERO, |rate| Duration::from_millis((bytes * 4000).div_ceil(rate)));
    let mut killed = None;
    if weather != Weather::Calm {
        for _ in 0..rng.within(1..5) {
            let (at, fault) = draw_fault(&mut rng, weather, accounts);
            if let Fault::Kill(side) = fault {
                if killed.is_some() {
                    continue;
                }
                killed = Some(side);
            }
            world.plan_fault(at, fault);
        }
    }
    world.plan_calm(60 * SECOND);
    Case { world, settled_at: settled_at + slowest, killed }
}

fn draw_conditions(rng: &mut Rng, weather: Weather) -> Conditions {
    let delay = |rng: &mut Rng| {
        let least = rng.within(1..200);
        least..least + rng.pick(&[1, 10, 100, 500])
    };
    let stormy = weather == Weather::Stormy;
    Conditions {
        uplink: delay(rng),
        downlink: delay(rng),
        rate: rng.chance(1, 3).then(|| rng.within(5_000..100_000)),
        duplicates: if weather != Weather::Calm && rng.chance(1, 3) { rng.within(1..50) } else { 0 },
        losses: if stormy && rng.chance(1, 4) { rng.within(1..20) } else { 0 },
        copies_messages: rng.chance(1, 3),
        stores_offline: stormy && rng.chance(1, 3),
        returns_undelivered: rng.chance(1, 2),
        repeats_bounced: rng.chance(1, 2),
        encoded: 16,
        ..Conditions::default()
    }
}

fn draw_flow(rng: &mut Rng, world: &World, number: usize) -> (Time, Flow) {
    let starts = rng.millis(0..10_000);
    let opener = rng.pick(&Side::BOTH);
    let decision = match rng.within(0..20) {
        0 => Decision::Never,
        1 | 2 => Decision::Refuse,
        _ => Decision::Accept,
    };
    let mut scripts = [draw_script(rng, starts), draw_script(rng, starts)];
    let closer = rng.pick(&Side::BOTH);
    scripts[closer as usize].end = if rng.chance(1, 3) { End::Written } else { End::AllDone };
    if rng.chance(1, 8) {
        scripts[rng.pick(&Side::BOTH) as usize].release_at = Some(starts + rng.millis(0..20_000));
    }
    if decision == Decision::Never {
        scripts[opener.other() as usize].release_at = Some(starts + 45 * SECOND);
    }
    let to: Jid = if rng.chance(1, 4) {
        world.network.jid(Seat::new(opener.other(), 0)).clone().into()
    } else {
        world.bare_jid(opener.other())
    };
    let mut flow = Flow::new(number, opener, to, decision, scripts);
    flow.decides_after = rng.millis(0..rng.clone().pick(&[1, 100, 3000]));
    (starts, flow)
}

fn draw_script(rng: &mut Rng, starts: Time) -> Script {
    let mut script = Script {
        total: rng.pick(&[0, 1, 100, 10_000, 60_000, 300_000]).min(1 << 20),
        piece: rng.pick(&[100, 2_000, 10_000, 100_000]),
        pace: rng.millis(0..rng.clone().pick(&[1, 10, 200])),
        ..Script::default()
    };
    script.total = rng.within(0..script.total + 1);
    script.piece = script.piece.max(script.total / 200);
    if rng.chance(1, 4) {
        let pause = starts + rng.millis(0..3_000);
        script.pauses.push(pause..pause + rng.millis(0..rng.clone().pick(&[1_000, 10_000, 200_000])));
    }
    script
}

fn draw_fault(rng: &mut Rng, weather: Weather, accounts: [u64; 2]) -> (Time, Fault) {
    let at = rng.millis(200..20_000);
    let side = rng.pick(&Side::BOTH);
    let seat = Seat::new(side, rng.within(0..accounts[side as usize]));
    let fault = if weather == Weather::Bumpy {
        Fault::Suspend(seat, rng.millis(100..8_000))
    } else {
        match rng.within(0..20) {
            0..6 => Fault::Suspend(seat, rng.millis(100..30_000)),
            6..14 => Fault::Reset(seat, rng.millis(100..30_000)),
            14 | 15 => Fault::Gone(seat),
            16..19 => Fault::Restart(rng.millis(100..30_000)),
            _ => Fault::Kill(side),
        }
    };
    (at, fault)
}
