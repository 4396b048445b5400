//! Memory of what a peer can make a bridge keep, which is no more than is charged for it: allocations are counted, kind by kind.
//!
//! The limits of `[limits]` are kept by prices (`secure::budget::price`). A price that is too low is a hole in every one of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets something unexpected has failed, and says so"
)]

#[path = "../simulation/arena.rs"]
#[allow(dead_code, reason = "the simulations use more of it")]
mod arena;
#[path = "../simulation/over_ibb.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod over_ibb;
#[path = "../simulation/rng.rs"]
#[allow(dead_code, reason = "the simulations use more of it")]
mod rng;

use arena::{Arena, jid};
use bytes::Bytes;
use hexchat_pt::config::Limits;
use hexchat_pt::protocol::Address;
use hexchat_pt::secure::Config;
use hexchat_pt::secure::wire::frame::Frame;
use hexchat_pt::tunnel::bounds;

/// An allocator gives out a little more than it is asked for, and tables grow ahead of what is in them.
const TOLERANCE: f64 = 1.3;

/// The session in which all but whole sessions are kept.
const ONE: &str = "hoarder@x/0";

/// Nothing is refused or shed: what is measured is what it costs, not when it is too much.
fn config() -> Config {
    Config {
        max_streams: 100_000,
        max_half_open_sessions: 10_000,
        handshakes_per_minute_per_jid: 100_000,
        handshakes_per_minute: 100_000,
        queue_total: 4 << 30,
        ..bounds::secure(&Limits::default())
    }
}

fn data(stream: u64, offset: usize, length: usize) -> Frame {
    Frame::Data { stream, offset: offset as u64, data: Bytes::from(vec![7; length]), fin: false }
}

fn open(stream: u64, target: &str) -> Frame {
    Frame::Open { stream, target: Address::new(target, "1").unwrap() }
}

/// Something that is kept: its name, what makes it, and at which limits.
struct Kind {
    name: &'static str,
    config: Config,
    make: fn(&mut Arena),
}

fn kind(name: &'static str, make: fn(&mut Arena)) -> Kind {
    Kind { name, config: config(), make }
}

fn kinds() -> Vec<Kind> {
    vec![
        kind("sessions", |arena| {
            for n in 0..100 {
                let from = format!("client{n}@x/r");
                arena.attack_as(&from);
                arena.say(&from, &[Frame::Ping], 0);
            }
        }),
        kind("half-open handshakes", |arena| {
            (0..200).for_each(|n| arena.open_halfway(&format!("client{n}@x/r")));
        }),
        kind("half-open handshakes whose first message waits", |arena| {
            (0..200).for_each(|n| arena.wait_for_the_disk(&format!("client{n}@x/r")));
        }),
        kind("answers that wait", |arena| {
            for n in 0..20 {
                let from = format!("client{n}@x/r");
                arena.attack_as(&from);
                arena.is_mute = true;
                (0..90).for_each(|_| arena.say(&from, &[Frame::Ping], 0));
            }
        }),
        kind("streams without OPEN", |arena| {
            (0..1000).for_each(|stream| arena.say(ONE, &[data(stream, 0, 1)], 0));
        }),
        kind("streams that were opened", |arena| {
            (0..1000).for_each(|stream| arena.say(ONE, &[open(stream, "idle")], 0));
        }),
        kind("streams that were read once", |arena| {
            for stream in 0..300 {
                arena.say(ONE, &[open(stream, "sink")], 0);
                (0..40).for_each(|n| arena.say(ONE, &[data(stream, 1 + n, 1)], 0));
                arena.say(ONE, &[data(stream, 0, 1)], 0);
            }
        }),
        Kind {
            config: Config { max_streams_per_session: 1, ..config() },
            ..kind("streams that are only being closed", |arena| {
                (0..1000).for_each(|stream| arena.say(ONE, &[open(stream, "idle")], 0));
            })
        },
        kind("numbers of streams with gaps", |arena| {
            for stream in 0..1500 {
                arena.say(ONE, &[open(2 * stream, "sink")], 0);
                let (reason, sent) = (hexchat_pt::secure::wire::frame::ResetReason::Finished, 0);
                arena.say(ONE, &[Frame::Reset { stream: 2 * stream, reason, sent }], 0);
                arena.round();
                arena.acknowledge(ONE, |_| true);
            }
        }),
        kind("fragments of a byte", |arena| {
            for stream in 0..16 {
                arena.say(ONE, &[open(stream, "idle")], 0);
                (0..1000).for_each(|n| arena.say(ONE, &[data(stream, 2 * n + 1, 1)], 0));
            }
        }),
        kind("counters with gaps", |arena| {
            for _ in 0..1000 {
                arena.attacker(ONE).skip_counter();
                arena.say(ONE, &[Frame::Ping], 0);
            }
        }),
        kind("names of accounts", |arena| {
            for n in 0..20 {
                let from = format!("hoarder@x/{}", n + 1);
                arena.attack_as(&from);
                let long = "x".repeat(900);
                let jids = (0..32).map(|account| jid(&format!("a{account}@x/{n}{long}"))).collect();
                arena.say(&from, &[Frame::Jids { serial: 1, jids }], 0);
            }
        }),
        kind("paths", |arena| {
            for n in 0..20 {
                let session = format!("hoarder@x/{}", n + 1);
                arena.attack_as(&session);
                let name = |account: u64| format!("a{account}@x/{n}");
                let jids = (0..31).map(|account| jid(&name(account))).collect();
                arena.say(&session, &[Frame::Jids { serial: 1, jids }], 0);
                (0..31).for_each(|account| arena.open_path(&session, account + 1, &name(account)));
            }
        }),
        kind("bytes in large blocks that nobody reads", |arena| {
            for stream in 0..8 {
                arena.say(ONE, &[open(stream, "idle")], 0);
                (0..20).for_each(|n| arena.say(ONE, &[data(stream, n * 50_000, 50_000)], 0));
            }
        }),
        kind("bytes in blocks that are half empty", |arena| {
            for stream in 0..8 {
                arena.say(ONE, &[open(stream, "idle")], 0);
                (0..30).for_each(|n| arena.say(ONE, &[data(stream, n * 33_000, 33_000)], 65_000));
            }
        }),
        kind("bytes in cells that nobody reads", |arena| {
            for stream in 0..8 {
                arena.say(ONE, &[open(stream, "idle")], 0);
                (0..1500).for_each(|n| arena.say(ONE, &[data(stream, n * 514, 514)], 640));
            }
        }),
        kind("tails just larger than what they have room for", |arena| {
            for stream in 0..500 {
                arena.say(ONE, &[open(stream, "idle")], 0);
                (0..3).for_each(|n| arena.say(ONE, &[data(stream, n * 1000, 1000)], 0));
            }
        }),
        kind("bytes that were written and not acknowledged", |arena| {
            arena.say(ONE, &(0..8).map(|stream| open(stream, "source")).collect::<Vec<_>>(), 0);
            (0..500).for_each(|_| arena.round());
        }),
        kind("bytes that were written one by one", |arena| {
            arena.say(ONE, &(0..4).map(|stream| open(stream, "drip")).collect::<Vec<_>>(), 0);
            (0..2000).for_each(|_| arena.round());
        }),
        kind("the same, of which every other one is acknowledged", |arena| {
            arena.say(ONE, &[open(0, "drip")], 0);
            for _ in 0..20 {
                (0..100).for_each(|_| arena.round());
                arena.acknowledge(ONE, |counter| counter % 2 == 0);
            }
        }),
    ]
}

/// What a kind is charged, and what it takes.
fn measured(kind: &Kind) -> (usize, usize) {
    let mut arena = Arena::new(kind.config.clone());
    arena.attack_as(ONE);
    arena.say(ONE, &[Frame::Ping], 0);
    arena.round();
    let before = arena.bridge.statistics().charged;
    let allocated = allocation_counter::measure(|| {
        (kind.make)(&mut arena);
        arena.round();
        arena.forget_all_but(ONE);
    });
    let charged = arena.bridge.statistics().charged - before;
    (charged, usize::try_from(allocated.bytes_current).unwrap_or(0))
}

#[test]
fn nothing_that_a_peer_makes_a_bridge_keep_takes_more_than_its_price() {
    let mut complaints = Vec::new();
    for kind in kinds() {
        let (charged, taken) = measured(&kind);
        let ratio = taken as f64 / charged.max(1) as f64;
        println!("{:<52} {charged:>9} charged {taken:>9} taken {ratio:>6.2}", kind.name);
        if ratio > TOLERANCE {
            complaints.push(format!("{} take {taken} bytes and are charged {charged}", kind.name));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}
