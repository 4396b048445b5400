//! Servers that take small stanzas only: what is too large is learnt, and sent no more.

use hexchat_lab::{Kind, Rules};

use crate::harness::{Lab, Route, Target, random_bytes, transfer};
use crate::pair::Bridge;

/// A third of what blocks would grow to.
const MAX_STANZA: u32 = 20_000;

const MEGABYTES: usize = 5_000_000;

fn one_account_each(kind: Kind, max_stanza: u32) -> (usize, usize) {
    let lab = Lab::with_rules(kind, Rules { max_stanza: Some(max_stanza), ..Rules::default() });
    let target = Target::start();
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
    for is_up in [true, false] {
        let (application, server) = target.connect_through(forward.entrance());
        let (from, to) = if is_up { (application, server) } else { (server, application) };
        transfer(from, to, &random_bytes(MEGABYTES));
    }
    let lost = |half: &crate::harness::Half| half.count("lost its connection");
    assert_eq!(lost(&forward), forward.count("it takes no stanza as large as one of ours"));
    assert_eq!(lost(&bridge.half), bridge.half.count("it takes no stanza as large as one of ours"));
    (lost(&forward), lost(&bridge.half))
}

#[test]
fn ejabberd_ends_one_connection_of_an_account_that_sends_much_and_no_more() {
    let (forward, bridge) = one_account_each(Kind::Ejabberd, MAX_STANZA);
    assert!(forward <= 1 && bridge <= 1 && forward + bridge > 0, "{forward}, {bridge}");
}

/// It may find blocks of the smaller sizes the best.
#[test]
fn prosody_ends_one_connection_of_each_account_at_most() {
    let (forward, bridge) = one_account_each(Kind::Prosody, MAX_STANZA);
    assert!(forward <= 1 && bridge <= 1, "{forward}, {bridge}");
}

#[test]
fn a_server_that_takes_no_more_than_every_server_must_is_no_slower_for_it() {
    let (forward, bridge) = one_account_each(Kind::Prosody, 10_000);
    assert!(forward <= 1 && bridge <= 1, "{forward}, {bridge}");
}
