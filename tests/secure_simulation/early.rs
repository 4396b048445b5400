//! Early frames: what a client says in its half of the handshake arrives early, and once, and a bridge takes no more than it may.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hexchat_pt::protocol::{Address, CloseReason, Core as _, Event, Read, StreamId};
use hexchat_pt::secure::Config;
use hexchat_pt::secure::wire::frame::{Frame, ResetReason, SessionClose};

use crate::flow::{End, Outcome, Script};
use crate::network::{Conditions, Seat, Side};
use crate::over_ibb::OverIbb;
use crate::puppet::{Puppet, bridge, jid, sent, wait};
use crate::rng::Rng;
use crate::setup::{Setup, World, defaults};
use crate::world::Fault;

const SECOND: Duration = Duration::from_secs(1);

/// Everything takes 50 ms to the server, and as much from there.
fn far_away() -> Conditions {
    Conditions { uplink: 50..51, downlink: 50..51, ..Conditions::default() }
}

/// An application that has written the first of its bytes before it asks for the connection.
fn has_written(first: u64, total: u64) -> Script {
    Script { first, ..Script::writes(total) }
}

#[test]
fn what_comes_with_a_connect_is_answered_after_one_round_trip() {
    let mut world = World::new(Setup { conditions: far_away(), ..Setup::default() });
    world.run_for(SECOND);
    let flow = world.open(has_written(514, 514), Script::replies(514, 514));
    world.run_for(Duration::from_millis(220));
    assert_eq!(world.app(flow, Side::Right).read, 514);
    assert_eq!(world.app(flow, Side::Left).read, 514, "there and back: four times 50 ms");
}

#[test]
fn who_waits_for_the_target_hears_of_it_after_one_round_trip() {
    let mut world = World::new(Setup { conditions: far_away(), ..Setup::default() });
    world.run_for(SECOND);
    let flow = world.open(Script::default(), Script::default());
    world.run_for(Duration::from_millis(220));
    assert!(world.app(flow, Side::Left).connected);
}

/// Lets accounts lose their connections, and what is on its way, at random moments of a handshake that carries bytes; how it ended for
/// the client.
fn cut_at_random(seed: u64) -> Outcome {
    let mut rng = Rng::new(seed);
    let accounts = [rng.within(1..3), rng.within(1..3)];
    let named = accounts[1];
    let conditions = Conditions { returns_undelivered: rng.chance(1, 2), ..far_away() };
    let mut world = World::new(Setup { seed, accounts, named, conditions, ..Setup::default() });
    world.run_for(SECOND);
    let script = has_written(rng.within(1..1025), 3000).and_ends(End::AllDone);
    let flow = world.open(script, Script::replies(1, 3000).and_ends(End::AllDone));
    for _ in 0..rng.within(1..4) {
        let side = rng.pick(&Side::BOTH);
        let seat = Seat::new(side, rng.within(0..accounts[side as usize]));
        let at = world.now() + rng.millis(0..400);
        world.plan_fault(at, Fault::Reset(seat, rng.millis(10..3000)));
    }
    world.run_until_quiet(400 * SECOND);
    world.hang_up_orphans();
    world.run_until_quiet(400 * SECOND);
    world.assert_nothing_left();
    let outcome = world.app(flow, Side::Left).outcome;
    if !matches!(outcome, Outcome::Broken(_)) {
        world.assert_intact(flow);
    }
    outcome
}

#[test]
fn bytes_that_go_early_arrive_once_or_their_stream_is_broken_wherever_the_handshake_is_cut() {
    let outcomes: Vec<Outcome> = (0..400).map(cut_at_random).collect();
    let broken = |reason| outcomes.iter().filter(|outcome| **outcome == Outcome::Broken(reason)).count();
    let intact = outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Broken(_))).count();
    assert!(intact > 100, "{intact} of 400 arrived");
    assert!(broken(CloseReason::ConnectTimedOut) > 50, "nobody knew: {outcomes:?}");
}

// A client that keeps to no rule.

fn open(stream: u64) -> Frame {
    Frame::Open { stream, target: Address::new("192.0.2.1", "80").unwrap() }
}

fn data(stream: u64, offset: u64, data: &'static [u8]) -> Frame {
    Frame::Data { stream, offset, data: Bytes::from_static(data), fin: false }
}

fn written(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes
}

/// The streams that the bridge is asked for.
fn asked(bridge: &mut OverIbb) -> Vec<StreamId> {
    let events = std::iter::from_fn(|| bridge.poll_event());
    let streams = events.filter_map(|event| match event {
        Event::Incoming { stream, .. } => Some(stream),
        _ => None,
    });
    streams.collect()
}

#[test]
fn a_bridge_answers_no_handshake_that_says_early_what_may_not_be_said() {
    let forbidden = [
        vec![open(0), Frame::Ping],
        vec![Frame::Close { reason: SessionClose::Done }],
        vec![open(0), Frame::Reset { stream: 0, reason: ResetReason::Aborted, sent: 0 }],
        vec![Frame::SessionCredit { offset: 1 << 40 }],
        vec![Frame::Jids { serial: 1, jids: vec![jid("other@x/r")] }],
        vec![data(0, 0, b"of no stream")],
        vec![open(0), data(0, 1, b"with a gap")],
        (0..5).map(open).collect(),
    ];
    let now = Instant::now();
    for (n, frames) in forbidden.into_iter().enumerate() {
        let mut bridge = bridge(now, defaults());
        let client = jid("client@x/r");
        assert!(Puppet::shake_hands_saying(&mut bridge, now, client, 1, written(&frames)).is_none(), "{n}");
        assert_eq!((asked(&mut bridge), bridge.statistics().sessions), (vec![], 0), "{n}");
    }
    let mut bridge = bridge(now, defaults());
    let mut too_long = written(&[open(0)]);
    too_long.resize(2048, 0);
    assert!(Puppet::shake_hands_saying(&mut bridge, now, jid("client@x/r"), 1, too_long).is_none());
    assert_eq!(bridge.statistics().sessions, 0);
}

#[test]
fn what_is_said_early_is_dialled_once_and_its_session_ends_if_its_client_shows_nothing() {
    let mut now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let early = written(&[open(0), data(0, 0, b"early")]);
    let (mut client, has_taken) =
        Puppet::shake_hands_saying(&mut bridge, now, jid("client@x/r"), 1, early.clone()).unwrap();
    assert!(has_taken);
    let streams = asked(&mut bridge);
    assert_eq!(bridge.read(now, streams[0]), Read::Data(Bytes::from_static(b"early")));
    bridge.accept(now, streams[0]);
    let said = sent(&mut bridge, now);
    let frames: Vec<Frame> = said
        .iter()
        .filter_map(|transmit| client.open(&transmit.stanza))
        .flat_map(|(_, frames)| frames)
        .collect();
    assert!(
        frames.contains(&Frame::Accept { stream: 0 }),
        "right behind its half of the handshake: {frames:?}"
    );
    wait(&mut bridge, &mut now, 31 * SECOND);
    assert_eq!(bridge.statistics().sessions, 0);
    assert_eq!(bridge.close_reason(streams[0]), Some(CloseReason::NoPath));
}

#[test]
fn handshakes_that_show_nothing_make_a_bridge_dial_few_streams_and_others_ask_in_their_first_packet() {
    let now = Instant::now();
    let config = Config { handshakes_per_minute: 10_000, max_half_open_sessions: 200, ..defaults() };
    let mut bridge = bridge(now, config);
    let early = written(&(0..4).map(open).collect::<Vec<_>>());
    let mut dialled = 0;
    for n in 0..100 {
        let client = jid(&format!("client@d{n}.example{n}/r"));
        let taken = Puppet::shake_hands_saying(&mut bridge, now, client, n, early.clone()).unwrap().1;
        let asked = asked(&mut bridge).len();
        assert_eq!(asked, if taken { 4 } else { 0 });
        dialled += asked;
    }
    assert_eq!(dialled, 64);
    let client = jid("genuine@elsewhere.example/r");
    let (mut client, has_taken) =
        Puppet::shake_hands_saying(&mut bridge, now, client, 1000, written(&[open(0)])).unwrap();
    assert!(!has_taken);
    client.send(&mut bridge, now, &[open(0)]);
    assert_eq!(asked(&mut bridge).len(), 1);
}

#[test]
fn streams_of_clients_that_have_shown_their_keys_leave_room_for_others_to_be_early() {
    let now = Instant::now();
    let mut bridge = bridge(now, defaults());
    let early = written(&(0..4).map(open).collect::<Vec<_>>());
    for n in 0..17 {
        let jid = jid(&format!("client@d{n}.example{n}/r"));
        let (mut client, has_taken) =
            Puppet::shake_hands_saying(&mut bridge, now, jid, n, early.clone()).unwrap();
        assert!(has_taken, "{n}");
        client.send(&mut bridge, now, &[Frame::Ping]);
        sent(&mut bridge, now);
    }
}
