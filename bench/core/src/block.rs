//! Blocks of the sizes that are measured.

use hexchat_pt::secure::crypto::entropy::Entropy as _;

use crate::secure::Counting;

/// A block: what one stanza carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// How it is called in results.
    pub name: &'static str,
    /// What an application writes at once, so that one such block carries it.
    pub payload: usize,
}

impl Block {
    /// What an application writes. Tor's bytes look random; a processor guesses what repeats, and the XML parser takes half
    /// the time for it.
    #[must_use]
    pub fn data(self) -> Vec<u8> {
        let mut data = vec![0; self.payload];
        Counting(3).fill(&mut data);
        data
    }
}

/// A cell of Tor's in its TLS record. The secure protocol carries it in its bucket of 640 bytes.
pub const CELL: Block = Block { name: "640 B", payload: 543 };

/// What a packet of either protocol carries on a slow path, less what is around it.
pub const MIDDLE: Block = Block { name: "4 KiB", payload: 4096 - OVERHEAD };

/// The largest block of the secure protocol.
pub const LARGE: Block = Block { name: "48 KiB", payload: 48_864 - OVERHEAD };

/// What a packet of the secure protocol has around the application's bytes, at most: the seal, the frame, and an
/// acknowledgement.
const OVERHEAD: usize = 64;
