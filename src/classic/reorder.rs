//! Reorder buffer (section 4b of the document): packets that have arrived ahead of their turn.

use std::collections::VecDeque;

use crate::classic::seq::{Offset, SeqNum};

/// The highest offset that a peer accepts; the 2013 program breaks on anything beyond it.
pub(crate) const WINDOW: u32 = 100;

/// Puts what arrives back into the order of its ids.
#[derive(Debug)]
pub(crate) struct ReorderBuffer<T> {
    expected: SeqNum,
    /// `slots[n]` holds what has the id `expected + n`; never longer than [`WINDOW`] + 1.
    slots: VecDeque<Option<T>>,
}

/// What became of something that was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Insertion {
    /// It is kept.
    Stored,
    /// Something with the same id is waiting already; this copy was dropped.
    Duplicate,
    /// Its turn is over; it was dropped.
    Redundant,
    /// It is more than [`WINDOW`] ids ahead; it was dropped.
    TooFar,
}

impl<T> ReorderBuffer<T> {
    /// A buffer that expects `first` next.
    pub(crate) fn new(first: SeqNum) -> Self {
        Self { expected: first, slots: VecDeque::new() }
    }

    /// Keeps `item` until everything before `id` has been taken.
    pub(crate) fn insert(&mut self, id: SeqNum, item: T) -> Insertion {
        let offset = match id.offset_from(self.expected) {
            Offset::Redundant => return Insertion::Redundant,
            Offset::Ahead(offset) if offset > WINDOW => return Insertion::TooFar,
            Offset::Ahead(offset) => offset as usize,
        };
        if offset >= self.slots.len() {
            self.slots.resize_with(offset + 1, || None);
        }
        match self.slots.get_mut(offset) {
            Some(slot @ None) => {
                *slot = Some(item);
                Insertion::Stored
            }
            _ => Insertion::Duplicate,
        }
    }

    /// Takes the expected item, if it has arrived, and expects the one after it.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.slots.front_mut()?.take().inspect(|_| {
            self.slots.pop_front();
            self.expected = self.expected.next();
        })
    }

    /// The id that is expected next.
    pub(crate) fn expected(&self) -> SeqNum {
        self.expected
    }

    /// True when something waits for what was sent before it.
    pub(crate) fn has_gap(&self) -> bool {
        !self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(value: u32) -> SeqNum {
        SeqNum::ZERO.plus(value)
    }

    #[test]
    fn what_arrives_early_waits_for_its_turn() {
        let mut buffer = ReorderBuffer::new(SeqNum::ZERO);
        assert_eq!(buffer.insert(id(1), "b"), Insertion::Stored);
        assert_eq!(buffer.pop(), None);
        assert!(buffer.has_gap());
        assert_eq!(buffer.insert(id(0), "a"), Insertion::Stored);
        assert_eq!([buffer.pop(), buffer.pop(), buffer.pop()], [Some("a"), Some("b"), None]);
        assert!(!buffer.has_gap());
    }

    #[test]
    fn offset_one_hundred_is_the_last_that_fits() {
        let mut buffer = ReorderBuffer::new(SeqNum::ZERO);
        assert_eq!(buffer.insert(id(101), ()), Insertion::TooFar);
        assert_eq!(buffer.insert(id(100), ()), Insertion::Stored);
    }

    #[test]
    fn what_was_taken_is_redundant_and_what_waits_is_a_duplicate() {
        let mut buffer = ReorderBuffer::new(SeqNum::ZERO);
        buffer.insert(id(0), 'a');
        buffer.insert(id(2), 'c');
        assert_eq!(buffer.pop(), Some('a'));
        assert_eq!(buffer.insert(id(0), 'x'), Insertion::Redundant);
        assert_eq!(buffer.insert(id(2), 'x'), Insertion::Duplicate);
        buffer.insert(id(1), 'b');
        assert_eq!([buffer.pop(), buffer.pop()], [Some('b'), Some('c')]);
    }

    proptest! {
        #[test]
        fn any_order_within_the_window_comes_out_in_order_across_the_wrap(
            start in prop_oneof![Just(0u32), u32::MAX - 150..u32::MAX - 1],
            order in Just((0..100u32).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let first = id(start);
            let mut buffer = ReorderBuffer::new(first);
            let mut taken = Vec::new();
            for n in order {
                prop_assert_eq!(buffer.insert(first.plus(n), n), Insertion::Stored);
                taken.extend(std::iter::from_fn(|| buffer.pop()));
            }
            prop_assert_eq!(taken, (0..100).collect::<Vec<_>>());
        }
    }
}
