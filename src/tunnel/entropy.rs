//! Where the secure core's randomness comes from.

use crate::session::entropy::Entropy;

/// The generator of this thread, which the operating system seeds, again and again.
#[derive(Debug)]
pub(super) struct ThreadEntropy;

impl Entropy for ThreadEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}
