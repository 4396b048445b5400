//! Writer of elements as they stand in a stream that is open: with its namespaces, which none of them repeats. Pure.

use bytes::BytesMut;
use xmpp_parsers::ns;
use xso::exports::rxml::writer::{Encoder, Item, SimpleNamespaces, TrackNamespace as _};
use xso::exports::rxml::xml_ncname;
use xso::{AsXml, error::Error};

/// An encoder that stands behind the header of a stream.
pub(super) struct Writer {
    encoder: Encoder<SimpleNamespaces>,
    /// What it writes into, kept because it is large enough.
    buffer: BytesMut,
}

/// An element holds something that XML has no way to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::xmpp) struct Unwritable;

impl Writer {
    pub(super) fn new() -> Self {
        Self { encoder: behind_header(), buffer: BytesMut::new() }
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

fn behind_header() -> Encoder<SimpleNamespaces> {
    let mut encoder = Encoder::new();
    let names = encoder.ns_tracker_mut();
    names.declare_fixed(Some(xml_ncname!("stream")), ns::STREAM.into());
    names.declare_fixed(None, ns::JABBER_CLIENT.into());
    for item in [Item::ElementHeadStart(ns::STREAM.into(), xml_ncname!("stream")), Item::ElementHeadEnd] {
        // A header of ours is always writable; a fault would come again with each element.
        let _ = encoder.encode_into_bytes(item, &mut BytesMut::new());
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
