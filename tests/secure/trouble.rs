//! Trouble that chat servers, and those who run a bridge, make for a connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::{Kind, TcpCutter};

use crate::harness::{
    Half, Lab, Route, Target, connect, on_both_servers, random_bytes, transfer_through_cuts,
};
use crate::pair::{Bridge, one_account_each};

const MEGABYTE: usize = 1_000_000;

/// How long an administrator takes to restart the server.
const OUTAGE: Duration = Duration::from_secs(20);

on_both_servers! {
    fn a_transfer_survives_connections_that_are_cut_again_and_again(kind) {
        let (lab, target) = (Lab::start(kind), Target::start());
        let cutter = TcpCutter::start(lab.server.address()).unwrap();
        let route = Route::Through(cutter.address());
        let bridge = Bridge::start(&lab, &["bob"], &route, target.address());
        let forward = bridge.forward(&lab, &["alice"], &route);
        let (application, server) = target.connect_through(forward.entrance());
        transfer_through_cuts(server, application, &cutter);
    }

    fn a_transfer_goes_on_after_the_server_was_away_for_twenty_seconds(kind) {
        let target = Target::start();
        let (mut lab, _bridge, forward) = one_account_each(kind, target.address());
        let (mut application, mut server) = target.connect_through(forward.entrance());
        let data = random_bytes(20 * MEGABYTE);
        let sent = data.clone();
        let sender = thread::spawn(move || server.write_all(&sent).map(|()| server));
        let mut received = vec![0; MEGABYTE];
        application.read_exact(&mut received).unwrap();
        lab.server.stop();
        thread::sleep(OUTAGE);
        lab.server.restart().unwrap();
        read_rest(&mut application, &mut received, data.len());
        assert!(received == data, "what arrived differs");
        sender.join().unwrap().unwrap();
    }

    fn a_bridge_that_is_offline_is_told_within_five_seconds_logging_in_included(kind) {
        let target = Target::start();
        let (_lab, mut bridge, forward) = one_account_each(kind, target.address());
        bridge.half.process().kill();
        println!("closed after {:?}", closes(&connect(forward.entrance()), Duration::from_secs(5)));
    }

    fn a_transfer_goes_on_when_one_of_two_accounts_is_deleted(kind) {
        for deleted in ["alice2", "bob2"] {
            let (mut lab, target) = (Lab::start(kind), Target::start());
            let bridge = Bridge::start(&lab, &["bob", "bob2"], &Route::StartTls, target.address());
            let forward = bridge.forward(&lab, &["alice", "alice2"], &Route::StartTls);
            let (mut application, mut server) = target.connect_through(forward.entrance());
            let data = random_bytes(20 * MEGABYTE);
            let sent = data.clone();
            let sender = thread::spawn(move || server.write_all(&sent).map(|()| server));
            let mut received = vec![0; MEGABYTE];
            application.read_exact(&mut received).unwrap();
            lab.server.delete_account(deleted).unwrap();
            read_rest(&mut application, &mut received, data.len());
            assert!(received == data, "what arrived differs");
            sender.join().unwrap().unwrap();
        }
    }
}

/// Reads until there are `length` bytes, however long the pauses are.
fn read_rest(from: &mut TcpStream, received: &mut Vec<u8>, length: usize) {
    from.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let have = received.len();
    received.resize(length, 0);
    from.read_exact(&mut received[have..]).unwrap();
}

/// Waits for the end of a connection, which may be a fault; how long it took.
fn closes(mut connection: &TcpStream, within: Duration) -> Duration {
    let start = Instant::now();
    connection.set_read_timeout(Some(within)).unwrap();
    let end = connection.read_to_end(&mut Vec::new());
    let is_late = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!is_late, "the connection is still open after {within:?}");
    start.elapsed()
}

/// The same, once both ends know of it: a byte has come, which follows the bridge's word that the target was reached.
fn carrying((mut application, mut server): (TcpStream, TcpStream)) -> (TcpStream, TcpStream) {
    server.write_all(b"1").unwrap();
    application.read_exact(&mut [0]).unwrap();
    (application, server)
}

/// Both halves, with sessions that outlive the last packet for ten seconds. What is usual, two minutes, is waited for in
/// `tests/secure_simulation`, where that takes no time.
fn short_sessions(kind: Kind, target: SocketAddr) -> (Lab, Bridge, Half) {
    let lab = Lab::start(kind);
    let config = |user| lab.config(&[user], &Route::StartTls) + "[limits]\nsession_timeout = 10\n";
    let bridge = Bridge::configured(config("bob"), target);
    let forward = bridge.forward_configured(&config("alice"));
    (lab, bridge, forward)
}

/// When such a session is over: 5 seconds at least, for a part of them may have passed since the last packet, and 20 on a busy machine.
const SESSION_OVER: Range<Duration> = Duration::from_secs(5)..Duration::from_secs(20);

fn closes_with_its_session(connection: &TcpStream) {
    let after = closes(connection, SESSION_OVER.end);
    assert!(after >= SESSION_OVER.start, "given up before its session was over: {after:?}");
}

#[test]
fn a_bridge_that_is_killed_for_good_is_given_up_when_its_session_is_over() {
    let target = Target::start();
    let (_lab, mut bridge, forward) = short_sessions(Kind::Prosody, target.address());
    let (application, _server) = carrying(target.connect_through(forward.entrance()));
    bridge.half.process().kill();
    closes_with_its_session(&application);
}

#[test]
fn a_client_that_is_killed_for_good_is_given_up_when_its_session_is_over() {
    let target = Target::start();
    let (_lab, _bridge, mut forward) = short_sessions(Kind::Ejabberd, target.address());
    let (_application, server) = carrying(target.connect_through(forward.entrance()));
    forward.process().kill();
    closes_with_its_session(&server);
}

#[test]
fn when_the_bridge_is_started_again_connections_close_within_20_seconds_and_the_next_one_works() {
    let target = Target::start();
    let (_lab, mut bridge, forward) = one_account_each(Kind::Prosody, target.address());
    let (application, _server) = target.connect_through(forward.entrance());
    bridge.restart();
    println!("closed after {:?}", closes(&application, Duration::from_secs(20)));
    let mut application = connect(forward.entrance());
    let mut server = target.accept();
    application.write_all(b"again").unwrap();
    let mut received = [0; 5];
    server.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"again");
}
