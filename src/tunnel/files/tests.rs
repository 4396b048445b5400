//! Which places are called.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use super::*;
use crate::carrier::services::discovery::Wanted;
use crate::xmpp::Dialer;

const ALICE: AccountId = AccountId(1);

fn files(lane: FileLane) -> Files {
    Files::new(lane, mpsc::unbounded_channel().0)
}

#[test]
fn what_is_called_is_at_the_owners_hosts_or_at_one_that_is_listed() {
    let client = files(FileLane::of_client(Dialer::direct(), vec!["files.cdn.example".to_owned()]));
    let bridge = files(FileLane::of_bridge(Dialer::direct(), Vec::new(), Vec::new()));
    let mut finder = Finder::new(Wanted { uploads: true, relays: false });
    finder.on_online(Instant::now(), ALICE, "alice@chat.example/here".parse().unwrap(), false);
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
        assert_eq!(files.place(&finder, owner, &FileUrl::new(url).unwrap()).is_ok(), is_called, "{url}");
    }
}
