//! Padding: the sizes of blocks are few, so that a size says little.

/// The sizes up to [`STEP`], in bytes. The one that is no power of two holds a cell of Tor's with all that is around it, which is
/// most of what an idle connection carries.
const SMALL_SIZES: [usize; 6] = [64, 128, 256, 512, 640, STEP];
/// Larger sizes are multiples of 1 KiB, but for blocks that fill all the room on a fast path (`path::window::block_size`).
const STEP: usize = 1024;

/// The smallest size of a block that holds `length` bytes.
pub(crate) fn holding(length: usize) -> usize {
    SMALL_SIZES.into_iter().find(|size| *size >= length).unwrap_or_else(|| length.next_multiple_of(STEP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sizes_hold_everything() {
        for (length, size) in
            [(0, 64), (64, 64), (65, 128), (575, 640), (641, 1024), (1024, 1024), (1025, 2048), (3000, 3072)]
        {
            assert_eq!(holding(length), size, "{length}");
        }
    }
}
