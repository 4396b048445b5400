//! Traffic from either server to the other.

use std::net::SocketAddr;

use hexchat_lab::Federation;
use hexchat_lab::federation::Site;

use crate::federation;
use crate::harness::{Half, Target, random_bytes, transfer};
use crate::pair::Bridge;

/// Enough for some hundred stanzas of either protocol.
const BYTES: usize = 500_000;

/// Starts both halves, for this target, with the client's account at the first server and the bridge's at the other; and does something.
type Halves = fn(&Site, &Site, SocketAddr, &dyn Fn(&Half));

fn from_either_server_to_the_other(halves: Halves) {
    let Federation { prosody, ejabberd, home, dns } = federation();
    home.run(|| {
        for (here, there) in [(&prosody, &ejabberd), (&ejabberd, &prosody)] {
            let target = Target::start();
            halves(here, there, target.address(), &|forward| both_ways(forward, &target, BYTES));
        }
    });
    drop(dns);
}

/// So many bytes go up by a connection, and as many down by another.
pub(crate) fn both_ways(forward: &Half, target: &Target, bytes: usize) {
    for is_up in [true, false] {
        let (application, server) = target.connect_through(forward.entrance());
        let (from, to) = if is_up { (application, server) } else { (server, application) };
        transfer(from, to, &random_bytes(bytes));
    }
}

#[test]
fn streams_of_the_secure_protocol_go_through_from_either_server_to_the_other() {
    from_either_server_to_the_other(|here, there, target, carry| {
        let bridge = Bridge::configured(there.account_section("bob"), target);
        carry(&bridge.forward_configured(&here.account_section("alice")));
    });
}

#[test]
fn streams_of_the_classic_protocol_go_through_from_either_server_to_the_other() {
    from_either_server_to_the_other(|here, there, target, carry| {
        let serve = Half::serve(&there.account_section("bob"), &[target]);
        carry(&Half::forward(&here.account_section("alice"), &there.jid("bob"), target));
        drop(serve);
    });
}
