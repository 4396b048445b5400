//! Data transfer: everything arrives, once and in order.

use std::io::Write as _;
use std::thread;

use hexchat_lab::{EchoServer, FileServer, Kind};

use crate::harness::{Half, Lab, Route, Target, connect, echo, on_both_servers, random_bytes, transfer};

const MEGABYTE: usize = 1_000_000;

on_both_servers! {
    fn twenty_megabytes_down_arrive_intact(kind) {
        let (lab, target) = (Lab::start(kind), Target::start());
        let (_serve, forward) = lab.both(target.address());
        let (application, server) = target.connect_through(forward.entrance());
        transfer(server, application, &random_bytes(20 * MEGABYTE));
    }

    fn twenty_megabytes_up_arrive_intact(kind) {
        let (lab, target) = (Lab::start(kind), Target::start());
        let (_serve, forward) = lab.both(target.address());
        let (application, server) = target.connect_through(forward.entrance());
        transfer(application, server, &random_bytes(20 * MEGABYTE));
    }

    fn eight_streams_at_once_stay_apart(kind) {
        let (lab, target) = (Lab::start(kind), EchoServer::start().unwrap());
        let (_serve, forward) = lab.both(target.address());
        let entrance = forward.entrance();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(move || echo(entrance, &random_bytes(MEGABYTE)).unwrap());
            }
        });
    }

    fn a_cell_comes_back(kind) {
        let (lab, target) = (Lab::start(kind), EchoServer::start().unwrap());
        let (_serve, forward) = lab.both(target.address());
        echo(forward.entrance(), &random_bytes(514)).unwrap();
    }

    fn two_accounts_a_side_carry_one_stream_intact(kind) {
        let (lab, target) = (Lab::start(kind), EchoServer::start().unwrap());
        let _serve = Half::serve(&lab.config(&["bob", "bob2"], &Route::StartTls), &[target.address()]);
        let config = lab.config(&["alice", "alice2"], &Route::StartTls);
        let forward = Half::forward(&config, &lab.server.jid("bob"), target.address());
        echo(forward.entrance(), &random_bytes(5 * MEGABYTE)).unwrap();
    }

    fn direct_tls_carries_as_well(kind) {
        let (lab, target) = (Lab::start(kind), EchoServer::start().unwrap());
        let _serve = Half::serve(&lab.config(&["bob"], &Route::DirectTls), &[target.address()]);
        let config = lab.config(&["alice"], &Route::DirectTls);
        let forward = Half::forward(&config, &lab.server.jid("bob"), target.address());
        echo(forward.entrance(), &random_bytes(MEGABYTE)).unwrap();
    }
}

#[test]
fn an_application_that_does_not_read_stops_nobody_else() {
    let (lab, target) = (Lab::start(Kind::Prosody), EchoServer::start().unwrap());
    let files = FileServer::start().unwrap();
    let config = lab.config(&["bob"], &Route::StartTls);
    let _serve = Half::serve(&config, &[files.address(), target.address()]);
    let to_files = lab.forward(files.address());
    let config = lab.config(&["alice2"], &Route::StartTls);
    let to_echo = Half::forward(&config, &lab.server.jid("bob"), target.address());

    let mut stuck = connect(to_files.entrance());
    stuck.write_all(b"GET /100000000 HTTP/1.1\r\n\r\n").unwrap();
    // The kernel's buffers take some megabytes before the sender notices; meanwhile and afterwards the others go on.
    for _ in 0..200 {
        echo(to_echo.entrance(), &random_bytes(MEGABYTE / 10)).unwrap();
    }
}
