//! A session goes by its relay, whichever way, and by stanzas where there is none.

use std::collections::BTreeSet;
use std::time::Duration;

use hexchat_lab::Kind;
use hexchat_lab::server::RELAY;

use crate::harness::on_both_servers;
use crate::with_relay::{Lanes, WithRelay, time};

/// 5 MB: by stanzas eleven minutes at a stock Prosody, and 40 at a stock ejabberd.
const BULK: usize = 5_000_000;

/// A tenth of what stanzas would take at the faster of the two.
const SOON: Duration = Duration::from_secs(66);

/// There and back, from each half to its server's proxy.
const FAR: Duration = Duration::from_millis(100);

on_both_servers! {
    fn far_away_all_goes_by_the_relay_and_nothing_waits_behind_what_goes_by_stanzas(kind) {
        let halves = WithRelay::far(kind, FAR);
        let (application, server) = halves.stream_by_relay();
        let took = time(server, application, BULK);
        assert!(took < SOON, "{took:?}");
    }

    fn five_megabytes_down_arrive_intact_in_seconds(kind) {
        let halves = WithRelay::start(kind);
        let (application, server) = halves.stream_by_relay();
        let took = time(server, application, BULK);
        assert!(took < SOON, "{took:?}");
        for names in [&halves.of_client, &halves.of_bridge] {
            let asked: BTreeSet<_> = names.asked().into_iter().collect();
            assert_eq!(asked, [RELAY.to_owned()].into(), "no other host is called by its name");
        }
    }

    fn five_megabytes_up_arrive_intact_in_seconds(kind) {
        let halves = WithRelay::start(kind);
        let (application, server) = halves.stream_by_relay();
        let took = time(application, server, BULK);
        assert!(took < SOON, "{took:?}");
    }
}

#[test]
fn where_either_half_wants_no_relay_none_is_called() {
    for lanes in [
        Lanes { client: "upload = false", ..Lanes::RELAY },
        Lanes { bridge: "upload = false", ..Lanes::RELAY },
    ] {
        let halves = WithRelay::with(Kind::Prosody, lanes);
        let (application, server) = halves.stream();
        time(server, application, 60_000);
        assert_eq!((halves.of_client.asked().len(), halves.of_bridge.asked().len()), (0, 0));
    }
}
