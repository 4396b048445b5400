//! Ids of stanzas: UUIDs of version 4 in 32 hexadecimal digits, as slixmpp makes them.

use std::fmt::Write as _;

use crate::uuid;

/// An id of the lower 122 of these bits, which fill what version and variant leave free.
pub fn new_id(random: u128) -> String {
    let mut id = String::with_capacity(32);
    // Writing to a string does not fail.
    let _ = write!(id, "{:032x}", uuid::with_free_bits(random));
    id
}

/// The 122 bits of such an id; none when it is of another form.
pub fn random_of(id: &str) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let bits = u128::from_str_radix(id, 16).ok()?;
    let has_form = id.len() == 32 && id.bytes().all(is_digit) && uuid::is_version_4(bits);
    has_form.then_some(uuid::free_bits(bits))
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
