//! Given up: packets that went by paths that are no more, which may have arrived all the same.
//!
//! What such a packet carried is sent again at once. Where a fast path has ended and only slow ones are left, that may take a minute, and
//! what was not acknowledged may have arrived: the next acknowledgement says so, and what was not sent again by then need not be.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

/// The last 128 packets are remembered: of the largest size they are 6 MB, more than a fast path has on its way.
const MOST_PACKETS: usize = 128;

/// 4 pieces of each: bulk is one or two.
const MOST_PIECES: usize = 4;

/// A part of a stream: of which, and which bytes.
type Piece = (u64, Range<u64>);

/// By the counters of the packets, what was in them.
#[derive(Debug, Default)]
pub(super) struct GivenUp(BTreeMap<u64, Vec<Piece>>);

impl GivenUp {
    /// The packet with this counter is given up.
    pub(super) fn insert(&mut self, counter: u64, pieces: impl Iterator<Item = Piece>) {
        self.0.insert(counter, pieces.take(MOST_PIECES).collect());
        if self.0.len() > MOST_PACKETS {
            self.0.pop_first();
        }
    }

    /// How many packets are remembered.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The peer has the packets of these ranges: what was in those that were given up.
    pub(super) fn take(&mut self, ranges: impl IntoIterator<Item = RangeInclusive<u64>>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for range in ranges {
            while let Some((&counter, _)) = self.0.range(range.clone()).next() {
                pieces.extend(self.0.remove(&counter).unwrap_or_default());
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_is_told_once_and_only_the_last_of_it() {
        let mut given_up = GivenUp::default();
        let count = MOST_PACKETS as u64 + 1;
        for counter in 0..count {
            given_up.insert(counter, (0..10).map(|n| (n, counter..counter + 1)));
        }
        assert_eq!(given_up.take([2..=2, 0..=1]).len(), 2 * MOST_PIECES);
        assert!(given_up.take([0..=2]).is_empty());
        assert_eq!(given_up.take([0..=count]).len(), (MOST_PACKETS - 2) * MOST_PIECES);
    }
}
