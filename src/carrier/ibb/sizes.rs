//! Sizes of blocks in stanzas: base64, the stanza around it, and the TLS records that both fill.

use crate::secure::Sizes;
use crate::xmpp::{break_interval, filling};

/// What an IQ with a block weighs beside the base64 of the block: 220 bytes, with JIDs of usual length.
const STANZA: usize = 220;

/// What an IQ adds to the base64 of its block, and the answer to another one behind it: at most 384 bytes, so that both end
/// before a TLS record does.
const MAX_AROUND_BLOCK: usize = 384;

const KIB: usize = 1024;

/// Sizes of blocks, and what they take up in a stream of stanzas. The large ones fill TLS records: two, four, eight, sixteen.
pub static SIZES: Sizes = Sizes {
    blocks: &[
        KIB,
        2 * KIB,
        4 * KIB,
        filling(2, MAX_AROUND_BLOCK),
        filling(4, MAX_AROUND_BLOCK),
        filling(8, MAX_AROUND_BLOCK),
        filling(16, MAX_AROUND_BLOCK),
    ],
    on_wire: |block| block.div_ceil(3) * 4 + STANZA,
    // The empty result, and what the server adds to it.
    answer: 32,
    close: 160,
    break_interval,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_blocks_end_with_their_stanzas_just_before_a_tls_record_does() {
        for (block, records) in SIZES.blocks.iter().rev().zip([16, 8, 4, 2]) {
            let stanza = block / 3 * 4 + MAX_AROUND_BLOCK;
            assert!((records * 4096 - 4..=records * 4096).contains(&stanza), "{block}: {stanza}");
        }
    }

    #[test]
    fn no_block_is_larger_than_a_bytestream_takes() {
        assert!(SIZES.blocks.is_sorted() && SIZES.blocks.last().is_some_and(|last| *last <= 65_535));
    }
}
