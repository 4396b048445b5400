//! Framer: cuts what a server says into elements, and bounds what each of them may cost. Pure.
//!
//! Anybody with an account somewhere can have a server pass on a stanza that is large, deep or made of very many small
//! pieces. Such a stanza must not end the connection: whoever sent it could keep an account off for good. It must not cost
//! much either, and still get the answer that an ordinary client gives. So here, before any tree is built,
//!
//! - what lies deeper than `DEPTH` levels is left out: nothing that is answered depends on it;
//! - of an element that is too large, or has more than `MAX_ELEMENT_PIECES` tags and attributes, only the head is kept: its own
//!   start tag and that of its first child, which say who asks for what; of these, if they are what is too large, only the
//!   attributes that an answer depends on;
//! - only what goes on for more than `ENDLESS` bytes is a reason to hang up: no server passes on such a thing.

use std::collections::VecDeque;

use super::scanner::Scanner;
pub(super) use super::start_tag::name_of;
use super::start_tag::{self, End, NAME, Thinned};

/// The deepest level that is kept, a stanza being level 1. Forwarded and archived messages reach a dozen, and trees are taken
/// apart by recursion.
const DEPTH: usize = 50;

/// The most start tags and attributes that an element is kept whole with. In a tree each of them takes up to 500 bytes,
/// however short it was: 2 MB for the most, where a quarter of a megabyte of `<a/>` would take 30 MB.
const MAX_ELEMENT_PIECES: usize = 4096;

/// The most bytes in which an element has to end, 16 MiB: thirty times what servers accept from each other, and the most that
/// `max_stanza` can be set to.
const ENDLESS: usize = 16 * 1024 * 1024;

/// A child of a stream's root, or what ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// An element as it was written, except for what lay too deep in it.
    Whole(Vec<u8>),
    /// The start of one that was too much: its start tag and all up to the end of the first start tag in it, or what is needed of
    /// these. Of one of which even that was too large, a part of its name.
    Head(Vec<u8>),
    /// The end tag of the root.
    End(Vec<u8>),
}

/// An element goes on without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endless;

/// Collects the children of a stream's root.
#[derive(Debug)]
pub struct Framer {
    scanner: Scanner,
    /// The most bytes of an element that is kept whole.
    max_stanza: usize,
    /// What is kept of the present element, as far as it has come.
    element: Vec<u8>,
    keeping: Keeping,
    /// Whether something is missing in the head that is kept.
    is_cut: bool,
    /// Where its last `<` stands in what is kept.
    opened: usize,
    /// Where its first two start tags end there.
    tag_ends: [usize; 2],
    /// How many of these are known.
    tags: usize,
    /// How long those before were, in bytes, the latest above all: in bulk the next one is as long, and need not grow step by
    /// step.
    usual: usize,
    complete: VecDeque<Piece>,
}

/// What is kept of what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    Everything,
    /// Nothing until a child that lies too deep has ended.
    NotThisChild,
    /// Nothing until an attribute has ended of whose name a part has come.
    NotThisAttribute,
    /// Nothing until the value of an attribute has ended.
    NotThisValue,
    /// Nothing until something begins that may be a tag.
    NotThisText,
    /// Nothing more of this element.
    Nothing,
}

impl Framer {
    /// For a stream that has not begun: its header comes out as an element, too. Elements of more than `max_stanza` bytes
    /// are not kept whole.
    #[must_use]
    pub fn new(max_stanza: usize) -> Self {
        Self::with(Scanner::default(), max_stanza)
    }

    /// For what comes behind the header of a stream, or behind an element.
    #[must_use]
    pub fn between_elements(max_stanza: usize) -> Self {
        Self::with(Scanner::between_elements(), max_stanza)
    }

    fn with(scanner: Scanner, max_stanza: usize) -> Self {
        Self {
            scanner,
            max_stanza,
            element: Vec::new(),
            keeping: Keeping::Everything,
            is_cut: false,
            opened: 0,
            tag_ends: [0; 2],
            tags: 0,
            usual: 0,
            complete: VecDeque::new(),
        }
    }

    /// Takes what has come.
    ///
    /// # Errors
    ///
    /// An element has gone on for so long that it is none.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Endless> {
        while !bytes.is_empty() {
            if let Some(length) = self.take_ordinary(bytes) {
                bytes = &bytes[length..];
                continue;
            }
            let (run, rest) = bytes.split_at(self.scanner.advance(bytes));
            bytes = rest;
            if self.scanner.size() > 0 {
                self.grow(run);
                if self.scanner.size() > ENDLESS {
                    return Err(Endless);
                }
            } else if !self.element.is_empty() {
                self.complete(run);
            }
        }
        Ok(())
    }

    /// Takes the element with which `bytes` begin in one go, if it is all there and nothing of it is to be left out: so nearly all of
    /// them come. How many bytes it has.
    fn take_ordinary(&mut self, bytes: &[u8]) -> Option<usize> {
        if !bytes.starts_with(b"<") || self.scanner.size() > 0 {
            return None;
        }
        let mut scanner = self.scanner.clone();
        let mut length = scanner.advance(bytes);
        while scanner.size() > 0 {
            let rest = bytes.get(length..).filter(|rest| !rest.is_empty())?;
            length += scanner.advance(rest);
            if scanner.depth() > DEPTH || scanner.pieces() > MAX_ELEMENT_PIECES {
                return None;
            }
        }
        if length > self.max_stanza {
            return None;
        }
        self.scanner = scanner;
        self.push(Keeping::Everything, bytes[..length].to_vec());
        Some(length)
    }

    /// The next element that is complete; the end tag of the root is one, too.
    pub fn pop(&mut self) -> Option<Piece> {
        self.complete.pop_front()
    }

    fn grow(&mut self, run: &[u8]) {
        if !self.goes_on() {
            return;
        }
        if self.element.is_empty() {
            self.element.reserve(self.usual);
            (self.opened, self.tags) = (0, 0);
        }
        self.element.extend_from_slice(run);
        if self.scanner.is_opening() {
            self.opened = self.element.len() - 1;
        } else if self.scanner.depth() > DEPTH && self.scanner.is_in_start_tag() {
            self.element.truncate(self.opened);
            self.keeping = Keeping::NotThisChild;
        }
        if self.tags < 2 {
            self.note_tag();
        }
        if self.is_cut && self.tags == 2 {
            self.finish_cut();
        } else if self.tags == 2 && self.scanner.pieces() > MAX_ELEMENT_PIECES {
            self.keep_head();
        } else if self.element.len() > self.max_stanza {
            self.cut();
        }
    }

    /// Ends what is left out, if it has ended with what has come last; whether that is kept.
    fn goes_on(&mut self) -> bool {
        let (has_ended, with_the_last) = match self.keeping {
            Keeping::Everything => return true,
            Keeping::Nothing => return false,
            Keeping::NotThisChild => (self.scanner.is_in_text() && self.scanner.depth() == DEPTH + 1, false),
            Keeping::NotThisAttribute if self.scanner.is_in_value() => {
                self.keeping = Keeping::NotThisValue;
                return false;
            }
            // It has no value, and the tag has ended.
            Keeping::NotThisAttribute => (!self.scanner.is_in_start_tag(), true),
            Keeping::NotThisValue => (!self.scanner.is_in_value(), false),
            Keeping::NotThisText => (self.scanner.is_opening(), true),
        };
        if has_ended {
            self.keeping = Keeping::Everything;
        }
        has_ended && with_the_last
    }

    /// Remembers where a start tag has ended.
    fn note_tag(&mut self) {
        if self.scanner.tags() > self.tags
            && let Some(end) = self.tag_ends.get_mut(self.tags)
        {
            *end = self.element.len();
            self.tags += 1;
        }
    }

    /// Of an element that is too large, keeps what is needed of its head, if that is no more than half of what may be kept: so
    /// each byte that comes is looked at a few times at most.
    fn cut(&mut self) {
        match self.thinned() {
            Some((first, second)) if first.len() + second.kept.len() <= self.max_stanza / 2 => {
                self.tag_ends[0] = first.len();
                self.opened = first.len();
                self.element = [first, second.kept].concat();
                self.is_cut = true;
                self.keeping = match second.end {
                    End::Name => Keeping::NotThisAttribute,
                    End::Value => Keeping::NotThisValue,
                    End::Kept if self.is_in_tag() => Keeping::Everything,
                    End::Kept => Keeping::NotThisText,
                };
            }
            _ => self.keep_head(),
        }
    }

    /// What is needed of the first start tag, if it has ended, and of the present one; none when that is not all of the head.
    fn thinned(&self) -> Option<(Vec<u8>, Thinned)> {
        match self.tags {
            0 if self.is_in_tag() => Some((Vec::new(), start_tag::thin(&self.element)?)),
            1 => {
                let first = start_tag::thin(&self.element[..self.tag_ends[0]])?.kept;
                let present = if self.is_in_tag() { &self.element[self.opened..] } else { &[] };
                Some((first, start_tag::thin(present)?))
            }
            _ => None,
        }
    }

    /// Keeps what is needed of the tags of a head that was cut, also of what came behind the last cut.
    fn finish_cut(&mut self) {
        let second = if self.tags == 2 { &self.element[self.opened..self.tag_ends[1]] } else { &[] };
        let needed = [&self.element[..self.tag_ends[0]], second].map(start_tag::thin);
        match needed {
            [Some(first), Some(second)]
                if self.tags > 0 && first.kept.len() + second.kept.len() <= self.max_stanza / 2 =>
            {
                self.element = [first.kept, second.kept].concat();
                self.tag_ends[self.tags - 1] = self.element.len();
            }
            _ => self.tags = self.tags.min(1),
        }
        self.keep_head();
    }

    /// Whether what has come last belongs to a start tag, or may.
    fn is_in_tag(&self) -> bool {
        self.scanner.is_in_start_tag() || self.scanner.is_opening()
    }

    /// Forgets all of the element but its head, and keeps nothing of what follows.
    fn keep_head(&mut self) {
        let end = match self.tags {
            0 => name_of(&self.element).len().min(NAME) + 1,
            tags => self.tag_ends[tags - 1],
        };
        self.element.truncate(end);
        self.element.shrink_to_fit();
        self.is_cut = false;
        self.keeping = Keeping::Nothing;
    }

    fn complete(&mut self, run: &[u8]) {
        if self.keeping == Keeping::Everything {
            self.element.extend_from_slice(run);
            self.note_tag();
            if self.element.len() > self.max_stanza || self.scanner.pieces() > MAX_ELEMENT_PIECES {
                self.keep_head();
            }
        }
        if self.is_cut {
            self.finish_cut();
        }
        let kept = std::mem::replace(&mut self.keeping, Keeping::Everything);
        let element = std::mem::take(&mut self.element);
        self.push(kept, element);
    }

    /// An element is complete.
    fn push(&mut self, kept: Keeping, element: Vec<u8>) {
        self.usual = element.len().max(self.usual / 2);
        self.complete.push_back(match kept {
            Keeping::Nothing => Piece::Head(element),
            _ if self.scanner.depth() == 0 && element.starts_with(b"</") => Piece::End(element),
            _ => Piece::Whole(element),
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 1000;

    fn pieces_by(cut: usize, text: &str) -> Vec<Piece> {
        let mut framer = Framer::between_elements(MAX);
        text.as_bytes().chunks(cut).for_each(|chunk| framer.feed(chunk).unwrap());
        std::iter::from_fn(|| framer.pop()).collect()
    }

    /// However it is cut.
    fn pieces(text: &str) -> Vec<Piece> {
        let pieces = pieces_by(text.len().max(1), text);
        for cut in [1, 2, 3, 7, 100] {
            assert_eq!(pieces_by(cut, text), pieces, "{cut}");
        }
        pieces
    }

    fn whole(text: &str) -> Piece {
        Piece::Whole(text.as_bytes().to_vec())
    }

    fn head(text: &str) -> Piece {
        Piece::Head(text.as_bytes().to_vec())
    }

    const TEXT: &str = "<a/> \n<b x='>'>text<c/></b><m><![CDATA[</m>]]></m></stream:stream>";

    #[test]
    fn elements_come_out_as_they_were_written_wherever_they_were_cut() {
        let expected = [
            whole("<a/>"),
            whole("<b x='>'>text<c/></b>"),
            whole("<m><![CDATA[</m>]]></m>"),
            Piece::End(b"</stream:stream>".to_vec()),
        ];
        assert_eq!(pieces(TEXT), expected);
        for cut in 0..TEXT.len() {
            let mut framer = Framer::between_elements(MAX);
            let (first, second) = TEXT.as_bytes().split_at(cut);
            framer.feed(first).unwrap();
            framer.feed(second).unwrap();
            assert_eq!(std::iter::from_fn(|| framer.pop()).collect::<Vec<_>>(), expected, "{cut}");
        }
    }

    #[test]
    fn the_header_of_a_stream_is_a_piece_by_itself() {
        let mut framer = Framer::new(MAX);
        framer.feed(b"<?xml version='1.0'?><s:stream xmlns:s='x'><a/>").unwrap();
        let pieces: Vec<_> = std::iter::from_fn(|| framer.pop()).collect();
        assert_eq!(pieces, [whole("<?xml version='1.0'?>"), whole("<s:stream xmlns:s='x'>"), whole("<a/>")]);
    }

    #[test]
    fn what_has_no_place_in_a_stream_comes_out_as_well_and_swallows_nothing() {
        for piece in ["<!-- x -->", "<?x?>", "<!DOCTYPE x>"] {
            assert_eq!(pieces(&format!("{piece}<a/>")), [whole(piece), whole("<a/>")]);
        }
    }

    #[test]
    fn what_is_not_complete_stays_inside() {
        assert_eq!(pieces("<a/><b>"), [whole("<a/>")]);
        assert_eq!(pieces(" \n "), []);
    }

    /// Level by level, the innermost empty.
    fn nested(levels: usize) -> String {
        format!("{}<e/>{}", "<d>".repeat(levels - 1), "</d>".repeat(levels - 1))
    }

    #[test]
    fn what_lies_too_deep_is_left_out_and_nothing_beside_it() {
        assert_eq!(pieces(&nested(DEPTH)), [whole(&nested(DEPTH))]);
        let hollow = format!("{}{}", "<d>".repeat(DEPTH), "</d>".repeat(DEPTH));
        for levels in [DEPTH + 1, DEPTH + 2, 200] {
            assert_eq!(pieces(&nested(levels)), [whole(&hollow)], "{levels}");
        }
        let open = "<d>".repeat(DEPTH);
        let close = "</d>".repeat(DEPTH);
        let text = format!("{open}a<e b='/>'><f/>x<![CDATA[</e>]]></e>b<g/>c<!-- <h> -->{close}<after/>");
        assert_eq!(pieces(&text), [whole(&format!("{open}abc<!-- <h> -->{close}")), whole("<after/>")]);
    }

    #[test]
    fn depth_costs_nothing_however_much_of_it_there_is() {
        let mut framer = Framer::between_elements(MAX);
        for _ in 0..100_000 {
            framer.feed(b"<d>").unwrap();
        }
        assert_eq!(framer.element.len(), 3 * DEPTH);
        for _ in 0..100_000 {
            framer.feed(b"</d>").unwrap();
        }
        framer.feed(b"<after/>").unwrap();
        assert_eq!(framer.complete.len(), 2);
    }

    #[test]
    fn of_an_element_that_is_too_large_the_first_two_start_tags_are_kept() {
        let long = "x".repeat(MAX);
        for (text, kept) in [
            (format!("<iq id='1'><q a='>'>{long}</q></iq>"), "<iq id='1'><q a='>'>"),
            (format!("<iq id='1'>\n<q/>{long}</iq>"), "<iq id='1'>\n<q/>"),
            (format!("<iq id='1'><q>{}</q></iq>", "<r/>".repeat(MAX)), "<iq id='1'><q>"),
            (format!("<iq id='1'>{long}<q/></iq>"), "<iq id='1' ><q />"),
            (format!("<iq id='1'>{long}<![CDATA[<r/>]]><!-- <r/> -->{long}<q/></iq>"), "<iq id='1' ><q />"),
            (format!("<iq id='1'>{long}</iq>"), "<iq id='1' >"),
            (format!("<iq id='1'><q a='{long}'/></iq>"), "<iq id='1' ><q />"),
            (format!("<iq id='1'><q node='{long}'/></iq>"), "<iq id='1'>"),
            (format!("<iq id='{long}'><q/></iq>"), "<iq"),
            (format!("<iq id='{long}'/>"), "<iq"),
        ] {
            assert_eq!(pieces(&format!("{text}<after/>")), [head(kept), whole("<after/>")]);
        }
        let name = "n".repeat(2 * MAX);
        assert_eq!(pieces(&format!("<{name}/>")), [head(&format!("<{}", &name[..NAME]))]);
    }

    #[test]
    fn of_a_start_tag_that_is_too_large_what_is_needed_is_kept_wherever_it_stands() {
        let long = "'".repeat(MAX);
        let many: String = (0..MAX).map(|n| format!(" a{n}='{n}'")).collect();
        let name = "n".repeat(MAX);
        for other in [format!(" a=\"{long}\""), many, format!(" {name}='1'"), " ".repeat(MAX)] {
            for (text, kept) in [
                (format!("<iq{other} id='1'{other} type='get'><q/></iq>"), "<iq id='1' type='get' ><q />"),
                (format!("<iq id='1'{other}><q xmlns='x'{other}/></iq>"), "<iq id='1' ><q xmlns='x' />"),
                (
                    format!("<iq id='1' b='2'><p:q{other} xmlns:p='x'></p:q></iq>"),
                    "<iq id='1' ><p:q xmlns:p='x' >",
                ),
                (format!("<presence type='subscribe'{other}/>"), "<presence type='subscribe' />"),
            ] {
                assert_eq!(pieces(&format!("{text}<after/>")), [head(kept), whole("<after/>")], "{text}");
            }
        }
    }

    #[test]
    fn what_is_needed_is_kept_wherever_in_the_head_it_gets_too_large() {
        let end = "<query node='1' xmlns='x'/>";
        for length in MAX - 2 * end.len()..MAX {
            let start = format!("<iq a='{}' id='1'>{end}", "x".repeat(length));
            let text = format!("{start}</iq>");
            let expected = match () {
                () if text.len() <= MAX => whole(&text),
                // The last bracket does not need to fit.
                () if start.len() <= MAX + 1 => head(&start),
                () => head("<iq id='1' ><query node='1' xmlns='x' />"),
            };
            assert_eq!(pieces(&text), [expected], "{length}");
        }
    }

    #[test]
    fn an_element_of_just_the_largest_size_is_kept_whole() {
        let fits = format!("<m>{}</m>", "x".repeat(MAX - 7));
        assert_eq!(pieces(&fits), [whole(&fits)]);
        assert_eq!(pieces(&format!("<m>{}</m>", "x".repeat(MAX - 6))), [head("<m>")]);
    }

    #[test]
    fn of_an_element_in_many_pieces_the_head_is_kept_and_its_attributes_all() {
        let mut framer = Framer::between_elements(usize::MAX);
        let attributes: String = (0..MAX_ELEMENT_PIECES).map(|n| format!(" a{n}=''")).collect();
        for (text, kept) in [
            (format!("<iq><q>{}</q></iq>", "<r/>".repeat(MAX_ELEMENT_PIECES)), "<iq><q>".to_owned()),
            (format!("<iq{attributes}><q/><r/></iq>"), format!("<iq{attributes}><q/>")),
            (format!("<iq><q{attributes}/></iq>"), format!("<iq><q{attributes}/>")),
            (format!("<iq{attributes}/>"), format!("<iq{attributes}/>")),
        ] {
            framer.feed(text.as_bytes()).unwrap();
            assert_eq!(framer.pop(), Some(head(&kept)));
        }
        let fits = format!("<iq><q>{}</q></iq>", "<r/>".repeat(MAX_ELEMENT_PIECES - 2));
        framer.feed(fits.as_bytes()).unwrap();
        assert_eq!(framer.pop(), Some(whole(&fits)));
    }

    #[test]
    fn only_what_never_ends_is_a_fault_and_until_then_it_takes_no_memory() {
        let mebibyte = vec![b'x'; 1 << 20];
        for begin in ["<", "<a b='", "<m>", "</", "<!--", "<![CDATA[", "<?"] {
            let mut framer = Framer::between_elements(MAX);
            framer.feed(begin.as_bytes()).unwrap();
            for _ in 0..15 {
                assert_eq!(framer.feed(&mebibyte), Ok(()), "{begin}");
                assert!(framer.element.capacity() <= 4 * MAX, "{begin}");
            }
            assert_eq!(framer.feed(&mebibyte), Err(Endless), "{begin}");
        }
        let mut framer = Framer::between_elements(MAX);
        for _ in 0..32 {
            framer.feed(b"<m>").unwrap();
            framer.feed(&mebibyte).unwrap();
            framer.feed(b"</m>").unwrap();
        }
        assert_eq!(framer.complete.len(), 32);
    }

    fn xml() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-z ]{0,12}",
            Just("<![CDATA[</a> ]] ]]>".to_owned()),
            Just("<l k='>/'/>".to_owned()),
        ];
        leaf.prop_recursive(70, 200, 4, |inner| {
            ("[a-d]", prop::collection::vec(inner, 0..4), "( k=\"'>\"| v='')?").prop_map(
                |(name, children, attribute)| format!("<{name}{attribute}>{}</{name}>", children.concat()),
            )
        })
        .prop_map(|inside| format!("<top>{inside}</top>"))
    }

    proptest! {
        #[test]
        fn whatever_is_left_out_the_rest_is_well_formed_and_what_is_small_is_untouched(xml in xml()) {
            let [piece] = &pieces(&xml)[..] else { panic!("not one piece") };
            match piece {
                Piece::Whole(kept) => {
                    let mut reader = xso::exports::rxml::Reader::new(&kept[..]);
                    while reader.read().unwrap().is_some() {}
                    let mut scanner = Scanner::default();
                    let (mut rest, mut deepest) = (xml.as_bytes(), 0);
                    while !rest.is_empty() {
                        rest = &rest[scanner.advance(rest)..];
                        deepest = deepest.max(scanner.depth());
                    }
                    prop_assert!(deepest > DEPTH || kept == xml.as_bytes());
                }
                Piece::Head(kept) => prop_assert!(xml.len() > MAX && xml.as_bytes().starts_with(kept)),
                Piece::End(_) => prop_assert!(false, "no end"),
            }
        }
    }
}
