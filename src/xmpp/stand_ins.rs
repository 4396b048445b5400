//! Stand-ins for stanzas, which the library's stanza stream reads instead of them. Pure.
//!
//! With XEP-0198 the library owns the connection. It ends it on what it cannot read, and as such a stanza is never
//! acknowledged, the server sends it again behind every resumption. So the library gets an empty message for each stanza that
//! came, which it counts and passes on in its place in the order, and the stanza itself waits here until its stand-in has
//! come through. What is not a stanza, and what belongs to the opening of the stream, is the library's.

use std::collections::VecDeque;

use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;

use super::framer::{Piece, name_of};

/// Says within a stand-in that more of the stanza has come.
const LIFE_SIGN: &str = "<more/>";

/// All of one connection.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    /// Whether the stream is open, so that strangers' stanzas can come.
    is_open: bool,
    /// The number of the next.
    next: u64,
    /// Whether the next has been begun.
    is_begun: bool,
    originals: VecDeque<(u64, Piece)>,
}

impl StandIns {
    /// What the library reads when this piece has come. May be nothing.
    pub(super) fn replace(&mut self, piece: Piece) -> Vec<u8> {
        match &piece {
            Piece::Whole(written) | Piece::Head(written) if self.is_open && is_stanza(written) => {
                self.stand_in(piece)
            }
            Piece::Whole(written) if self.is_open && !is_element(written) => Vec::new(),
            Piece::Head(_) => Vec::new(),
            Piece::Whole(written) => {
                self.is_open |= opens(written);
                piece.into_written()
            }
            Piece::End(_) => piece.into_written(),
        }
    }

    /// What the library reads when a piece is on its way and takes long, so that it does not take the server for dead. May be
    /// nothing. `begun`: what has come of it.
    pub(super) fn show_life(&mut self, begun: &[u8]) -> String {
        // Its name may go on.
        let is_named = name_of(begun).len() + 1 < begun.len();
        if !(self.is_open && is_named && is_stanza(begun)) {
            return String::new();
        }
        let start = if self.is_begun { String::new() } else { self.start_tag() };
        self.is_begun = true;
        format!("{start}{LIFE_SIGN}")
    }

    /// The stanza that `stand_in` stands for, if it is one.
    pub(super) fn original_of(&mut self, stand_in: &Stanza) -> Option<Piece> {
        let Stanza::Message(message) = stand_in else { return None };
        let number: u64 = message.id.as_ref()?.0.parse().ok()?;
        // Whatever came before has not come through, and never will.
        while self.originals.front().is_some_and(|(first, _)| *first < number) {
            self.originals.pop_front();
        }
        self.originals.pop_front_if(|(first, _)| *first == number).map(|(_, original)| original)
    }

    fn stand_in(&mut self, original: Piece) -> Vec<u8> {
        let start = if self.is_begun { String::new() } else { self.start_tag() };
        self.originals.push_back((self.next, original));
        self.next += 1;
        self.is_begun = false;
        format!("{start}</message>").into_bytes()
    }

    fn start_tag(&self) -> String {
        format!("<message xmlns='{}' id='{}'>", ns::JABBER_CLIENT, self.next)
    }
}

fn is_stanza(written: &[u8]) -> bool {
    matches!(name_of(written), b"message" | b"iq" | b"presence")
}

/// Not a declaration or a comment, which have no place in a stream.
fn is_element(written: &[u8]) -> bool {
    !written.starts_with(b"<?") && !written.starts_with(b"<!")
}

/// Whether the stream is open with this: the answer to the binding of a resource, before which nobody can reach us, or the
/// resumption of a session.
fn opens(written: &[u8]) -> bool {
    matches!(name_of(written), b"iq" | b"resumed")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::xmpp::reader;

    fn whole(text: &str) -> Piece {
        Piece::Whole(text.as_bytes().to_vec())
    }

    fn open() -> StandIns {
        let mut stand_ins = StandIns::default();
        let bound = "<iq type='result' id='bind'/>";
        assert_eq!(stand_ins.replace(whole(bound)), bound.as_bytes());
        stand_ins
    }

    /// As the library reads it.
    fn read(stand_in: &[u8]) -> Stanza {
        let text = String::from_utf8_lossy(stand_in);
        reader::parse(stand_in).unwrap_or_else(|| panic!("no stanza: {text}"))
    }

    #[test]
    fn every_stanza_waits_for_its_stand_in_whatever_is_in_it() {
        let mut stand_ins = open();
        let stanzas = [
            whole("<message from='eve@x' id='7'><body>a</body></message>"),
            whole("<iq type='get' id='1'><q xmlns='\u{1}'/></iq>"),
            Piece::Head(b"<presence from='eve@x'>".to_vec()),
            Piece::Head(b"<iq".to_vec()),
        ];
        let read: Vec<_> = stanzas.iter().map(|stanza| read(&stand_ins.replace(stanza.clone()))).collect();
        for (stand_in, stanza) in read.iter().zip(stanzas) {
            assert_eq!(stand_ins.original_of(stand_in), Some(stanza));
            assert_eq!(stand_ins.original_of(stand_in), None, "once");
        }
    }

    #[test]
    fn what_did_not_come_through_is_not_taken_for_what_did() {
        let mut stand_ins = open();
        let first = read(&stand_ins.replace(whole("<message id='a'/>")));
        let second = read(&stand_ins.replace(whole("<message id='b'/>")));
        assert_eq!(stand_ins.original_of(&second), Some(whole("<message id='b'/>")));
        assert_eq!(stand_ins.original_of(&first), None);
    }

    #[test]
    fn until_the_stream_is_open_everything_is_the_librarys() {
        let mut stand_ins = StandIns::default();
        for piece in ["<?xml version='1.0'?>", "<stream:stream>", "<stream:features/>", "<message id='0'/>"] {
            assert_eq!(stand_ins.replace(whole(piece)), piece.as_bytes());
        }
        assert_eq!(stand_ins.original_of(&read(b"<message id='0'/>")), None);
        assert_eq!(stand_ins.replace(whole("<resumed h='1'/>")), b"<resumed h='1'/>");
        assert_ne!(stand_ins.replace(whole("<message id='0'/>")), b"<message id='0'/>");
    }

    #[test]
    fn what_is_no_stanza_is_the_librarys_but_for_what_it_could_not_read() {
        let mut stand_ins = open();
        for piece in ["<r xmlns='urn:xmpp:sm:3'/>", "<stream:error/>", "<iqs/>"] {
            assert_eq!(stand_ins.replace(whole(piece)), piece.as_bytes());
        }
        assert_eq!(stand_ins.replace(Piece::End(b"</s:stream>".to_vec())), b"</s:stream>");
        for piece in [Piece::Head(b"<r>".to_vec()), whole("<!-- x -->"), whole("<?x?>")] {
            assert_eq!(stand_ins.replace(piece), b"");
        }
    }

    #[test]
    fn the_stand_in_of_what_takes_long_is_begun_before_it_is_complete() {
        let mut stand_ins = open();
        for begun in ["", "<", "<message", "<r xmlns='x'", "<messages "] {
            assert_eq!(stand_ins.show_life(begun.as_bytes()), "", "{begun}");
        }
        let long = whole("<message from='eve@x'><body>long</body></message>");
        let mut stand_in = stand_ins.show_life(b"<message ").into_bytes();
        assert!(!stand_in.is_empty());
        stand_in.extend(stand_ins.show_life(b"<message from='eve@x'><bo").into_bytes());
        stand_in.extend(stand_ins.replace(long.clone()));
        assert_eq!(stand_ins.original_of(&read(&stand_in)), Some(long));
        let next = read(&stand_ins.replace(whole("<iq/>")));
        assert_eq!(stand_ins.original_of(&next), Some(whole("<iq/>")));
        assert_eq!(StandIns::default().show_life(b"<message "), "");
    }
}
