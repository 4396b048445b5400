//! Sender of a component's stanzas: a server writes none into them, as it does for clients (XEP-0114 section 4). Pure.

use bytes::{BufMut as _, Bytes, BytesMut};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::presence::Type;
use xmpp_parsers::stanza::Stanza;

/// Who a component is.
pub(super) struct Sender(FullJid);

impl Sender {
    pub(super) fn new(jid: FullJid) -> Self {
        Self(jid)
    }

    /// Writes it into a stanza that has no sender. Who asks for a subscription, or answers such a request, has no resource.
    pub(super) fn sign(&self, stanza: &mut Stanza) {
        let own = || Some(Jid::from(self.0.clone()));
        let from = match stanza {
            Stanza::Iq(
                Iq::Get { from, .. }
                | Iq::Set { from, .. }
                | Iq::Result { from, .. }
                | Iq::Error { from, .. },
            ) => from,
            Stanza::Message(message) => &mut message.from,
            Stanza::Presence(presence) => {
                let is_of_account = !matches!(presence.type_, Type::None | Type::Unavailable | Type::Error);
                if is_of_account && presence.from.is_none() {
                    presence.from = Some(self.0.to_bare().into());
                }
                &mut presence.from
            }
        };
        *from = from.take().or_else(own);
    }

    /// Writes it into an IQ that is written, and has no sender.
    pub(super) fn sign_written(&self, iq: &Bytes) -> Bytes {
        const NAME: &[u8] = b"<iq";
        let Some(rest) = iq.strip_prefix(NAME) else { return iq.clone() };
        let mut signed = BytesMut::with_capacity(iq.len() + self.0.as_str().len() * 2 + 8);
        signed.put_slice(NAME);
        signed.put_slice(b" from='");
        put_escaped(&mut signed, self.0.as_str());
        signed.put_slice(b"'");
        signed.put_slice(rest);
        signed.freeze()
    }
}

/// Text of an attribute in single quotes.
fn put_escaped(into: &mut BytesMut, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'&' => into.put_slice(b"&amp;"),
            b'<' => into.put_slice(b"&lt;"),
            b'\'' => into.put_slice(b"&apos;"),
            byte => into.put_u8(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::persona;
    use xmpp_parsers::minidom::Element;
    use xmpp_parsers::presence::Presence;

    fn sender() -> Sender {
        Sender::new("chat@bridge.example/it's <r>&".parse().unwrap())
    }

    #[test]
    fn what_is_written_gets_a_sender_and_stays_xml() {
        let iq = Bytes::from_static(b"<iq to='a@b/c' id='1' type='result' xmlns='jabber:client'/>");
        let signed = sender().sign_written(&iq);
        let element: Element = str::from_utf8(&signed).unwrap().parse().unwrap();
        assert_eq!(element.attr("from"), Some("chat@bridge.example/it's <r>&"));
        assert_eq!((element.attr("to"), element.attr("id")), (Some("a@b/c"), Some("1")));
    }

    #[test]
    fn a_stanza_gets_a_sender_unless_it_has_one() {
        let other: Jid = "other@bridge.example".parse().unwrap();
        let iq = |from: Option<Jid>| {
            let Iq::Get { to, id, payload, .. } = persona::ping(other.clone(), "1".into()) else { panic!() };
            Stanza::Iq(Iq::Get { from, to, id, payload })
        };
        for (from, expected) in [(None, Jid::from(sender().0)), (Some(other.clone()), other.clone())] {
            let mut stanza = iq(from);
            sender().sign(&mut stanza);
            assert!(matches!(&stanza, Stanza::Iq(iq) if iq.from() == Some(&expected)));
        }
    }

    #[test]
    fn a_subscription_is_granted_by_the_account_and_presence_comes_from_the_resource() {
        for (type_, is_bare) in [(Type::Subscribed, true), (Type::Subscribe, true), (Type::None, false)] {
            let mut stanza = Stanza::Presence(Presence::new(type_));
            sender().sign(&mut stanza);
            let Stanza::Presence(presence) = stanza else { panic!() };
            assert_eq!(presence.from.unwrap().is_bare(), is_bare);
        }
    }
}
