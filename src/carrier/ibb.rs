//! In-Band Bytestreams (XEP-0047): the stanzas of the secure protocol.
//!
//! What is not exactly such a stanza is nothing to us: it gets the answer of a client that does not know bytestreams.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::minidom::{Element, ElementBuilder};
use xmpp_parsers::ns;

use crate::persona;
use crate::secure::{Incoming, IqId, Outgoing, Transmit};
use crate::xmpp::Parcel;
use crate::xmpp::swift::{self, Block};

/// The kind of stanza that blocks are sent in.
const IN_IQS: &str = "iq";

/// The stanza for what the core wants sent.
pub(super) fn parcel(transmit: Transmit) -> Parcel {
    let to = transmit.to;
    let set = |to: FullJid, iq, payload| Iq::Set { from: None, to: Some(to.into()), id: id_of(iq), payload };
    match transmit.stanza {
        Outgoing::Open { iq, sid, block_size } => {
            let open = element("open", sid).attr(xml_ncname!("block-size").to_owned(), block_size);
            // It is the default, and written all the same by most clients.
            set(to, iq, open.attr(xml_ncname!("stanza").to_owned(), IN_IQS).build()).into()
        }
        Outgoing::Data { iq, sid, seq, data } => {
            Parcel::Written(swift::block(&to, &id_of(iq), &sid, seq, &data).into())
        }
        Outgoing::Close { iq, sid } => set(to, iq, element("close", sid).build()).into(),
        Outgoing::Result { id } => Parcel::Written(swift::result(&to, &id).into()),
        Outgoing::Refusal { id } => Parcel::reply(persona::refusal(Some(to.into()), id)),
    }
}

fn element(name: &str, sid: String) -> ElementBuilder {
    Element::builder(name, ns::IBB).attr(xml_ncname!("sid").to_owned(), sid)
}

/// The id of an IQ in the form that the persona's have, so that it says nothing of us.
fn id_of(iq: IqId) -> String {
    persona::new_id(iq.0)
}

/// The IQ with this id, if it may be one of ours. Whether it is only the core knows.
pub(super) fn iq_of(id: &str) -> Option<IqId> {
    persona::random_of(id).map(IqId)
}

/// A block that came, and what is in it.
pub(super) fn block(block: Block, data: Vec<u8>) -> (FullJid, Incoming) {
    let Block { from, id, sid, seq, .. } = block;
    (from, Incoming::Data { id, sid, seq, data })
}

/// The set with this payload, if there is no doubt about its meaning. Who has no bytestream can only open one.
pub(super) fn read_set(id: &str, element: &Element, has_bytestream: bool) -> Option<Incoming> {
    let is_listened_to = has_bytestream || element.name() == "open";
    if !is_listened_to || !element.has_ns(ns::IBB) || element.children().next().is_some() {
        return None;
    }
    let id = id.to_owned();
    let sid = element.attr("sid")?.to_owned();
    match (element.name(), element.attrs().len()) {
        ("data", 2) => {
            Some(Incoming::Data { id, sid, seq: element.attr("seq")?.parse().ok()?, data: decoded(element)? })
        }
        ("open", 2 | 3) => {
            let block_size = element.attr("block-size")?.parse().ok()?;
            let has_only_known = element.attrs().len() == 2 || element.attr("stanza") == Some(IN_IQS);
            (has_only_known && is_empty(element)).then_some(Incoming::Open { id, sid, block_size })
        }
        ("close", 1) => is_empty(element).then_some(Incoming::Close { id, sid }),
        _ => None,
    }
}

/// What `data` carries. The types of the library would copy it twice more on the way, and overlook what they do not know.
fn decoded(data: &Element) -> Option<Vec<u8>> {
    let mut texts = data.texts();
    let first = texts.next().unwrap_or_default();
    let block = if texts.next().is_some() { BASE64.decode(data.text()) } else { BASE64.decode(first) };
    block.ok()
}

fn is_empty(element: &Element) -> bool {
    element.texts().all(|text| text.trim().is_empty())
}
