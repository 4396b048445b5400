//! How much a server sends in one piece: a bound on what it can make us keep. Pure.
//!
//! The XML parser above bounds a name and the value of an attribute, but neither the size of an element nor how deep
//! elements lie in each other. An element is kept until it is complete, so that without a bound of ours a server (or
//! before the login whoever poses as one) could fill the memory.

/// The most that a server has to say before a login: features, challenges, and generous spare.
const BEFORE_LOGIN: usize = 256 * 1024;

/// The largest element. Servers themselves accept a quarter of that from a client, and half from each other.
const ELEMENT: usize = 1024 * 1024;

/// Counts what comes in.
#[derive(Debug)]
pub(super) enum Meter {
    /// Nobody is logged in: everything counts.
    Total(usize),
    /// Elements count one by one.
    Elements(Scanner),
}

/// More came than is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

/// Follows XML far enough to know where the children of the root begin and end. Whether it is well-formed is the
/// parser's business: it gives up on what is not.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    place: Place,
    depth: usize,
    /// Bytes since the last child of the root was complete.
    size: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// Behind `<`.
    Opening,
    /// In a start tag, perhaps just behind a `/`.
    Start { slash: bool },
    /// In the value of an attribute, until this quote.
    Value(u8),
    /// In an end tag.
    End,
    /// In `<?…>`, which has no content.
    Declaration,
    /// Behind `<!`, with so many brackets seen: at the second of `<![CDATA[` it begins.
    Bang(u8),
    /// In a CDATA section, behind so many closing brackets.
    Cdata(u8),
}

impl Default for Meter {
    fn default() -> Self {
        Self::Total(0)
    }
}

impl Meter {
    /// From now on the server speaks to who it knows: the next thing it says is the header of a new stream.
    pub(super) fn logged_in(&mut self) {
        *self = Self::Elements(Scanner::default());
    }

    /// Counts `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), TooMuch> {
        match self {
            Self::Total(size) => {
                *size = size.saturating_add(bytes.len());
                if *size > BEFORE_LOGIN { Err(TooMuch) } else { Ok(()) }
            }
            Self::Elements(scanner) => bytes.iter().try_for_each(|byte| scanner.feed(*byte)),
        }
    }
}

impl Scanner {
    fn feed(&mut self, byte: u8) -> Result<(), TooMuch> {
        let before = self.place;
        self.place = before.next(byte);
        match (before, byte) {
            (Place::Start { slash: false }, b'>') => self.depth = self.depth.saturating_add(1),
            (Place::End, b'>') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.size = if self.depth <= 1 && self.place == Place::Text { 0 } else { self.size + 1 };
        if self.size > ELEMENT { Err(TooMuch) } else { Ok(()) }
    }
}

impl Place {
    fn next(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Text, b'<') => Self::Opening,
            (Self::Opening, b'/') => Self::End,
            (Self::Opening, b'?') => Self::Declaration,
            (Self::Opening, b'!') => Self::Bang(0),
            (Self::Bang(0), b'[') => Self::Bang(1),
            (Self::Bang(1), b'[') => Self::Cdata(0),
            (Self::Cdata(seen), b']') => Self::Cdata(2.min(seen + 1)),
            (Self::Start { .. } | Self::End | Self::Declaration | Self::Cdata(2), b'>') => Self::Text,
            (Self::Cdata(_), _) => Self::Cdata(0),
            (Self::Start { .. }, b'"' | b'\'') => Self::Value(byte),
            (Self::Value(quote), _) if quote != byte => self,
            (Self::Opening | Self::Start { .. } | Self::Value(_), _) => Self::Start { slash: byte == b'/' },
            (Self::Text | Self::End | Self::Declaration | Self::Bang(_), _) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const HEADER: &str = "<?xml version='1.0'?><stream:stream to='x' xmlns=\"jabber:client\">";

    fn after(text: &str) -> Meter {
        let mut meter = Meter::default();
        meter.logged_in();
        meter.feed(HEADER.as_bytes()).unwrap();
        meter.feed(text.as_bytes()).unwrap();
        meter
    }

    fn size(text: &str) -> usize {
        match after(text) {
            Meter::Elements(scanner) => scanner.size,
            Meter::Total(_) => unreachable!("it is logged in"),
        }
    }

    #[test]
    fn what_is_complete_no_longer_counts() {
        for complete in [
            "",
            " \n ",
            "<a/>",
            "<a b='>'/>",
            "<a b=\"/>'<\"><c/>text</a>",
            "<m><body>a &gt; b / c</body></m> <r xmlns='urn:xmpp:sm:3'/>",
            "<m><![CDATA[<x> ]] ]>]]]></m>",
            "<a b='/'></a>",
            "<a / ></a>",
        ] {
            assert_eq!(size(complete), 0, "{complete}");
        }
    }

    #[test]
    fn what_is_not_complete_counts() {
        for open in
            ["<a", "<a>", "<a><b/>", "<a>text", "<a b='>", "<a b='/>'", "<a><![CDATA[</a>", "<a><b></b>"]
        {
            assert_eq!(size(open), open.len(), "{open}");
            assert_eq!(size(&format!("<done/>{open}")), open.len(), "{open}");
        }
    }

    #[test]
    fn no_element_is_larger_than_the_bound_and_any_number_of_smaller_ones_may_follow_each_other() {
        let text = "x".repeat(ELEMENT - "<m>".len());
        let mut meter = after("");
        for _ in 0..3 {
            meter.feed(format!("<m>{text}</m>").as_bytes()).unwrap_err();
            meter = after("");
            meter.feed(format!("<m>{}</m>", &text[..ELEMENT / 2]).as_bytes()).unwrap();
            meter.feed(format!("<m>{}</m>", &text[..ELEMENT / 2]).as_bytes()).unwrap();
        }
        meter.feed(format!("<m>{text}").as_bytes()).unwrap();
        assert_eq!(meter.feed(b"x"), Err(TooMuch));
    }

    #[test]
    fn before_the_login_everything_counts() {
        let mut meter = Meter::default();
        meter.feed(&vec![b' '; BEFORE_LOGIN]).unwrap();
        assert_eq!(meter.feed(b" "), Err(TooMuch));
        meter.logged_in();
        assert_eq!(meter.feed(b" "), Ok(()));
    }
}
