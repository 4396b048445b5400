//! Framing of XMPP over WebSocket (RFC 7395 section 3), translated from and to a stream over TCP. Pure.
//!
//! Above this everybody speaks of one stream: a header, elements with its namespaces, an end tag. Here each of these becomes a message
//! that is a document by itself, and each message becomes what it would have been on a stream:
//!
//! ```text
//!   <stream:stream to='…' …>     <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='…' …/>
//!   <iq …>                       <iq xmlns='jabber:client' …>
//!   <auth xmlns='…'>             <auth xmlns='…'>
//!   </stream:stream>             <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>
//! ```
//!
//! Of what the server says only the first and the last are changed, since elements may declare namespaces again. Whether a message holds
//! one element is not looked at: who could put another into it is the server alone, which can as well send a message more.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use xmpp_parsers::minidom::Element;

use crate::xmpp::error::AccountError;
use crate::xmpp::parse::parse;
use crate::xmpp::scanner::Scanner;
use crate::xmpp::stanza::is_cheap;
use crate::xmpp::start_tag::{has_attribute, name_of};

/// The namespace of what begins and ends a stream.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:xmpp-framing";
const OPEN: &[u8] = b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'";
const CLOSE: &[u8] = b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";

/// The header of a stream as it is written here, up to its other attributes.
const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";
/// The server's, of which only the name is ever looked at.
const SERVER_HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
/// The end of a stream.
const FOOTER: &[u8] = b"</stream:stream>";

/// What stanzas, which are written in the namespace of the stream, do not say themselves.
const OF_STANZAS: &[u8] = b" xmlns='jabber:client'";

/// Cuts what we write on a stream into messages.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    scanner: Scanner,
    /// The present element, as far as it has come.
    element: BytesMut,
    messages: VecDeque<BytesMut>,
}

impl Outgoing {
    /// Takes what is written. Between elements everything is dropped: a message may be nothing but an element.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (run, rest) = bytes.split_at(self.scanner.advance(bytes));
            bytes = rest;
            let is_within = self.scanner.size() > 0;
            if is_within || !self.element.is_empty() {
                self.element.extend_from_slice(run);
            }
            if !is_within && !self.element.is_empty() {
                self.complete();
            }
        }
    }

    /// The next message.
    pub(super) fn pop(&mut self) -> Option<BytesMut> {
        self.messages.pop_front()
    }

    fn complete(&mut self) {
        let written = self.element.split();
        if written.starts_with(b"<?") {
            // A declaration, with which a stream begins anew; that of a message is its own.
            self.scanner = Scanner::default();
        } else {
            self.messages.push_back(message(written));
        }
    }
}

/// The message that says what was written.
fn message(written: BytesMut) -> BytesMut {
    let parts: [&[u8]; 3] = if &written[..] == FOOTER {
        [CLOSE, b"", b""]
    } else if let Some(attributes) = written.strip_prefix(HEADER).and_then(|rest| rest.strip_suffix(b">")) {
        [OPEN, attributes, b"/>"]
    } else if has_attribute(&written, b"xmlns") {
        return written;
    } else {
        let (name, rest) = written.split_at(1 + name_of(&written).len());
        [name, OF_STANZAS, rest]
    };
    let mut message = BytesMut::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| message.extend_from_slice(part));
    message
}

/// What a message of the server's is on a stream.
///
/// # Errors
///
/// It ends the stream and names another place to connect to, which we do not: our TLS has proved who we are talking to, not who may send
/// us elsewhere (RFC 7395 section 3.6.2 leaves it to us).
pub(super) fn read(message: Bytes) -> Result<Bytes, AccountError> {
    let name = name_of(&message);
    if !matches!(name, b"open" | b"close") || !is_cheap(&message) {
        return Ok(message);
    }
    match parse::<Element>(&message) {
        Some(element) if element.is("open", NAMESPACE) => Ok(Bytes::from_static(SERVER_HEADER)),
        Some(element) if element.is("close", NAMESPACE) => match element.attr("see-other-uri") {
            Some(_) => Err(AccountError::SeeOtherUri),
            None => Ok(Bytes::from_static(FOOTER)),
        },
        _ => Ok(message),
    }
}

/// Whether this is the end of a stream.
pub(super) fn is_end(read: &[u8]) -> bool {
    read == FOOTER
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::xmpp::framer::{Framer, Piece};
    use crate::xmpp::reader::{self, Meaning};
    use crate::xmpp::writer::Writer;
    use proptest::prelude::*;
    use xmpp_parsers::presence::Presence;
    use xmpp_parsers::sm::R;

    /// The messages of what is written in pieces of these lengths, over and over.
    fn messages(written: &[u8], lengths: &[usize]) -> Vec<String> {
        let (mut outgoing, mut rest) = (Outgoing::default(), written);
        for length in lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(rest.len().min(*length));
            outgoing.feed(piece);
            rest = behind;
        }
        let text = |message: BytesMut| String::from_utf8(message.to_vec()).unwrap();
        std::iter::from_fn(|| outgoing.pop()).map(text).collect()
    }

    fn whole(written: &[u8]) -> Vec<String> {
        messages(written, &[usize::MAX])
    }

    /// What we write on a stream, from its header to its end, with spaces between elements.
    fn stream() -> Vec<u8> {
        let (mut writer, mut written) = Writer::begin("chat.example", Some("alice@chat.example"));
        for element in [writer.write(&Presence::available()), writer.write(&R)] {
            written.extend_from_slice(&element.unwrap());
            written.extend_from_slice(b"   ");
        }
        [&written[..], FOOTER].concat()
    }

    const OUR_OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='chat.example' version='1.0' \
                            from='alice@chat.example'/>";
    const PRESENCE: &str = "<presence xmlns='jabber:client'><priority>0</priority></presence>";
    const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'></r>";

    #[test]
    fn a_stream_becomes_messages_of_one_element_each() {
        let close = str::from_utf8(CLOSE).unwrap();
        assert_eq!(whole(&stream()), [OUR_OPEN, PRESENCE, REQUEST, close]);
    }

    #[test]
    fn a_stream_that_begins_anew_is_opened_anew() {
        let (_, header) = Writer::begin("x", None);
        let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x' version='1.0'/>";
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
        let written = [&header[..], auth.as_bytes(), &header, b"<iq/>"].concat();
        assert_eq!(whole(&written), [open, auth, open, "<iq xmlns='jabber:client'/>"]);
    }

    #[test]
    fn a_stanza_gets_the_namespace_of_its_stream_whatever_others_have_put_into_its_attributes() {
        for (attributes, has_its_own) in [
            ("", false),
            (" id=' xmlns=&apos;x'", false),
            (" id='a' xml:lang=\"xmlns='y'\"", false),
            (" xmlns:a='b'", false),
            (" id='a' xmlns='jabber:client'", true),
            ("\n xmlns = \"jabber:client\"", true),
        ] {
            let stanza = format!("<iq{attributes}><q xmlns='x'/></iq>");
            let namespace = if has_its_own { "" } else { " xmlns='jabber:client'" };
            let expected = format!("<iq{namespace}{attributes}><q xmlns='x'/></iq>");
            let (_, header) = Writer::begin("x", None);
            assert_eq!(whole(&[&header[..], stanza.as_bytes()].concat())[1], expected);
        }
    }

    fn read_text(message: &str) -> Result<Bytes, AccountError> {
        read(Bytes::copy_from_slice(message.as_bytes()))
    }

    #[test]
    fn what_a_server_says_is_read_as_on_a_stream() {
        let mut framer = Framer::new(10_000);
        for message in [
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='chat.example' id='1' version='1.0'/>",
            "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>",
            "<message xmlns='jabber:client'><body>hello</body></message>",
            "<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />",
        ] {
            framer.feed(&read_text(message).unwrap()).unwrap();
        }
        let header = framer.pop().unwrap();
        assert!(matches!(&header, Piece::Whole(written) if reader::is_stream(written)), "{header:?}");
        assert!(matches!(reader::read(framer.pop().unwrap()), Meaning::Features(_)));
        assert!(matches!(reader::read(framer.pop().unwrap()), Meaning::Stanza(_)));
        assert!(matches!(reader::read(framer.pop().unwrap()), Meaning::End(None)));
        assert_eq!(framer.pop(), None);
    }

    #[test]
    fn a_stream_error_is_one_here_too() {
        let error = "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>\
                     <conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
        let piece = Piece::Whole(read_text(error).unwrap().to_vec());
        assert!(matches!(reader::read(piece), Meaning::End(Some(AccountError::Conflict))));
    }

    #[test]
    fn another_place_is_not_gone_to() {
        let close =
            "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' see-other-uri='wss://other.example/'/>";
        assert_eq!(read_text(close), Err(AccountError::SeeOtherUri));
    }

    #[test]
    fn what_only_looks_like_the_beginning_or_the_end_of_a_stream_is_left_as_it_is() {
        for message in
            ["<open xmlns='x'/>", "<close/>", "<opening/>", "<close", "", " ", "<message><close/></message>"]
        {
            assert_eq!(read_text(message).unwrap(), message.as_bytes(), "{message}");
        }
    }

    proptest! {
        #[test]
        fn however_what_we_write_is_cut_the_messages_are_the_same(
            lengths in prop::collection::vec(1usize..40, 1..10),
        ) {
            prop_assert_eq!(messages(&stream(), &lengths), whole(&stream()));
        }

        #[test]
        fn elements_are_told_apart_whatever_is_in_them(
            texts in prop::collection::vec("(<a b='[>/ ]?'>|</a>|<a/>|&lt;|x| |<!\\[CDATA\\[[<>/]{0,3}\\]\\]>){0,6}", 0..5),
            lengths in prop::collection::vec(1usize..9, 1..6),
        ) {
            // What is balanced is an element; the rest is none of ours.
            let is_balanced = |text: &String| parse::<Element>(format!("<iq>{text}</iq>").as_bytes()).is_some();
            let elements: Vec<_> = texts.into_iter().filter(is_balanced).collect();
            let (_, header) = Writer::begin("x", None);
            let written: String = elements.iter().map(|text| format!("<iq>{text}</iq>")).collect();
            let read = messages(&[&header[..], written.as_bytes()].concat(), &lengths);
            let expected = elements.iter().map(|text| format!("<iq xmlns='jabber:client'>{text}</iq>"));
            prop_assert_eq!(&read[1..], &expected.collect::<Vec<_>>()[..]);
        }
    }
}
