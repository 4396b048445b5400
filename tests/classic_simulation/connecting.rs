//! Connecting: how connections come about, and how they do not.

use std::time::{Duration, Instant};

use hexchat_pt::classic::{Aliases, Config, Endpoint, Header, Incoming, Missing, Outgoing, Payload};
use hexchat_pt::protocol::{AccountChange, AccountId, Address, CloseReason, Core as _, StreamId};
use xmpp_parsers::jid::{FullJid, Jid};

use crate::flow::{Decision, End, Flow, Outcome, Script};
use crate::letters::{Body, Stanza};
use crate::network::{Conditions, Seat, Side};
use crate::setup::{Setup, World, defaults};
use crate::world::Fault;

const SECOND: Duration = Duration::from_secs(1);
const LEFT: Seat = Seat::new(Side::Left, 0);
const RIGHT: Seat = Seat::new(Side::Right, 0);

fn outcome(world: &World, flow: usize) -> Outcome {
    world.app(flow, Side::Left).outcome
}

/// A connection from left to right about which the right side decides like this.
fn open_with(world: &mut World, decision: Decision, decides_after: Duration) -> usize {
    let to = world.bare_jid(Side::Right);
    let scripts = [Script::default(), Script::default()];
    let mut flow = Flow::new(world.flows().len(), Side::Left, to, decision, scripts);
    flow.decides_after = decides_after;
    world.plan_flow(world.now(), flow)
}

#[test]
fn a_request_and_its_reply_arrive() {
    let mut world = World::new(Setup::default());
    let flow = world.open(Script::writes(10_000).and_ends(End::AllDone), Script::replies(10_000, 100_000));
    world.run_until_quiet(60 * SECOND);
    world.assert_intact(flow);
    world.assert_nothing_left();
}

#[test]
fn the_first_connect_is_a_message_and_the_next_an_iq_to_the_resource_that_answered() {
    let mut world = World::new(Setup::default());
    for _ in 0..2 {
        world.open(Script::writes(10).and_ends(End::AllDone), Script::default());
        world.run_until_quiet(60 * SECOND);
    }
    assert_eq!(world.log().matches("sends  message connect").count(), 1);
    assert_eq!(world.log().matches("set connect 20001>2").count(), 2, "sent and received");
    world.assert_intact(1);
}

#[test]
fn a_resource_that_has_gone_is_replaced_by_another_of_its_account() {
    let setup = Setup { accounts: [1, 2], one_bare_jid: true, ..Setup::default() };
    let mut world = World::new(setup);
    world.open(Script::writes(10).and_ends(End::AllDone), Script::default());
    world.run_until_quiet(60 * SECOND);
    world.strike(Fault::Gone(RIGHT));
    let flow = world.open(Script::writes(10).and_ends(End::AllDone), Script::default());
    world.run_until_quiet(60 * SECOND);
    world.assert_intact(flow);
}

#[test]
fn a_refusal_reaches_the_application_at_once() {
    let mut world = World::new(Setup::default());
    let flow = open_with(&mut world, Decision::Refuse, Duration::ZERO);
    world.run_for(SECOND);
    assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::Refused));
    world.assert_nothing_left();
}

#[test]
fn a_connect_to_nobody_fails_at_once() {
    for (repeats_bounced, to) in [(true, "right0@x"), (false, "right0@x"), (true, "right0@x/r0")] {
        let conditions = Conditions { repeats_bounced, ..Conditions::default() };
        let mut world = World::new(Setup { conditions, ..Setup::default() });
        world.strike(Fault::Reset(RIGHT, 60 * SECOND));
        let flow = world.open_to(Jid::new(to).unwrap(), Script::default(), Script::default());
        world.run_for(SECOND);
        assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::PeerUnavailable));
    }
}

const OURS: AccountId = AccountId(1);

/// An endpoint that has sent its connect to this peer, the stream, and what was sent.
fn connecting_to(now: Instant, peer: &Jid) -> (Endpoint, StreamId, Outgoing) {
    let mut endpoint = Endpoint::new(defaults());
    let jid = FullJid::new("left@x/r").unwrap();
    endpoint.handle_account(now, OURS, AccountChange::Online { jid, resumed: false });
    let [local, remote] = ["1", "2"].map(|port| Address::new("192.0.2.1", port).unwrap());
    let id = endpoint.connect(now, &[OURS], peer.clone(), local, remote).unwrap();
    let sent = endpoint.poll_transmit(now).expect("a connect").stanza;
    (endpoint, id, sent)
}

/// A server says that nobody is there, or that it does not reach the peer's; and an ordinary client that it does not understand.
#[test]
fn a_connect_that_somebody_else_refuses_fails_at_once() {
    let (now, peer) = (Instant::now(), Jid::new("somebody@x/r").unwrap());
    for (missing, reason) in [
        (Some(Missing::Peer), CloseReason::PeerUnavailable),
        (Some(Missing::Server), CloseReason::PeerServerUnreachable),
        (None, CloseReason::PeerUnavailable),
    ] {
        let (mut endpoint, id, sent) = connecting_to(now, &peer);
        let Outgoing::Set(set, _) = sent else { panic!("{sent:?}") };
        endpoint.handle_stanza(now, OURS, &peer, Incoming::Error { set, missing });
        assert_eq!(endpoint.close_reason(id), Some(reason));
    }
}

#[test]
fn a_connect_by_message_that_comes_back_says_who_was_not_reached() {
    let (now, peer) = (Instant::now(), Jid::new("somebody@x").unwrap());
    for (missing, reason) in
        [(Missing::Peer, CloseReason::PeerUnavailable), (Missing::Server, CloseReason::PeerServerUnreachable)]
    {
        let (mut endpoint, id, sent) = connecting_to(now, &peer);
        assert!(matches!(sent, Outgoing::Message(_)), "{sent:?}");
        endpoint.handle_stanza(now, OURS, &peer, Incoming::MessageBounce { payload: None, missing });
        assert_eq!(endpoint.close_reason(id), Some(reason));
    }
}

#[test]
fn a_connect_without_an_answer_fails_when_its_time_is_over() {
    let mut world = World::new(Setup::default());
    let flow = open_with(&mut world, Decision::Never, Duration::ZERO);
    world.run_for(defaults().connect_timeout - SECOND);
    assert_eq!(outcome(&world, flow), Outcome::Undecided);
    world.run_for(2 * SECOND);
    assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::ConnectTimedOut));
}

#[test]
fn a_peer_that_accepts_after_the_connect_has_timed_out_is_told_so() {
    let mut world = World::new(Setup::default());
    let flow = open_with(&mut world, Decision::Accept, 35 * SECOND);
    world.run_for(36 * SECOND);
    assert_ne!(world.app(flow, Side::Right).outcome, Outcome::Undecided);
    world.run_until_quiet(60 * SECOND);
    world.assert_nothing_left();
}

#[test]
fn a_connect_that_comes_once_a_resource_makes_one_connection() {
    let conditions = Conditions { copies_messages: true, duplicates: 1000, ..Conditions::default() };
    let setup = Setup { accounts: [1, 3], one_bare_jid: true, conditions, ..Setup::default() };
    let mut world = World::new(setup);
    let flow = world.open(Script::writes(10_000), Script::default());
    world.run_for(5 * SECOND);
    assert_eq!(world.log().matches("Right Incoming").count(), 1);
    assert!(world.log().matches("gets  message connect").count() >= 6);
    world.finish(flow, Side::Left);
    world.run_until_quiet(60 * SECOND);
    world.assert_intact(flow);
}

#[test]
fn a_connect_whose_ack_was_lost_succeeds_when_it_comes_again() {
    let conditions = Conditions { returns_undelivered: false, ..Conditions::default() };
    let mut world = World::new(Setup { conditions, ..Setup::default() });
    let flow = world.open(Script::writes(10_000).and_ends(End::AllDone), Script::default());
    world.run_until_done(SECOND, |world| world.log().contains("Right/0 sends u0 result ack"));
    world.strike(Fault::Reset(LEFT, SECOND));
    world.run_until_quiet(60 * SECOND);
    world.assert_intact(flow);
}

#[test]
fn a_connect_from_offline_storage_is_ignored() {
    let conditions = Conditions { stores_offline: true, ..Conditions::default() };
    let mut world = World::new(Setup { conditions, ..Setup::default() });
    world.strike(Fault::Reset(RIGHT, 5 * SECOND));
    let flow = world.open(Script::default(), Script::default());
    world.run_until_quiet(60 * SECOND);
    assert!(world.log().contains("message connect 20000>1 true"));
    assert!(!world.log().contains("Right Incoming"));
    assert_eq!(outcome(&world, flow), Outcome::Broken(CloseReason::ConnectTimedOut));
}

#[test]
fn a_connect_from_somebody_who_is_not_among_its_aliases_is_ignored() {
    let mut world = World::new(Setup::default());
    let header = Header {
        local: Address::new("127.0.0.1", "20000").unwrap(),
        remote: Address::new("10.0.0.1", "1").unwrap(),
        aliases: Aliases::new([FullJid::new("left0@x/r0").unwrap()]).unwrap(),
    };
    let payload = Payload::Connect { header, resend: true };
    for body in [Body::Message { payload: payload.clone(), delayed: false }, Body::Set(payload)] {
        let stanza = Stanza { id: "1".into(), body };
        world.hand_in(RIGHT, &Jid::new("mallory@x/r").unwrap(), stanza);
    }
    assert_eq!(world.program(Side::Right).core().stream_count(), 0);
    assert_eq!(world.stanzas, 0);
}

#[test]
fn connects_beyond_a_limit_are_refused_at_once() {
    let half_open = Config { max_half_open: 2, ..defaults() };
    let of_one_peer = Config { max_streams_per_peer: 2, ..defaults() };
    for config in [half_open, of_one_peer] {
        let mut world = World::new(Setup { config, ..Setup::default() });
        let flows = [(); 3].map(|()| open_with(&mut world, Decision::Never, Duration::ZERO));
        world.run_for(SECOND);
        let expected = [Outcome::Undecided, Outcome::Undecided, Outcome::Broken(CloseReason::Refused)];
        assert_eq!(flows.map(|flow| outcome(&world, flow)), expected);
    }
}

#[test]
fn a_connect_waits_for_an_account_of_ours() {
    let mut world = World::new(Setup::default());
    world.strike(Fault::Reset(LEFT, 10 * SECOND));
    let flow = world.open(Script::writes(10).and_ends(End::AllDone), Script::default());
    world.run_until_quiet(60 * SECOND);
    world.assert_intact(flow);
}
