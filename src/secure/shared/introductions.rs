//! Introductions: the accounts that a bridge has told its client to use, and how many new ones it may name.
//!
//! A client sends a request to each account that its bridge names, and whoever gets it learns of the client's account. A
//! bridge that named ever new ones would make the client write to strangers until its server takes it for a spammer. So
//! new names are a token bucket. It belongs to the bridge line and not to a session, of which a bridge can have as many as
//! it likes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use xmpp_parsers::jid::FullJid;

use crate::secure::ids::MAX_JIDS_USED;

/// New names that a bridge may tell at once: all that a client uses of one bridge.
const BURST: u32 = MAX_JIDS_USED as u32;

/// One more after each of these. A bridge's accounts keep their names for months.
const INTERVAL: Duration = Duration::from_secs(30);

/// Names of one bridge that are known, so that they cost nothing when they come again: twice what may be in use.
const MOST_KNOWN: usize = 2 * MAX_JIDS_USED;

/// Bridges that are remembered. Users have a few.
const MOST_BRIDGES: usize = 64;

/// By the public keys of bridges.
#[derive(Debug, Default)]
pub(crate) struct Introductions(BTreeMap<[u8; 32], Introduced>);

/// What one bridge has told.
#[derive(Debug)]
struct Introduced {
    /// The most recent ones last.
    known: VecDeque<FullJid>,
    tokens: u32,
    /// Up to when tokens were given.
    filled: Instant,
}

impl Introductions {
    /// Those of the accounts `told` by the bridge with this `key` that its client may use.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        key: &[u8; 32],
        told: &BTreeSet<FullJid>,
    ) -> BTreeSet<FullJid> {
        if !self.0.contains_key(key) && self.0.len() >= MOST_BRIDGES {
            let stalest = self.0.iter().min_by_key(|(_, introduced)| introduced.filled).map(|(key, _)| *key);
            stalest.and_then(|stalest| self.0.remove(&stalest));
        }
        self.0.entry(*key).or_insert_with(|| Introduced::new(now)).admit(now, told)
    }

    /// Whether the bridge with this `key` has told of `jid` not long ago.
    pub(crate) fn knows(&self, key: &[u8; 32], jid: &FullJid) -> bool {
        self.0.get(key).is_some_and(|introduced| introduced.known.contains(jid))
    }
}

impl Introduced {
    fn new(now: Instant) -> Self {
        Self { known: VecDeque::new(), tokens: BURST, filled: now }
    }

    fn admit(&mut self, now: Instant, told: &BTreeSet<FullJid>) -> BTreeSet<FullJid> {
        self.fill(now);
        let admitted = told.iter().filter(|jid| self.knows_or_learns(jid)).take(MAX_JIDS_USED);
        admitted.cloned().collect()
    }

    fn fill(&mut self, now: Instant) {
        let intervals = now.saturating_duration_since(self.filled).as_secs() / INTERVAL.as_secs();
        let more = u32::try_from(intervals).unwrap_or(u32::MAX);
        self.tokens = self.tokens.saturating_add(more).min(BURST);
        self.filled += INTERVAL.saturating_mul(more);
    }

    fn knows_or_learns(&mut self, jid: &FullJid) -> bool {
        if let Some(index) = self.known.iter().position(|known| known == jid) {
            self.known.remove(index);
        } else {
            let Some(tokens) = self.tokens.checked_sub(1) else { return false };
            self.tokens = tokens;
        }
        self.known.push_back(jid.clone());
        if self.known.len() > MOST_KNOWN {
            self.known.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn names(range: std::ops::Range<u32>) -> BTreeSet<FullJid> {
        range.map(|n| FullJid::new(&format!("b{n:06}@chat.example/r")).unwrap()).collect()
    }

    #[test]
    fn all_that_an_honest_bridge_tells_may_be_used_again_and_again() {
        let (now, mut introductions) = (Instant::now(), Introductions::default());
        for _ in 0..100 {
            for told in [names(0..8), names(0..0), names(4..16)] {
                assert_eq!(introductions.admit(now, &KEY, &told), told);
            }
        }
    }

    #[test]
    fn new_names_are_sixteen_at_first_and_then_one_in_half_a_minute() {
        let (start, mut introductions) = (Instant::now(), Introductions::default());
        let mut used = BTreeSet::new();
        for second in 0..3600 {
            let now = start + Duration::from_secs(second.into());
            used.extend(introductions.admit(now, &KEY, &names(second * 32..(second + 1) * 32)));
            let most = 16 + second as usize / 30;
            assert!(used.len() <= most, "{} names after {second} s", used.len());
        }
        assert!(used.len() > 100, "{} names", used.len());
        assert!(introductions.0[&KEY].known.len() <= MOST_KNOWN);
    }

    #[test]
    fn what_was_saved_up_is_sixteen_at_most() {
        let (start, mut introductions) = (Instant::now(), Introductions::default());
        let later = start + Duration::from_secs(1_000_000);
        introductions.admit(start, &KEY, &names(0..16));
        assert_eq!(introductions.admit(later, &KEY, &names(100..200)).len(), 16);
        assert_eq!(introductions.admit(later, &KEY, &names(200..300)).len(), 0);
    }

    #[test]
    fn each_bridge_has_names_of_its_own_and_few_bridges_are_remembered() {
        let (now, mut introductions) = (Instant::now(), Introductions::default());
        for bridge in 0..=255 {
            assert_eq!(introductions.admit(now, &[bridge; 32], &names(0..16)).len(), 16);
        }
        assert_eq!(introductions.0.len(), MOST_BRIDGES);
    }
}
