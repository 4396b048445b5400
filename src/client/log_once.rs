//! Log once: a fault of a bridge is logged when it comes up, and again only after a success in between, or after an hour. Tor tries
//! again several times a second.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::tunnel::AGAIN;

/// The most warnings, and the most bridges, that are remembered: 1000 of each, many times what one Tor has, and some
/// 100 kB. Further warnings are not logged, and further bridges have no name.
const MAX_REMEMBERED: usize = 1000;

/// One of the bridges that Tor knows, as the log calls it: by the placeholder in its line, which Tor's own log has, too, or by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BridgeName {
    /// Counted from 1, in the order in which they came up.
    number: usize,
    /// The address in its line, if that leads nowhere.
    placeholder: Option<SocketAddr>,
}

/// Remembers bridges, and what was logged about them.
#[derive(Debug, Default)]
pub(super) struct LogOnce {
    /// Bridges by their arguments, of which only a hash is kept: they are secrets.
    bridges: BTreeMap<u64, BridgeName>,
    hasher: RandomState,
    texts: BTreeSet<(Option<BridgeName>, String)>,
    /// The faults among them, and when they were said.
    faults: BTreeMap<(Option<BridgeName>, String), Instant>,
}

impl LogOnce {
    /// The name of the bridge with these arguments; `None` for one too many. Its address is taken note of when it comes up.
    pub(super) fn name(&mut self, arguments: impl Hash, address: Option<SocketAddr>) -> Option<BridgeName> {
        let placeholder = address.filter(|address| is_placeholder(address.ip()));
        let next = BridgeName { number: self.bridges.len() + 1, placeholder };
        let known = self.bridges.entry(self.hasher.hash_one(arguments));
        match known {
            std::collections::btree_map::Entry::Occupied(name) => Some(*name.get()),
            std::collections::btree_map::Entry::Vacant(_) if next.number > MAX_REMEMBERED => None,
            std::collections::btree_map::Entry::Vacant(free) => Some(*free.insert(next)),
        }
    }

    /// Whether `text` is news about this bridge, or about none.
    pub(super) fn is_news(&mut self, about: Option<BridgeName>, text: &str) -> bool {
        self.texts.len() < MAX_REMEMBERED && self.texts.insert((about, text.to_owned()))
    }

    /// The same of a fault, which is news again when it has lasted for an hour.
    pub(super) fn is_fault_to_say(&mut self, now: Instant, about: Option<BridgeName>, text: &str) -> bool {
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
    pub(super) fn recovered(&mut self, bridge: Option<BridgeName>) {
        // What is wrong with the bridge line itself stays so.
        let stays = |(about, text): &(Option<BridgeName>, String)| {
            *about != bridge || text.starts_with("bridge line")
        };
        self.texts.retain(stays);
        self.faults.retain(|fault, _| stays(fault));
    }
}

impl std::fmt::Display for BridgeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.placeholder {
            Some(address) => write!(f, "bridge {address}"),
            None => write!(f, "bridge {}", self.number),
        }
    }
}

/// Whether the address is one of those for documentation (RFC 5737, RFC 3849), as bridges put into their lines. Any other may be somebody's,
/// and is shown to nobody.
fn is_placeholder(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            matches!(address.octets(), [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _])
        }
        IpAddr::V6(address) => matches!(address.segments(), [0x2001, 0xdb8, ..]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_bridge_has_a_number_of_its_own_and_keeps_it() {
        let mut once = LogOnce::default();
        let [first, second] = ["a", "b"].map(|arguments| once.name(arguments, None).unwrap());
        assert_ne!(first, second);
        assert_eq!(once.name("a", None), Some(first));
        assert_eq!((first.to_string(), second.to_string()), ("bridge 1".into(), "bridge 2".into()));
    }

    #[test]
    fn a_bridge_is_called_by_the_placeholder_in_its_line_and_by_no_address_that_leads_somewhere() {
        let mut once = LogOnce::default();
        let mut named =
            |address: &str| once.name(address, Some(address.parse().unwrap())).unwrap().to_string();
        assert_eq!(named("[2001:db8:1::2]:443"), "bridge [2001:db8:1::2]:443");
        assert_eq!(named("192.0.2.7:4096"), "bridge 192.0.2.7:4096");
        assert_eq!(named("[2001:db7::1]:443"), "bridge 3");
        assert_eq!(named("192.0.3.7:1"), "bridge 4");
        assert_eq!(
            once.name("192.0.2.7:4096", None).unwrap().to_string(),
            "bridge 192.0.2.7:4096",
            "it keeps it"
        );
    }

    #[test]
    fn the_same_fault_is_news_once_for_each_bridge() {
        let mut once = LogOnce::default();
        let bridges = ["a", "b"].map(|arguments| once.name(arguments, None));
        for about in [bridges[0], bridges[1], None] {
            assert!(once.is_news(about, "refused") && !once.is_news(about, "refused"));
            assert!(once.is_news(about, "timed out"));
        }
    }

    #[test]
    fn what_went_right_in_between_is_news_again_for_that_bridge_alone() {
        let mut once = LogOnce::default();
        let [first, second] = ["a", "b"].map(|arguments| once.name(arguments, None));
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
        let bridge = once.name("a", None);
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
            assert_eq!(once.name(n, None).is_some(), n < MAX_REMEMBERED);
            assert_eq!(once.is_news(None, &n.to_string()), n < MAX_REMEMBERED);
        }
    }
}
