//! Escapes of single bytes: a marker and two hexadecimal digits, as in `%2C`.

use secrecy::zeroize::Zeroizing;

/// Writes each byte that is not `plain` as the marker and two digits.
pub(super) fn escape(text: &str, marker: char, plain: impl Fn(u8) -> bool) -> String {
    let one = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("{marker}{byte:02X}") }
    };
    text.bytes().map(one).collect()
}

/// The text that was escaped with this marker; everything else stands for itself.
///
/// # Errors
/// What is expected, where a marker is not followed by two digits, and where the bytes are no UTF-8.
pub(super) fn unescape(text: &str, marker: u8) -> Result<Zeroizing<String>, &'static str> {
    let bytes = unescape_bytes(text, marker).ok_or(match marker {
        b'+' => "escaped in full (a + is followed by two hexadecimal digits)",
        _ => "escaped in full (a % is followed by two hexadecimal digits)",
    })?;
    std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| "escaped UTF-8")
}

fn unescape_bytes(text: &str, marker: u8) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = text.bytes();
    let mut read = Zeroizing::new(Vec::with_capacity(text.len()));
    while let Some(byte) = bytes.next() {
        if byte == marker {
            let (high, low) = (hex_digit(bytes.next()?)?, hex_digit(bytes.next()?)?);
            read.push(high << 4 | low);
        } else {
            read.push(byte);
        }
    }
    Some(read)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_marker_without_two_digits_and_bytes_that_are_no_text_are_refused() {
        for text in ["%", "%4", "%4g", "%+4", "a%", "%FF", "%C3"] {
            assert!(unescape(text, b'%').is_err(), "{text}");
        }
        assert_eq!(unescape("%C3%a9+2C", b'%').unwrap().as_str(), "é+2C");
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_read_as_the_same(text in any::<String>(), marker in "[%+]") {
            let escaped = escape(&text, marker.chars().next().unwrap(), |byte| byte.is_ascii_alphanumeric());
            let read = unescape(&escaped, marker.as_bytes()[0]).unwrap();
            prop_assert_eq!(read.as_str(), text);
        }
    }
}
