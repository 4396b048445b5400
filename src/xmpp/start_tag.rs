//! Start tags without what no answer depends on, for those that are too long to be kept. Pure.

/// The attributes that answers depend on: of a stanza, who asks and how; of what is in it, what is asked for. And the one that
/// says what the prefix of the tag's own name means.
const NEEDED: [&[u8]; 5] = [b"id", b"type", b"from", b"xmlns", b"node"];

/// The most bytes of a name that are kept: of an element of which nothing else is, and of an attribute's name that has not ended.
pub(super) const NAME: usize = 64;

/// What is left of a start tag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Thinned {
    pub(super) kept: Vec<u8>,
    pub(super) end: End,
}

/// Where the tag ends, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// In what is kept.
    Kept,
    /// In the name of an attribute that is left out.
    Name,
    /// In the value of one.
    Value,
}

/// `tag`, which begins with its bracket and may have ended or not, without what is not needed; none when its name is too long.
pub(super) fn thin(tag: &[u8]) -> Option<Thinned> {
    let name = name_of(tag);
    if name.len() > NAME {
        return None;
    }
    if tag.len() <= 1 + name.len() {
        // The name may go on.
        return Some(Thinned { kept: tag.to_vec(), end: End::Kept });
    }
    let (head, mut rest) = tag.split_at(1 + name.len());
    let mut kept = [head, b" "].concat();
    let end = loop {
        rest = rest.trim_ascii_start();
        let Some(quote) = memchr::memchr2(b'"', b'\'', rest) else {
            break if rest.len() > NAME { End::Name } else { keep(&mut kept, rest) };
        };
        let is_needed = is_needed(name, name_before(&rest[..quote]));
        let Some(length) = memchr::memchr(rest[quote], &rest[quote + 1..]) else {
            break if is_needed { keep(&mut kept, rest) } else { End::Value };
        };
        let (attribute, behind) = rest.split_at(quote + 1 + length + 1);
        if is_needed {
            kept.extend_from_slice(attribute);
            kept.push(b' ');
        }
        rest = behind;
    };
    Some(Thinned { kept, end })
}

fn keep(kept: &mut Vec<u8>, rest: &[u8]) -> End {
    kept.extend_from_slice(rest);
    End::Kept
}

/// The name of the attribute that this stands before the value of.
fn name_before(value: &[u8]) -> &[u8] {
    let name = value.trim_ascii_end();
    name.strip_suffix(b"=").unwrap_or(name).trim_ascii()
}

fn is_needed(tag: &[u8], attribute: &[u8]) -> bool {
    let prefix = attribute.strip_prefix(b"xmlns:");
    let declares = |prefix: &[u8]| tag.strip_prefix(prefix).is_some_and(|local| local.starts_with(b":"));
    NEEDED.contains(&attribute) || prefix.is_some_and(declares)
}

/// Whether the start tag with which an element begins has an attribute of this name.
pub(super) fn has_attribute(element: &[u8], name: &[u8]) -> bool {
    let mut rest = element.get(1 + name_of(element).len()..).unwrap_or_default();
    // The next quote is that of a value unless the tag ends before.
    while let Some(quote) = memchr::memchr3(b'"', b'\'', b'>', rest).filter(|at| rest[*at] != b'>') {
        if name_before(&rest[..quote]) == name {
            return true;
        }
        let value = &rest[quote + 1..];
        let Some(end) = memchr::memchr(rest[quote], value) else { return false };
        rest = &value[end + 1..];
    }
    false
}

/// The name in a tag, with its prefix, from the bytes that begin with the tag.
pub(super) fn name_of(tag: &[u8]) -> &[u8] {
    let name = tag.strip_prefix(b"<").unwrap_or(tag);
    let end = name.iter().position(|byte| matches!(byte, b'/' | b'>') || byte.is_ascii_whitespace());
    &name[..end.unwrap_or(name.len())]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn thinned(tag: &str) -> (String, End) {
        let Thinned { kept, end } = thin(tag.as_bytes()).unwrap();
        (String::from_utf8(kept).unwrap(), end)
    }

    #[test]
    fn what_answers_depend_on_is_kept_and_nothing_else() {
        for (tag, kept) in [
            ("<iq a='>' id='1' to='b' type = \"get\" from='\"'>", "<iq id='1' type = \"get\" from='\"' >"),
            ("<p:q xmlns:p='x' xmlns:pp='y' p:id='1' xmlns='z'/>", "<p:q xmlns:p='x' xmlns='z' />"),
            ("<q\n\tnode\r=\n'x'\n>", "<q node\r=\n'x' >"),
            ("<q>", "<q >"),
            ("<q a='1'b='2'node='3'", "<q node='3' "),
        ] {
            assert_eq!(thinned(tag), (kept.to_owned(), End::Kept), "{tag}");
        }
    }

    #[test]
    fn it_is_known_where_a_tag_that_has_not_ended_stands() {
        let long = "n".repeat(NAME + 1);
        for (tag, kept, end) in [
            ("", "", End::Kept),
            ("<", "<", End::Kept),
            ("<iq", "<iq", End::Kept),
            ("<iq ", "<iq ", End::Kept),
            ("<iq id='1' fro", "<iq id='1' fro", End::Kept),
            ("<iq a='1' id='", "<iq id='", End::Kept),
            ("<iq id='1' a='x", "<iq id='1' ", End::Value),
            (&format!("<iq id='1' {long}"), "<iq id='1' ", End::Name),
            (&format!("<iq id='1' {}", " ".repeat(1000)), "<iq id='1' ", End::Kept),
        ] {
            assert_eq!(thinned(tag), (kept.to_owned(), end), "{tag}");
        }
        assert_eq!(thin(format!("<{long} id='1'>").as_bytes()), None);
    }

    #[test]
    fn an_attribute_is_found_in_its_own_tag_and_in_no_value() {
        for tag in ["<a b=''>", "<a c='1' b = '>'/>", "<a\nb=\"\">", "<a c='1'b='2'>"] {
            assert!(has_attribute(tag.as_bytes(), b"b"), "{tag}");
        }
        for tag in [
            "",
            "<",
            "<a",
            "<a>",
            "<a/>",
            "<b>b=''</b>",
            "<a><c b=''/></a>",
            "<a c=\" b='x'\">",
            "<a x:b=''>",
            "<a bb=''>",
            "<a c='",
        ] {
            assert!(!has_attribute(tag.as_bytes(), b"b"), "{tag}");
        }
    }

    proptest! {
        #[test]
        fn what_is_thinned_twice_is_thinned_once(tag in "<[a-b:]{1,3} ( |=|'|\"|id|xmlns:a|node|x|/|é){0,40}>?") {
            let once = thin(tag.as_bytes()).unwrap();
            let again = thin(&once.kept).unwrap();
            prop_assert_eq!(again.kept, once.kept);
        }
    }
}
