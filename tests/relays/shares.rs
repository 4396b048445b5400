//! Shares of relays: no account keeps the bridge's for itself.

use std::time::Duration;

use hexchat_lab::Kind;

use crate::harness::{Outcome, random_bytes, transfer_despite};
use crate::with_relay::WithRelay;

/// How many relays a bridge grants an account.
const SHARE: usize = 4;

/// How long the log may take to say something.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn an_account_with_many_sessions_gets_its_share_of_relays_goes_on_without_and_leaves_others_theirs() {
    let halves = WithRelay::start(Kind::Prosody);
    let _first = halves.stream_by_relay();
    let more: Vec<_> = (1..SHARE).map(|_| halves.another_client("alice")).collect();
    let mut streams = Vec::new();
    for client in &more {
        streams.push(halves.stream_of(client));
        client.says("goes by a relay of its server", SOON);
    }
    let one_too_many = halves.another_client("alice");
    let (application, server) = halves.stream_of(&one_too_many);
    one_too_many.says("no relay: the bridge has as many as it may", SOON);
    let outcome = transfer_despite(server, application, &random_bytes(20_000), || {});
    assert_eq!(outcome, Outcome::Intact);
    assert_eq!(one_too_many.count("goes by a relay of its server"), 0);
    let other = halves.another_client("alice2");
    streams.push(halves.stream_of(&other));
    other.says("goes by a relay of its server", SOON);
}
