//! What a core wants sent, as the bytes that go to the server, and the bytes that come from it, as the core understands them.
//!
//! Everything here that knows of stanzas is in this file. It writes and reads as `tokio_xmpp` does once a stream is open:
//! one encoder and one parser for the whole life of a connection, into one buffer. What accounts without XEP-0198 do
//! themselves goes through `framer` and `swift`, as there.

use bytes::BytesMut;
use hexchat_pt::carrier::{Carrier, Received};
use hexchat_pt::xmpp::framer::Framer;
use hexchat_pt::xmpp::{Parcel, swift};
use hexchat_pt::{classic, session};
use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;
use xso::exports::rxml::error::EndOrError;
use xso::exports::rxml::writer::{Encoder, Item, SimpleNamespaces, TrackNamespace as _};
use xso::exports::rxml::{Event, Parse as _, Parser, xml_ncname};
use xso::{AsXml as _, Context, FromEventsBuilder as _, FromXml as _};

/// What a server begins its stream with.
const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

/// One account's connection, from the login on.
pub struct Wire {
    carrier: Carrier,
    /// Whether the account does without XEP-0198, and reads what comes often by itself.
    is_plain: bool,
    framer: Framer,
    encoder: Encoder<SimpleNamespaces>,
    parser: Parser,
}

/// Something that a core wants sent.
#[derive(Debug)]
pub enum Transmit {
    /// Of the classic protocol.
    Classic(classic::Transmit),
    /// Of the secure protocol.
    Secure(session::Transmit),
}

impl Wire {
    /// A stream that was just opened. The ids of its IQs follow from `key`.
    #[must_use]
    pub fn new(key: u8, is_plain: bool) -> Self {
        Self {
            carrier: Carrier::new(&[key; 32]),
            is_plain,
            framer: Framer::between_elements(),
            encoder: begun_encoder(),
            parser: begun_parser(),
        }
    }

    /// Appends one stanza to what goes to the server.
    pub fn to_wire(&mut self, transmit: Transmit, out: &mut BytesMut) {
        let parcel = match transmit {
            Transmit::Classic(transmit) => self.carrier.classic(transmit).into(),
            Transmit::Secure(transmit) => self.carrier.secure(transmit),
        };
        let stanza = match parcel {
            Parcel::Written(bytes) => return out.extend_from_slice(&bytes),
            Parcel::Stanza(stanza) | Parcel::Courtesy(stanza) => stanza,
        };
        for item in stanza.as_xml_iter().expect("our stanzas are XML") {
            let item = item.expect("our stanzas are XML");
            self.encoder.encode_into_bytes(item.as_rxml_item(), out).expect("our stanzas are XML");
        }
    }

    /// Reads the one stanza that `xml` holds.
    pub fn from_wire(&mut self, mut xml: &[u8]) -> Received {
        if self.is_plain {
            self.framer.feed(xml);
            let element = self.framer.pop().expect("one stanza");
            if let Ok(swift) = swift::read(element) {
                return self.carrier.receive_swift(swift, |_| true);
            }
        }
        let stanza = self.read(&mut xml);
        assert!(xml.is_empty(), "there is more than one stanza");
        self.carrier.receive(stanza, true, |_| true)
    }

    fn read(&mut self, xml: &mut &[u8]) -> Stanza {
        let Some(Event::StartElement(_, name, attributes)) = next(&mut self.parser, xml) else {
            panic!("no stanza begins")
        };
        let context = Context::empty();
        let mut builder = Stanza::from_events(name, attributes, &context).expect("a stanza");
        loop {
            let event = next(&mut self.parser, xml).expect("the rest of a stanza");
            if let Some(stanza) = builder.feed(event, &context).expect("a stanza") {
                return stanza;
            }
        }
    }
}

/// An encoder behind the header of a stream.
fn begun_encoder() -> Encoder<SimpleNamespaces> {
    let mut encoder = Encoder::new();
    let names = encoder.ns_tracker_mut();
    names.declare_fixed(Some(xml_ncname!("stream")), ns::STREAM.into());
    names.declare_fixed(None, ns::JABBER_CLIENT.into());
    let head = [Item::ElementHeadStart(ns::STREAM.into(), xml_ncname!("stream")), Item::ElementHeadEnd];
    for item in head {
        encoder.encode_into_bytes(item, &mut BytesMut::new()).expect("a header");
    }
    encoder
}

/// A parser behind the header of a stream.
fn begun_parser() -> Parser {
    let mut parser = Parser::new();
    let mut header = HEADER;
    while next(&mut parser, &mut header).is_some() {}
    parser
}

/// None when everything was read.
fn next(parser: &mut Parser, xml: &mut &[u8]) -> Option<Event> {
    match parser.parse(xml, false) {
        Ok(event) => event,
        Err(EndOrError::NeedMoreData) => None,
        Err(EndOrError::Error(error)) => panic!("{error}"),
    }
}
