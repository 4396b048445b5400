//! Writer of a stream: its header, and then elements with its namespaces, which none of them repeats. Pure.

use bytes::BytesMut;
use xmpp_parsers::ns;
use xso::exports::rxml::writer::{Encoder, Item, SimpleNamespaces, TrackNamespace as _};
use xso::exports::rxml::{Namespace, XmlVersion, xml_ncname};
use xso::{AsXml, error::Error};

/// Encoder of elements that has written the header of a stream.
pub(super) struct Writer {
    encoder: Encoder<SimpleNamespaces>,
    /// What it writes into, kept because it is large enough.
    buffer: BytesMut,
}

/// An element holds something that XML has no way to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unwritable;

impl Writer {
    /// Begins a stream to the server of this domain, as `from` if we say who we are: the writer, and the header (RFC 6120 section 4.7).
    pub(super) fn begin(domain: &str, from: Option<&str>) -> (Self, BytesMut) {
        let mut header = BytesMut::new();
        let encoder = behind_header(domain, from, &mut header);
        (Self { encoder, buffer: BytesMut::new() }, header)
    }

    /// One that stands behind a header.
    pub(super) fn new() -> Self {
        Self::begin("", None).0
    }

    /// The element's bytes.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(super) fn write(&mut self, element: &impl AsXml) -> Result<BytesMut, Unwritable> {
        match self.encode(element) {
            Ok(()) => Ok(self.buffer.split()),
            Err(_) => {
                // It stands in the middle of the element.
                *self = Self::new();
                Err(Unwritable)
            }
        }
    }

    fn encode(&mut self, element: &impl AsXml) -> Result<(), Error> {
        for item in element.as_xml_iter()? {
            self.encoder.encode_into_bytes(item?.as_rxml_item(), &mut self.buffer)?;
        }
        Ok(())
    }
}

/// An encoder that has written a header. No error can come: domains and JIDs are always text that XML can hold.
fn behind_header(domain: &str, from: Option<&str>, into: &mut BytesMut) -> Encoder<SimpleNamespaces> {
    let mut encoder = Encoder::new();
    let names = encoder.ns_tracker_mut();
    names.declare_fixed(Some(xml_ncname!("stream")), ns::STREAM.into());
    names.declare_fixed(None, ns::JABBER_CLIENT.into());
    let from = from.map(|from| Item::Attribute(Namespace::NONE, xml_ncname!("from"), from));
    let items = [
        Item::XmlDeclaration(XmlVersion::V1_0),
        Item::ElementHeadStart(ns::STREAM.into(), xml_ncname!("stream")),
        Item::Attribute(Namespace::NONE, xml_ncname!("to"), domain),
        Item::Attribute(Namespace::NONE, xml_ncname!("version"), "1.0"),
    ];
    for item in items.into_iter().chain(from).chain([Item::ElementHeadEnd]) {
        let _ = encoder.encode_into_bytes(item, into);
    }
    encoder
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use xmpp_parsers::message::{Lang, Message};
    use xmpp_parsers::presence::Presence;
    use xmpp_parsers::sm::R;

    const PRESENCE: &[u8] = b"<presence><priority>0</priority></presence>";

    #[test]
    fn the_header_names_the_domain_as_xml() {
        let (_, header) = Writer::begin("chat.example", None);
        assert_eq!(
            header,
            &b"<?xml version='1.0' encoding='utf-8'?>\n<stream:stream xmlns='jabber:client' \
               xmlns:stream='http://etherx.jabber.org/streams' to='chat.example' version='1.0'>"[..]
        );
        let (_, with_from) = Writer::begin("chat.example", Some("alice@chat.example"));
        assert!(with_from.ends_with(b" version='1.0' from='alice@chat.example'>"), "{with_from:?}");
        let (_, odd) = Writer::begin("'", None);
        assert!(!odd.windows(3).any(|part| part == b"'''"), "{odd:?}");
    }

    #[test]
    fn the_namespace_of_the_stream_is_not_repeated_and_others_are() {
        let mut writer = Writer::new();
        for _ in 0..2 {
            assert_eq!(writer.write(&Presence::available()).unwrap(), PRESENCE);
            assert_eq!(writer.write(&R).unwrap(), &b"<r xmlns='urn:xmpp:sm:3'></r>"[..]);
        }
    }

    #[test]
    fn what_cannot_be_written_spoils_nothing_behind_it() {
        let mut writer = Writer::new();
        let wrong = Message::new(None).with_body(Lang::default(), "\u{1}".to_owned());
        assert_eq!(writer.write(&wrong), Err(Unwritable));
        assert_eq!(writer.write(&Presence::available()).unwrap(), PRESENCE);
    }
}
