//! Accounts alone.

use std::time::Duration;

use super::*;
use crate::secure::crypto::entropy::testing::Seeded;
use crate::secure::sizes::OF_TESTS;

const SECOND: Duration = Duration::from_secs(1);
const FIRST: AccountId = AccountId(1);
const SECOND_ONE: AccountId = AccountId(2);
const CLIENT: ClientTag = ClientTag(7);

fn jid(text: &str) -> FullJid {
    FullJid::new(text).unwrap()
}

/// Two accounts that are online.
fn accounts() -> (Accounts, Instant) {
    let mut accounts = Accounts::new(&OF_TESTS);
    accounts.on_online(FIRST, jid("one@chat.example/r"), false);
    accounts.on_online(SECOND_ONE, jid("two@chat.example/r"), false);
    (accounts, Instant::now())
}

/// The answer to a block that came to an account by a path.
fn answer(via: AccountId, path: PathId) -> Answer<ClientTag> {
    let action = Outgoing::Taken { receipt: Receipt::new("1") };
    let transmit = Transmit { via, to: jid("eve@x/r"), action };
    Answer { client: CLIENT, path: Some(path), transmit, bytes: 40 }
}

/// By a path of the first account.
fn sending_by(path: PathId) -> Sending {
    Sending { via: FIRST, client: CLIENT, path, leg: None }
}

fn polled(accounts: &mut Accounts, now: Instant) -> Vec<AccountId> {
    std::iter::from_fn(|| accounts.poll_answer(now)).map(|transmit| transmit.via).collect()
}

#[test]
fn an_account_keeps_its_name_while_it_is_offline() {
    let (mut accounts, _) = accounts();
    accounts.suspend(FIRST);
    assert_eq!(accounts.online(FIRST), None);
    assert_eq!(accounts.jid_of(FIRST), Some(&jid("one@chat.example/r")));
    accounts.remove(FIRST);
    assert_eq!(accounts.jid_of(FIRST), None);
}

#[test]
fn nothing_is_lost_only_when_the_same_account_is_resumed() {
    let (mut accounts, _) = accounts();
    assert!(accounts.on_online(FIRST, jid("one@chat.example/r"), true));
    assert!(!accounts.on_online(FIRST, jid("one@chat.example/r"), false));
    assert!(!accounts.on_online(FIRST, jid("one@chat.example/other"), true));
}

#[test]
fn answers_ride_behind_large_blocks_of_their_own_account_alone() {
    let (mut accounts, now) = accounts();
    accounts.answer_block(now, answer(FIRST, PathId(1)), 100);
    accounts.answer_block(now, answer(SECOND_ONE, PathId(2)), 100);
    accounts.carry_answers(now, FIRST, 100_000);
    assert_eq!(polled(&mut accounts, now), [FIRST]);
    accounts.handle_timeout(now + SECOND);
    assert_eq!(polled(&mut accounts, now + SECOND), [SECOND_ONE], "it has waited long enough");
}

#[test]
fn answers_about_a_path_that_is_gone_are_wanted_no_more() {
    let (mut accounts, now) = accounts();
    accounts.answer_block(now, answer(FIRST, PathId(1)), 100);
    accounts.answer_block(now, answer(FIRST, PathId(2)), 100);
    accounts.on_path_gone(now, sending_by(PathId(1)), Vec::new());
    accounts.handle_timeout(now + SECOND);
    assert_eq!(polled(&mut accounts, now + SECOND).len(), 1);
}

#[test]
fn what_went_by_a_path_that_is_gone_counts_as_on_its_way_for_three_seconds_at_most() {
    let (mut accounts, now) = accounts();
    let delivery = accounts.new_delivery(&mut Seeded(1));
    let sending = sending_by(PathId(1));
    accounts.on_sent(now, sending, delivery, 10_000);
    accounts.on_path_gone(now, sending, vec![delivery]);
    assert_eq!(accounts.entries(), 1);
    let until = accounts.poll_timeout().expect("something to wait for");
    assert!(until <= now + ORPHANED);
    accounts.handle_timeout(until);
    assert_eq!(accounts.entries(), 0);
}

#[test]
fn what_was_handed_over_goes_before_everything_in_order() {
    let (mut accounts, _) = accounts();
    for id in ["1", "2"] {
        accounts.refuse(FIRST, jid("eve@x/r"), Receipt::new(id));
    }
    let ids = std::iter::from_fn(|| accounts.poll_urgent()).map(|transmit| transmit.action);
    let refusals = ["1", "2"].map(|id| Outgoing::Refused { receipt: Receipt::new(id) });
    assert_eq!(ids.collect::<Vec<_>>(), refusals);
}
