//! UUIDs of version 4 (RFC 9562 section 5.4): 122 free bits around six fixed ones, which say "version 4" and "RFC 9562". Pure.

/// 122 bits of a UUID are free: 48 before the version, 12 between version and variant, 62 behind.
pub(crate) const FREE_BITS: u32 = 122;

/// The bits that version and variant take.
const FIXED: u128 = 0xf << 76 | 0b11 << 62;

/// What they say in one of version 4.
const VERSION_4: u128 = 0x4 << 76 | 0b10 << 62;

/// The bits below the variant.
const LOW: u128 = (1 << 62) - 1;

/// The bits between version and variant, once they are shifted down.
const MIDDLE: u128 = 0xfff;

/// The UUID with these free bits, the lower 122.
pub(crate) const fn with_free_bits(free: u128) -> u128 {
    free >> 74 << 80 | (free >> 62 & MIDDLE) << 64 | free & LOW | VERSION_4
}

/// The free bits of a UUID.
pub(crate) const fn free_bits(uuid: u128) -> u128 {
    uuid >> 80 << 74 | (uuid >> 64 & MIDDLE) << 62 | uuid & LOW
}

/// Whether the fixed bits are those of version 4.
pub(crate) const fn is_version_4(uuid: u128) -> bool {
    uuid & FIXED == VERSION_4
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_free_bits_are_all_but_six() {
        assert_eq!(with_free_bits(0), 0x0000_0000_0000_4000_8000_0000_0000_0000);
        assert_eq!(with_free_bits(u128::MAX), 0xffff_ffff_ffff_4fff_bfff_ffff_ffff_ffff);
    }

    #[test]
    fn other_versions_and_variants_are_told_apart() {
        for other in [0x0000_0000_0000_5000_8000_0000_0000_0000, 0x0000_0000_0000_4000_c000_0000_0000_0000] {
            assert!(!is_version_4(other), "{other:x}");
        }
    }

    proptest! {
        #[test]
        fn what_is_free_is_read_back(free in 0..1_u128 << FREE_BITS) {
            let uuid = with_free_bits(free);
            prop_assert!(is_version_4(uuid));
            prop_assert_eq!(free_bits(uuid), free);
        }
    }
}
