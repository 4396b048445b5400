//! Fair shares by a dynamic threshold (Choudhury and Hahne 1998).
//!
//! Several owners share a whole. Each may take as long as it has less than what is still free. So one alone gets half of the
//! whole, `n` that come together get an `n + 1`th each, a share shrinks when others come, and whoever comes last, even after
//! others that never give anything back, still finds half of what they have left. After a dozen of those that is next to nothing, so
//! where something can be taken back, or a little more than the whole does no harm, there is a rule for newcomers beside this one.
//! Nothing has to be reserved for anybody, and nobody has to be counted.

/// How much more an owner may take of a `whole` of which `all` is taken, `own` of it by this owner.
pub(crate) fn room(whole: usize, all: usize, own: usize) -> usize {
    // What it takes is not free any more.
    below_threshold(whole, all, own).div_ceil(2)
}

/// How much less the owner has than what is free.
pub(crate) fn below_threshold(whole: usize, all: usize, own: usize) -> usize {
    whole.saturating_sub(all).saturating_sub(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What each has when all take as much as they can, until nobody can take more.
    fn taken(whole: usize, owners: usize) -> Vec<usize> {
        let mut taken = vec![0; owners];
        loop {
            let before = taken.clone();
            for owner in 0..owners {
                taken[owner] += room(whole, taken.iter().sum(), taken[owner]);
            }
            if taken == before {
                return taken;
            }
        }
    }

    #[test]
    fn one_alone_gets_half_and_what_it_has_grows_no_further() {
        assert_eq!(room(1000, 0, 0), 500);
        assert_eq!(room(1000, 500, 500), 0);
    }

    #[test]
    fn whoever_has_more_than_what_is_free_takes_nothing() {
        assert_eq!(room(1000, 900, 600), 0);
        assert_eq!(room(1000, 2000, 600), 0);
    }

    proptest! {
        #[test]
        fn a_newcomer_finds_room_whatever_others_have_taken(whole in 1000_usize..100_000, owners in 1_usize..9) {
            let taken = taken(whole, owners);
            prop_assert!(taken.iter().all(|part| *part <= whole.div_ceil(2)));
            prop_assert!(room(whole, taken.iter().sum(), 0) > 0, "{taken:?}");
        }
    }
}
