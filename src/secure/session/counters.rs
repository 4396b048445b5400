//! Received counters: against replays, and to acknowledge what has arrived.

use crate::secure::wire::ack::AckFrame;
use crate::secure::wire::ranges::RangeSet;

/// Counters that have arrived. It remembers a bounded number of gaps: when there are more, the oldest is given up, and
/// a packet that belongs there is treated as a replay.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    /// None is below the floor.
    ranges: RangeSet,
    /// Everything below counts as seen.
    floor: u64,
    most_ranges: usize,
}

impl Counters {
    /// None yet. At most `most_ranges` ranges are remembered, and at least one.
    pub(crate) fn new(most_ranges: usize) -> Self {
        Self { ranges: RangeSet::default(), floor: 0, most_ranges: most_ranges.max(1) }
    }

    /// Notes that `counter` has arrived, and says whether that is new. If not, its packet must be dropped.
    pub(crate) fn insert(&mut self, counter: u64) -> bool {
        if counter < self.floor || !self.ranges.insert(counter..counter.saturating_add(1)) {
            return false;
        }
        if self.ranges.len() > self.most_ranges
            && let Some(oldest) = self.ranges.pop_first()
        {
            self.floor = oldest.end;
        }
        true
    }

    /// How many ranges are remembered.
    pub(crate) fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// An acknowledgement of the `most_ranges` newest ranges; `None` if there is nothing to acknowledge.
    pub(crate) fn to_ack(&self, most_ranges: usize) -> Option<AckFrame> {
        AckFrame::new(self.ranges.newest_first().take(most_ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_counter_is_new_once() {
        let mut counters = Counters::new(8);
        assert!(counters.insert(7));
        assert!(!counters.insert(7));
        assert!(counters.insert(3));
        assert!(!counters.insert(3) && counters.insert(4));
    }

    #[test]
    fn the_oldest_gap_is_given_up_when_there_are_too_many_and_never_acknowledged() {
        let mut counters = Counters::new(2);
        for counter in [1, 3, 5] {
            counters.insert(counter);
        }
        assert!(!counters.insert(0), "a gap that was given up");
        assert!(!counters.insert(1), "what arrived before it");
        assert!(counters.insert(2), "the next gap");
        let ack: Vec<_> = counters.to_ack(9).unwrap().ranges().collect();
        assert_eq!(ack, [5..=5, 2..=3]);
    }

    proptest! {
        #[test]
        fn nothing_is_new_twice_and_only_what_came_is_acknowledged(
            arrivals in proptest::collection::vec(0_u64..200, 0..200), most in 1_usize..10,
        ) {
            let mut counters = Counters::new(most);
            let mut arrived = BTreeSet::new();
            for counter in arrivals {
                if counters.insert(counter) {
                    prop_assert!(arrived.insert(counter));
                }
                prop_assert!(!counters.insert(counter));
                prop_assert!(counters.ranges() <= most);
                let ack = counters.to_ack(most);
                let acked: Vec<u64> = ack.iter().flat_map(AckFrame::ranges).flatten().collect();
                prop_assert!(acked.iter().all(|counter| arrived.contains(counter)));
            }
        }
    }
}
