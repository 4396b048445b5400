//! Deliveries: opens and blocks of ours that a peer takes or refuses, and the tokens that name them.

use crate::secure::crypto::entropy::{Entropy, random};
use crate::uuid;

/// Names something of ours to the carrier and to whoever gets it: 122 random bits, the lower ones, as many as a UUID has free.
///
/// Nobody can answer what did not reach him, because he cannot guess the token, and nobody sees by the tokens that he gets how many
/// others get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u128);

impl Token {
    /// Another one.
    pub(crate) fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(u128::from_be_bytes(random(entropy)) >> (u128::BITS - uuid::FREE_BITS))
    }
}

/// An open or a block of ours that was not answered yet. They are ordered as they were sent, which the tokens do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delivery {
    /// Higher than that of everything before.
    pub(crate) number: u64,
    pub(crate) token: Token,
}

impl Delivery {
    /// None comes before it.
    pub(crate) const FIRST: Self = Self { number: 0, token: Token(0) };
}

#[cfg(test)]
impl Delivery {
    /// One for tests, where nobody guesses.
    pub(crate) fn nth(number: u64) -> Self {
        Self { number, token: Token(number.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::crypto::entropy::testing::{Given, Seeded};

    #[test]
    fn a_token_has_122_bits() {
        assert_eq!(Token::generate(&mut Given(vec![0xff; 16])), Token((1 << 122) - 1));
        assert_eq!(Token::generate(&mut Given(vec![0; 16])), Token(0));
    }

    #[test]
    fn no_token_follows_from_another_one() {
        let mut entropy = Seeded(7);
        let tokens: Vec<Token> = (0..1000).map(|_| Token::generate(&mut entropy)).collect();
        let changed = tokens.windows(2).map(|pair| (pair[0].0 ^ pair[1].0).count_ones()).sum::<u32>();
        assert!((60_000..62_000).contains(&changed), "{changed} of 122,000 bits change from one to the next");
    }

    #[test]
    fn deliveries_are_ordered_as_they_were_sent_whatever_their_tokens() {
        let earlier = Delivery { number: 1, token: Token(9) };
        let later = Delivery { number: 2, token: Token(3) };
        assert!(earlier < later);
    }
}
