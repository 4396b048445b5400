//! Tests of siblings, with a driver that does at once what is to be done.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::xmpp::{Step, Words};

const FIRST: AccountId = AccountId(1);
const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(50);

fn siblings() -> Vec<AccountId> {
    (101..104).map(AccountId).collect()
}

/// What a sibling asks for, and gets.
fn resource(id: AccountId) -> String {
    format!("own{}", id.0)
}

fn named(siblings: &[AccountId]) -> Vec<(AccountId, ResourcePart)> {
    siblings.iter().map(|id| (*id, resource(*id).parse().unwrap())).collect()
}

fn jid(resource: &str) -> FullJid {
    FullJid::new(&format!("alice@chat.example/{resource}")).unwrap()
}

fn own(id: AccountId) -> FullJid {
    jid(&resource(id))
}

/// What so many logins have to send, of which each carries as much as one.
fn by(logins: &[AccountId], load: Load) -> Load {
    Load { rate: load.rate.map(|of_one| of_one * logins.len() as f64), ..load }
}

struct World {
    all: Siblings,
    now: Instant,
    load: Load,
    present: BTreeSet<AccountId>,
}

impl World {
    /// An account whose user has said how many logins he wants, and that has much to send.
    fn new() -> Self {
        let load = Load { is_blocked: true, unsent: 20_000, rate: Some(10_000.0), is_by_files: false };
        let mut world =
            Self { all: Siblings::default(), now: Instant::now(), load, present: BTreeSet::new() };
        world.log_in();
        world
    }

    fn log_in(&mut self) {
        self.all.on_online((FIRST, &jid("first")), false, &named(&siblings()), 4);
    }

    fn run(&mut self, time: Duration) -> usize {
        let end = self.now + time;
        while self.now < end {
            for action in self.all.poll(self.now, |logins| by(logins, self.load)) {
                match action {
                    Action::Open { account: FIRST, sibling } => {
                        // The server tells the first login earlier than the one who is asking.
                        self.all.on_resource(self.now, FIRST, &own(sibling), true);
                        self.all.on_sibling_online(self.now, sibling, &own(sibling));
                        assert!(self.present.insert(sibling));
                    }
                    Action::Close { account: FIRST, sibling } => {
                        assert!(self.present.remove(&sibling));
                        self.all.on_resource(self.now, FIRST, &own(sibling), false);
                    }
                    other => panic!("{other:?}"),
                }
            }
            self.now += TICK;
        }
        self.present.len()
    }
}

#[test]
fn siblings_come_one_after_the_other_and_go_when_there_is_nothing_to_send() {
    let mut world = World::new();
    assert_eq!(world.run(3 * SECOND), 1);
    assert_eq!(world.run(20 * SECOND), 3);
    assert!(world.all.next_timeout().is_some());
    world.load = Load::default();
    assert_eq!(world.run(130 * SECOND), 0, "that ours have gone shows nothing of the server");
    assert_eq!(world.all.next_timeout(), None);
    world.load = Load { is_blocked: true, unsent: 20_000, rate: Some(10_000.0), is_by_files: false };
    assert_eq!(world.run(20 * SECOND), 3);
}

#[test]
fn a_phone_is_counted_and_one_of_ours_is_not() {
    let mut world = World::new();
    world.all.on_resource(world.now, FIRST, &jid("phone"), true);
    assert_eq!(world.run(60 * SECOND), 2);
    world.all.on_resource(world.now, FIRST, &jid("phone"), false);
    assert_eq!(world.run(60 * SECOND), 3);
}

#[test]
fn a_sibling_that_was_closed_before_it_knew_its_name_is_no_phone() {
    let mut world = World::new();
    assert_eq!(world.run(3 * SECOND), 1);
    let mut opened = Vec::new();
    let end = world.now + 60 * SECOND;
    while opened.is_empty() {
        assert!(world.now < end, "another one was expected");
        opened = world.all.poll(world.now, |logins| by(logins, world.load));
        world.now += TICK;
    }
    let youngest = siblings()[1];
    assert_eq!(opened, [Action::Open { account: FIRST, sibling: youngest }]);
    // The phones that come take its place.
    ["phone", "tablet"].iter().for_each(|name| world.all.on_resource(world.now, FIRST, &jid(name), true));
    world.now += INTERVAL;
    let closed = world.all.poll(world.now, |logins| by(logins, world.load));
    assert_eq!(closed, [Action::Close { account: FIRST, sibling: youngest }]);
    // It was let in all the same, and goes.
    world.all.on_resource(world.now, FIRST, &own(youngest), true);
    world.all.on_resource(world.now, FIRST, &own(youngest), false);
    assert_eq!(world.run(10 * SECOND), 1, "nothing was shown of the server");
    ["phone", "tablet"].iter().for_each(|name| world.all.on_resource(world.now, FIRST, &jid(name), false));
    assert_eq!(world.run(60 * SECOND), 3);
}

#[test]
fn a_new_session_of_the_first_login_begins_to_count_anew() {
    let mut world = World::new();
    world.all.on_resource(world.now, FIRST, &jid("phone"), true);
    world.all.on_suspended(world.now, FIRST, (&AccountError::Closed(Step::Session), 0));
    world.log_in();
    assert_eq!(world.run(60 * SECOND), 3);
}

#[test]
fn a_first_login_that_is_replaced_as_a_sibling_comes_has_one_fewer_from_then_on() {
    let mut world = World::new();
    let end = world.now + 60 * SECOND;
    while world.run(TICK) < 3 {
        assert!(world.now < end, "three siblings were expected");
    }
    world.all.on_suspended(world.now, FIRST, (&AccountError::Conflict, 0));
    assert_eq!(world.run(SECOND), 2, "the others carry what there is");
    world.log_in();
    assert_eq!(world.run(3600 * SECOND), 0, "and go when it is back");
}

#[test]
fn a_sibling_that_is_refused_is_not_asked_for_again_even_after_a_new_login() {
    let mut world = World::new();
    assert_eq!(world.run(3 * SECOND), 1);
    let sibling = world.present.pop_first().unwrap();
    world.all.on_sibling_ended(world.now, sibling, (&AccountError::Conflict, 0));
    world.all.forget(world.now, FIRST);
    world.log_in();
    assert_eq!(world.run(3600 * SECOND), 0);
    assert_eq!(world.run(3 * 3600 * SECOND), 0, "and two were one too many");
}

#[test]
fn a_sibling_for_which_there_is_no_place_stays_away_whether_it_was_replaced_or_never_let_in() {
    for reason in
        [AccountError::Conflict, AccountError::StreamError(Step::Bind, "conflict", Words::default())]
    {
        let mut world = World::new();
        assert_eq!(world.run(3 * SECOND), 1);
        let sibling = world.present.pop_first().unwrap();
        world.all.on_sibling_ended(world.now, sibling, (&reason, 0));
        assert_eq!(world.run(3600 * SECOND), 0, "{reason:?}");
    }
}

#[test]
fn a_sibling_that_is_cut_for_a_large_stanza_comes_again_with_smaller_ones() {
    for reason in [
        AccountError::StanzaTooLarge,
        AccountError::StreamError(Step::Session, "policy-violation", Words::default()),
    ] {
        let mut world = World::new();
        assert_eq!(world.run(3 * SECOND), 1);
        let sibling = world.present.pop_first().unwrap();
        world.all.on_sibling_ended(world.now, sibling, (&reason, 40_000));
        assert_eq!(world.run(60 * SECOND), 3, "{reason:?}");
        let limit = world.all.on_sibling_online(world.now, sibling, &own(sibling));
        assert_eq!(limit, Some(SizeLimit::Told(40_000)), "{reason:?}");
    }
}

#[test]
fn a_sibling_that_is_against_a_policy_without_a_large_stanza_is_refused() {
    let mut world = World::new();
    assert_eq!(world.run(3 * SECOND), 1);
    let sibling = world.present.pop_first().unwrap();
    let reason = AccountError::StreamError(Step::Session, "policy-violation", Words::default());
    world.all.on_sibling_ended(world.now, sibling, (&reason, EVERYBODY_TAKES));
    assert_eq!(world.run(3600 * SECOND), 0);
}

#[test]
fn all_accounts_together_have_a_bounded_number() {
    let mut all = Siblings::default();
    for n in 1..=10 {
        let siblings: Vec<_> = (1..4).map(|m| AccountId(1000 * n + m)).collect();
        let jid = FullJid::new(&format!("user{n}@chat.example/r")).unwrap();
        all.on_online((AccountId(n), &jid), false, &named(&siblings), 4);
    }
    let load = Load { is_blocked: true, unsent: 20_000, rate: Some(10_000.0), is_by_files: false };
    let (mut now, mut count) = (Instant::now(), 0);
    for _ in 0..400 {
        for action in all.poll(now, |logins| by(logins, load)) {
            if let Action::Open { sibling, .. } = action {
                all.on_sibling_online(now, sibling, &FullJid::new(&format!("a@b/{}", sibling.0)).unwrap());
                count += 1;
            }
        }
        now += INTERVAL;
    }
    assert_eq!(count, MOST_OF_ALL);
}
