//! In-Band Bytestreams (XEP-0047): paths of the secure core as stanzas.
//!
//! A path is a bytestream between two full JIDs: it is opened by an `open` whose sid is the path's credential, its blocks are `data` in
//! IQs, each of which is answered, and it ends with a `close` or an error. What is not exactly such a stanza is nothing to us: it gets
//! the answer of a client that does not know bytestreams.
//!
//! [`Bytestreams`] is the table of all of them, between the core and the stanzas ([`Incoming`], [`Outgoing`]).

mod bytestreams;
mod codec;
mod sizes;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::rxml::xml_ncname;
use xmpp_parsers::minidom::{Element, ElementBuilder};
use xmpp_parsers::ns;

pub use self::bytestreams::Bytestreams;
pub(crate) use self::codec::Block;
pub use self::sizes::SIZES;
use crate::persona;
use crate::protocol::AccountId;
use crate::secure::{Credential, Token};
use crate::xmpp::Parcel;

/// The kind of stanza that blocks are sent in.
const IN_IQS: &str = "iq";

/// The largest block that an `open` of ours asks for, in bytes before base64: all that a `block-size` can say. Those that we send are
/// smaller ([`SIZES`]), and those that come are bounded by the largest stanza that is read. What our server takes has no part in it: that
/// can turn out to be less when the bytestream is open, and would bind the other end, whose server may take more.
const BLOCK_SIZE: u16 = 65_535;

/// A stanza to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The account that sends it.
    pub via: AccountId,
    /// Who gets it.
    pub to: FullJid,
    /// What to send.
    pub stanza: Outgoing,
}

/// The stanzas about bytestreams that are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// An IQ set with `<open/>`, for a bytestream in IQ stanzas.
    Open {
        /// Its answer names it.
        iq: Token,
        /// The bytestream's id.
        sid: Credential,
        /// The largest block that will be sent either way, in bytes before base64.
        block_size: u16,
    },
    /// An IQ set with `<data/>`.
    Data {
        /// Its answer names it.
        iq: Token,
        /// The bytestream's id.
        sid: Credential,
        /// The block's number, counted for each direction from 0 and modulo 2^16.
        seq: u16,
        /// The block.
        data: Bytes,
    },
    /// An IQ set with `<close/>`.
    Close {
        /// Its answer names it.
        iq: Token,
        /// The bytestream's id.
        sid: Credential,
    },
    /// The empty result that answers an IQ of the peer's.
    Result {
        /// The id of that IQ.
        id: String,
    },
    /// What a chat client answers that knows no In-Band Bytestreams: the same as to anything unknown.
    Refusal {
        /// The id of the IQ that it answers.
        id: String,
    },
}

/// A stanza about a bytestream that came in, or an answer to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// An IQ set with `<open/>`.
    Open {
        /// The IQ's id.
        id: String,
        /// The bytestream's id.
        sid: String,
        /// The largest block that the peer will send or take.
        block_size: u16,
    },
    /// An IQ set with `<data/>`.
    Data {
        /// The IQ's id.
        id: String,
        /// The bytestream's id.
        sid: String,
        /// The block's number.
        seq: u16,
        /// The block.
        data: Vec<u8>,
    },
    /// An IQ set with `<close/>`.
    Close {
        /// The IQ's id.
        id: String,
        /// The bytestream's id.
        sid: String,
    },
    /// A request that nothing here knows.
    Unknown {
        /// The IQ's id.
        id: String,
    },
    /// The result of an IQ of ours.
    Result {
        /// Which one.
        iq: Token,
    },
    /// An IQ of ours was refused, by the peer or by a server on the way.
    Error {
        /// Which one.
        iq: Token,
    },
    /// An IQ of ours came back: our server cannot reach the peer's.
    Unreachable {
        /// Which one.
        iq: Token,
    },
    /// An IQ of ours came back: a server says that nobody is there.
    Undelivered {
        /// Which one.
        iq: Token,
    },
}

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
            Parcel::Written(codec::write_block(&to, &id_of(iq), &sid.to_string(), seq, &data).into())
        }
        Outgoing::Close { iq, sid } => set(to, iq, element("close", sid).build()).into(),
        Outgoing::Result { id } => Parcel::Written(codec::write_result(&to, &id).into()),
        Outgoing::Refusal { id } => Parcel::reply(persona::refusal(Some(to.into()), id)),
    }
}

fn element(name: &str, sid: Credential) -> ElementBuilder {
    Element::builder(name, ns::IBB).attr(xml_ncname!("sid").to_owned(), sid.to_string())
}

/// The id of an IQ in the form that the persona's have, so that it says nothing of us.
fn id_of(iq: Token) -> String {
    persona::new_id(iq.0)
}

/// The IQ with this id, if it may be one of ours. Whether it is only the core knows.
pub(super) fn iq_of(id: &str) -> Option<Token> {
    persona::random_of(id).map(Token)
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
