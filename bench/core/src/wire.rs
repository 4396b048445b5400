//! Codec between a core and its server: what the core wants sent as bytes, and bytes that come as the core understands them.
//!
//! Everything here that knows of stanzas is in this file. It writes as an account does (`xmpp::writer`): one encoder for
//! the whole life of a connection, into one buffer. What comes goes through `framer` and `reader`, as in an account.

use bytes::BytesMut;
use hexchat_pt::carrier::{Arrival, Decision, Desk, Recipient, ibb};
use hexchat_pt::classic;
use hexchat_pt::config::Limits;
use hexchat_pt::xmpp::Parcel;
use hexchat_pt::xmpp::framer::Framer;
use hexchat_pt::xmpp::reader::{self, Meaning};
use xmpp_parsers::ns;
use xso::AsXml as _;
use xso::exports::rxml::writer::{Encoder, Item, SimpleNamespaces, TrackNamespace as _};
use xso::exports::rxml::xml_ncname;

use crate::end::ACCOUNT;

/// One account's connection, from the login on.
pub struct Wire {
    desk: Desk,
    framer: Framer,
    encoder: Encoder<SimpleNamespaces>,
}

/// Something that a core wants sent.
#[derive(Debug)]
pub enum Transmit {
    /// Of the classic protocol.
    Classic(classic::Transmit),
    /// Of the secure protocol.
    Secure(ibb::Transmit),
}

impl Wire {
    /// A stream that was just opened. The ids of its IQs follow from `key`.
    #[must_use]
    pub fn new(key: u8) -> Self {
        Self {
            desk: Desk::new(&[key; 32]),
            framer: Framer::between_elements(Limits::default().max_stanza),
            encoder: begun_encoder(),
        }
    }

    /// Appends one stanza to what goes to the server.
    pub fn to_wire(&mut self, transmit: Transmit, out: &mut BytesMut) {
        let parcel = match transmit {
            Transmit::Classic(transmit) => self.desk.classic(transmit),
            Transmit::Secure(transmit) => self.desk.secure(transmit),
        };
        let stanza = match parcel {
            Parcel::Written(bytes) => return out.extend_from_slice(&bytes),
            Parcel::Stanza(stanza) | Parcel::Reply(stanza) => stanza,
        };
        for item in stanza.as_xml_iter().expect("our stanzas are XML") {
            let item = item.expect("our stanzas are XML");
            self.encoder.encode_into_bytes(item.as_rxml_item(), out).expect("our stanzas are XML");
        }
    }

    /// Reads the one stanza that `xml` holds, about which one thing is to be done.
    pub fn from_wire(&mut self, xml: &[u8], is_classic: bool) -> Decision {
        self.framer.feed(xml).expect("a stanza that ends");
        let piece = self.framer.pop().expect("a stanza");
        assert!(self.framer.pop().is_none(), "there is more than one stanza");
        let arrival = match reader::read(piece) {
            Meaning::Flat(flat) => Arrival::Flat(flat),
            Meaning::Stanza(stanza) => Arrival::Parsed(stanza),
            other => panic!("no stanza: {other:?}"),
        };
        let to = Recipient {
            account: ACCOUNT,
            lets_in: true,
            speaks_classic: is_classic,
            has_bytestream_with: &|_| true,
        };
        self.desk.handle(arrival, &to, || [0, 0]);
        let decision = self.desk.poll().expect("a decision");
        assert!(self.desk.poll().is_none(), "there is more to be done than one thing");
        decision
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
