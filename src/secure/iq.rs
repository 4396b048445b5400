//! IQs of ours: what their ids say, and in which order they went.

use crate::secure::crypto::entropy::{Entropy, random};

/// The bits that version and variant take in a UUID of version 4.
const FIXED: u128 = 0xf << 76 | 0b11 << 62;

/// One IQ of ours that will be answered, as its id on the wire has it: 122 random bits, all that a UUID of version 4 has free.
///
/// Nobody can answer what did not reach him, because he cannot guess the id, and nobody sees by the ids that he gets how many others
/// get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IqId(pub u128);

impl IqId {
    /// The id of another IQ.
    pub(crate) fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(u128::from_be_bytes(random(entropy)) & !FIXED)
    }
}

/// An IQ of ours that was not answered yet. They are ordered as they were sent, which the ids do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Iq {
    /// Higher than that of every IQ before.
    pub(crate) number: u64,
    pub(crate) id: IqId,
}

#[cfg(test)]
impl Iq {
    /// One for tests, where nobody guesses.
    pub(crate) fn nth(number: u64) -> Self {
        Self { number, id: IqId(number.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::crypto::entropy::testing::{Given, Seeded};

    #[test]
    fn an_id_has_every_bit_that_a_uuid_has_free_and_no_other() {
        assert_eq!(IqId::generate(&mut Given(vec![0xff; 16])), IqId(0xffffffff_ffff_0fff_3fff_ffffffffffff));
        assert_eq!(IqId::generate(&mut Given(vec![0; 16])), IqId(0));
    }

    #[test]
    fn no_id_follows_from_another_one() {
        let mut entropy = Seeded(7);
        let ids: Vec<IqId> = (0..1000).map(|_| IqId::generate(&mut entropy)).collect();
        let changed = ids.windows(2).map(|pair| (pair[0].0 ^ pair[1].0).count_ones()).sum::<u32>();
        assert!((60_000..62_000).contains(&changed), "{changed} of 122,000 bits change from one to the next");
    }

    #[test]
    fn iqs_are_ordered_as_they_were_sent_whatever_their_ids() {
        let earlier = Iq { number: 1, id: IqId(9) };
        let later = Iq { number: 2, id: IqId(3) };
        assert!(earlier < later);
    }
}
