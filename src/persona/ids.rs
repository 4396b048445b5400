//! Ids of stanzas: UUIDs of version 4 in 32 hexadecimal digits, as slixmpp makes them.

use std::fmt::Write as _;

/// The bits that version and variant take in a UUID (RFC 9562 section 5.4).
const FIXED: u128 = 0xf << 76 | 0b11 << 62;

/// What they say in one of version 4.
const VERSION_4: u128 = 0x4 << 76 | 0b10 << 62;

/// The bits below the variant: 62. Between that and the version are 12 others, and 48 above.
const LOW: u128 = (1 << 62) - 1;

/// An id of the lower 122 of these bits, which fill what version and variant leave free.
pub fn new_id(random: u128) -> String {
    let spread = (random >> 74) << 80 | (random >> 62 & 0xfff) << 64 | random & LOW;
    let mut id = String::with_capacity(32);
    // Writing to a string does not fail.
    let _ = write!(id, "{:032x}", spread | VERSION_4);
    id
}

/// The 122 bits of such an id; none when it is of another form.
pub fn random_of(id: &str) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let bits = u128::from_str_radix(id, 16).ok()?;
    let has_form = id.len() == 32 && id.bytes().all(is_digit) && bits & FIXED == VERSION_4;
    has_form.then_some(bits >> 80 << 74 | (bits >> 64 & 0xfff) << 62 | bits & LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_random_uuid_without_dashes() {
        assert_eq!(new_id(0), "00000000000040008000000000000000");
        assert_eq!(new_id(u128::MAX), "ffffffffffff4fffbfffffffffffffff");
    }

    #[test]
    fn what_an_id_was_made_of_can_be_read_from_it_and_from_nothing_else() {
        assert_eq!(random_of(&new_id(0)), Some(0));
        assert_eq!(random_of(&new_id(u128::MAX)), Some((1 << 122) - 1));
        for other in [
            "",
            "7",
            "0000000000004000800000000000000",
            "000000000000400080000000000000000",
            "+0000000000040008000000000000000",
            "00000000000050008000000000000000",
            "0000000000004000c000000000000000",
            "ffffffffffff4fffbfffffffffffffFf",
            "00000000-0000-4000-8000-000000000",
        ] {
            assert_eq!(random_of(other), None, "{other}");
        }
    }
}
