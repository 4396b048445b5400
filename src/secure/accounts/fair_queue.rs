//! Fair queue: whose turn it is to send by an account, where many want to and there is room for few.
//!
//! By how much each has sent, as in "Start-time Fair Queueing" (Goyal, Vin, Cheng, 1996): whoever is next began the earliest,
//! by a clock that counts the bytes of each by themselves. So everybody who always waits gets as many bytes as anybody else,
//! in blocks of whatever size, and whoever sends now and then goes before all those.
//!
//! What one has sent by any account counts at all of them ("Multi-server SFQ": Blanquer, Ozden, 2001). Otherwise one who waits at
//! several would be served by all of them at once, and then by none for as long as each takes to come round.

use std::collections::{BTreeMap, BTreeSet};

use crate::secure::tuning::MAX_LEAD;

/// Up to where somebody has used his share, by the clocks of all accounts.
pub(crate) type Used = u64;

/// Start tag: where one begins, and whether that is ahead of the clock. Of those who begin at the same point the others go first.
type StartTag = (u64, bool);

/// Those who wait for their turn at one account.
#[derive(Debug)]
pub(crate) struct FairQueue<K> {
    /// Where the one began who sent last. Whoever was away begins there: what was not used is not saved up.
    clock: u64,
    waiting: BTreeSet<(StartTag, K)>,
    /// The start tag of each who waits, and what it had used when it got that.
    tags: BTreeMap<K, (StartTag, Used)>,
}

impl<K> Default for FairQueue<K> {
    fn default() -> Self {
        Self { clock: 0, waiting: BTreeSet::new(), tags: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> FairQueue<K> {
    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Who comes first of those who wait.
    pub(crate) fn first(&self) -> Option<K> {
        self.waiting.first().map(|(_, key)| *key)
    }

    fn start_tag(&self, used: Used) -> StartTag {
        let begin = used.clamp(self.clock, self.clock + MAX_LEAD);
        (begin, begin > self.clock)
    }

    /// Whether nobody who waits comes before one who has `used` so much.
    pub(crate) fn is_next(&self, used: Used) -> bool {
        self.is_next_but_for(used, |_| false)
    }

    /// Like [`is_next`](Self::is_next), without those who wait for whom `is_own` holds.
    pub(crate) fn is_next_but_for(&self, used: Used, is_own: impl Fn(&K) -> bool) -> bool {
        let other = self.waiting.iter().find(|(_, key)| !is_own(key));
        other.is_none_or(|(tag, _)| self.start_tag(used) <= *tag)
    }

    /// From now on `key` waits.
    pub(crate) fn wait(&mut self, key: K, used: Used) {
        self.leave(key);
        self.insert(key, self.start_tag(used), used);
    }

    fn insert(&mut self, key: K, tag: StartTag, used: Used) {
        self.waiting.insert((tag, key));
        self.tags.insert(key, (tag, used));
    }

    /// It does not wait any more.
    pub(crate) fn leave(&mut self, key: K) {
        if let Some((tag, _)) = self.tags.remove(&key) {
            self.waiting.remove(&(tag, key));
        }
    }

    /// Takes out whoever is next, by what each has `used` by now: another session of the same client may have used more since this
    /// one began to wait, and then it comes later.
    pub(crate) fn pop(&mut self, used: impl Fn(&K) -> Used) -> Option<K> {
        loop {
            let ((begin, _), key) = self.waiting.pop_first()?;
            let (_, before) = self.tags.remove(&key)?;
            let used = used(&key);
            if used <= before {
                return Some(key);
            }
            let begin = (begin + (used - before)).min(self.clock + MAX_LEAD).max(begin);
            self.insert(key, (begin, begin > self.clock), used);
        }
    }

    /// Where the one began who sent last.
    pub(crate) fn clock(&self) -> u64 {
        self.clock
    }

    /// One who has `used` so much has sent so many bytes, in his turn or before; what he has used now.
    pub(crate) fn on_sent(&mut self, used: Used, bytes: usize) -> Used {
        let (begin, _) = self.start_tag(used);
        // Nobody who waits falls behind because somebody did not.
        let first = self.waiting.first().map_or(begin, |((waits, _), _)| begin.min(*waits));
        self.clock = first.max(self.clock);
        begin + bytes as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accounts, and what everybody has used.
    struct Queue {
        accounts: Vec<FairQueue<u64>>,
        used: BTreeMap<u64, Used>,
    }

    impl Queue {
        fn new(accounts: usize) -> Self {
            Self { accounts: (0..accounts).map(|_| FairQueue::default()).collect(), used: BTreeMap::new() }
        }

        fn used(&self, key: u64) -> Used {
            self.used.get(&key).copied().unwrap_or_default()
        }

        fn wait(&mut self, key: u64) {
            let used = self.used(key);
            self.accounts.iter_mut().for_each(|queue| queue.wait(key, used));
        }

        /// One account serves whoever is next.
        fn serve(&mut self, account: usize, bytes: impl Fn(u64) -> usize) -> Option<u64> {
            let key = self.accounts[account].pop(|key| self.used.get(key).copied().unwrap_or_default())?;
            self.accounts.iter_mut().for_each(|queue| queue.leave(key));
            let before = self.used(key);
            let used = self.accounts[account].on_sent(before, bytes(key));
            self.used.insert(key, used);
            Some(key)
        }

        /// Those with blocks of these sizes always wait; what each has sent.
        fn run(&mut self, sizes: &[usize], count: usize) -> Vec<usize> {
            let mut sent = vec![0; sizes.len()];
            (0..sizes.len() as u64).for_each(|key| self.wait(key));
            for n in 0..count {
                let key = self.serve(n % self.accounts.len(), |key| sizes[key as usize]).unwrap();
                sent[key as usize] += sizes[key as usize];
                self.wait(key);
            }
            sent
        }
    }

    #[test]
    fn those_who_always_wait_get_the_same_bytes_in_blocks_of_any_size() {
        for accounts in [1, 3] {
            let sent = Queue::new(accounts).run(&[100, 1000, 4000, 700], 10_000);
            let (most, least) = (sent.iter().max().unwrap(), sent.iter().min().unwrap());
            assert!(most - least <= 2 * 4000, "{sent:?}");
        }
    }

    #[test]
    fn whoever_comes_now_and_then_goes_first_and_only_once() {
        let mut queue = Queue::new(1);
        queue.run(&[1000; 50], 525);
        queue.wait(77);
        assert_eq!(queue.serve(0, |_| 1000), Some(77));
        queue.wait(77);
        assert_ne!(queue.serve(0, |_| 1000), Some(77));
    }

    #[test]
    fn whoever_was_away_has_saved_nothing_up() {
        let mut queue = Queue::new(1);
        queue.run(&[1000; 2], 1000);
        let sent = queue.run(&[1000; 3], 300);
        assert!(sent[2] <= 101_000, "{sent:?}");
    }

    #[test]
    fn whoever_waits_at_several_accounts_is_served_by_one_after_the_other() {
        let mut queue = Queue::new(4);
        queue.run(&[1000; 40], 400);
        let mut last = BTreeMap::new();
        for n in 0..4000 {
            let key = queue.serve(n % 4, |_| 1000).unwrap();
            queue.wait(key);
            let before = last.insert(key, n).unwrap_or(n);
            assert!(n - before <= 2 * 40, "{key} has waited for {} others", n - before);
        }
    }

    #[test]
    fn what_was_sent_elsewhere_counts_but_not_for_ever() {
        let mut queue = FairQueue::default();
        queue.wait(1, 0);
        queue.wait(2, 1_000_000);
        let mut used = 0;
        while queue.pop(|key| if *key == 1 { used } else { 1_000_000 }) == Some(1) {
            used = queue.on_sent(used, 1000);
            queue.wait(1, used);
        }
        assert!((20_000..30_000).contains(&used), "{used}");
    }
}
