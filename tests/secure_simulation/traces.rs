//! Traces of simulated worlds: what is decided and what happens is in them, in order, and nothing else depends on them.

use std::collections::BTreeSet;
use std::time::Duration;

use hexchat_pt::secure::stats::Lane;
use hexchat_pt::secure::trace::{PathEnd, TraceEvent};

use crate::flow::{End, Script};
use crate::network::{Conditions, Seat, Side};
use crate::ours::{Machine, Noted};
use crate::proxy::{self, Proxy};
use crate::random::{Weather, draw_on};
use crate::seeds::try_seeds;
use crate::setup::{Setup, World};
use crate::upload_service::{Site, Uploads};
use crate::world::Fault;

const SECOND: Duration = Duration::from_secs(1);

/// What is traced of a random world.
fn trace_of(seed: u64, weather: Weather) -> Vec<Noted> {
    let machine = Machine::traced();
    let mut world = draw_on(machine.clone(), seed, weather, false).world;
    world.run_until(100 * SECOND);
    machine.trace()
}

/// What is traced of a transfer of so many bytes to the client, with what befalls it after two seconds.
fn trace_of_transfer(setup: Setup, bytes: u64, fault: Option<Fault>) -> Vec<Noted> {
    let machine = Machine::traced();
    let mut world = World::with_machine(setup, machine.clone());
    let flow = world.open(Script::default(), Script::writes(bytes).and_ends(End::Written));
    fault.into_iter().for_each(|fault| world.plan_fault(2 * SECOND, fault));
    world.run_until_quiet(400 * SECOND);
    world.assert_intact(flow);
    machine.trace()
}

/// Whether something like this has happened at that side.
fn has(trace: &[Noted], side: Side, is_it: impl Fn(&TraceEvent) -> bool) -> bool {
    trace.iter().any(|noted| noted.side == side && is_it(&noted.event))
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let text = |seed| {
        format!("{:?}", trace_of(seed, Weather::Stormy).iter().map(Noted::without_clock).collect::<Vec<_>>())
    };
    for seed in 0..10 {
        let first = text(seed);
        assert!(first.len() > 500, "seed {seed} does nothing");
        assert!(first == text(seed), "seed {seed} does not repeat");
    }
    assert_ne!(text(1), text(2), "seeds make no difference");
}

#[test]
fn a_trace_makes_no_difference() {
    let log = |machine: Machine, seed| {
        let mut world = draw_on(machine, seed, Weather::Stormy, true).world;
        world.run_until(100 * SECOND);
        world.log().to_owned()
    };
    for seed in 0..10 {
        assert!(log(Machine::traced(), seed) == log(Machine::default(), seed), "seed {seed} differs");
    }
}

#[test]
fn what_ends_has_begun_before_and_time_does_not_go_back() {
    try_seeds("what_ends_has_begun", 300, |seed, _| {
        let trace = trace_of(seed, Weather::Stormy);
        assert!(trace.windows(2).all(|pair| pair[0].at <= pair[1].at), "time goes back");
        Side::BOTH.iter().for_each(|side| check(trace.iter().filter(|noted| noted.side == *side)));
    });
}

/// What is open of what one side has traced.
#[derive(Default)]
struct Open {
    sessions: BTreeSet<u64>,
    asked: BTreeSet<u64>,
    paths: BTreeSet<u64>,
    stalled: BTreeSet<u64>,
    /// With the session of each.
    relays: BTreeSet<(u64, u64)>,
}

fn check<'a>(trace: impl Iterator<Item = &'a Noted>) {
    let mut open = Open::default();
    for noted in trace {
        let text = format!("{noted:?}");
        match noted.event {
            TraceEvent::SessionOpened { session, .. } => assert!(open.sessions.insert(session), "{text}"),
            TraceEvent::SessionEnded { session, .. } => {
                assert!(open.sessions.remove(&session), "{text}");
                assert!(!open.relays.iter().any(|(of, _)| *of == session), "a relay outlives {text}");
            }
            TraceEvent::RelayBegun { session, relay } => {
                assert!(open.sessions.contains(&session) && open.relays.insert((session, relay)), "{text}");
            }
            TraceEvent::RelayEnded { session, relay, .. } => {
                assert!(open.relays.remove(&(session, relay)), "{text}");
            }
            TraceEvent::PathAsked { path, .. } => assert!(open.asked.insert(path), "{text}"),
            TraceEvent::PathOpened { session, path, .. } => {
                assert!(open.sessions.contains(&session) && open.paths.insert(path), "{text}");
                open.asked.remove(&path);
            }
            TraceEvent::PathLost { session, path, .. } => {
                assert!(open.sessions.contains(&session) && open.paths.remove(&path), "{text}");
            }
            TraceEvent::PathFailed { path, .. } => assert!(open.asked.remove(&path), "{text}"),
            TraceEvent::PathStalled { path, .. } => {
                open.stalled.insert(path);
            }
            TraceEvent::PathRecovered { path, .. } => assert!(open.stalled.remove(&path), "{text}"),
            TraceEvent::SessionConfirmed { session } | TraceEvent::LaneChosen { session, .. } => {
                assert!(open.sessions.contains(&session), "{text}");
            }
            TraceEvent::Dropped { .. } => panic!("{text}"),
            _ => {}
        }
    }
}

#[test]
fn a_line_that_is_swallowed_stalls_its_path_which_is_lost_and_what_was_on_it_goes_again() {
    let conditions = Conditions { rate: Some(200_000), ..Conditions::default() };
    let setup = Setup { accounts: [2, 2], named: 2, conditions, ..Setup::default() };
    let trace = trace_of_transfer(setup, 4 << 20, Some(Fault::Swallow(Seat::new(Side::Left, 0))));
    let place = |is_it: &dyn Fn(&TraceEvent) -> bool| trace.iter().position(|noted| is_it(&noted.event));
    let stalled = place(&|event| matches!(event, TraceEvent::PathStalled { in_flight: 1.., .. })).unwrap();
    let lost = place(&|event| matches!(event, TraceEvent::PathLost { .. })).unwrap();
    assert!(stalled < lost, "{trace:?}");
    assert!(
        has(&trace, Side::Right, |event| matches!(event, TraceEvent::Retransmitted { .. })),
        "{trace:#?}"
    );
    assert!(has(&trace, Side::Right, |event| matches!(event, TraceEvent::WindowChanged { .. })));
}

#[test]
fn an_account_that_has_lost_what_was_on_its_way_loses_its_paths_for_that_reason() {
    let fault = Fault::Reset(Seat::new(Side::Left, 0), SECOND);
    let conditions = Conditions { rate: Some(100_000), ..Conditions::default() };
    let setup = Setup { accounts: [2, 2], named: 2, conditions, ..Setup::default() };
    let trace = trace_of_transfer(setup, 1 << 20, Some(fault));
    let is_reset =
        |event: &TraceEvent| matches!(event, TraceEvent::PathLost { cause: PathEnd::AccountReset, .. });
    assert!(has(&trace, Side::Left, is_reset), "{trace:?}");
    assert!(has(&trace, Side::Left, |event| matches!(event, TraceEvent::AccountSuspended { .. })));
}

#[test]
fn the_lane_is_told_by_which_bulk_goes() {
    let stock = Conditions { rate: Some(10_000), ..Conditions::default() };
    let setup = || Setup { conditions: stock.clone(), ..Setup::default() };
    let chosen = |trace: &[Noted]| -> Vec<Lane> {
        let of_bridge = trace.iter().filter(|noted| noted.side == Side::Right);
        let lane = |noted: &Noted| match noted.event {
            TraceEvent::LaneChosen { lane, .. } => Some(lane),
            _ => None,
        };
        of_bridge.filter_map(lane).collect()
    };
    let by_chat = trace_of_transfer(setup(), 100_000, None);
    assert_eq!(chosen(&by_chat), [Lane::Chat]);
    let uploads = Some((Uploads::new(1, Site::default()), [true; 2]));
    let by_files = trace_of_transfer(Setup { uploads, ..setup() }, 5_000_000, None);
    assert_eq!(chosen(&by_files)[..2], [Lane::Chat, Lane::Files]);
    assert!(has(&by_files, Side::Right, |event| matches!(event, TraceEvent::FileMade { .. })));
    let proxy = Some((Proxy::new(1, proxy::Site::default()), [true; 2]));
    let by_relay = trace_of_transfer(Setup { proxy, ..setup() }, 5_000_000, None);
    assert_eq!(chosen(&by_relay)[..2], [Lane::Chat, Lane::Relay]);
    let is_relay =
        |event: &TraceEvent| matches!(event, TraceEvent::PathOpened { lane: Lane::Relay, account: None, .. });
    assert!(has(&by_relay, Side::Left, is_relay));
    assert!(has(&by_relay, Side::Left, |event| matches!(event, TraceEvent::RelayBegun { .. })));
}
