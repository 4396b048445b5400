//! Padding: the sizes of blocks are few, so that a size says little.

/// Sizes below that of a cell of Tor's with all that is around it, in bytes.
const SMALL_SIZES: [usize; 4] = [64, 128, 256, 512];
/// What is around cells: 128 bytes, in one packet for all of them.
const AROUND_CELLS: usize = 128;
/// A cell of Tor's: 512 bytes. One, two or three are most of what a connection carries that is idle, or that acknowledges what comes down.
const CELL: usize = 512;
/// Up to 3 cells have sizes of their own: more are sent by blocks that fill their room, and no first message is longer than 2 KiB.
const MOST_CELLS: usize = 3;
/// Larger sizes are multiples of 1 KiB, but for blocks that fill the room that there is (`path::window::block_size`).
const STEP: usize = 1024;

/// The smallest size of a block that holds `length` bytes.
pub(crate) fn holding(length: usize) -> usize {
    let of_cells = (1..=MOST_CELLS).map(|cells| AROUND_CELLS + cells * CELL);
    let mut sizes = SMALL_SIZES.into_iter().chain(of_cells);
    sizes.find(|size| *size >= length).unwrap_or_else(|| length.next_multiple_of(STEP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sizes_hold_everything() {
        for (length, size) in
            [(0, 64), (64, 64), (65, 128), (575, 640), (641, 1152), (1153, 1664), (1665, 2048), (2049, 3072)]
        {
            assert_eq!(holding(length), size, "{length}");
        }
    }
}
