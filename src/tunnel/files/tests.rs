//! When services are looked for, and which places are called.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use super::*;
use crate::protocol::StreamId;
use crate::xmpp::{Dialer, Parcel};

const ALICE: AccountId = AccountId(1);
const STREAM: StreamKey = StreamKey::Secure(StreamId(7));

fn files(lane: FileLane) -> Files {
    let wanted = Wanted { uploads: lane.looks_for_services(), relays: false };
    Files::new(lane, wanted, mpsc::unbounded_channel().0)
}

fn of_client() -> Files {
    files(FileLane::of_client(Dialer::direct(), vec!["files.cdn.example".to_owned()]))
}

fn of_bridge() -> Files {
    files(FileLane::of_bridge(Dialer::direct(), Vec::new(), Vec::new()))
}

fn come_online(files: &mut Files, resumed: bool) -> bool {
    let jid = "alice@chat.example/here".parse().unwrap();
    files.on_online(Instant::now(), ALICE, jid, resumed)
}

fn reach_a_bridge(files: &mut Files) {
    files.on_connect(STREAM, &[ALICE]);
    files.on_connected(Instant::now(), STREAM);
}

/// How many requests are sent now.
fn requests(files: &mut Files) -> usize {
    let steps = std::iter::from_fn(|| files.services.poll());
    steps.filter(|step| matches!(step, Step::Send(ALICE, Parcel::Stanza(_)))).count()
}

#[test]
fn a_service_is_looked_for_once_a_bridge_was_reached_and_not_before() {
    let mut files = of_client();
    come_online(&mut files, false);
    files.on_connect(STREAM, &[ALICE]);
    assert_eq!(requests(&mut files), 0);
    files.on_connected(Instant::now(), STREAM);
    assert_eq!(requests(&mut files), 1);
    reach_a_bridge(&mut files);
    assert_eq!(requests(&mut files), 0, "once");
}

#[test]
fn a_connect_that_fails_has_nothing_looked_for() {
    let mut files = of_client();
    come_online(&mut files, false);
    files.on_connect(STREAM, &[ALICE]);
    files.on_closed(STREAM);
    files.on_connected(Instant::now(), STREAM);
    assert_eq!(requests(&mut files), 0);
}

#[test]
fn after_a_new_login_it_is_looked_for_anew_and_after_a_resumption_it_is_known() {
    let mut files = of_client();
    assert!(!come_online(&mut files, false));
    reach_a_bridge(&mut files);
    assert_eq!(requests(&mut files), 1);
    assert!(!come_online(&mut files, true));
    assert_eq!(requests(&mut files), 0);
    assert!(come_online(&mut files, false), "what was known is forgotten");
    assert_eq!(requests(&mut files), 1);
    files.on_gone(ALICE);
    come_online(&mut files, false);
    assert_eq!(requests(&mut files), 0);
}

#[test]
fn a_bridge_looks_for_none() {
    let mut files = of_bridge();
    come_online(&mut files, false);
    reach_a_bridge(&mut files);
    assert_eq!(requests(&mut files), 0);
}

#[test]
fn what_is_called_is_at_the_owners_hosts_or_at_one_that_is_listed() {
    let mut client = of_client();
    come_online(&mut client, false);
    let bridge = of_bridge();
    let own = SlotOwner::Account(ALICE);
    let guest = SlotOwner::Client("carol@elsewhere.example.org".parse().unwrap());
    for (files, owner, url, is_called) in [
        (&client, &own, "https://upload.chat.example/x", true),
        (&client, &own, "https://files.cdn.example/x", true),
        (&client, &own, "https://upload.example.org/x", false),
        (&bridge, &guest, "https://upload.example.org/x", true),
        (&bridge, &guest, "https://files.cdn.example/x", false),
        (&bridge, &guest, "https://upload.chat.example/x", false),
        (&bridge, &guest, "http://upload.example.org/x", false),
    ] {
        assert_eq!(files.place(owner, &FileUrl::new(url).unwrap()).is_ok(), is_called, "{url}");
    }
}
