//! Sequence numbers: ids modulo 2³²−1.
//!
//! Each direction of a connection numbers its packets from 0, and `disconnect` takes the next
//! number like any packet. The modulus is 2³²−1, not 2³²: the last id is 2³²−2, and 0 follows it.

use std::fmt;

/// How many ids there are.
const MODULUS: i64 = (1 << 32) - 1;

/// One id of a packet or disconnect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SeqNum(u32);

/// Where an id stands relative to the one that is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// It lies less than half the circle behind: its content was written already.
    Redundant,
    /// It is this many ids ahead of the expected one; 0 is the expected one itself.
    Ahead(u32),
}

impl SeqNum {
    /// The first id of every direction.
    pub const ZERO: Self = Self(0);

    /// The id with this value, unless it is 2³²−1 or more.
    pub fn new(value: u32) -> Option<Self> {
        (i64::from(value) < MODULUS).then_some(Self(value))
    }

    /// Its value on the wire.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The id that follows this one.
    #[must_use]
    pub fn next(self) -> Self {
        self.plus(1)
    }

    /// The `n`th id after this one.
    #[must_use]
    pub fn plus(self, n: u32) -> Self {
        let sum = (i64::from(self.0) + i64::from(n)) % MODULUS;
        Self(u32::try_from(sum).unwrap_or_default())
    }

    /// How many ids lie from `earlier` up to this one, going forwards.
    pub fn distance_from(self, earlier: Self) -> u32 {
        let difference = i64::from(self.0) - i64::from(earlier.0);
        u32::try_from(difference.rem_euclid(MODULUS)).unwrap_or_default()
    }

    /// The protocol document's comparison (its sections 4b ii to iv): with `difference` the plain
    /// difference of the two values, the id is redundant if and only if −M/2 < difference < 0;
    /// otherwise its offset, which the document calls its place, is the difference modulo M.
    pub fn offset_from(self, expected: Self) -> Offset {
        let difference = i64::from(self.0) - i64::from(expected.0);
        if difference < 0 && 2 * difference > -MODULUS {
            Offset::Redundant
        } else {
            Offset::Ahead(self.distance_from(expected))
        }
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAST: SeqNum = SeqNum(u32::MAX - 1);

    fn id() -> impl Strategy<Value = SeqNum> {
        prop_oneof![0..200u32, u32::MAX - 200..u32::MAX, 0..u32::MAX].prop_map(SeqNum)
    }

    #[test]
    fn zero_follows_the_last_id() {
        assert_eq!(LAST.next(), SeqNum::ZERO);
        assert_eq!(LAST.get(), 4_294_967_294);
        assert_eq!(SeqNum::new(u32::MAX), None);
        assert_eq!(SeqNum::new(u32::MAX - 1), Some(LAST));
    }

    #[test]
    fn offsets_continue_across_the_wrap() {
        assert_eq!(LAST.offset_from(LAST), Offset::Ahead(0));
        assert_eq!(SeqNum::ZERO.offset_from(LAST), Offset::Ahead(1));
        assert_eq!(SeqNum(98).offset_from(LAST), Offset::Ahead(99));
        assert_eq!(SeqNum(5).offset_from(SeqNum(2)), Offset::Ahead(3));
    }

    #[test]
    fn what_lies_less_than_half_the_circle_behind_is_redundant() {
        assert_eq!(SeqNum(1).offset_from(SeqNum(2)), Offset::Redundant);
        assert_eq!(SeqNum(0).offset_from(SeqNum(2_147_483_647)), Offset::Redundant);
        assert_eq!(SeqNum(0).offset_from(SeqNum(2_147_483_648)), Offset::Ahead(2_147_483_647));
    }

    #[test]
    fn the_documents_rule_calls_an_id_from_before_the_wrap_far_ahead_and_not_redundant() {
        // The rule compares plain differences, so that just after the wrap the last id is not seen
        // as old: it is 2³²−2 ahead, far beyond any window.
        assert_eq!(LAST.offset_from(SeqNum::ZERO), Offset::Ahead(u32::MAX - 1));
    }

    proptest! {
        #[test]
        fn the_offset_is_the_distance_for_everything_within_a_window_ahead(start in id(), n in 0..=100u32) {
            prop_assert_eq!(start.plus(n).offset_from(start), Offset::Ahead(n));
            prop_assert_eq!(start.plus(n).distance_from(start), n);
        }

        #[test]
        fn adding_one_by_one_is_adding_at_once(start in id(), n in 0..300u32) {
            prop_assert_eq!((0..n).fold(start, |id, _| id.next()), start.plus(n));
        }
    }
}
