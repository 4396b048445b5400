//! A relay that ends is left: what was on its way goes by another lane, nothing is lost, and nothing comes twice.

use std::time::Duration;

use hexchat_lab::Kind;

use crate::harness::{Outcome, on_both_servers, random_bytes, transfer_despite};
use crate::with_relay::{Lanes, WithRelay};

/// 20 MB: enough that it is under way when the connections end; by files the rest takes seconds.
const BULK: usize = 20_000_000;

/// How long the log may take to say something.
const SOON: Duration = Duration::from_secs(30);

on_both_servers! {
    fn a_proxy_that_ends_connections_in_the_middle_is_left_and_everything_arrives_by_files(kind) {
        let halves = WithRelay::with(kind, Lanes::both("relay = true"));
        let (application, server) = halves.stream_by_relay();
        halves.forward.says("its server takes files", SOON);
        let outcome = transfer_despite(server, application, &random_bytes(BULK), || {
            halves.of_client.cut();
        });
        assert_eq!(outcome, Outcome::Intact);
        halves.forward.says("the relay has ended", SOON);
    }
}

#[test]
fn a_bridge_that_does_not_reach_the_proxy_says_so_and_everything_arrives_by_stanzas() {
    let halves = WithRelay::start(Kind::Prosody);
    halves.of_bridge.stop();
    let (application, server) = halves.stream();
    let outcome = transfer_despite(server, application, &random_bytes(30_000), || {});
    assert_eq!(outcome, Outcome::Intact);
    halves.forward.says("no relay: the bridge does not reach the proxy", SOON);
}
