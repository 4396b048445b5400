//! When services are looked for.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use super::*;
use crate::protocol::StreamId;
use crate::xmpp::Parcel;

const ALICE: AccountId = AccountId(1);
const STREAM: StreamKey = StreamKey::Secure(StreamId(7));

fn of_client() -> Finder {
    Finder::new(Wanted { uploads: true, relays: true })
}

fn come_online(finder: &mut Finder, resumed: bool) -> bool {
    let jid = "alice@chat.example/here".parse().unwrap();
    finder.on_online(Instant::now(), ALICE, jid, resumed)
}

fn reach_a_bridge(finder: &mut Finder) {
    finder.on_connect(STREAM, &[ALICE]);
    finder.on_connected(Instant::now(), STREAM);
}

/// How many requests are sent now.
fn requests(finder: &mut Finder) -> usize {
    let steps = std::iter::from_fn(|| finder.poll());
    steps.filter(|step| matches!(step, Step::Send(ALICE, Parcel::Stanza(_)))).count()
}

#[test]
fn a_service_is_looked_for_once_a_bridge_was_reached_and_not_before() {
    let mut finder = of_client();
    come_online(&mut finder, false);
    finder.on_connect(STREAM, &[ALICE]);
    assert_eq!(requests(&mut finder), 0);
    finder.on_connected(Instant::now(), STREAM);
    assert_eq!(requests(&mut finder), 1);
    reach_a_bridge(&mut finder);
    assert_eq!(requests(&mut finder), 0, "once");
}

#[test]
fn a_connect_that_fails_has_nothing_looked_for() {
    let mut finder = of_client();
    come_online(&mut finder, false);
    finder.on_connect(STREAM, &[ALICE]);
    finder.on_closed(STREAM);
    finder.on_connected(Instant::now(), STREAM);
    assert_eq!(requests(&mut finder), 0);
}

#[test]
fn after_a_new_login_it_is_looked_for_anew_and_after_a_resumption_it_is_known() {
    let mut finder = of_client();
    assert!(!come_online(&mut finder, false));
    reach_a_bridge(&mut finder);
    assert_eq!(requests(&mut finder), 1);
    assert!(!come_online(&mut finder, true));
    assert_eq!(requests(&mut finder), 0);
    assert!(come_online(&mut finder, false), "what was known is forgotten");
    assert_eq!(requests(&mut finder), 1);
    finder.on_gone(ALICE);
    come_online(&mut finder, false);
    assert_eq!(requests(&mut finder), 0);
}

#[test]
fn who_wants_none_looks_for_none() {
    let mut finder = Finder::new(Wanted { uploads: false, relays: false });
    come_online(&mut finder, false);
    reach_a_bridge(&mut finder);
    assert_eq!(requests(&mut finder), 0);
}
