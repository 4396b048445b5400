//! Outages of the chat server, which goes away and comes back.

use std::thread;
use std::time::Duration;

use crate::harness::{Lab, Target, on_both_servers, random_bytes, transfer_despite, wait_until_it_works};

/// How long an administrator takes to restart the server.
const OUTAGE: Duration = Duration::from_secs(10);

on_both_servers! {
    fn a_transfer_survives_an_outage_or_ends_at_both_sides(kind) {
        let (mut lab, target) = (Lab::start(kind), Target::start());
        let (_serve, forward) = lab.both(target.address());
        let entrance = forward.entrance();
        let (application, server) = target.connect_through(entrance);
        let outcome = transfer_despite(server, application, &random_bytes(20_000_000), || {
            lab.server.stop();
            thread::sleep(OUTAGE);
            lab.server.restart().unwrap();
        });
        println!("{outcome:?}");
        target.echo_from_now_on();
        wait_until_it_works(entrance);
    }
}
