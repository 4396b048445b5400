//! Half-open handshakes: clients that were let in and have not shown yet that they hold the keys.
//!
//! There are few places for them, and whoever has the bridge line can take one. So a newcomer is never turned away: when
//! all places are taken, one of the older handshakes loses its place. A genuine client needs its own for a few round
//! trips, and is not among the older half by the time that it is done.

use std::collections::BTreeMap;

use xmpp_parsers::jid::BareJid;

use crate::secure::budget::counted::counted;
use crate::secure::budget::domain_group::group_of;

/// The places, by the number that names a handshake outside.
#[derive(Debug)]
pub(crate) struct HalfOpen<K> {
    /// In the order in which they came.
    by_age: BTreeMap<u64, Handshake<K>>,
    ages: BTreeMap<K, u64>,
    next: u64,
}

#[derive(Debug)]
struct Handshake<K> {
    key: K,
    client: BareJid,
    /// Whether the client has completed a handshake not long ago.
    is_known: bool,
}

impl<K> Default for HalfOpen<K> {
    fn default() -> Self {
        Self { by_age: BTreeMap::new(), ages: BTreeMap::new(), next: 0 }
    }
}

impl<K: Copy + Ord> HalfOpen<K> {
    /// How many places are taken.
    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// `client` begins a handshake.
    pub(crate) fn insert(&mut self, key: K, client: BareJid, is_known: bool) {
        self.by_age.insert(self.next, Handshake { key, client, is_known });
        self.ages.insert(key, self.next);
        self.next += 1;
    }

    /// The handshake goes on under another number, and is no younger for that.
    pub(crate) fn rename(&mut self, from: K, to: K) {
        let Some(age) = self.ages.remove(&from) else {
            // Whoever goes on has a place: one that has lost it is closed at once.
            return;
        };
        self.ages.insert(to, age);
        if let Some(handshake) = self.by_age.get_mut(&age) {
            handshake.key = to;
        }
    }

    /// The handshake is over, one way or the other.
    pub(crate) fn remove(&mut self, key: K) {
        if let Some(age) = self.ages.remove(&key) {
            self.by_age.remove(&age);
        }
    }

    /// Who loses the place that `newcomer` gets when there is none left: at random one of the older half of
    ///
    /// 1. those of one domain group, if it would hold more than half of all places;
    /// 2. among these, of accounts that would hold more than one place;
    /// 3. or else of accounts that are not known, as long as those that are known hold half of all places at most;
    /// 4. or else of all.
    pub(crate) fn victim(&self, newcomer: &BareJid, random: u64) -> Option<K> {
        let half = self.len() / 2;
        let all: Vec<&Handshake<K>> = self.by_age.values().collect();
        let holders = || all.iter().map(|handshake| &handshake.client).chain([newcomer]);
        let of_groups = counted(holders().map(group_of));
        let of_clients = counted(holders());
        let crowded = of_groups.iter().find(|(_, count)| **count > half).map(|(group, _)| *group);
        let within: Vec<&Handshake<K>> = all
            .iter()
            .copied()
            .filter(|handshake| crowded.is_none_or(|group| group_of(&handshake.client) == group))
            .collect();
        let repeated =
            chosen(&within, |handshake| of_clients.get(&handshake.client).is_some_and(|count| *count > 1));
        let is_reserved = all.iter().filter(|handshake| handshake.is_known).count() <= half;
        let unknown = chosen(&within, |handshake| is_reserved && !handshake.is_known);
        let candidates = [repeated, unknown, within].into_iter().find(|chosen| !chosen.is_empty())?;
        let older = candidates.len().div_ceil(2) as u64;
        let index = usize::try_from(random % older).ok()?;
        candidates.get(index).map(|handshake| handshake.key)
    }
}

fn chosen<'a, K>(
    handshakes: &[&'a Handshake<K>],
    is_it: impl Fn(&Handshake<K>) -> bool,
) -> Vec<&'a Handshake<K>> {
    handshakes.iter().copied().filter(|handshake| is_it(handshake)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::new(text).unwrap()
    }

    /// Full of handshakes of these accounts, in this order; those with a `*` are known.
    fn full_of(clients: &[&str]) -> HalfOpen<usize> {
        let mut places = HalfOpen::default();
        for (n, client) in clients.iter().enumerate() {
            places.insert(n, jid(client.trim_end_matches('*')), client.ends_with('*'));
        }
        places
    }

    /// Everybody who may lose the place that `newcomer` gets.
    fn victims(places: &HalfOpen<usize>, newcomer: &str) -> BTreeSet<usize> {
        (0..100).filter_map(|random| places.victim(&jid(newcomer), random)).collect()
    }

    #[test]
    fn one_of_the_older_half_loses_its_place_and_each_of_them_may() {
        let places = full_of(&["a@1", "b@2", "c@3", "d@4", "e@5"]);
        assert_eq!(victims(&places, "f@6"), BTreeSet::from([0, 1, 2]));
    }

    #[test]
    fn an_account_with_several_places_loses_one_of_those_before_anybody_else_does() {
        let places = full_of(&["a@1", "b@2", "c@3", "c@3", "c@3", "c@3"]);
        assert_eq!(victims(&places, "f@6"), BTreeSet::from([2, 3]));
    }

    #[test]
    fn an_account_that_asks_again_loses_its_own_place() {
        let places = full_of(&["a@1", "b@2", "c@3", "d@4"]);
        assert_eq!(victims(&places, "d@4"), BTreeSet::from([3]));
    }

    #[test]
    fn a_domain_that_holds_more_than_half_makes_room_for_all_others() {
        let places = full_of(&["a@1", "b@2", "c@9", "d@9", "e@9", "f@9"]);
        assert_eq!(victims(&places, "g@3"), BTreeSet::from([2, 3]));
        let places = full_of(&["a@1", "b@2", "b@3", "d@9", "e@9", "f@9"]);
        assert_eq!(victims(&places, "g@3"), BTreeSet::from([0, 1, 2]), "half of them is not too much");
    }

    #[test]
    fn subdomains_that_hold_more_than_half_together_make_room_for_all_others() {
        let places = full_of(&["a@1", "b@2", "c@d1.evil.x", "d@d2.evil.x", "e@d3.evil.x", "f@d4.evil.x"]);
        assert_eq!(victims(&places, "g@3"), BTreeSet::from([2, 3]));
    }

    #[test]
    fn who_has_been_a_client_lately_keeps_his_place_as_long_as_not_most_have() {
        let places = full_of(&["a@1*", "b@2", "c@3", "d@4*"]);
        assert_eq!(victims(&places, "f@6"), BTreeSet::from([1]));
        let places = full_of(&["a@1*", "b@2*", "c@3", "d@4*"]);
        assert_eq!(victims(&places, "f@6"), BTreeSet::from([0, 1]));
    }

    #[test]
    fn a_handshake_that_goes_on_keeps_its_age_until_it_is_over() {
        let mut places = full_of(&["a@1", "b@2", "c@3", "d@4"]);
        places.rename(0, 10);
        assert_eq!(victims(&places, "f@6"), BTreeSet::from([1, 10]));
        places.remove(10);
        places.remove(0);
        assert_eq!(places.len(), 3);
        assert_eq!(victims(&places, "f@6"), BTreeSet::from([1, 2]));
    }

    #[test]
    fn without_handshakes_nobody_loses_anything() {
        assert_eq!(HalfOpen::<u64>::default().victim(&jid("a@x"), 7), None);
    }
}
