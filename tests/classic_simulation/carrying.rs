//! Data transfer: what applications write arrives, whatever the network does.

use std::collections::BTreeSet;
use std::time::Duration;

use hexchat_pt::classic::seq::SeqNum;
use hexchat_pt::classic::{Aliases, Header, Payload};
use hexchat_pt::protocol::{Address, CloseReason};
use xmpp_parsers::jid::Jid;

use crate::flow::{End, Outcome, Script};
use crate::letters::{Body, Stanza};
use crate::network::{Conditions, Seat, Side, Time};
use crate::setup::{Setup, World};
use crate::world::{Fault, seconds};

const SECOND: Duration = Duration::from_secs(1);
const RIGHT: Seat = Seat::new(Side::Right, 0);

fn upload(total: u64) -> Script {
    Script::writes(total).and_ends(End::Written)
}

/// What the application at the left end of flow 0 would say, as the peer sees it.
fn header(world: &World) -> Header {
    let aliases = world.network.seats(Side::Left).into_iter().map(|seat| world.network.jid(seat).clone());
    Header {
        local: Address::new("127.0.0.1", "20000").unwrap(),
        remote: Address::new("10.0.0.1", "1").unwrap(),
        aliases: Aliases::new(aliases).unwrap(),
    }
}

fn set(payload: Payload) -> Stanza {
    Stanza { id: "forged".into(), body: Body::Set(payload) }
}

/// How long it takes to carry `total` bytes from left to right.
fn time_to_carry(setup: Setup, total: u64) -> Time {
    let mut world = World::new(setup);
    let flow = world.open(upload(total), Script::default());
    world.run_until_done(3600 * SECOND, |world| world.app(flow, Side::Right).outcome == Outcome::Ended);
    assert!(world.flows()[flow].is_intact());
    world.now()
}

#[test]
fn a_megabyte_crosses_four_accounts_that_overtake_each_other() {
    for seed in 0..10 {
        let conditions = Conditions { downlink: 5..400, ..Conditions::default() };
        let mut world = World::new(Setup { seed, accounts: [4, 4], conditions, ..Setup::default() });
        let flow = world.open(upload(1 << 20), Script::default());
        world.run_until_quiet(120 * SECOND);
        world.assert_intact(flow);
        world.assert_nothing_left();
    }
}

#[test]
fn a_disconnect_that_overtakes_data_waits_for_it() {
    let mut overtaken = 0;
    for seed in 0..40 {
        let conditions = Conditions { downlink: 5..2000, ..Conditions::default() };
        let mut world = World::new(Setup { seed, accounts: [3, 3], conditions, ..Setup::default() });
        let flow = world.open(upload(3 * 4096), Script::default());
        world.run_until_quiet(60 * SECOND);
        world.assert_intact(flow);
        let arrives =
            |what: &str| world.log().lines().position(|line| line.contains("gets") && line.contains(what));
        overtaken += usize::from(arrives("disconnect 20000>1 #3") < arrives("packet 20000>1 #2"));
    }
    assert!(overtaken > 5, "only {overtaken} of 40 disconnects overtook data");
}

#[test]
fn a_shaped_account_is_kept_busy_and_several_add_up() {
    let shaped = |accounts| Setup {
        accounts: [accounts, accounts],
        conditions: Conditions { rate: Some(10_000), ..Conditions::default() },
        keep_log: false,
        ..Setup::default()
    };
    let one = time_to_carry(shaped(1), 300_000);
    // Base64 and the stanza around it make 1.5 bytes of each.
    assert!(one < 50 * SECOND, "one account takes {one:?}");
    let four = time_to_carry(shaped(4), 300_000);
    assert!(four < one.mul_f64(0.3), "four accounts take {four:?}, one takes {one:?}");
}

#[test]
fn a_bulk_transfer_does_not_hold_up_a_small_one_for_long() {
    let conditions = Conditions { rate: Some(10_000), ..Conditions::default() };
    let mut world = World::new(Setup { conditions, ..Setup::default() });
    world.open(upload(400_000), Script::default());
    world.run_for(20 * SECOND);
    let asked = world.now();
    let small = world.open(Script::writes(500).and_ends(End::AllDone), Script::replies(500, 500));
    world.run_until_done(100 * SECOND, |world| world.app(small, Side::Left).read == 500);
    let took = world.now() - asked;
    assert!(took < 5 * SECOND, "{took:?}");
}

#[test]
fn a_packet_that_bounced_goes_another_way_under_the_same_id() {
    let mut world = World::new(Setup { accounts: [1, 2], ..Setup::default() });
    let flow = world.open(upload(500_000), Script::default());
    world.run_for(Duration::from_millis(150));
    world.strike(Fault::Reset(Seat::new(Side::Right, 1), 20 * SECOND));
    world.run_until_quiet(60 * SECOND);
    assert!(world.log().contains("error true"), "nothing bounced");
    world.assert_intact(flow);
}

#[test]
fn a_resumed_account_loses_nothing_and_nothing_is_sent_twice() {
    for seat in [RIGHT, Seat::new(Side::Left, 0)] {
        let mut world = World::new(Setup::default());
        let flow = world.open(upload(2_000_000), Script::default());
        world.run_for(Duration::from_millis(200));
        world.strike(Fault::Suspend(seat, 5 * SECOND));
        world.run_until_quiet(60 * SECOND);
        world.assert_intact(flow);
        let packets = world.log().lines().filter_map(|line| line.split_once("sends")?.1.split_once("packet"));
        let mut ids = BTreeSet::new();
        assert!(
            packets.map(|(_, packet)| packet).all(|packet| ids.insert(packet)),
            "a packet was sent twice"
        );
        assert!(ids.len() > 100);
    }
}

#[test]
fn an_answer_that_was_lost_is_made_up_for() {
    let conditions = Conditions { returns_undelivered: false, ..Conditions::default() };
    let mut world = World::new(Setup { conditions, ..Setup::default() });
    let flow = world.open(upload(500_000), Script::default());
    world.run_for(Duration::from_millis(200));
    world.strike(Fault::Reset(RIGHT, SECOND));
    world.run_until_quiet(60 * SECOND);
    world.assert_intact(flow);
}

#[test]
fn a_reader_that_stops_for_an_hour_stops_the_sender_and_nothing_is_lost() {
    let mut world = World::new(Setup { accounts: [2, 2], ..Setup::default() });
    let reader = Script { pauses: vec![seconds(1..3600)], ..Script::default() };
    let to = world.bare_jid(Side::Right);
    let left = Script { pace: Duration::from_millis(100), ..upload(2 << 20) };
    let flow = world.open_to(to, left, reader);
    world.run_until(3599 * SECOND);
    let config = crate::setup::defaults();
    assert!(world.buffered(Side::Left) <= config.send_buffer);
    assert!(world.buffered(Side::Right) <= config.receive_buffer + 100 * 4096);
    assert!(world.app(flow, Side::Left).written < 2 << 20, "the sender was not stopped");
    world.run_until_quiet(120 * SECOND);
    world.assert_intact(flow);
    world.assert_nothing_left();
}

#[test]
fn an_idle_connection_stays_and_costs_little() {
    let mut world = World::new(Setup { accounts: [2, 2], ..Setup::default() });
    let flow = world.open(Script::writes(100), Script::default());
    world.run_for(60 * SECOND);
    let before = world.stanzas;
    world.run_for(3600 * SECOND);
    let stanzas = world.stanzas - before;
    assert!(stanzas <= 1000, "{stanzas} stanzas in an idle hour");
    world.write_more(flow, Side::Left, 100);
    world.finish(flow, Side::Left);
    world.run_until_quiet(60 * SECOND);
    world.assert_intact(flow);
}

#[test]
fn a_packet_that_cannot_be_read_closes_its_connection_only() {
    let mut world = World::new(Setup::default());
    let [hit, spared] = [(); 2].map(|()| world.open(Script::writes(1000), Script::default()));
    world.run_for(SECOND);
    let malformed = set(Payload::Malformed { header: header(&world) });
    world.hand_in(RIGHT, &Jid::new("left0@x/r0").unwrap(), malformed);
    world.run_for(10 * SECOND);
    assert_eq!(world.app(hit, Side::Right).outcome, Outcome::Broken(CloseReason::ProtocolViolation));
    assert_ne!(world.app(hit, Side::Left).outcome, Outcome::Undecided);
    world.finish(spared, Side::Left);
    world.run_until_quiet(120 * SECOND);
    world.assert_intact(spared);
    world.assert_nothing_left();
}

#[test]
fn a_packet_from_somebody_who_is_not_among_the_aliases_changes_nothing() {
    let mut world = World::new(Setup::default());
    let flow = world.open(Script::writes(1000), Script::default());
    world.run_for(SECOND);
    let (header, before) = (header(&world), world.stanzas);
    let id = SeqNum::ZERO.next();
    for payload in [
        Payload::Packet { header: header.clone(), id, data: "forged".into() },
        Payload::Disconnect { header: header.clone(), id },
        Payload::Malformed { header },
    ] {
        world.hand_in(RIGHT, &Jid::new("mallory@x/r0").unwrap(), set(payload));
    }
    assert_eq!(world.stanzas, before, "a stranger was answered");
    world.write_more(flow, Side::Left, 1000);
    world.finish(flow, Side::Left);
    world.run_until_quiet(60 * SECOND);
    world.assert_intact(flow);
}
