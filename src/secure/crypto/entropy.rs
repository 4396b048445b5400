//! Entropy: where random bytes come from, as an argument.

/// Where secrets come from: the operating system, or a seed in a simulation.
///
/// Whoever can predict it can read everything.
pub trait Entropy: Send + std::fmt::Debug {
    /// Fills all of `bytes` with random ones.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// 32 random bytes and the like.
pub(crate) fn random<const N: usize>(entropy: &mut dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Entropy;

    /// These bytes and no more.
    #[derive(Debug)]
    pub(crate) struct Given(pub(crate) Vec<u8>);

    impl Entropy for Given {
        fn fill(&mut self, bytes: &mut [u8]) {
            let rest = self.0.split_off(bytes.len());
            bytes.copy_from_slice(&std::mem::replace(&mut self.0, rest));
        }
    }

    /// As many as are wanted, the same for the same seed (SplitMix64).
    #[derive(Debug)]
    pub(crate) struct Seeded(pub(crate) u64);

    impl Entropy for Seeded {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                *byte = (mixed ^ mixed >> 31).to_be_bytes()[0];
            }
        }
    }
}
