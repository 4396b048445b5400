//! The sizes of blocks: few, so that a size says little.

/// Sizes up to here are powers of two, and multiples of [`STEP`] from here on.
const STEP: usize = 1024;
const SMALLEST: usize = 64;

/// The smallest size of a block that holds `length` bytes.
pub(super) fn holding(length: usize) -> usize {
    if length <= STEP { length.next_power_of_two().max(SMALLEST) } else { length.next_multiple_of(STEP) }
}

/// The largest size of a block that is not above `room`; 0 when there is none.
pub(super) fn within(room: usize) -> usize {
    match room {
        0..SMALLEST => 0,
        SMALLEST..=STEP => 1 << room.ilog2(),
        _ => room - room % STEP,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sizes_hold_everything() {
        for (length, size) in
            [(0, 64), (64, 64), (65, 128), (600, 1024), (1024, 1024), (1025, 2048), (3000, 3072)]
        {
            assert_eq!(holding(length), size, "{length}");
        }
    }

    #[test]
    fn what_is_within_a_room_is_a_size_and_the_largest_one() {
        for room in 0..10_000 {
            let size = within(room);
            assert!(size <= room);
            assert!(size == 0 || holding(size) == size);
            assert!(holding(size + 1) > room);
        }
    }
}
