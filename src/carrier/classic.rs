//! Stanzas of the classic protocol, and their sizes.

#[cfg(test)]
mod tests;

use xmpp_parsers::delay::Delay;
use xmpp_parsers::iq::{Iq, IqHeader, IqPayload};
use xmpp_parsers::jid::Jid;
use xmpp_parsers::message::{Message, MessageType};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use super::ids::Ids;
use crate::classic::{Incoming, Missing, Outgoing, Payload, SetId, Sizes, Transmit};
use crate::persona;
use crate::xmpp::flat::FlatSet;
use crate::xmpp::{break_interval, filling};

/// What a stanza with a packet weighs beside base64: 1024 bytes at most.
const MAX_AROUND_PACKET: usize = 1024;

/// Sizes of packets whose stanzas fill TLS records: one to four.
pub(crate) static SIZES: Sizes = Sizes {
    chunks: &[
        filling(1, MAX_AROUND_PACKET),
        filling(2, MAX_AROUND_PACKET),
        filling(3, MAX_AROUND_PACKET),
        filling(4, MAX_AROUND_PACKET),
    ],
    ladder: &[
        512,
        1024,
        filling(1, MAX_AROUND_PACKET),
        4096,
        filling(2, MAX_AROUND_PACKET),
        filling(3, MAX_AROUND_PACKET),
        filling(4, MAX_AROUND_PACKET),
    ],
    on_wire: |data| data.div_ceil(3) * 4 + MAX_AROUND_PACKET,
    break_interval,
};

/// The stanza for what the core wants sent.
pub(super) fn stanza(transmit: Transmit, ids: &Ids) -> Stanza {
    let to = transmit.to;
    match transmit.stanza {
        Outgoing::Message(payload) => {
            let message = Message::new_with_type(MessageType::Chat, to);
            message.with_payloads(vec![payload.to_element()]).into()
        }
        Outgoing::Set(set, payload) => iq(to, ids.write(set.0), IqPayload::Set(payload.to_element())),
        Outgoing::Ping(set) => persona::ping(to, ids.write(set.0)).into(),
        Outgoing::Unsolicited(set, payload) => {
            iq(to, ids.write(set.0), IqPayload::Result(Some(payload.to_element())))
        }
        Outgoing::Answer(id) => persona::empty_result(Some(to), id).into(),
    }
}

fn iq(to: Jid, id: String, payload: IqPayload) -> Stanza {
    Iq::assemble(IqHeader { from: None, to: Some(to), id }, payload).into()
}

/// The payload of a set of this protocol, if it is one that can be read.
pub(super) fn read_set(element: &Element) -> Option<Payload> {
    Payload::from_element(element)
}

/// The same of a set that needs no tree to be read.
pub(super) fn read_flat_set(set: &FlatSet) -> Option<Payload> {
    Payload::from_parts(set.name(), set.attributes().get("xmlns")?, &set.fields()?)
}

/// A result or an error; `set` is the IQ of ours that it answers.
pub(super) fn read_answer(set: Option<SetId>, payload: IqPayload) -> Option<Incoming> {
    match payload {
        IqPayload::Result(element) => {
            Some(Incoming::Result { set, payload: element.as_ref().and_then(Payload::from_element) })
        }
        IqPayload::Error(error) => set.map(|set| Incoming::Error { set, missing: missing(&error) }),
        IqPayload::Get(_) | IqPayload::Set(_) => None,
    }
}

/// Whether a request is of this protocol. One that cannot be read gets no answer at all: the 2013 program
/// closes a connection, or drops an alias, over any error.
pub(super) fn is_ours(element: &Element) -> bool {
    element.ns().starts_with("hexchat:")
}

pub(super) fn read_message(message: Message) -> Option<(Jid, Incoming)> {
    let from = message.from?;
    let payload = message.payloads.iter().find_map(Payload::from_element);
    if message.type_ == MessageType::Error {
        let error = message.payloads.iter().find(|payload| payload.is("error", ns::JABBER_CLIENT));
        let error = error.and_then(|error| StanzaError::try_from(error.clone()).ok());
        let missing = error.as_ref().and_then(missing).unwrap_or(Missing::Peer);
        return Some((from, Incoming::MessageBounce { payload, missing }));
    }
    let delayed = message.payloads.iter().any(is_delay);
    Some((from, Incoming::Message { payload: payload?, delayed }))
}

fn is_delay(element: &Element) -> bool {
    element.is("delay", ns::DELAY) && Delay::try_from(element.clone()).is_ok()
        || element.is("x", "jabber:x:delay")
}

/// Who is not there, by an error of a server.
fn missing(error: &StanzaError) -> Option<Missing> {
    let missing = if is_nobody_reached(error) { Missing::Server } else { Missing::Peer };
    is_nobody_there(error).then_some(missing)
}

/// Whether an error comes from a server that cannot reach the peer's.
pub(super) fn is_nobody_reached(error: &StanzaError) -> bool {
    matches!(
        error.defined_condition,
        DefinedCondition::RemoteServerNotFound | DefinedCondition::RemoteServerTimeout
    )
}

/// Whether an error comes from a server that found nobody, rather than from somebody.
pub(super) fn is_nobody_there(error: &StanzaError) -> bool {
    let is_absent = matches!(
        error.defined_condition,
        DefinedCondition::ServiceUnavailable
            | DefinedCondition::RecipientUnavailable
            | DefinedCondition::ItemNotFound
            | DefinedCondition::Gone { .. }
    );
    is_absent || is_nobody_reached(error)
}
