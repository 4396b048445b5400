//! Shares of relays: how many calls to proxies there may be, of all and of each client of a bridge. Pure.
//!
//! A client is the account that shook hands, which its server vouches for. One alone may have [`MOST_OF_ACCOUNT`] relays, and fewer the less
//! is left to its domain group: that may take as many as are still free (Choudhury and Hahne 1998, see `budget::fair_share`). So one account
//! takes nothing from others that they would notice, all accounts of one domain leave half of everything to others, and in a domain that
//! has many, whoever has none comes before whoever has one. Nothing is taken back: whoever is refused goes on by its other lanes, and asks
//! again later.
//!
//! What counts is a call, from its dialling until its connection is closed, and not the relay that the core knows.

use std::collections::BTreeMap;

use xmpp_parsers::jid::BareJid;

use crate::secure::budget::domain_group::group_of;
use crate::secure::budget::fair_share;
use crate::secure::relays::RelayKey;

/// The most calls of one process: 256. Each has a connection, and so a descriptor.
pub(super) const MOST: usize = 256;

/// The most of one account at a bridge: 4. A client has one for each of its sessions, of which it has one, or a few while it runs more than once
/// or has just been started anew.
pub(super) const MOST_OF_ACCOUNT: usize = 4;

/// An account has another one while so many times what it has is less than what is left to its group. One alone gets [`MOST_OF_ACCOUNT`] that way,
/// and an account that has none gets one as long as anything is left.
const FRACTION: usize = MOST / MOST_OF_ACCOUNT - 2;

/// Who has the calls that are under way.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// Whose each is: on a bridge, a client's; none where it is our own.
    calls: BTreeMap<RelayKey, Option<BareJid>>,
    by_account: BTreeMap<BareJid, usize>,
    by_group: BTreeMap<String, usize>,
}

impl Shares {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.calls.len()
    }

    /// Takes note of a call for this relay, which there is none of yet, if there may be one more.
    pub(super) fn take(&mut self, relay: RelayKey, client: Option<&BareJid>) -> bool {
        let may_be = self.count() < MOST && client.is_none_or(|client| self.has_share(client));
        if !may_be || self.calls.contains_key(&relay) {
            return false;
        }
        self.calls.insert(relay, client.cloned());
        if let Some(client) = client {
            *self.by_account.entry(client.clone()).or_default() += 1;
            *self.by_group.entry(group_of(client).to_owned()).or_default() += 1;
        }
        true
    }

    /// The call for this relay is over, if there was one.
    pub(super) fn give_back(&mut self, relay: RelayKey) {
        if let Some(Some(client)) = self.calls.remove(&relay) {
            let group = group_of(&client).to_owned();
            take_one(&mut self.by_group, group);
            take_one(&mut self.by_account, client);
        }
    }

    /// Whether the account's share is not used up.
    fn has_share(&self, client: &BareJid) -> bool {
        let own = self.by_account.get(client).copied().unwrap_or(0);
        let of_group = self.by_group.get(group_of(client)).copied().unwrap_or(0);
        let left = fair_share::below_threshold(MOST, self.count(), of_group);
        own < MOST_OF_ACCOUNT && own * FRACTION < left
    }
}

/// One fewer of this; nothing is kept of what there is none of.
fn take_one<K: Ord>(counts: &mut BTreeMap<K, usize>, of: K) {
    use std::collections::btree_map::Entry;
    if let Entry::Occupied(mut count) = counts.entry(of) {
        *count.get_mut() = count.get().saturating_sub(1);
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shares of which relays are numbered as they come.
    #[derive(Default)]
    struct World {
        shares: Shares,
        next: u64,
    }

    impl World {
        /// How many of `times` calls of this account there may be.
        fn takes(&mut self, account: &str, times: usize) -> usize {
            let client = BareJid::new(account).unwrap();
            (0..times).filter(|_| self.takes_one(Some(&client)).is_some()).count()
        }

        fn takes_one(&mut self, client: Option<&BareJid>) -> Option<RelayKey> {
            self.next += 1;
            let relay = RelayKey::nth(self.next);
            self.shares.take(relay, client).then_some(relay)
        }
    }

    fn accounts(count: usize, domain: &str) -> Vec<String> {
        (0..count).map(|n| format!("a{n}@{domain}")).collect()
    }

    #[test]
    fn one_account_has_its_relays_and_no_more() {
        let mut world = World::default();
        assert_eq!(world.takes("a@x.example", MOST), MOST_OF_ACCOUNT);
        assert_eq!(world.takes("b@x.example", MOST), MOST_OF_ACCOUNT);
    }

    #[test]
    fn our_own_are_bounded_by_what_there_is_alone() {
        let mut world = World::default();
        let taken = (0..2 * MOST).filter(|_| world.takes_one(None).is_some()).count();
        assert_eq!((taken, world.shares.count()), (MOST, MOST));
    }

    #[test]
    fn a_relay_that_is_over_makes_room_for_another_and_is_over_once() {
        let mut world = World::default();
        let client = BareJid::new("a@x.example").unwrap();
        let relays: Vec<_> = (0..MOST_OF_ACCOUNT).filter_map(|_| world.takes_one(Some(&client))).collect();
        assert!(world.takes_one(Some(&client)).is_none());
        (0..3).for_each(|_| world.shares.give_back(relays[0]));
        assert_eq!(world.takes("a@x.example", MOST), 1);
    }

    #[test]
    fn accounts_of_one_domain_or_of_its_subdomains_leave_half_to_others() {
        let subdomains = (0..1000).map(|n| format!("a@d{n}.hoarder.example")).collect();
        for hoarders in [accounts(1000, "hoarder.example"), subdomains] {
            let mut world = World::default();
            for _ in 0..MOST_OF_ACCOUNT {
                hoarders.iter().for_each(|hoarder| {
                    world.takes(hoarder, 1);
                });
            }
            assert_eq!(world.shares.count(), MOST / 2);
            assert_eq!(world.takes("newcomer@hoarder.example", 1), 0);
            assert_eq!(world.takes("a@chat.example", MOST), 2, "of a half that is left");
            assert_eq!(accounts(20, "chat.example").iter().map(|one| world.takes(one, 1)).sum::<usize>(), 20);
        }
    }

    #[test]
    fn in_a_domain_that_has_many_whoever_has_none_comes_first() {
        let mut world = World::default();
        let taken: Vec<_> = accounts(60, "x.example").iter().map(|one| world.takes(one, MOST)).collect();
        assert!(taken.is_sorted_by(|a, b| a >= b), "{taken:?}");
        assert_eq!((taken[0], taken[59]), (MOST_OF_ACCOUNT, 1));
    }

    /// Somebody asks for a relay, or the one that has been there for longest is over.
    #[derive(Clone, Debug)]
    enum Event {
        Asks { account: u8, domain: u8 },
        AsksForOurselves,
        Ends { nth: usize },
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            12 => (0_u8..40, 0_u8..6).prop_map(|(account, domain)| Event::Asks { account, domain }),
            1 => Just(Event::AsksForOurselves),
            4 => any::<usize>().prop_map(|nth| Event::Ends { nth }),
        ];
        proptest::collection::vec(event, 0..1500)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_comes_and_goes_nobody_has_more_than_a_share_and_what_is_counted_is_what_there_is(
            events in events()
        ) {
            let mut world = World::default();
            let mut living: Vec<(RelayKey, Option<BareJid>)> = Vec::new();
            for event in events {
                let before = world.shares.count();
                match event {
                    Event::Ends { nth } if living.is_empty() => world.shares.give_back(RelayKey::nth(nth as u64)),
                    Event::Ends { nth } => {
                        let (relay, _) = living.swap_remove(nth % living.len());
                        world.shares.give_back(relay);
                        world.shares.give_back(relay);
                    }
                    Event::AsksForOurselves => {
                        let relay = world.takes_one(None);
                        prop_assert_eq!(relay.is_some(), before < MOST);
                        living.extend(relay.map(|relay| (relay, None)));
                    }
                    Event::Asks { account, domain } => {
                        let client = BareJid::new(&format!("a{account}@d{domain}.example")).unwrap();
                        let of = |is_it: &dyn Fn(&BareJid) -> bool| {
                            living.iter().filter(|(_, of)| of.as_ref().is_some_and(is_it)).count()
                        };
                        let own = of(&|other| *other == client);
                        let of_group = of(&|other| other.domain() == client.domain());
                        let relay = world.takes_one(Some(&client));
                        if relay.is_some() {
                            prop_assert!(own < MOST_OF_ACCOUNT && of_group < MOST - before);
                        } else {
                            prop_assert!(own > 0 || of_group >= MOST - before, "refused without a reason");
                        }
                        living.extend(relay.map(|relay| (relay, Some(client))));
                    }
                }
                prop_assert!(world.shares.count() <= MOST);
                prop_assert_eq!(world.shares.count(), living.len());
                let of_clients = living.iter().filter(|(_, of)| of.is_some()).count();
                prop_assert_eq!(world.shares.by_account.values().sum::<usize>(), of_clients);
                prop_assert_eq!(world.shares.by_group.values().sum::<usize>(), of_clients);
            }
            living.iter().for_each(|(relay, _)| world.shares.give_back(*relay));
            prop_assert!(world.shares.by_account.is_empty() && world.shares.by_group.is_empty());
        }
    }
}
