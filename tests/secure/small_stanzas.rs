//! Servers that take small stanzas only: what is too large is learnt, and sent no more.

use hexchat_lab::{Kind, Rules};

use crate::harness::{Lab, Route, Target, random_bytes, transfer};
use crate::pair::Bridge;

/// A third of what blocks would grow to.
const MAX_STANZA: u32 = 20_000;

/// 5 MB: some hundred packets of the largest size.
const BYTES: usize = 5_000_000;

fn one_account_each(kind: Kind, max_stanza: u32) -> (usize, usize) {
    let lab = Lab::with_rules(kind, Rules { max_stanza: Some(max_stanza), ..Rules::default() });
    let target = Target::start();
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
    for is_up in [true, false] {
        let (application, server) = target.connect_through(forward.entrance());
        let (from, to) = if is_up { (application, server) } else { (server, application) };
        transfer(from, to, &random_bytes(BYTES));
    }
    let lost = |half: &crate::harness::Half| half.count("lost its connection");
    let named = |half: &crate::harness::Half| half.count("it takes no stanza as large as one of ours");
    // Where the connection is reset the reason may get lost with it, and then a second one is needed.
    assert!(lost(&forward) <= named(&forward) + 2 && lost(&bridge.half) <= named(&bridge.half) + 2);
    (lost(&forward), lost(&bridge.half))
}

/// Of 10 MB, in blocks of up to 48 KiB, hundreds would be too large.
fn assert_few((forward, bridge): (usize, usize)) {
    assert!(forward <= 2 && bridge <= 2, "{forward}, {bridge}");
}

#[test]
fn ejabberd_ends_one_or_two_connections_of_an_account_that_sends_much_and_no_more() {
    assert_few(one_account_each(Kind::Ejabberd, MAX_STANZA));
}

/// It may find blocks of the smaller sizes the best.
#[test]
fn prosody_ends_two_connections_of_each_account_at_most() {
    assert_few(one_account_each(Kind::Prosody, MAX_STANZA));
}

#[test]
fn a_server_that_takes_no_more_than_every_server_must_ends_two_connections_of_each_account_at_most() {
    assert_few(one_account_each(Kind::Prosody, 10_000));
}
