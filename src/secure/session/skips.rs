//! Skipped counters: packet numbers that are left out, so that to acknowledge packets blindly shows.
//!
//! Acknowledgements that a peer makes up let it have more sent than the paths take ("optimistic acknowledgements", RFC 9000 section
//! 21.4). Whoever acknowledges a counter that was never used has made it up. Now and then one is left out, at random; each time
//! in a range that is twice as large as the last, so that there are few gaps for an honest peer to remember and to tell of.

use std::ops::RangeInclusive;

use crate::secure::crypto::entropy::{Entropy, random};

/// The first counter to be left out is below 2 to the power of this.
const FIRST_BITS: u32 = 6;

/// Which counters were left out of one direction's packets, and which is the next.
#[derive(Debug)]
pub(crate) struct Skips {
    next: u64,
    /// The next is below 2 to the power of this.
    bits: u32,
    /// In their order. As many as a counter has bits, at the most.
    past: Vec<u64>,
}

impl Skips {
    /// For a direction whose packets are numbered from 0.
    pub(crate) fn new(entropy: &mut dyn Entropy) -> Self {
        Self { next: below(FIRST_BITS, entropy), bits: FIRST_BITS, past: Vec::new() }
    }

    /// Whether no packet gets this counter, the next that one could have.
    pub(crate) fn skip_if_due(&mut self, counter: u64, entropy: &mut dyn Entropy) -> bool {
        if counter != self.next {
            return false;
        }
        self.past.push(counter);
        self.next = (1 << self.bits) + below(self.bits, entropy);
        self.bits += 1;
        true
    }

    /// Whether any of these counters was left out.
    pub(crate) fn touch(&self, counters: &RangeInclusive<u64>) -> bool {
        self.past.iter().any(|counter| counters.contains(counter))
    }
}

/// A random number of so many bits, at most 63.
fn below(bits: u32, entropy: &mut dyn Entropy) -> u64 {
    u64::from_be_bytes(random(entropy)) & ((1 << bits.min(63)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::crypto::entropy::testing::{Given, Seeded};

    /// What is left out of so many.
    fn left_out(seed: u64, counters: u64) -> Vec<u64> {
        let mut entropy = Seeded(seed);
        let mut skips = Skips::new(&mut entropy);
        (0..counters).filter(|counter| skips.skip_if_due(*counter, &mut entropy)).collect()
    }

    #[test]
    fn one_is_left_out_in_each_range_that_is_twice_as_large_as_the_last() {
        let first = 1 << FIRST_BITS;
        for seed in 0..50 {
            let left_out = left_out(seed, first << 8);
            assert_eq!(left_out.len(), 9, "{left_out:?}");
            assert!(left_out[0] < first, "{left_out:?}");
            for (n, counter) in left_out[1..].iter().enumerate() {
                assert!((first << n..first << (n + 1)).contains(counter), "{left_out:?}");
            }
        }
    }

    #[test]
    fn nobody_knows_beforehand_which() {
        assert_ne!(left_out(1, 10_000), left_out(2, 10_000));
    }

    #[test]
    fn what_was_left_out_is_remembered_and_what_will_be_is_not_told() {
        let mut entropy = Given([[0, 0, 0, 0, 0, 0, 0, 3], [0, 0, 0, 0, 0, 0, 0, 1]].concat());
        let mut skips = Skips::new(&mut entropy);
        assert!(!skips.touch(&(0..=100)));
        assert!(!skips.skip_if_due(2, &mut entropy) && skips.skip_if_due(3, &mut entropy));
        assert!(skips.touch(&(0..=100)) && skips.touch(&(3..=3)));
        assert!(!skips.touch(&(0..=2)) && !skips.touch(&(4..=100)), "65 is the next");
    }
}
