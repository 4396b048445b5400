//! Scanner of XML: where elements begin and end in a stream. Pure.

/// Follows XML far enough to know where the children of the root begin and end. Whether it is well-formed is for the parser
/// to say, which gets each of them sooner or later.
#[derive(Clone, Debug, Default)]
pub(super) struct Scanner {
    state: State,
    depth: usize,
    /// Bytes since the last child of the root was complete.
    size: usize,
    /// Start tags that have ended since the present child of the root began, or the last one.
    tags: usize,
    /// Attributes that have begun since then.
    attributes: usize,
}

/// State of the scanner: what the last byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
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
    /// Behind `<!`, with so many brackets seen: at the second of `<![CDATA[` it begins. Everything else has no place in a
    /// stream, and is over at the next `>`.
    Bang(u8),
    /// In a CDATA section, behind so many closing brackets.
    Cdata(u8),
}

impl Scanner {
    /// In the stream already, behind its header or an element.
    pub(super) fn between_elements() -> Self {
        Self { depth: 1, ..Self::default() }
    }

    /// How many elements have begun and not ended.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Bytes since the last child of the root was complete.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many start tags the present child of the root has up to here; of the last one, when there is none.
    pub(super) fn tags(&self) -> usize {
        self.tags
    }

    /// How many start tags and attributes it has up to here: what it would cost as a tree.
    pub(super) fn pieces(&self) -> usize {
        self.tags + self.attributes
    }

    /// Whether the last byte was the `<` of a tag, or of anything else that begins so.
    pub(super) fn is_opening(&self) -> bool {
        self.state == State::Opening
    }

    /// Whether it is within a start tag.
    pub(super) fn is_in_start_tag(&self) -> bool {
        matches!(self.state, State::Start { .. } | State::Value(_))
    }

    /// Whether it is within the value of an attribute.
    pub(super) fn is_in_value(&self) -> bool {
        matches!(self.state, State::Value(_))
    }

    /// Whether it is within no tag, no declaration, no comment and no CDATA section.
    pub(super) fn is_in_text(&self) -> bool {
        self.state == State::Text
    }

    /// Goes on by at least one of `bytes`, of which there must be some, and says by how many. What changes nothing, which is
    /// nearly all that there is, is passed over at once.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> usize {
        match self.state.idle_run(bytes) {
            0 => {
                self.feed(bytes[0]);
                1
            }
            length => {
                self.state = self.state.next(bytes[length - 1]);
                self.note(length);
                length
            }
        }
    }

    fn feed(&mut self, byte: u8) {
        let before = self.state;
        self.state = before.next(byte);
        match (before, byte) {
            (State::Text, b'<') if self.size == 0 => (self.tags, self.attributes) = (0, 0),
            (State::Start { slash }, b'>') => {
                self.tags += 1;
                self.depth = self.depth.saturating_add(usize::from(!slash));
            }
            (State::Start { .. }, b'"' | b'\'') => self.attributes += 1,
            (State::End, b'>') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.note(1);
    }

    fn note(&mut self, bytes: usize) {
        self.size = if self.depth <= 1 && self.state == State::Text { 0 } else { self.size + bytes };
    }
}

impl State {
    /// How many of `bytes` lead nowhere else: behind them everything is as behind the last one alone.
    fn idle_run(self, bytes: &[u8]) -> usize {
        let run = match self {
            Self::Text => memchr::memchr(b'<', bytes),
            Self::Value(quote) => memchr::memchr(quote, bytes),
            Self::Start { .. } => memchr::memchr3(b'>', b'"', b'\'', bytes),
            Self::End => memchr::memchr(b'>', bytes),
            _ => Some(0),
        };
        run.unwrap_or(bytes.len())
    }

    fn next(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Text, b'<') => Self::Opening,
            (Self::Opening, b'/') => Self::End,
            (Self::Opening, b'?') => Self::Declaration,
            (Self::Opening, b'!') => Self::Bang(0),
            (Self::Bang(0), b'[') => Self::Bang(1),
            (Self::Bang(1), b'[') => Self::Cdata(0),
            (Self::Cdata(seen), b']') => Self::Cdata(2.min(seen + 1)),
            (Self::Start { .. } | Self::End | Self::Declaration | Self::Bang(_) | Self::Cdata(2), b'>') => {
                Self::Text
            }
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
    use super::*;
    use proptest::prelude::*;

    fn after(text: &str) -> Scanner {
        let mut scanner = Scanner::default();
        let text = format!("<?xml version='1.0'?><stream:stream to='x' xmlns=\"jabber:client\">{text}");
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            rest = &rest[scanner.advance(rest)..];
        }
        scanner
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
            assert_eq!(after(complete).size(), 0, "{complete}");
        }
    }

    #[test]
    fn what_is_not_complete_counts() {
        for open in
            ["<a", "<a>", "<a><b/>", "<a>text", "<a b='>", "<a b='/>'", "<a><![CDATA[</a>", "<a><b></b>"]
        {
            assert_eq!(after(open).size(), open.len(), "{open}");
            assert_eq!(after(&format!("<done/>{open}")).size(), open.len(), "{open}");
        }
    }

    #[test]
    fn start_tags_and_attributes_are_counted_element_by_element() {
        for (text, tags, pieces) in [
            ("<a/>", 1, 1),
            ("<a b='<c d=' e=\"'\"><f/>'g'</a>", 2, 4),
            ("<a b='1'><c", 1, 2),
            ("<a b='1'/><c", 0, 0),
            ("<a><![CDATA[<b c='1'>]]><!-- <d -->", 1, 1),
        ] {
            let scanner = after(text);
            assert_eq!((scanner.tags(), scanner.pieces()), (tags, pieces), "{text}");
        }
    }

    proptest! {
        #[test]
        fn wherever_it_is_cut_it_stands_where_it_would_byte_by_byte(
            text in "(<|>|/|'|\"|\\[|\\]|!|\\?|a|=| |<a|</a>|<a b='|<!\\[CDATA\\[|\\]\\]>){0,30}",
            cuts in prop::collection::vec(1..6usize, 120),
        ) {
            let (mut slow, mut fast) = (Scanner::between_elements(), Scanner::between_elements());
            let (mut rest, mut cuts) = (text.as_bytes(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let piece = &rest[..rest.len().min(cuts.next().unwrap_or(1))];
                let (run, behind) = rest.split_at(fast.advance(piece));
                run.iter().for_each(|byte| slow.feed(*byte));
                let stands = |scanner: &Scanner| (scanner.state, scanner.depth, scanner.size, scanner.pieces());
                prop_assert_eq!(stands(&fast), stands(&slow));
                rest = behind;
            }
        }
    }
}
