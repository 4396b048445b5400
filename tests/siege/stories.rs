//! Tests under siege: whatever a hostile client does, genuine ones are served, new ones get in, and memory stays within its bound.

use std::collections::BTreeSet;
use std::sync::mpsc;

use crate::attacks;
use crate::deeds::Deed::{
    Answer, Byte, Claim, Connection, Ended, Handshake, Held, Packet, Path, PathHeld, Request, Session,
};
use crate::siege::{MAX_SESSIONS, Plan, besiege};

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn results_that_are_guessed_and_acknowledgements_of_what_never_came_gain_nothing() {
    let report = besiege("results guessed", &Plan::shaped(), attacks::claim_what_never_came);
    // Whoever does so is thrown out, and comes in again in the next minute. The last one may have only begun.
    let (sessions, ended) = (1.max(report.minutes()), 1.max(report.minutes().saturating_sub(1)));
    report.assert_took_hold(&[(Session, sessions), (Ended, ended), (Request, 1), (Claim, 1)]);
    report.assert_held();
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn answers_to_four_hundred_blocks_a_second_do_not_stand_before_everybody_else() {
    let report = besiege("many answers", &Plan::shaped(), attacks::ask_for_many_answers);
    report.assert_took_hold(&[(Session, 1), (Packet, 1000), (Answer, 100), (Ended, 1)]);
    report.assert_held();
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn answers_whose_ids_are_long_do_not_pile_up() {
    let report = besiege("long answers", &Plan::shaped(), attacks::ask_for_long_answers);
    report.assert_took_hold(&[(Session, 1), (Packet, 1000), (Ended, 1)]);
    report.assert_held();
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn what_is_small_on_the_wire_and_large_in_memory_has_its_price() {
    let report = besiege("small things", &Plan::unlimited(), attacks::send_small_things);
    report.assert_took_hold(&[(Session, 1), (Packet, 1000), (Ended, 1)]);
    report.assert_held();
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn gaps_in_nine_sessions_do_not_slow_down_the_downloads_of_others() {
    let report = besiege("gaps", &Plan::unlimited(), attacks::keep_gaps);
    report.assert_took_hold(&[(Session, 5), (Byte, 1 << 20), (Ended, 1)]);
    report.assert_held();
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn who_makes_as_many_sessions_as_there_may_be_does_not_shut_others_out() {
    let report = besiege("all sessions", &Plan::unlimited(), attacks::hold_all_sessions);
    report.assert_took_hold(&[(Session, MAX_SESSIONS), (Ended, 1), (Held, MAX_SESSIONS / 2)]);
    report.assert_held();
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn who_opens_a_thousand_streams_leaves_descriptors_to_others() {
    let plan = Plan { streams: 1024, ..Plan::unlimited() };
    let report = besiege("all streams", &plan, attacks::open_all_streams);
    report.assert_took_hold(&[(Session, 1), (Held, 1), (Connection, 200)]);
    report.assert_held();
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn ten_accounts_that_begin_handshakes_and_finish_none_do_not_shut_others_out() {
    let report = besiege("half-open", &Plan::unlimited(), attacks::begin_handshakes_without_end);
    report.assert_took_hold(&[(Handshake, 64)]);
    report.assert_held();
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn the_ids_of_the_bridges_requests_say_nothing_of_what_it_does_for_others() {
    let (tell, ids) = mpsc::channel();
    let report = besiege("ids", &Plan::unlimited(), |camp| attacks::watch_ids(camp, tell));
    report.assert_took_hold(&[(Session, 1), (Held, 1), (Answer, 10), (Request, 10)]);
    report.assert_held();
    let ids: Vec<String> = ids.recv().unwrap();
    let is_random = |id: &String| {
        id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()) && id.as_bytes()[12] == b'4'
    };
    assert!(ids.iter().all(is_random), "ids that are no random UUIDs: {:?}", &ids[..10]);
    let beginnings: BTreeSet<&str> = ids.iter().map(|id| &id[..8]).collect();
    assert_eq!(beginnings.len(), ids.len(), "ids that begin alike");
    assert!(!ids.is_sorted(), "each id is larger than the one before");
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn paths_without_number_are_not_granted() {
    let report = besiege("paths", &Plan::unlimited(), attacks::open_paths_without_end);
    report.assert_took_hold(&[(Session, 1), (Held, 1), (Path, 33), (PathHeld, 16)]);
    report.assert_held();
    assert!(report.count(PathHeld) <= 32, "{report}");
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn sessions_just_below_an_honest_one_do_not_make_it_the_greediest() {
    let plan = Plan { has_upload: true, ..Plan::unlimited() };
    let report = besiege("just below", &plan, attacks::stay_below_the_greediest);
    report.assert_took_hold(&[(Session, 10), (Byte, 4 << 20), (Ended, 1)]);
    report.assert_held();
}

#[test]
#[ignore = "rates are measured, on a machine that does nothing else: make siege"]
fn forty_accounts_with_all_the_sessions_and_streams_that_they_get_leave_some_to_others() {
    let plan = Plan { streams: 2048, ..Plan::unlimited() };
    let report = besiege("crowd", &plan, attacks::come_in_crowds);
    report.assert_took_hold(&[(Session, MAX_SESSIONS), (Held, 10), (Connection, 200)]);
    report.assert_held();
}
