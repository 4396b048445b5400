//! Intake of a login: what a server says before there is a session, bounded, and why it ended. Pure.
//!
//! It is cut into elements before any of it is read, so that none is too large or too deep, and all together are no more than a server
//! has to say before a login. What somebody else can have put between us and the server is here, too: until the login is over,
//! whatever is not as it should be ends it.

use xmpp_parsers::minidom::Element;

use super::error::{AccountError, Step};
use super::framer::{Endless, Framer, Piece, name_of};
use super::meter::{Fault, Meter};
use super::parse::parse_within;
use super::reader::{self, Meaning, STREAM};

/// What a server has said.
#[derive(Debug)]
pub(super) enum Word {
    /// What it offers (RFC 6120 section 4.3.2).
    Features(Element),
    /// Another element that is no stanza.
    Nonza(Element),
    /// The answer to a request, where there was one.
    Answer(Element),
}

/// A stream as the server writes it, from its header on.
pub(super) struct Intake {
    framer: Framer,
    meter: Meter,
    has_header: bool,
}

impl Intake {
    /// Before the header of a stream. Elements of more than `max_stanza` bytes are passed over.
    pub(super) fn new(max_stanza: usize) -> Self {
        Self { framer: Framer::new(max_stanza), meter: Meter::default(), has_header: false }
    }

    /// Takes what has come in the middle of `step`.
    ///
    /// # Errors
    ///
    /// It is too much, or does not begin as XML does.
    pub(super) fn feed(&mut self, bytes: &[u8], step: Step) -> Result<(), AccountError> {
        let counted = self.meter.feed(bytes);
        match counted.and_then(|()| self.framer.feed(bytes).map_err(|Endless| Fault::TooMuch)) {
            Ok(()) => Ok(()),
            Err(Fault::TooMuch) => Err(AccountError::TooMuch(step)),
            Err(Fault::NotXml) => Err(AccountError::Protocol(step)),
        }
    }

    /// The next word that is complete.
    ///
    /// # Errors
    ///
    /// The server has ended the stream, or said something else.
    pub(super) fn next(&mut self, step: Step) -> Result<Option<Word>, AccountError> {
        while let Some(piece) = self.framer.pop() {
            match piece {
                Piece::Head(_) => {}
                Piece::End(_) => return Err(AccountError::Closed(step)),
                Piece::Whole(written) if !self.has_header && !written.starts_with(b"<?") => {
                    self.has_header = reader::is_stream(&written);
                    if !self.has_header {
                        return Err(AccountError::Protocol(step));
                    }
                }
                Piece::Whole(written) => {
                    if let Some(word) = read(written, step)? {
                        return Ok(Some(word));
                    }
                }
            }
        }
        Ok(None)
    }

    /// What the stream goes on with, and what has come of that.
    pub(super) fn into_framer(self) -> Framer {
        self.framer
    }
}

fn read(written: Vec<u8>, step: Step) -> Result<Option<Word>, AccountError> {
    if reader::is_offer(&written) {
        let features = parse_within(STREAM, &written).map(Word::Features);
        return features.map(Some).ok_or(AccountError::Protocol(step));
    }
    if let Some(answer) = answer(&written) {
        return Ok(Some(Word::Answer(answer)));
    }
    match reader::read(Piece::Whole(written)) {
        Meaning::Nonza(Some(element)) => Ok(Some(Word::Nonza(*element))),
        Meaning::End(Some(error)) => Err(error.during(step)),
        Meaning::Nothing => Ok(None),
        _ => Err(AccountError::Protocol(step)),
    }
}

/// The result of a request, or the error: no other stanza has a place before a login.
fn answer(written: &[u8]) -> Option<Element> {
    if name_of(written) != b"iq" {
        return None;
    }
    let iq: Element = parse_within(STREAM, written)?;
    matches!(iq.attr("type"), Some("result" | "error")).then_some(iq)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::xmpp::error::Words;

    const MAX: usize = 1000;

    const OPEN: &str = "<?xml version='1.0'?>\
        <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

    const CONFLICT: &str =
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";

    const STEP: Step = Step::Stream;

    /// The names of what is read, and why no more is.
    fn read_all(text: &str) -> (Vec<String>, Option<AccountError>) {
        let (mut intake, mut words) = (Intake::new(MAX), Vec::new());
        if let Err(error) = intake.feed(text.as_bytes(), STEP) {
            return (words, Some(error));
        }
        loop {
            match intake.next(STEP) {
                Ok(Some(Word::Features(element) | Word::Nonza(element) | Word::Answer(element))) => {
                    words.push(element.name().into());
                }
                Ok(None) => return (words, None),
                Err(error) => return (words, Some(error)),
            }
        }
    }

    fn fault(behind_header: &str) -> Option<AccountError> {
        read_all(&format!("{OPEN}{behind_header}")).1
    }

    #[test]
    fn words_are_read_when_they_are_complete_and_what_is_too_large_is_passed_over() {
        let long = "x".repeat(2 * MAX);
        let text = format!("{OPEN}<stream:features/><a xmlns='x'>{long}</a> <b xmlns='x'/><c xmlns='x'>");
        assert_eq!(read_all(&text), (vec!["features".to_owned(), "b".to_owned()], None));
    }

    #[test]
    fn a_stream_error_says_why_it_ended_and_nothing_inside_an_element_is_one() {
        assert_eq!(
            fault(&format!("<stream:features/>{CONFLICT}</stream:stream>")),
            Some(AccountError::StreamError(STEP, "conflict", Words::default())),
            "there is no session that was replaced"
        );
        assert_eq!(
            fault(&CONFLICT.replace("conflict", "host-gone")),
            Some(AccountError::StreamError(STEP, "host-gone", Words::default())),
            "in the middle of what"
        );
        assert_eq!(fault(&format!("<a xmlns='x'>{CONFLICT}</a>")), Some(AccountError::Protocol(STEP)));
        assert_eq!(fault("</stream:stream>"), Some(AccountError::Closed(STEP)));
    }

    #[test]
    fn before_a_login_there_are_neither_stanzas_but_answers_nor_other_streams() {
        for answer in ["<iq type='result' id='1'/>", "<iq type='error' id='1'><error/></iq>"] {
            assert_eq!(read_all(&format!("{OPEN}{answer}")), (vec!["iq".to_owned()], None));
        }
        for text in [
            "<message/>",
            "<iq type='get' id='1'><q xmlns='x'/></iq>",
            "<a y:z=''/>",
            "<stream:features y:z=''/>",
        ] {
            assert_eq!(fault(text), Some(AccountError::Protocol(STEP)), "{text}");
        }
        for other in ["<html><a/>", "<?xml version='1.0'?><a/>", "HTTP/1.1 400 Bad Request"] {
            assert_eq!(read_all(other).1, Some(AccountError::Protocol(STEP)), "{other}");
        }
    }

    #[test]
    fn a_server_that_says_too_much_before_the_login_is_not_read_on() {
        assert_eq!(fault(&" ".repeat(512 * 1024)), Some(AccountError::TooMuch(STEP)));
    }
}
