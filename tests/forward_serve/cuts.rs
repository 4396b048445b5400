//! Cut connections to the chat server, and what becomes of streams.

use std::thread;
use std::time::Duration;

use hexchat_lab::TcpCutter;

use crate::harness::{
    Half, Lab, Route, Target, on_both_servers, random_bytes, transfer_despite, wait_until_it_works,
};

on_both_servers! {
    fn a_transfer_survives_cuts_or_ends_at_both_sides(kind) {
        let (lab, target) = (Lab::start(kind), Target::start());
        let cutter = TcpCutter::start(lab.server.address()).unwrap();
        let route = Route::Through(cutter.address());
        let _serve = Half::serve(&lab.config(&["bob"], &route), &[target.address()]);
        let forward = Half::forward(&lab.config(&["alice"], &route), &lab.server.jid("bob"), target.address());
        let entrance = forward.entrance();
        let (application, server) = target.connect_through(entrance);
        let outcome = transfer_despite(server, application, &random_bytes(5_000_000), || {
            for _ in 0..3 {
                let before = cutter.accepted();
                cutter.cut();
                // Both halves must be back before they are cut again.
                wait_for(|| cutter.accepted() >= before + 2);
            }
        });
        println!("{outcome:?}");
        target.echo_from_now_on();
        wait_until_it_works(entrance);
    }
}

fn wait_for(holds: impl Fn() -> bool) {
    while !holds() {
        thread::sleep(Duration::from_millis(5));
    }
}
