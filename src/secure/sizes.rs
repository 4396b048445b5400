//! Sizes: of blocks, and of what a carrier makes of them on the wire.

/// What a carrier says of the sizes of what it sends. Everything is in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The sizes of blocks to choose from: at least one, the smallest first.
    pub blocks: &'static [usize],
    /// What a block of this size takes up on the wire.
    pub on_wire: fn(usize) -> usize,
    /// What the answer to a block takes up on the wire, beside its receipt and the name of its recipient.
    pub answer: usize,
    /// What it takes to tell the peer that a path is closed, beside the name of its recipient.
    pub close: usize,
}

impl Sizes {
    /// What a block of this size takes up on the wire and in a window.
    pub(crate) fn wire_size(&self, block: usize) -> usize {
        (self.on_wire)(block)
    }
}

/// A carrier that encodes three bytes as four and puts 220 around them.
#[cfg(test)]
pub(crate) static OF_TESTS: Sizes = Sizes {
    blocks: &[1024, 2048, 4096, 5856, 12_000, 24_288, 48_864],
    on_wire: |block| block.div_ceil(3) * 4 + 220,
    answer: 32,
    close: 160,
};
