//! Block size where several sessions share an account.

use crate::secure::tuning::{LARGEST_SHARED_BLOCK, LONGEST_ROUND, SHARED_BLOCK_TIME, SMALLEST_SHARED_BLOCK};

/// In bytes. `usual` is what the account's window wants and `own` what the path's does; `on_wire` is what a block of some size takes
/// up on the wire, of which the account carries `rate` bytes a second, and so many `waiting` others are served
/// between two of the same session.
pub(super) fn of_shared(
    usual: usize,
    own: usize,
    on_wire: impl Fn(usize) -> usize,
    rate: Option<f64>,
    waiting: f64,
) -> usize {
    let most = own.max(LARGEST_SHARED_BLOCK);
    let Some(rate) = rate else { return usual.min(most) };
    let prompt = largest_within(LARGEST_SHARED_BLOCK, &on_wire, rate * SHARED_BLOCK_TIME.as_secs_f64());
    largest_within(usual.max(prompt).min(most), &on_wire, rate * LONGEST_ROUND.as_secs_f64() / waiting)
}

/// The largest size up to `most` of which a block has no more than so many bytes on the wire.
fn largest_within(most: usize, on_wire: impl Fn(usize) -> usize, bytes: f64) -> usize {
    let sizes = std::iter::successors(Some(most), |size| Some(size.next_power_of_two() / 2));
    let fits = |size: &usize| on_wire(*size) as f64 <= bytes;
    sizes
        .take_while(|size| *size > SMALLEST_SHARED_BLOCK)
        .find(fits)
        .unwrap_or(most.min(SMALLEST_SHARED_BLOCK))
}

#[cfg(test)]
mod tests {
    use super::LARGEST_SHARED_BLOCK;
    use crate::secure::sizes::OF_TESTS;

    const KIB: usize = 1024;

    fn of_shared(usual: usize, own: usize, rate: Option<f64>, waiting: f64) -> usize {
        super::of_shared(usual, own, OF_TESTS.on_wire, rate, waiting)
    }

    #[test]
    fn while_nothing_is_known_of_the_account_a_path_gets_what_its_window_wants() {
        assert_eq!(of_shared(KIB, 4 * KIB, None, 1.0), KIB);
        assert_eq!(of_shared(48_864, KIB, None, 1.0), LARGEST_SHARED_BLOCK);
    }

    #[test]
    fn no_block_takes_longer_than_the_window_wants_or_three_quarters_of_a_second() {
        assert_eq!(of_shared(KIB, KIB, Some(10_000.0), 1.0), 4 * KIB);
        assert_eq!(of_shared(KIB, KIB, Some(3_000.0), 1.0), KIB);
        assert_eq!(of_shared(2 * KIB, KIB, Some(3_000.0), 1.0), 2 * KIB);
    }

    #[test]
    fn where_many_wait_blocks_are_smaller_but_not_smaller_than_makes_sense() {
        let sizes = [40, 80, 150, 10_000]
            .map(|waiting| of_shared(4 * KIB, 4 * KIB, Some(10_000.0), f64::from(waiting)));
        assert_eq!(sizes, [4 * KIB, 2 * KIB, KIB, KIB]);
    }

    #[test]
    fn all_sizes_are_ones_that_the_protocol_knows() {
        for (waiting, size) in [(1, 48_864), (500, 32 * KIB), (1000, 16 * KIB)] {
            assert_eq!(of_shared(48_864, 48_864, Some(1e6), f64::from(waiting)), size, "{waiting}");
        }
    }
}
