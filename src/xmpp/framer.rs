//! Cuts what a server says into elements. Pure.

use std::collections::VecDeque;

use super::scanner::Scanner;

/// Collects the children of a stream's root, each as it was written.
#[derive(Debug)]
pub struct Framer {
    scanner: Scanner,
    /// As far as it has come.
    element: Vec<u8>,
    /// How long those before were, in bytes, the latest above all: in bulk the next one is as long, and need not grow step by
    /// step.
    usual: usize,
    complete: VecDeque<Vec<u8>>,
}

impl Framer {
    /// For what comes behind the header of a stream, or behind an element.
    #[must_use]
    pub fn between_elements() -> Self {
        Self {
            scanner: Scanner::between_elements(),
            element: Vec::new(),
            usual: 0,
            complete: VecDeque::new(),
        }
    }

    /// Takes what has come.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (run, rest) = bytes.split_at(self.scanner.advance(bytes));
            bytes = rest;
            if self.scanner.size() > 0 {
                if self.element.is_empty() {
                    self.element.reserve(self.usual);
                }
                self.element.extend_from_slice(run);
            } else if !self.element.is_empty() {
                self.element.extend_from_slice(run);
                self.usual = self.element.len().max(self.usual / 2);
                self.complete.push_back(std::mem::take(&mut self.element));
            }
        }
    }

    /// The next element that is complete; the end tag of the root is one, too.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        self.complete.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(pieces: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::between_elements();
        pieces.iter().for_each(|piece| framer.feed(piece));
        std::iter::from_fn(|| framer.pop())
            .map(|element| String::from_utf8_lossy(&element).into_owned())
            .collect()
    }

    const TEXT: &str = "<a/> \n<b x='>'>text<c/></b><m><![CDATA[</m>]]></m></stream:stream>";
    const ELEMENTS: [&str; 4] =
        ["<a/>", "<b x='>'>text<c/></b>", "<m><![CDATA[</m>]]></m>", "</stream:stream>"];

    #[test]
    fn elements_come_out_as_they_were_written_wherever_they_were_cut() {
        for cut in 0..TEXT.len() {
            let (first, second) = TEXT.as_bytes().split_at(cut);
            assert_eq!(elements(&[first, second]), ELEMENTS, "{cut}");
        }
        let bytes: Vec<&[u8]> = TEXT.as_bytes().chunks(1).collect();
        assert_eq!(elements(&bytes), ELEMENTS);
    }

    #[test]
    fn what_has_no_place_in_a_stream_comes_out_as_well_and_swallows_nothing() {
        let pieces = ["<!-- x -->", "<?x?>", "<!DOCTYPE x>"];
        for piece in pieces {
            assert_eq!(elements(&[piece.as_bytes(), b"<a/>"]), [piece, "<a/>"]);
        }
    }

    #[test]
    fn what_is_not_complete_stays_inside() {
        assert_eq!(elements(&[b"<a/><b>"]), ["<a/>"]);
        assert_eq!(elements(&[b" \n "]), [""; 0]);
    }
}
