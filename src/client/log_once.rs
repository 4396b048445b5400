//! Log once: a fault of a bridge is logged when it comes up, and again only after a success in between, or after an hour. Tor tries
//! again several times a second.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::time::{Duration, Instant};

/// The most warnings, and the most bridges, that are remembered: 1000 of each, many times what one Tor has, and some
/// 100 kB. Further warnings are not logged, and further bridges have no number.
const MAX_REMEMBERED: usize = 1000;

/// A fault that lasts is said again after an hour.
const AGAIN: Duration = Duration::from_secs(3600);

/// One of the bridges that Tor knows, as the log calls it: counted from 1, in the order in which they came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BridgeNumber(usize);

/// Remembers bridges, and what was logged about them.
#[derive(Debug, Default)]
pub(super) struct LogOnce {
    /// Bridges by their arguments, of which only a hash is kept: they are secrets.
    bridges: BTreeMap<u64, BridgeNumber>,
    hasher: RandomState,
    texts: BTreeSet<(Option<BridgeNumber>, String)>,
    /// The faults among them, and when they were said.
    faults: BTreeMap<(Option<BridgeNumber>, String), Instant>,
}

impl LogOnce {
    /// The number of the bridge with these arguments; `None` for one too many.
    pub(super) fn number(&mut self, arguments: impl Hash) -> Option<BridgeNumber> {
        let next = BridgeNumber(self.bridges.len() + 1);
        let known = self.bridges.entry(self.hasher.hash_one(arguments));
        match known {
            std::collections::btree_map::Entry::Occupied(number) => Some(*number.get()),
            std::collections::btree_map::Entry::Vacant(_) if next.0 > MAX_REMEMBERED => None,
            std::collections::btree_map::Entry::Vacant(free) => Some(*free.insert(next)),
        }
    }

    /// Whether `text` is news about this bridge, or about none.
    pub(super) fn is_news(&mut self, about: Option<BridgeNumber>, text: &str) -> bool {
        self.texts.len() < MAX_REMEMBERED && self.texts.insert((about, text.to_owned()))
    }

    /// The same of a fault, which is news again when it has lasted for an hour.
    pub(super) fn is_fault_to_say(&mut self, now: Instant, about: Option<BridgeNumber>, text: &str) -> bool {
        let fault = (about, text.to_owned());
        let is_to_be_said = match self.faults.get(&fault) {
            Some(said) => now.saturating_duration_since(*said) >= AGAIN,
            None => self.faults.len() < MAX_REMEMBERED,
        };
        if is_to_be_said {
            self.faults.insert(fault, now);
        }
        is_to_be_said
    }

    /// What went wrong before went right now: it is news when it goes wrong again.
    pub(super) fn recovered(&mut self, bridge: Option<BridgeNumber>) {
        // What is wrong with the bridge line itself stays so.
        let stays = |(about, text): &(Option<BridgeNumber>, String)| {
            *about != bridge || text.starts_with("bridge line")
        };
        self.texts.retain(stays);
        self.faults.retain(|fault, _| stays(fault));
    }
}

impl std::fmt::Display for BridgeNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "bridge {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn each_bridge_has_a_number_of_its_own_and_keeps_it() {
        let mut once = LogOnce::default();
        let [first, second] = ["a", "b"].map(|arguments| once.number(arguments).unwrap());
        assert_ne!(first, second);
        assert_eq!(once.number("a"), Some(first));
        assert_eq!((first.to_string(), second.to_string()), ("bridge 1".into(), "bridge 2".into()));
    }

    #[test]
    fn the_same_fault_is_news_once_for_each_bridge() {
        let mut once = LogOnce::default();
        let bridges = ["a", "b"].map(|arguments| once.number(arguments));
        for about in [bridges[0], bridges[1], None] {
            assert!(once.is_news(about, "refused") && !once.is_news(about, "refused"));
            assert!(once.is_news(about, "timed out"));
        }
    }

    #[test]
    fn what_went_right_in_between_is_news_again_for_that_bridge_alone() {
        let mut once = LogOnce::default();
        let [first, second] = ["a", "b"].map(|arguments| once.number(arguments));
        for about in [first, second] {
            assert!(once.is_news(about, "refused") && once.is_news(about, "bridge line: no key"));
        }
        once.recovered(first);
        assert!(once.is_news(first, "refused") && !once.is_news(first, "bridge line: no key"));
        assert!(!once.is_news(second, "refused"));
    }

    #[test]
    fn a_fault_that_lasts_is_said_again_every_hour_and_at_once_when_it_was_gone() {
        let (mut once, start) = (LogOnce::default(), Instant::now());
        let bridge = once.number("a");
        let mut said =
            |minute| once.is_fault_to_say(start + Duration::from_secs(60 * minute), bridge, "refused");
        let minutes: Vec<u64> = (0..=125).filter(|minute| said(*minute)).collect();
        assert_eq!(minutes, [0, 60, 120]);
        once.recovered(bridge);
        assert!(once.is_fault_to_say(start + Duration::from_secs(60 * 126), bridge, "refused"));
    }

    #[test]
    fn memory_has_a_bound() {
        let mut once = LogOnce::default();
        for n in 0..2 * MAX_REMEMBERED {
            assert_eq!(once.number(n).is_some(), n < MAX_REMEMBERED);
            assert_eq!(once.is_news(None, &n.to_string()), n < MAX_REMEMBERED);
        }
    }
}
