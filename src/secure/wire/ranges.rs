//! Ordered sets of numbers that mostly follow each other.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of numbers, kept as its ranges: those that touch are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    /// From its first number to the one after its last.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Adds `range`, and says whether anything in it is new.
    pub(crate) fn insert(&mut self, range: Range<u64>) -> bool {
        let Range { mut start, mut end } = range;
        if start >= end {
            return false;
        }
        if let Some((&before, &its_end)) = self.ranges.range(..=start).next_back() {
            if its_end >= end {
                return false;
            }
            if its_end >= start {
                start = before;
            }
        }
        while let Some((&next, &its_end)) = self.ranges.range(start..=end).next() {
            end = end.max(its_end);
            self.ranges.remove(&next);
        }
        self.ranges.insert(start, end);
        true
    }

    /// Takes `range` out.
    pub(crate) fn remove(&mut self, range: Range<u64>) {
        let Range { start, end } = range;
        if start >= end {
            return;
        }
        if let Some((_, its_end)) = self.ranges.range_mut(..start).next_back()
            && *its_end > start
        {
            let rest = end..*its_end;
            *its_end = start;
            self.insert(rest);
        }
        while let Some((&next, &its_end)) = self.ranges.range(start..end).next() {
            self.ranges.remove(&next);
            self.insert(end..its_end);
        }
    }

    /// Whether `number` is in the set.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, end)| *end > number)
    }

    /// The lowest range.
    pub(crate) fn first(&self) -> Option<Range<u64>> {
        self.ranges.first_key_value().map(|(start, end)| *start..*end)
    }

    /// Takes the lowest range out.
    pub(crate) fn pop_first(&mut self) -> Option<Range<u64>> {
        self.ranges.pop_first().map(|(start, end)| start..end)
    }

    /// The ranges, the highest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = Range<u64>> {
        self.ranges.iter().rev().map(|(start, end)| *start..*end)
    }

    /// How many ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// How many numbers are in it.
    pub(crate) fn total(&self) -> u64 {
        self.ranges.iter().map(|(start, end)| end - start).sum()
    }

    /// Whether there is no number in the set.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.ranges.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn ranges(set: &RangeSet) -> Vec<Range<u64>> {
        set.newest_first().collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut set = RangeSet::default();
        assert!(set.insert(5..7));
        assert!(set.insert(1..3));
        assert!(set.insert(3..5));
        assert!(!set.insert(2..6));
        assert_eq!(ranges(&set), vec![1..7]);
    }

    #[test]
    fn what_is_taken_out_of_the_middle_leaves_both_ends() {
        let mut set = RangeSet::default();
        set.insert(0..10);
        set.remove(3..5);
        assert_eq!(ranges(&set), [5..10, 0..3]);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(
            operations in proptest::collection::vec((any::<bool>(), 0_u64..60, 0_u64..12), 0..60),
        ) {
            let mut set = RangeSet::default();
            let mut model = BTreeSet::new();
            for (insert, start, length) in operations {
                let range = start..start + length;
                if insert {
                    let new = range.clone().filter(|number| model.insert(*number)).count() > 0;
                    prop_assert_eq!(set.insert(range), new);
                } else {
                    range.clone().for_each(|number| { model.remove(&number); });
                    set.remove(range);
                }
                prop_assert_eq!(set.total(), model.len() as u64);
                for number in 0..80 {
                    prop_assert_eq!(set.contains(number), model.contains(&number));
                }
                let mut all = ranges(&set);
                all.reverse();
                prop_assert!(all.windows(2).all(|pair| pair[0].end < pair[1].start));
                prop_assert!(all.iter().all(|range| range.start < range.end));
            }
        }
    }
}
