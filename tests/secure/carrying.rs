//! Data transfer: everything arrives, once and in order.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::thread;

use hexchat_lab::EchoServer;

use crate::harness::{Lab, Route, Target, connect, echo, on_both_servers, random_bytes, transfer};
use crate::pair::{Bridge, one_account_each};

const MEGABYTE: usize = 1_000_000;

on_both_servers! {
    fn twenty_megabytes_down_arrive_intact(kind) {
        let target = Target::start();
        let (_lab, _bridge, forward) = one_account_each(kind, target.address());
        let (application, server) = target.connect_through(forward.entrance());
        transfer(server, application, &random_bytes(20 * MEGABYTE));
    }

    fn twenty_megabytes_up_arrive_intact(kind) {
        let target = Target::start();
        let (_lab, _bridge, forward) = one_account_each(kind, target.address());
        let (application, server) = target.connect_through(forward.entrance());
        transfer(application, server, &random_bytes(20 * MEGABYTE));
    }

    fn eight_streams_at_once_stay_apart(kind) {
        let target = EchoServer::start().unwrap();
        let (_lab, _bridge, forward) = one_account_each(kind, target.address());
        let entrance = forward.entrance();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(move || echo(entrance, &random_bytes(MEGABYTE)).unwrap());
            }
        });
    }

    fn two_accounts_a_side_carry_one_stream_intact(kind) {
        let (lab, target) = (Lab::start(kind), EchoServer::start().unwrap());
        let bridge = Bridge::start(&lab, &["bob", "bob2"], &Route::StartTls, target.address());
        let forward = bridge.forward(&lab, &["alice", "alice2"], &Route::StartTls);
        echo(forward.entrance(), &random_bytes(5 * MEGABYTE)).unwrap();
    }

    fn an_application_that_has_said_everything_still_gets_the_answer(kind) {
        let target = Target::start();
        let (_lab, _bridge, forward) = one_account_each(kind, target.address());
        let mut application = connect(forward.entrance());
        application.write_all(b"question").unwrap();
        application.shutdown(Shutdown::Write).unwrap();
        let mut server = target.accept();
        let mut question = Vec::new();
        server.read_to_end(&mut question).unwrap();
        assert_eq!(question, b"question");
        server.write_all(b"answer").unwrap();
        drop(server);
        let mut answer = Vec::new();
        application.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"answer");
    }
}
