//! Tests of siblings, with a driver that does at once what is to be done.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;

const FIRST: AccountId = AccountId(1);
const SECOND: Duration = Duration::from_secs(1);

fn siblings() -> Vec<AccountId> {
    (101..104).map(AccountId).collect()
}

fn jid(resource: &str) -> FullJid {
    FullJid::new(&format!("alice@chat.example/{resource}")).unwrap()
}

fn own(id: AccountId) -> FullJid {
    jid(&format!("own{}", id.0))
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
        let load = Load { is_blocked: true, unsent: 20_000, rate: Some(10_000.0) };
        let mut world =
            Self { all: Siblings::default(), now: Instant::now(), load, present: BTreeSet::new() };
        world.log_in();
        world
    }

    fn log_in(&mut self) {
        self.all.on_online((FIRST, &jid("first")), false, &siblings(), true);
    }

    fn run(&mut self, time: Duration) -> usize {
        let end = self.now + time;
        while self.now < end {
            for action in self.all.poll(self.now, |_| self.load) {
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
            self.now += Duration::from_millis(50);
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
    world.load = Load { is_blocked: true, unsent: 20_000, rate: Some(10_000.0) };
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
fn a_new_session_of_the_first_login_begins_to_count_anew() {
    let mut world = World::new();
    world.all.on_resource(world.now, FIRST, &jid("phone"), true);
    world.all.on_suspended(world.now, FIRST, &AccountError::Closed(crate::xmpp::Step::Session));
    world.log_in();
    assert_eq!(world.run(60 * SECOND), 3);
}

#[test]
fn a_first_login_that_is_replaced_as_a_sibling_comes_has_one_fewer_from_then_on() {
    let mut world = World::new();
    while world.run(Duration::from_millis(50)) < 3 {}
    world.all.on_suspended(world.now, FIRST, &AccountError::Conflict);
    assert_eq!(world.run(SECOND), 2, "the others carry what there is");
    world.log_in();
    assert_eq!(world.run(3600 * SECOND), 0, "and go when it is back");
}

#[test]
fn a_sibling_that_is_refused_is_not_asked_for_again_even_after_a_new_login() {
    let mut world = World::new();
    assert_eq!(world.run(3 * SECOND), 1);
    let sibling = world.present.pop_first().unwrap();
    world.all.on_sibling_ended(world.now, sibling, &AccountError::Conflict);
    assert_eq!(world.all.forget(world.now, FIRST), siblings());
    world.log_in();
    assert_eq!(world.run(3600 * SECOND), 0);
    assert_eq!(world.run(3 * 3600 * SECOND), 0, "and two were one too many");
}

#[test]
fn all_accounts_together_have_a_bounded_number() {
    let mut all = Siblings::default();
    for n in 1..=10 {
        let siblings: Vec<_> = (1..4).map(|m| AccountId(1000 * n + m)).collect();
        let jid = FullJid::new(&format!("user{n}@chat.example/r")).unwrap();
        all.on_online((AccountId(n), &jid), false, &siblings, true);
    }
    let load = Load { is_blocked: true, unsent: 20_000, rate: Some(10_000.0) };
    let (mut now, mut count) = (Instant::now(), 0);
    for _ in 0..400 {
        for action in all.poll(now, |_| load) {
            if let Action::Open { sibling, .. } = action {
                all.on_sibling_online(now, sibling, &FullJid::new(&format!("a@b/{}", sibling.0)).unwrap());
                count += 1;
            }
        }
        now += INTERVAL;
    }
    assert_eq!(count, MOST_OF_ALL);
}
