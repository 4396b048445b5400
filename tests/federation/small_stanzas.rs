//! Servers that take smaller stanzas from other servers than from clients: what is too large ends the connection between them, for everybody,
//! and is sent no more.

use hexchat_lab::Federation;
use hexchat_lab::federation::{Site, Terms};

use crate::carrying::both_ways;
use crate::harness::Target;
use crate::pair::Bridge;

/// A third of what blocks would grow to.
const MAX_STANZA: u32 = 20_000;

/// In blocks of up to 48 KiB, a hundred would be too large.
const BYTES: usize = 5_000_000;

/// It takes some, by chance, until blocks of the larger sizes are tried.
const ROUNDS: usize = 5;

/// How often they have ended each other's connections.
fn ended(sites: [&Site; 2]) -> usize {
    let ends = |line: &String| {
        (line.contains("Closing inbound") || line.contains("Incoming s2s stream"))
            && line.contains("XML stanza is too big")
    };
    sites.iter().map(|site| site.log().iter().filter(|line| ends(line)).count()).sum()
}

/// A connection is ended twice in either direction, and once more each time if more than one large block was on its way.
#[test]
fn servers_end_a_few_connections_between_them_until_their_clients_send_what_gets_through() {
    let small = Terms { max_stanza: Some(MAX_STANZA), ..Terms::default() };
    let Federation { prosody, ejabberd, home, dns } = Federation::start(small, small).unwrap();
    home.run(|| {
        let target = Target::start();
        let bridge = Bridge::configured(ejabberd.account_section("bob"), target.address());
        let forward = bridge.forward_configured(&prosody.account_section("alice"));
        let round = || both_ways(&forward, &target, BYTES);
        assert!((0..ROUNDS).any(|_| {
            let before = ended([&prosody, &ejabberd]);
            round();
            before > 0 && ended([&prosody, &ejabberd]) == before
        }));
    });
    let times = ended([&prosody, &ejabberd]);
    assert!(times <= 8, "{times}");
    drop(dns);
}
