//! The lane is left when it fails: what waits goes by stanzas, nothing is lost, and nothing comes twice.

use std::time::Duration;

use hexchat_lab::Kind;
use hexchat_lab::server::Upload;

use crate::harness::{Outcome, random_bytes, transfer, transfer_despite};
use crate::with_files::{Lanes, WithFiles};

/// 200 kB: when the service stops the rest goes by stanzas, at 10 kB a second.
const BULK: usize = 200_000;

/// A few small files or one of the largest are as much as an account may put there in a day.
const LITTLE: Upload = Upload { max_file: 256 << 10, daily: 300_000 };

/// 350 kB: more than such files carry.
const MORE: usize = 350_000;

/// What no word in the log may take longer than.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_service_that_stops_in_the_middle_is_left_and_everything_arrives() {
    let halves = WithFiles::start(Kind::Prosody);
    let (application, server) = halves.stream_with_service();
    let outcome = transfer_despite(server, application, &random_bytes(BULK), || {
        halves.wait_until_the_bridge_calls();
        halves.of_client.stop();
        halves.of_bridge.stop();
    });
    assert_eq!(outcome, Outcome::Intact);
}

#[test]
fn a_quota_that_is_used_up_in_the_middle_ends_the_files_of_the_day_and_everything_arrives() {
    let halves = WithFiles::with(Kind::Prosody, LITTLE, Lanes::default());
    let (application, server) = halves.stream_with_service();
    transfer(server, application, &random_bytes(MORE));
    halves
        .forward
        .says("files are left: asking the upload service for a slot: the account may not upload more", SOON);
    halves.forward.says("trying again within 24 hours", SOON);
}
