//! What the protocol core wants sent, as stanzas, and what comes in, as the core understands it. Pure.

use xmpp_parsers::delay::Delay;
use xmpp_parsers::iq::{Iq, IqHeader, IqPayload};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::message::{Message, MessageType};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::ping::Ping;
use xmpp_parsers::stanza::Stanza;
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use crate::classic::{Incoming, Outgoing, Payload, SetId, Transmit};

/// Turns the core's [`Transmit`]s into stanzas and stanzas into its [`Incoming`]s.
#[derive(Debug)]
pub struct Carrier {
    /// Starts the id of every IQ, so that no answer to an IQ of an earlier process is taken for ours.
    id_prefix: String,
}

/// What a stanza is to us.
#[derive(Debug)]
pub enum Received {
    /// Something for the protocol core.
    Protocol {
        /// Who sent it.
        from: Jid,
        /// What it is.
        incoming: Incoming,
    },
    /// A request that is not of the protocol; it only shows that `from` is alive, and wants the
    /// ordinary answer.
    Request {
        /// Who sent it, if that is somebody with a resource.
        from: Option<FullJid>,
        /// The request.
        iq: Box<Iq>,
    },
    /// Nothing of interest.
    Nothing,
}

impl Carrier {
    /// A carrier whose IQ ids start with `id_prefix`, which should be random.
    pub fn new(id_prefix: impl Into<String>) -> Self {
        Self { id_prefix: id_prefix.into() }
    }

    /// The stanza for what the core wants sent.
    pub fn stanza(&self, transmit: Transmit) -> Stanza {
        let to = transmit.to;
        match transmit.stanza {
            Outgoing::Message(payload) => {
                let message = Message::new_with_type(MessageType::Chat, to);
                message.with_payloads(vec![payload.to_element()]).into()
            }
            Outgoing::Set(set, payload) => self.iq(to, self.id_of(set), IqPayload::Set(payload.to_element())),
            Outgoing::Ping(set) => self.iq(to, self.id_of(set), IqPayload::Get(Ping.into())),
            Outgoing::Unsolicited(payload) => {
                let id = format!("{}-ack", self.id_prefix);
                self.iq(to, id, IqPayload::Result(Some(payload.to_element())))
            }
            Outgoing::Answer(id) => self.iq(to, id, IqPayload::Result(None)),
        }
    }

    #[expect(clippy::unused_self, reason = "reads as the other constructors do")]
    fn iq(&self, to: Jid, id: String, payload: IqPayload) -> Stanza {
        Iq::assemble(IqHeader { from: None, to: Some(to), id }, payload).into()
    }

    fn id_of(&self, set: SetId) -> String {
        format!("{}{}", self.id_prefix, set.0)
    }

    fn set_of(&self, id: &str) -> Option<SetId> {
        id.strip_prefix(&self.id_prefix)?.parse().ok().map(SetId)
    }

    /// What an incoming stanza is to us.
    pub fn receive(&self, stanza: Stanza) -> Received {
        let received = match stanza {
            Stanza::Iq(iq) => return self.receive_iq(iq),
            Stanza::Message(message) => receive_message(message),
            Stanza::Presence(_) => None,
        };
        received.map_or(Received::Nothing, |(from, incoming)| Received::Protocol { from, incoming })
    }

    fn receive_iq(&self, iq: Iq) -> Received {
        let (header, payload) = iq.split();
        let incoming = match &payload {
            IqPayload::Get(element) if is_ours(element) => return Received::Nothing,
            IqPayload::Get(_) => None,
            IqPayload::Set(element) => match Payload::from_element(element) {
                Some(payload) => Some(Incoming::Set { id: header.id.clone(), payload }),
                None if is_ours(element) => return Received::Nothing,
                None => None,
            },
            IqPayload::Result(element) => Some(Incoming::Result {
                set: self.set_of(&header.id),
                payload: element.as_ref().and_then(Payload::from_element),
            }),
            IqPayload::Error(error) => match self.set_of(&header.id) {
                Some(set) => Some(Incoming::Error { set, nobody_there: is_nobody_there(error) }),
                None => return Received::Nothing,
            },
        };
        match (incoming, header.from.clone()) {
            (Some(incoming), Some(from)) => Received::Protocol { from, incoming },
            (Some(_), None) => Received::Nothing,
            (None, from) => {
                let from = from.and_then(|from| from.try_into_full().ok());
                Received::Request { from, iq: Box::new(Iq::assemble(header, payload)) }
            }
        }
    }
}

/// Whether a request is of this protocol. One that cannot be read gets no answer at all: the 2013 program
/// closes a connection, or drops an alias, over any error.
fn is_ours(element: &Element) -> bool {
    element.ns().starts_with("hexchat:")
}

fn receive_message(message: Message) -> Option<(Jid, Incoming)> {
    let from = message.from?;
    let payload = message.payloads.iter().find_map(Payload::from_element);
    if message.type_ == MessageType::Error {
        return Some((from, Incoming::MessageBounce { payload }));
    }
    let delayed = message.payloads.iter().any(is_delay);
    Some((from, Incoming::Message { payload: payload?, delayed }))
}

fn is_delay(element: &Element) -> bool {
    element.is("delay", ns::DELAY) && Delay::try_from(element.clone()).is_ok()
        || element.is("x", "jabber:x:delay")
}

/// Whether an error comes from a server that found nobody, rather than from somebody.
fn is_nobody_there(error: &StanzaError) -> bool {
    matches!(
        error.defined_condition,
        DefinedCondition::ServiceUnavailable
            | DefinedCondition::RecipientUnavailable
            | DefinedCondition::ItemNotFound
            | DefinedCondition::Gone { .. }
            | DefinedCondition::RemoteServerNotFound
            | DefinedCondition::RemoteServerTimeout
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::{Aliases, Header};
    use crate::protocol::{AccountId, Address};

    fn header() -> Header {
        Header {
            local: Address::new("127.0.0.1", "1").unwrap(),
            remote: Address::new("127.0.0.1", "2").unwrap(),
            aliases: Aliases::new([FullJid::new("alice@x/r1").unwrap()]).unwrap(),
        }
    }

    fn transmit(stanza: Outgoing) -> Transmit {
        Transmit { via: AccountId(0), to: Jid::new("bob@x/r2").unwrap(), stanza }
    }

    /// As it goes over the wire.
    fn written(stanza: Outgoing) -> String {
        let stanza = Carrier::new("p").stanza(transmit(stanza));
        tokio_xmpp::PrintRawXml(&stanza).to_string()
    }

    fn received(xml: &str) -> Received {
        let element: Element = xml.parse().unwrap();
        let stanza = match element.name() {
            "iq" => Iq::try_from(element).unwrap().into(),
            _ => Message::try_from(element).unwrap().into(),
        };
        Carrier::new("p").receive(stanza)
    }

    fn incoming(xml: &str) -> Incoming {
        match received(xml) {
            Received::Protocol { incoming, .. } => incoming,
            other => panic!("{other:?}"),
        }
    }

    const HEADER: &str = "<local_ip>127.0.0.1</local_ip><local_port>1</local_port>\
        <remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>alice@x/r1</aliases>";

    #[test]
    fn fields_are_unprefixed_and_inherit_the_payloads_namespace_on_the_wire() {
        let connect = Payload::Connect { header: header(), resend: false };
        let xml = written(Outgoing::Message(connect));
        assert!(xml.contains(&format!("<connect xmlns='hexchat:connect'>{HEADER}</connect>")), "{xml}");
        assert!(xml.contains("type='chat'") && !xml.contains(" id="), "{xml}");
    }

    #[test]
    fn an_answer_to_one_of_our_iqs_is_told_from_any_other() {
        let disconnect = Payload::Disconnect { header: header(), id: crate::classic::seq::SeqNum::ZERO };
        assert!(written(Outgoing::Set(SetId(7), disconnect)).contains("id='p7'"));
        let ours = incoming("<iq xmlns='jabber:client' from='bob@x/r2' type='result' id='p7'/>");
        assert!(matches!(ours, Incoming::Result { set: Some(SetId(7)), payload: None }));
        let other = incoming("<iq xmlns='jabber:client' from='bob@x/r2' type='result' id='0'/>");
        assert!(matches!(other, Incoming::Result { set: None, payload: None }));
    }

    #[test]
    fn the_2013_programs_ack_is_understood() {
        let xml = format!(
            "<iq xmlns='jabber:client' from='bob@x/r2' id='0' type='result'>\
             <connect_ack xmlns='hexchat:connect_ack'>{HEADER}<response>success</response></connect_ack></iq>"
        );
        let Incoming::Result { payload: Some(Payload::ConnectAck { success, resend, .. }), .. } =
            incoming(&xml)
        else {
            panic!("not an ack")
        };
        assert!(success && !resend);
    }

    #[test]
    fn an_error_of_the_server_is_told_from_one_of_the_peer() {
        for (condition, expected) in [
            ("service-unavailable", true),
            ("recipient-unavailable", true),
            ("feature-not-implemented", false),
        ] {
            let xml = format!(
                "<iq xmlns='jabber:client' from='bob@x/r2' type='error' id='p7'><error type='cancel'>\
                 <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            );
            let Incoming::Error { set: SetId(7), nobody_there } = incoming(&xml) else {
                panic!("{condition}")
            };
            assert_eq!(nobody_there, expected, "{condition}");
        }
    }

    #[test]
    fn a_connect_from_offline_storage_is_marked() {
        let connect = format!("<connect xmlns='hexchat:connect'>{HEADER}</connect>");
        let delay = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>";
        for (extra, expected) in
            [("", false), (delay, true), ("<x xmlns='jabber:x:delay' stamp='20260101T00:00:00'/>", true)]
        {
            let xml =
                format!("<message xmlns='jabber:client' from='a@x/r' type='chat'>{connect}{extra}</message>");
            let Incoming::Message { delayed, .. } = incoming(&xml) else { panic!("{extra}") };
            assert_eq!(delayed, expected, "{extra}");
        }
    }

    #[test]
    fn a_connect_that_came_back_is_no_connect() {
        let xml = format!(
            "<message xmlns='jabber:client' from='bob@x' type='error'><connect xmlns='hexchat:connect'>{HEADER}\
             </connect><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             </error></message>"
        );
        assert!(matches!(incoming(&xml), Incoming::MessageBounce { payload: Some(Payload::Connect { .. }) }));
    }

    #[test]
    fn what_cannot_be_read_of_this_protocol_gets_no_answer() {
        for (kind, payload) in [
            ("set", "<connect xmlns='hexchat:connect'/>"),
            ("set", "<packet xmlns='hexchat:packet'><id>0</id></packet>"),
            ("get", "<connect xmlns='hexchat:connect'/>"),
        ] {
            let xml = format!("<iq xmlns='jabber:client' from='eve@x/r' type='{kind}' id='1'>{payload}</iq>");
            assert!(matches!(received(&xml), Received::Nothing), "{xml}");
        }
    }

    #[test]
    fn requests_of_other_protocols_are_handed_back_for_an_ordinary_answer() {
        let xml =
            "<iq xmlns='jabber:client' from='eve@x/r' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>";
        let Received::Request { from, iq } = received(xml) else { panic!("not a request") };
        assert_eq!(from, FullJid::new("eve@x/r").ok());
        assert_eq!(iq.id(), "1");
    }
}
