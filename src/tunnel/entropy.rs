//! Entropy: the operating system's randomness, for the secure core.

use crate::secure::crypto::entropy::Entropy;

/// The generator of this thread, which the operating system seeds, again and again.
#[derive(Debug)]
pub(super) struct ThreadEntropy;

impl Entropy for ThreadEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}
