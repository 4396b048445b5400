//! Test support: an account at a desk of its own, and stanzas as servers write them.

use xmpp_parsers::iq::Iq;
use xmpp_parsers::message::Message;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::presence::Presence;

use super::{Arrival, Decision, Desk, Recipient};
use crate::carrier::ibb;
use crate::classic;
use crate::protocol::AccountId;
use crate::xmpp::{Parcel, flat};

/// By which the ids of the classic protocol's IQs are made.
pub(in crate::carrier) const KEY: [u8; 32] = [15; 32];

pub(in crate::carrier) const ACCOUNT: AccountId = AccountId(1);

/// An account that lets peers in, speaks the classic protocol, and has a bytestream with everybody, unless told otherwise.
pub(in crate::carrier) struct Account {
    pub(in crate::carrier) desk: Desk,
    pub(in crate::carrier) lets_in: bool,
    pub(in crate::carrier) speaks_classic: bool,
    pub(in crate::carrier) has_bytestream: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self { desk: Desk::new(&KEY), lets_in: true, speaks_classic: true, has_bytestream: true }
    }
}

impl Account {
    /// What is decided about a stanza that the library reads.
    pub(in crate::carrier) fn decide(&mut self, xml: &str) -> Vec<Decision> {
        let element: Element = xml.parse().unwrap();
        let stanza = match element.name() {
            "iq" => Iq::try_from(element).unwrap().into(),
            "message" => Message::try_from(element).unwrap().into(),
            _ => Presence::try_from(element).unwrap().into(),
        };
        self.handle(Arrival::Parsed(Box::new(stanza)))
    }

    /// What is decided about a stanza that needs no tree to be read.
    pub(in crate::carrier) fn decide_flat(&mut self, xml: &str) -> Vec<Decision> {
        self.handle(Arrival::Flat(flat::read(xml.as_bytes().to_vec()).unwrap()))
    }

    /// What is decided about whatever comes.
    pub(in crate::carrier) fn handle(&mut self, arrival: Arrival) -> Vec<Decision> {
        let has_bytestream = self.has_bytestream;
        let to = Recipient {
            account: ACCOUNT,
            lets_in: self.lets_in,
            speaks_classic: self.speaks_classic,
            has_bytestream_with: &|_| has_bytestream,
        };
        self.desk.handle(arrival, &to, || [1, 2]);
        std::iter::from_fn(|| self.desk.poll()).collect()
    }
}

/// What the secure core alone gets, and from whom.
pub(in crate::carrier) fn to_secure(decisions: Vec<Decision>) -> ibb::Incoming {
    match only(decisions) {
        Decision::ToSecure { incoming, .. } => incoming,
        other => panic!("{other:?}"),
    }
}

/// What the classic core alone gets.
pub(in crate::carrier) fn to_classic(decisions: Vec<Decision>) -> classic::Incoming {
    match only(decisions) {
        Decision::ToClassic { incoming, .. } => incoming,
        other => panic!("{other:?}"),
    }
}

/// The only reply, as it goes over the wire. It waits behind everything of ours.
pub(in crate::carrier) fn reply(decisions: Vec<Decision>) -> String {
    match only(decisions) {
        Decision::Reply(parcel @ Parcel::Reply(_)) => written(parcel),
        other => panic!("{other:?}"),
    }
}

fn only(mut decisions: Vec<Decision>) -> Decision {
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    decisions.remove(0)
}

/// Whether a request from `eve@x/r` whose id is `i1` is one that nobody knows, for the secure core to refuse, and where the classic
/// protocol is in use a sign of life before.
pub(in crate::carrier) fn is_unknown(decisions: &[Decision]) -> bool {
    let (signs, last) = match decisions {
        [sign, last] => (Some(sign), last),
        [last] => (None, last),
        _ => return false,
    };
    let is_eves =
        |sign: &Decision| matches!(sign, Decision::SignOfLife { from } if from.as_str() == "eve@x/r");
    let unknown = ibb::Incoming::Unknown { id: "i1".into() };
    matches!(last, Decision::ToSecure { from, incoming } if from.as_str() == "eve@x/r" && *incoming == unknown)
        && signs.is_none_or(is_eves)
}

/// As it goes over the wire.
pub(in crate::carrier) fn written(parcel: Parcel) -> String {
    match parcel {
        Parcel::Stanza(stanza) | Parcel::Reply(stanza) => tokio_xmpp::PrintRawXml(&*stanza).to_string(),
        Parcel::Written(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
    }
}
