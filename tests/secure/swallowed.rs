//! Lines that swallow everything: no error, no end, and no byte any more; new connections work.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::{Kind, TcpCutter};

use crate::harness::{Lab, Route, Target, random_bytes};
use crate::pair::Bridge;

/// Tor's smallest unit, in bytes.
const CELL: usize = 514;

/// A path stalls after two seconds of silence, its server has five to show that it is there, and logging in anew takes some round
/// trips; a busy machine needs longer.
const ONE_ACCOUNT: Duration = Duration::from_secs(14);

/// A path stalls after two seconds of silence, and then the other one carries what was on it.
const TWO_ACCOUNTS: Duration = Duration::from_secs(5);

/// A cell there; how long it took.
fn cell(mut from: &TcpStream, mut to: &TcpStream) -> Duration {
    let (begun, mut cell) = (Instant::now(), [0; CELL]);
    from.write_all(&[7; CELL]).unwrap();
    to.read_exact(&mut cell).unwrap();
    begun.elapsed()
}

/// A transfer to `to`, whose line is swallowed after a part of it; the longest pause in what comes.
fn longest_pause(from: TcpStream, mut to: &TcpStream, length: usize, swallow: impl FnOnce()) -> Duration {
    let data = random_bytes(length);
    let (sent, mut from) = (data.clone(), from);
    let sender = thread::spawn(move || from.write_all(&sent).map(|()| from));
    let mut received = vec![0; length];
    let (first, rest) = received.split_at_mut(length / 20);
    to.read_exact(first).unwrap();
    swallow();
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    for piece in rest.chunks_mut(16 * 1024) {
        to.read_exact(piece).unwrap();
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    assert!(received == data, "what arrived differs");
    sender.join().unwrap().unwrap();
    longest
}

#[test]
fn where_the_line_of_the_only_account_swallows_everything_a_cell_waits_seconds_and_not_a_minute() {
    let (lab, target) = (Lab::start(Kind::Prosody), Target::start());
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let cutter = TcpCutter::start(lab.server.address()).unwrap();
    let forward = bridge.forward(&lab, &["alice"], &Route::Through(cutter.address()));
    let (application, server) = target.connect_through(forward.entrance());
    for _ in 0..5 {
        cell(&application, &server);
        cell(&server, &application);
    }
    cutter.swallow();
    let waited = cell(&application, &server);
    println!("a cell up waited {waited:?}");
    assert!(waited < ONE_ACCOUNT, "{waited:?}");
    assert!(cell(&server, &application) < ONE_ACCOUNT);
}

#[test]
fn where_the_line_of_one_of_two_accounts_swallows_everything_the_other_carries_on() {
    let (lab, target) = (Lab::start(Kind::Prosody), Target::start());
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let cutter = TcpCutter::start(lab.server.address()).unwrap();
    let accounts = lab.config(&["alice"], &Route::Through(cutter.address()))
        + &lab.config(&["alice2"], &Route::StartTls);
    let forward = bridge.forward_configured(&accounts);
    let (application, server) = target.connect_through(forward.entrance());
    let pause = longest_pause(server, &application, 40_000_000, || cutter.swallow());
    println!("a download paused for {pause:?}");
    assert!(pause < TWO_ACCOUNTS, "{pause:?}");
}
