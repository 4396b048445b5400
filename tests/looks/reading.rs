//! Reader of stanzas without the limits of a client: whatever a server sends, however long or deep.

use std::collections::VecDeque;

use xmpp_parsers::minidom::Element;
use xmpp_parsers::minidom::rxml::{Options, RawReader};
use xmpp_parsers::minidom::tree_builder::TreeBuilder;
use xmpp_parsers::ns;

/// Cuts what a server sends behind the header of its stream into elements.
///
/// Servers send neither comments nor declarations nor CDATA sections there.
#[derive(Default)]
pub(crate) struct Cutter {
    element: Vec<u8>,
    depth: usize,
    state: State,
    complete: VecDeque<Vec<u8>>,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Text,
    Opening,
    Start {
        slash: bool,
    },
    Value(u8),
    End,
}

impl Cutter {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.feed_byte(*byte));
    }

    /// The next element that is complete; also the end tag of the stream.
    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.complete.pop_front()
    }

    fn feed_byte(&mut self, byte: u8) {
        self.element.push(byte);
        let before = self.state;
        self.state = before.next(byte);
        match (before, byte) {
            (State::Start { slash: false }, b'>') => self.depth += 1,
            (State::Start { slash: true }, b'>') => {}
            (State::End, b'>') => self.depth = self.depth.saturating_sub(1),
            (State::Text, _) if self.depth == 0 && byte != b'<' => return self.element.clear(),
            _ => return,
        }
        if self.depth == 0 {
            self.complete.push_back(std::mem::take(&mut self.element));
        }
    }
}

impl State {
    fn next(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Text, b'<') => Self::Opening,
            (Self::Opening, b'/') => Self::End,
            (Self::Start { .. } | Self::End, b'>') => Self::Text,
            (Self::Start { .. }, b'"' | b'\'') => Self::Value(byte),
            (Self::Value(quote), _) if quote != byte => self,
            (Self::Opening | Self::Start { .. } | Self::Value(_), _) => Self::Start { slash: byte == b'/' },
            (Self::Text | Self::End, _) => self,
        }
    }
}

/// The tree of a client's stanza; none if it cannot be read.
pub(crate) fn read(xml: &[u8]) -> Option<Element> {
    let options = Options { max_token_length: xml.len().max(64), ..Options::default() };
    let mut reader = RawReader::with_options(xml, options);
    let mut tree = TreeBuilder::new().with_prefixes_stack(vec![ns::JABBER_CLIENT.to_owned().into()]);
    while tree.root.is_none() {
        tree.process_event(reader.read().ok()??).ok()?;
    }
    tree.root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_cut_where_they_end_and_read_however_long_and_deep_they_are() {
        let deep = format!("<a>{}{}</a>", "<b>".repeat(500), "</b>".repeat(500));
        let long = format!("<iq id='{}>\"/'/>", "x".repeat(100_000));
        let mut cutter = Cutter::default();
        let text = format!(" {deep}\n{long}<c d=\"/>'\">text</c></stream:stream>");
        text.as_bytes().chunks(7).for_each(|piece| cutter.feed(piece));
        let elements: Vec<_> = std::iter::from_fn(|| cutter.pop()).collect();
        assert_eq!(elements.len(), 4);
        assert_eq!(elements[0], deep.as_bytes());
        assert_eq!(read(&elements[1]).unwrap().attr("id").unwrap().len(), 100_003);
        assert_eq!(read(&elements[2]).unwrap().text(), "text");
        assert_eq!(read(&elements[3]), None);
    }
}
