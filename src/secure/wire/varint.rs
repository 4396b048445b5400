//! Integers of one, two, four or eight bytes (RFC 9000 section 16).

use bytes::Buf;

/// The largest value that there is an encoding for.
pub(crate) const MAX: u64 = (1 << 62) - 1;

/// How many bytes `value` takes.
pub(crate) fn len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Appends `value` in its shortest form. What is more than [`MAX`] becomes [`MAX`]: no counter or offset gets there.
pub(crate) fn write(into: &mut Vec<u8>, value: u64) {
    let value = value.min(MAX);
    let length = len(value);
    let tag = (length.trailing_zeros() as u8) << 6;
    let bytes = value.to_be_bytes();
    let at = into.len();
    into.extend_from_slice(&bytes[8 - length..]);
    into[at] |= tag;
}

/// Takes an integer from the front, unless there are too few bytes. Longer forms than necessary are valid.
pub(crate) fn read(from: &mut impl Buf) -> Option<u64> {
    let first = *from.chunk().first()?;
    let length = 1 << (first >> 6);
    if from.remaining() < length {
        return None;
    }
    let value = from.get_uint(length);
    Some(value & (u64::MAX >> (64 - 8 * length + 2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, value);
        bytes
    }

    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        for (value, hex) in [
            (151_288_809_941_952_652, vec![0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
            (494_878_333, vec![0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, vec![0x7b, 0xbd]),
            (37, vec![0x25]),
        ] {
            assert_eq!(encoded(value), hex);
            assert_eq!(read(&mut &hex[..]), Some(value));
        }
        assert_eq!(read(&mut &[0x40, 0x25][..]), Some(37));
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        assert_eq!(read(&mut &[][..]), None);
        assert_eq!(read(&mut &[0xc2, 0, 0][..]), None);
    }

    proptest! {
        #[test]
        fn every_value_comes_back_and_takes_as_long_as_it_says(value in 0..=MAX) {
            prop_assert_eq!(encoded(value).len(), len(value));
            prop_assert_eq!(read(&mut &encoded(value)[..]), Some(value));
        }
    }
}
