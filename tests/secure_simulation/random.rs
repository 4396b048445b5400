//! Random worlds, thousands of them.

use std::time::Duration;

use hexchat_pt::protocol::CloseReason;
use hexchat_pt::secure::{Config, MOST_FIRST_BYTES};

use crate::flow::{Decision, End, Flow, Outcome, Script};
use crate::network::{Conditions, Seat, Side, Time};
use crate::ours::Machine;
use crate::proxy::{self, Proxy};
use crate::rng::Rng;
use crate::seeds::try_seeds;
use crate::setup::{Setup, World, defaults};
use crate::upload_service::{Site, Uploads};
use crate::world::{Fault, LogOnPanic};

const SECOND: Duration = Duration::from_secs(1);

/// How bad it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Delay, reordering across accounts, shaping, slow readers.
    Calm,
    /// Also connections and servers that break, and come back before a session is given up: nothing may be lost.
    Bumpy,
    /// Everything that can happen.
    Stormy,
}

#[test]
fn in_calm_weather_every_stream_arrives_intact() {
    try_seeds("in_calm_weather", 300, |seed, keep_log| play(seed, Weather::Calm, keep_log));
}

#[test]
fn whatever_comes_back_in_time_every_stream_arrives_intact() {
    try_seeds("whatever_comes_back", 800, |seed, keep_log| play(seed, Weather::Bumpy, keep_log));
}

#[test]
fn in_a_storm_every_stream_arrives_or_is_closed_at_both_ends() {
    try_seeds("in_a_storm", 800, |seed, keep_log| play(seed, Weather::Stormy, keep_log));
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let log = |seed| {
        let mut world = draw(seed, Weather::Stormy, true).world;
        world.run_until(100 * SECOND);
        world.log().to_owned()
    };
    for seed in 0..10 {
        let first = log(seed);
        assert!(first.len() > 200, "seed {seed} does nothing");
        assert!(first == log(seed), "seed {seed} does not repeat");
    }
    assert_ne!(log(1), log(2), "seeds make no difference");
}

/// A world and what is known of it beforehand.
pub(crate) struct Case {
    pub(crate) world: World,
    /// When the last fault is over, the last reader reads again, and everything could have been sent.
    settled_at: Time,
    killed: Option<Side>,
}

fn play(seed: u64, weather: Weather, keep_log: bool) {
    let Case { world, settled_at, killed } = draw(seed, weather, keep_log);
    let mut guard = LogOnPanic(world);
    let world = &mut guard.0;
    let is_over = |world: &World| {
        world.flows().iter().all(|flow| {
            let sides = Side::BOTH.into_iter().filter(|side| Some(*side) != killed);
            sides.into_iter().all(|side| flow.is_over_at(side))
        })
    };
    world.run_until_done(settled_at + 400 * SECOND, is_over);
    world.run_until_quiet(400 * SECOND);
    world.assert_nothing_left();
    if weather != Weather::Stormy {
        (0..world.flows().len()).for_each(|flow| check_flow(world, flow));
    }
}

/// What must have come of a flow when nothing was lost.
fn check_flow(world: &World, number: usize) {
    let flow = &world.flows()[number];
    let opener = flow.app(flow.opener);
    let cut_short = Side::BOTH.into_iter().any(|side| flow.app(side).script.release_at.is_some());
    match flow.decision {
        _ if cut_short => {}
        // Whatever was broken came back too late for it.
        _ if opener.outcome == Outcome::Broken(CloseReason::ConnectTimedOut) && !opener.connected => {}
        _ if is_turned_away(&opener.outcome) && !opener.connected => {}
        _ if is_lost_unconfirmed(flow) => {}
        Decision::Accept => world.assert_intact(number),
        Decision::Refuse => assert_eq!(opener.outcome, Outcome::Broken(CloseReason::Refused)),
        Decision::Never => assert_eq!(opener.outcome, Outcome::Broken(CloseReason::ConnectTimedOut)),
    }
}

/// Whether nobody was there, or a bridge that did not want.
fn is_turned_away(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Broken(CloseReason::PeerUnavailable | CloseReason::LineRefused))
}

/// Whether the bridge has given up the session because it had heard nothing of its client but the handshake: that takes half a minute, less
/// than some outages.
fn is_lost_unconfirmed(flow: &Flow) -> bool {
    let [left, right] = Side::BOTH.map(|side| flow.app(side));
    left.outcome == Outcome::Broken(CloseReason::SessionLost) && right.read <= left.script.first
}

/// In one of three worlds there is an upload service, which does all that one can do wrong. Two in six of those have a client or a bridge that
/// knows no files.
fn draw_uploads(seed: u64) -> Option<(Uploads, [bool; 2])> {
    let mut rng = Rng::new(seed ^ 0xf11e);
    let round_trip = rng.millis(1..400);
    let site = Site {
        round_trip,
        rate: rng.within(20_000..5_000_000),
        daily: rng.within(0..20_000_000),
        faults: rng.within(1..20),
    };
    let knows =
        rng.pick(&[[true, true], [true, true], [true, true], [true, true], [true, false], [false, true]]);
    rng.chance(1, 3).then(|| (Uploads::new(seed, site), knows))
}

/// In one of three worlds there is a proxy for byte streams, which does all that one can do wrong, too.
fn draw_proxy(seed: u64) -> Option<(Proxy, [bool; 2])> {
    let mut rng = Rng::new(seed ^ 0x0065);
    let site = proxy::Site {
        delay: rng.millis(1..200),
        rate: rng.within(20_000..50_000_000),
        faults: rng.pick(&[0, 10, 100, 1000]),
    };
    let knows = rng.pick(&[[true, true], [true, true], [true, true], [true, false], [false, true]]);
    rng.chance(1, 3).then(|| (Proxy::new(seed, site), knows))
}

fn draw(seed: u64, weather: Weather, keep_log: bool) -> Case {
    draw_on(Machine::default(), seed, weather, keep_log)
}

/// The same, on this machine.
pub(crate) fn draw_on(machine: Machine, seed: u64, weather: Weather, keep_log: bool) -> Case {
    let mut rng = Rng::new(seed);
    let accounts = [rng.within(1..5), rng.within(1..5)];
    let named = rng.within(1..accounts[1] + 1);
    let conditions = draw_conditions(&mut rng, weather);
    let rate = conditions.rate;
    let queue_per_stream = rng.pick(&[16_384, 65_536, 1 << 20]) as usize;
    let config =
        Config { queue_per_stream, queue_per_session: queue_per_stream * rng.pick(&[1, 4]), ..defaults() };
    let psk = rng.chance(1, 3).then_some([3; 32]);
    let is_federated = seed % 2 == 1;
    let uploads = draw_uploads(seed);
    let proxy = draw_proxy(seed);
    let setup =
        Setup { seed, accounts, named, psk, is_federated, conditions, config, uploads, proxy, keep_log };
    let mut world = World::with_machine(setup, machine);
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
    let killed = plan_faults(&mut rng, &mut world, weather, accounts);
    world.plan_calm(60 * SECOND);
    Case { world, settled_at: settled_at + slowest, killed }
}

fn plan_faults(rng: &mut Rng, world: &mut World, weather: Weather, accounts: [u64; 2]) -> Option<Side> {
    let mut killed = None;
    if weather == Weather::Calm {
        return killed;
    }
    for _ in 0..rng.within(1..6) {
        let (at, fault) = draw_fault(rng, weather, accounts);
        match fault {
            Fault::Kill(_) if killed.is_some() => continue,
            Fault::Kill(side) => killed = Some(side),
            _ => {}
        }
        world.plan_fault(at, fault);
    }
    killed
}

fn draw_conditions(rng: &mut Rng, weather: Weather) -> Conditions {
    let delay = |rng: &mut Rng| {
        let least = rng.within(1..200);
        least..least + rng.pick(&[1, 10, 100, 500])
    };
    let is_calm = weather == Weather::Calm;
    Conditions {
        uplink: delay(rng),
        downlink: delay(rng),
        rate: rng.chance(1, 3).then(|| rng.within(5_000..100_000)),
        duplicates: if !is_calm && rng.chance(1, 4) { rng.within(1..20) } else { 0 },
        losses: if !is_calm && rng.chance(1, 4) { rng.within(1..10) } else { 0 },
        returns_undelivered: rng.chance(1, 2),
        ..Conditions::default()
    }
}

fn draw_flow(rng: &mut Rng, world: &World, number: usize) -> (Time, Flow) {
    let starts = rng.millis(0..10_000);
    let decision = match rng.within(0..20) {
        0 => Decision::Never,
        1 | 2 => Decision::Refuse,
        _ => Decision::Accept,
    };
    let mut scripts = [draw_script(rng, starts), draw_script(rng, starts)];
    // By a generator of its own, so that a seed draws everything else as before.
    let mut own = rng.clone();
    if own.chance(1, 3) {
        let script = &mut scripts[Side::Left as usize];
        script.first = own.within(1..MOST_FIRST_BYTES as u64 + 1).min(script.total);
    }
    if rng.chance(1, 8) {
        scripts[rng.pick(&Side::BOTH) as usize].release_at = Some(starts + rng.millis(0..20_000));
    }
    if decision == Decision::Never {
        scripts[Side::Right as usize].release_at = Some(starts + 100 * SECOND);
    }
    let to = world.bare_jid(Side::Right);
    let mut flow = Flow::new(number, Side::Left, to, decision, scripts);
    flow.decides_after = rng.millis(0..rng.clone().pick(&[1, 100, 3000]));
    (starts, flow)
}

fn draw_script(rng: &mut Rng, starts: Time) -> Script {
    let total = rng.pick(&[0, 1, 100, 10_000, 60_000, 300_000]);
    let total = rng.within(0..total + 1);
    let mut script = Script {
        total,
        piece: rng.pick(&[100, 2_000, 10_000, 100_000]).max(total / 200),
        pace: rng.millis(0..rng.clone().pick(&[1, 10, 200])),
        end: if rng.chance(1, 3) { End::AllDone } else { End::Written },
        ..Script::default()
    };
    if rng.chance(1, 4) {
        let pause = starts + rng.millis(0..3_000);
        script.pauses.push(pause..pause + rng.millis(0..rng.clone().pick(&[1_000, 10_000, 100_000])));
    }
    script
}

fn draw_fault(rng: &mut Rng, weather: Weather, accounts: [u64; 2]) -> (Time, Fault) {
    let at = rng.millis(200..20_000);
    let side = rng.pick(&Side::BOTH);
    let seat = Seat::new(side, rng.within(0..accounts[side as usize]));
    let fault = match rng.within(0..20) {
        0..7 => Fault::Suspend(seat, rng.millis(100..30_000)),
        7..16 => Fault::Reset(seat, rng.millis(100..30_000)),
        16 | 17 => Fault::Restart(rng.millis(100..30_000)),
        18 if weather == Weather::Stormy => Fault::Gone(seat),
        19 if weather == Weather::Stormy => Fault::Kill(side),
        _ => Fault::Reset(seat, rng.millis(100..5_000)),
    };
    (at, fault)
}
