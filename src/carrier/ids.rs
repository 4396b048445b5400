//! Keyed ids of IQs: encrypted numbers, so that nobody can tell from one what others do.
//!
//! A counter in an id tells everybody who gets one how much the account does for others, and an answer to an IQ that has not
//! been read yet could be guessed. So the number is written in place of the random bits of the [persona]'s ids, and
//! read back from them: with a synthetic IV (RFC 5297), which is a tag of the number and masks it. Both are made by SipHash-2-4, a
//! keyed function for short messages. Without the key no tag fits but by chance, once in 2^60. Nothing is kept for an id.

use std::fmt;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

use crate::persona;

/// Bits of the number, at the lower end of an id's 122. Above them are the 60 of the tag.
const NUMBER_BITS: u32 = 62;

/// Writes and reads ids.
pub(super) struct Ids {
    /// Makes tags of numbers.
    tags: SipHasher24,
    /// Makes masks of tags.
    masks: SipHasher24,
}

impl fmt::Debug for Ids {
    /// Not the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

impl Ids {
    /// Ids of their own for each key.
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let half = |start: usize| SipHasher24::new_with_key(&std::array::from_fn(|n| key[start + n]));
        Self { tags: half(0), masks: half(16) }
    }

    /// The id of the IQ with this number, which is below 2^62.
    pub(super) fn write(&self, number: u64) -> String {
        let tag = self.tag(number);
        let masked = (number ^ self.mask(tag)) & ones(NUMBER_BITS);
        persona::new_id(u128::from(tag) << NUMBER_BITS | u128::from(masked))
    }

    /// The number of the IQ with this id, if it is one of ours.
    pub(super) fn read(&self, id: &str) -> Option<u64> {
        let bits = persona::random_of(id)?;
        let tag = u64::try_from(bits >> NUMBER_BITS).ok()?;
        let masked = u64::try_from(bits & u128::from(ones(NUMBER_BITS))).ok()?;
        let number = (masked ^ self.mask(tag)) & ones(NUMBER_BITS);
        (self.tag(number) == tag).then_some(number)
    }

    /// 60 bits.
    fn tag(&self, number: u64) -> u64 {
        siphash(self.tags, number) >> 4
    }

    fn mask(&self, tag: u64) -> u64 {
        siphash(self.masks, tag)
    }
}

/// SipHash-2-4 of a number.
fn siphash(mut keyed: SipHasher24, of: u64) -> u64 {
    keyed.write_u64(of);
    keyed.finish()
}

/// So many ones, at the lower end.
const fn ones(count: u32) -> u64 {
    (1 << count) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_those_of_an_ordinary_client_and_have_nothing_in_common() {
        let ids = Ids::new(&[1; 32]);
        let written: Vec<String> = (0..1000).map(|number| ids.write(number)).collect();
        for id in &written {
            assert!(id.len() == 32 && id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')), "{id}");
            assert!(
                id.as_bytes()[12] == b'4' && matches!(id.as_bytes()[16], b'8' | b'9' | b'a' | b'b'),
                "{id}"
            );
        }
        for place in (0..32).filter(|place| ![12, 16].contains(place)) {
            let digits: BTreeSet<u8> = written.iter().map(|id| id.as_bytes()[place]).collect();
            assert_eq!(digits.len(), 16, "digit {place}");
        }
    }

    #[test]
    fn no_id_says_how_many_came_between_it_and_another() {
        let ids = Ids::new(&[1; 32]);
        let low = |number| u128::from_str_radix(&ids.write(number), 16).unwrap_or_default() as u64;
        let distances: BTreeSet<u64> = (0..100).map(|n| low(n + 1).wrapping_sub(low(n))).collect();
        assert_eq!(distances.len(), 100);
    }

    proptest! {
        #[test]
        fn a_number_is_read_back_with_its_key_and_with_no_other(number in 0..1_u64 << 62, key: [u8; 32]) {
            let ids = Ids::new(&key);
            let id = ids.write(number);
            prop_assert_eq!(ids.read(&id), Some(number));
            prop_assert_eq!(Ids::new(&[!key[0]; 32]).read(&id), None);
        }

        #[test]
        fn an_id_that_was_changed_is_none_of_ours(number in 0..1_u64 << 62, bit in 0..128_u32) {
            let ids = Ids::new(&[1; 32]);
            let bits = u128::from_str_radix(&ids.write(number), 16).unwrap_or_default();
            prop_assert_eq!(ids.read(&format!("{:032x}", bits ^ 1 << bit)), None);
        }

        #[test]
        fn any_text_can_be_looked_at(id in ".{0,40}", random: u128) {
            let ids = Ids::new(&[1; 32]);
            prop_assert_eq!(ids.read(&id), None);
            prop_assert_eq!(ids.read(&persona::new_id(random)), None);
        }
    }
}
