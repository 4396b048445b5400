//! Fields: child elements with a name and text and nothing else, one behind the other. Pure.

use super::attributes::{are_plain, cut};
use super::is_plain_name;

/// 16 fields at most, twice as many as a payload of ours has: each is looked up by going through all.
const MOST_FIELDS: usize = 16;

/// Names and texts of the fields that `inside` consists of, in their order; none when it is anything else, or not written in the
/// plainest way.
pub(super) fn read(inside: &[u8]) -> Option<Vec<(&str, &str)>> {
    if !inside.starts_with(b"<") {
        return None;
    }
    let mut rest = str::from_utf8(inside).ok()?;
    let mut fields = Vec::with_capacity(MOST_FIELDS);
    while !rest.is_empty() {
        let (name, text, behind) = first(rest)?;
        if fields.len() == MOST_FIELDS {
            return None;
        }
        fields.push((name, text));
        rest = behind;
    }
    Some(fields)
}

/// The name and the text of the first field, and what is behind it.
fn first(inside: &str) -> Option<(&str, &str, &str)> {
    let (name, behind) = cut(inside.strip_prefix('<')?, b'>')?;
    let (text, end) = behind.split_at_checked(memchr::memchr(b'<', behind.as_bytes())?)?;
    let behind = end.strip_prefix("</")?.strip_prefix(name)?.strip_prefix('>')?;
    let is_plain = are_plain(text.as_bytes()) && memchr::memchr(b'>', text.as_bytes()).is_none();
    (is_plain && is_plain_name(name)).then_some((name, text, behind))
}
