//! Sizes of blocks, and of what a carrier makes of them on the wire.

use std::time::Duration;

use crate::protocol::size_limits::Ladder;

/// What a carrier says of what it sends. All sizes are in bytes.
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
    /// How long after a break, in which nothing is on its way, a fast path should make the next one, by its round trip while nothing
    /// is queued.
    pub break_interval: fn(Duration) -> Duration,
}

impl Sizes {
    /// The sizes of blocks, and what each makes of a stanza.
    pub(crate) fn ladder(&self) -> Ladder {
        Ladder { sizes: self.blocks, on_wire: self.on_wire }
    }

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
    break_interval: |delay| Duration::from_secs(1).max(200 * delay),
};
