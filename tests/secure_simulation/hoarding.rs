//! Hoarding: clients that hold the bridge line and want to starve the others.

use bytes::Bytes;
use hexchat_pt::protocol::{Address, Core as _};
use hexchat_pt::secure::Config;
use hexchat_pt::secure::wire::frame::{Frame, ResetReason, SessionClose};

use crate::arena::{Arena, ROUND};
use crate::setup::defaults;

/// Of each bound so much that a test is quick.
fn config() -> Config {
    Config {
        queue_per_stream: 256 << 10,
        queue_per_session: 1 << 20,
        queue_total: 16 << 20,
        handshakes_per_minute_per_jid: 1000,
        ..defaults()
    }
}

/// Rounds of a second.
const SECOND: usize = (1000 / ROUND.as_millis()) as usize;

fn data(stream: u64, offset: u64, length: usize) -> Frame {
    Frame::Data { stream, offset, data: Bytes::from(vec![7; length]), fin: false }
}

fn open(stream: u64, target: &str) -> Frame {
    Frame::Open { stream, target: Address::new(target, "1").unwrap() }
}

/// The `n`th session of one account.
fn session(n: usize) -> String {
    format!("hoarder@x/{n}")
}

/// Fills the session with all that its credit allows, so that nothing of it can be read.
fn fill_with_gaps(arena: &mut Arena, from: &str) {
    for stream in 0..4 {
        for block in 0..5 {
            arena.say(from, &[data(stream, 1 + block * 50_000, 50_000)], 0);
        }
    }
}

/// The same, of a stream that nobody reads.
fn fill_unread(arena: &mut Arena, from: &str, bytes: usize) {
    for stream in 0..bytes.div_ceil(250_000) as u64 {
        let length = (bytes - stream as usize * 250_000).min(250_000);
        arena.say(from, &[open(stream, "idle")], 0);
        for offset in (0..length).step_by(50_000) {
            arena.say(from, &[data(stream, offset as u64, 50_000.min(length - offset))], 0);
        }
    }
}

/// Lets time pass. The sessions, of which some are perhaps over, give signs of life.
fn talk(arena: &mut Arena, sessions: usize, seconds: usize) -> usize {
    let before = arena.downloaded;
    for _ in 0..seconds {
        (0..sessions).for_each(|n| arena.say(&session(n), &[Frame::Ping], 0));
        (0..SECOND).for_each(|_| arena.round());
    }
    arena.downloaded - before
}

#[test]
fn gaps_in_many_sessions_of_one_account_do_not_slow_anybody_down() {
    let mut arena = Arena::new(config());
    arena.connect("source");
    arena.download(2 * SECOND);
    let idle = arena.download(2 * SECOND);
    for n in 0..12 {
        arena.attack_as(&session(n));
        fill_with_gaps(&mut arena, &session(n));
        assert!(arena.bridge.buffered() <= config().queue_total);
    }
    let attacked = talk(&mut arena, 12, 2);
    assert!(attacked * 2 > idle, "{attacked} bytes in two seconds, {idle} without the attack");
    assert_eq!(arena.ends, []);
}

#[test]
fn bytes_that_one_account_never_acknowledges_do_not_slow_anybody_down() {
    let mut arena = Arena::new(config());
    arena.connect("source");
    arena.download(2 * SECOND);
    let idle = arena.download(2 * SECOND);
    for n in 0..12 {
        arena.attack_as(&session(n));
        arena.say(&session(n), &(0..8).map(|stream| open(stream, "source")).collect::<Vec<_>>(), 0);
    }
    talk(&mut arena, 12, 5);
    let attacked = talk(&mut arena, 12, 2);
    assert!(attacked * 2 > idle, "{attacked} bytes in two seconds, {idle} without the attack");
    assert_eq!(arena.ends, []);
}

#[test]
fn a_peer_that_leaves_gaps_or_opens_nothing_and_goes_on_talking_loses_its_session() {
    let mut arena = Arena::new(config());
    arena.connect("sink");
    for n in 0..2 {
        arena.attack_as(&session(n));
    }
    arena.say(&session(0), &[open(0, "sink"), data(0, 1, 1)], 0);
    arena.say(&session(1), &[data(0, 0, 1)], 0);
    talk(&mut arena, 2, 29);
    assert_eq!(arena.bridge.statistics().sessions, 3, "too early");
    talk(&mut arena, 2, 5);
    assert_eq!(arena.bridge.statistics().sessions, 1);
    assert_eq!(arena.ends, []);
}

/// An arena whose client downloads, and has the largest session of all because the target of its upload is slow.
fn with_a_slow_target() -> Arena {
    let mut arena = Arena::new(config());
    arena.connect("source");
    let upload = arena.connect("idle");
    arena.download(SECOND);
    let written: usize = (0..5 * SECOND)
        .map(|_| {
            let taken = arena.write(upload, &[7; 65_536]);
            arena.round();
            taken
        })
        .sum();
    assert!(written > 250_000, "{written}");
    arena
}

#[test]
fn the_account_that_keeps_most_is_shed_and_not_the_largest_session() {
    let mut arena = with_a_slow_target();
    for n in 0..120 {
        arena.attack_as(&session(n));
        fill_unread(&mut arena, &session(n), 150_000);
    }
    arena.download(SECOND);
    assert_eq!(arena.ends, [], "the session of somebody else is over");
    assert!(arena.bridge.statistics().charged <= config().queue_total);
}

#[test]
fn many_accounts_of_one_domain_are_shed_before_one_elsewhere_that_keeps_a_little_more() {
    let mut arena = with_a_slow_target();
    for n in 0..120 {
        let from = format!("eve{n}@evil/r");
        arena.attack_as(&from);
        fill_unread(&mut arena, &from, 150_000);
    }
    arena.download(SECOND);
    assert!(arena.bridge.statistics().sessions < 100, "there was no need to shed anybody");
    assert_eq!(arena.ends, [], "the session of somebody else is over");
}

#[test]
fn one_account_gets_no_more_than_its_share_of_the_streams() {
    let config = Config { max_streams: 100, ..config() };
    let mut arena = Arena::new(config);
    for n in 0..4 {
        arena.attack_as(&session(n));
        (0..100).for_each(|stream| arena.say(&session(n), &[open(stream, "idle")], 0));
    }
    assert!((40..=50).contains(&arena.streams()), "{} streams", arena.streams());
    arena.connect("source");
    assert!(arena.download(SECOND) > 0, "a newcomer finds no room");
}

/// Names of accounts, at these domains in turn.
fn accounts(count: usize, domains: &[&str]) -> Vec<String> {
    (0..count).map(|n| format!("hoarder{n}@{}/r", domains[n % domains.len()])).collect()
}

/// Bounds that let so many accounts in.
fn many_accounts() -> Config {
    Config { handshakes_per_minute: 10_000, queue_total: 128 << 20, ..config() }
}

/// A session of each account.
fn attack_as(arena: &mut Arena, accounts: &[String]) {
    for from in accounts {
        arena.attack_as(from);
        arena.say(from, &[Frame::Ping], 0);
    }
}

/// One account after the other opens as many streams as it is let, and keeps them.
fn hoard_streams(arena: &mut Arena, accounts: &[String], first: u64, max_streams: usize) {
    // All together ask for five times as many as there are, so that all are taken whatever share each is let have.
    let each = (max_streams / 2).min(5 * max_streams / accounts.len()) as u64;
    for from in accounts {
        for numbers in (first..first + each).collect::<Vec<_>>().chunks(20) {
            let opens: Vec<_> = numbers.iter().map(|stream| open(*stream, "idle")).collect();
            arena.say(from, &opens, 0);
        }
    }
}

/// Many accounts take all streams that there are. Whoever was there before and has few keeps them, and who comes later gets one.
fn whoever_has_few_streams_keeps_them(count: usize, domains: &[&str]) {
    let config = Config { max_streams: 1000, ..many_accounts() };
    let mut arena = Arena::new(config.clone());
    arena.connect("source");
    arena.connect("source");
    arena.download(SECOND);
    let hoarders = accounts(count, domains);
    attack_as(&mut arena, &hoarders);
    hoard_streams(&mut arena, &hoarders, 0, config.max_streams);
    assert!(arena.streams() >= 999, "{} streams, and all should be in use", arena.streams());
    assert!(arena.download(SECOND) > 0);
    let newcomer = format!("newcomer@{}/r", domains[0]);
    arena.attack_as(&newcomer);
    let (before, closed) = (arena.streams(), arena.closed);
    arena.say(&newcomer, &[open(0, "sink")], 0);
    assert_eq!(arena.streams() - before, 1, "{count} accounts leave no stream to a newcomer");
    let lost = arena.closed - closed;
    assert!(lost <= 1, "{count} accounts lose {lost} streams for one of a newcomer's");
    arena.connect("source");
    assert!(arena.download(SECOND) > 0);
    hoard_streams(&mut arena, &hoarders, 10_000, config.max_streams);
    assert!(arena.download(SECOND) > 0);
    assert_eq!(arena.ends, [], "{count} accounts take a stream from one who has few");
}

#[test]
fn many_accounts_that_take_all_streams_leave_one_to_a_newcomer_and_those_to_others_that_they_have() {
    for count in [13, 40, 200] {
        whoever_has_few_streams_keeps_them(count, &["evil"]);
        whoever_has_few_streams_keeps_them(count, &["x"]);
        whoever_has_few_streams_keeps_them(count, &["evil", "vile", "live"]);
    }
}

/// How many bytes a newcomer gets in a second beside so many accounts that download and acknowledge nothing.
fn newcomers_rate_beside_accounts_that_never_acknowledge(count: usize) -> usize {
    let mut arena = Arena::new(many_accounts());
    let hoarders = accounts(count, &["x"]);
    attack_as(&mut arena, &hoarders);
    for from in &hoarders {
        arena.say(from, &(0..8).map(|stream| open(stream, "source")).collect::<Vec<_>>(), 0);
    }
    for _ in 0..10 {
        hoarders.iter().for_each(|from| arena.say(from, &[Frame::Ping], 0));
        arena.download(SECOND);
    }
    arena.connect("source");
    arena.download(3 * SECOND);
    let rate = arena.download(SECOND);
    assert_eq!(arena.ends, []);
    rate
}

#[test]
fn many_accounts_that_never_acknowledge_do_not_slow_a_newcomer_down() {
    let idle = newcomers_rate_beside_accounts_that_never_acknowledge(0);
    for (count, part) in [(13, 2), (40, 2), (200, 10)] {
        let rate = newcomers_rate_beside_accounts_that_never_acknowledge(count);
        assert!(rate * part > idle, "{count} accounts leave {rate} bytes of {idle} in a second");
    }
}

#[test]
fn streams_that_are_reset_while_their_targets_are_dialled_leave_others_as_much_room_as_any() {
    let config = Config { max_streams: 100, ..config() };
    let mut arena = Arena::new(config);
    for n in 0..4 {
        arena.attack_as(&session(n));
        for stream in 0..100 {
            let reset = Frame::Reset { stream, reason: ResetReason::Aborted, sent: 0 };
            arena.say(&session(n), &[open(stream, "idle")], 0);
            arena.say(&session(n), &[reset], 0);
        }
        arena.say(&session(n), &[Frame::Close { reason: SessionClose::Done }], 0);
    }
    assert!((40..=50).contains(&arena.streams()), "{} streams", arena.streams());
    arena.connect("source");
    assert!(arena.download(SECOND) > 0, "a newcomer finds no room");
}

#[test]
fn what_sessions_that_are_over_leave_unread_counts_as_well() {
    let mut arena = Arena::new(config());
    arena.connect("source");
    for n in 0..40 {
        arena.attack_as(&session(n));
        fill_unread(&mut arena, &session(n), 900_000);
        arena.say(&session(n), &[Frame::Close { reason: SessionClose::Done }], 0);
        let kept = arena.bridge.buffered();
        assert!(kept <= config().queue_total, "{kept} bytes are kept");
    }
    assert!(arena.download(5 * SECOND) > 0);
    assert_eq!(arena.ends, []);
}
