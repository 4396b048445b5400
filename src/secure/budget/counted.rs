//! Counts of equal items.

use std::collections::BTreeMap;

/// How often each of them comes.
pub(crate) fn counted<'a, T: Ord + ?Sized>(items: impl Iterator<Item = &'a T>) -> BTreeMap<&'a T, usize> {
    let mut counts = BTreeMap::new();
    items.for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}
