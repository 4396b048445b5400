//! Attributes of one tag, where they are written in the plainest way. Pure.

/// 8 attributes of one tag at most: an IQ of a server's has 6, and each is compared with all others.
const MOST_ATTRIBUTES: usize = 8;

/// The attributes of one tag, in their order, as they are written: names and values.
#[derive(Default)]
pub struct Attributes<'a> {
    known: [(&'a str, &'a str); MOST_ATTRIBUTES],
    count: usize,
}

impl<'a> Attributes<'a> {
    /// None when there is anything about them that is not plain: an entity, a name that comes twice, …
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        if !are_plain(bytes) {
            return None;
        }
        let mut all = Self::default();
        let mut rest = str::from_utf8(bytes).ok()?.trim_ascii();
        while !rest.is_empty() {
            let (name, value, behind) = first_attribute(rest)?;
            if all.get(name).is_some() {
                return None;
            }
            *all.known.get_mut(all.count)? = (name, value);
            all.count += 1;
            rest = if behind.is_empty() { behind } else { behind.strip_prefix(' ')? };
        }
        Some(all)
    }

    /// The value of the attribute of this name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    pub(super) fn all(&self, is_so: impl Fn(&'a str) -> bool) -> bool {
        self.iter().all(|(name, _)| is_so(name))
    }

    fn iter(&self) -> impl Iterator<Item = &(&'a str, &'a str)> {
        self.known.iter().take(self.count)
    }
}

/// The name and the value of the first attribute, and what is behind it.
fn first_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (name, behind) = cut(text, b'=')?;
    let quote = *behind.as_bytes().first().filter(|quote| matches!(quote, b'\'' | b'"'))?;
    let (value, behind) = cut(behind.get(1..)?, quote)?;
    Some((name, value, behind))
}

/// What is before this byte, an ASCII character, and what is behind it.
pub(super) fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let (before, rest) = text.split_at_checked(memchr::memchr(at, text.as_bytes())?)?;
    Some((before, rest.get(1..)?))
}

/// Whether each byte means itself. All are looked at, also behind one that does not: so the compiler can look at many at once.
pub(super) fn are_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |are_plain, byte| are_plain & stands_for_itself(*byte))
}

/// Whether a byte means itself in the value of an attribute, or in a text. Control characters are either changed by a parser or not allowed
/// at all, and so are some of the characters that begin with 0xef, all of which are rare.
fn stands_for_itself(byte: u8) -> bool {
    (byte >= 0x20) & (byte != b'&') & (byte != b'<') & (byte != 0xef)
}
