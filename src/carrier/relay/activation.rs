//! Activation of a bytestream (XEP-0065 section 6.3): the proxy joins what both ends have connected.

use thiserror::Error;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};
use xso::exports::rxml::xml_ncname;

use crate::carrier::pending::{Pending, Random};
use crate::persona::BYTESTREAMS;

/// Why a bytestream is not activated. What the proxy writes beside the condition of RFC 6120 section 8.3.3 is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The proxy does not know it, or one of its ends has not connected, or not to the same address.
    #[error("activating a bytestream at the proxy: not both ends are connected there ({0})")]
    NotConnected(&'static str),
    /// The account may not.
    #[error("activating a bytestream at the proxy: it takes none of this account ({0})")]
    NotAllowed(&'static str),
    /// The account, or everybody together, has enough of them.
    #[error("activating a bytestream at the proxy: it takes no more for now ({0})")]
    TooMany(&'static str),
    /// Another condition.
    #[error("activating a bytestream at the proxy: refused ({0})")]
    Other(&'static str),
}

impl Refusal {
    /// What an error of a proxy says.
    fn of(error: &StanzaError) -> Self {
        use DefinedCondition as C;
        match error.defined_condition {
            // Prosody says the first where neither end has connected, the second where one has not.
            C::ItemNotFound => Self::NotConnected("item-not-found"),
            C::NotAllowed => Self::NotConnected("not-allowed"),
            C::Forbidden => Self::NotAllowed("forbidden"),
            C::NotAuthorized => Self::NotAllowed("not-authorized"),
            C::ServiceUnavailable => Self::NotAllowed("service-unavailable"),
            C::FeatureNotImplemented => Self::NotAllowed("feature-not-implemented"),
            C::ResourceConstraint => Self::TooMany("resource-constraint"),
            C::PolicyViolation => Self::TooMany("policy-violation"),
            C::Conflict => Self::Other("conflict"),
            C::InternalServerError => Self::Other("internal-server-error"),
            C::BadRequest => Self::Other("bad-request"),
            C::JidMalformed => Self::Other("jid-malformed"),
            _ => Self::Other("another condition"),
        }
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Asked(Pending);

/// Asks the proxy to join us, who have begun the bytestream, with `target`.
pub fn ask(proxy: &Jid, sid: &str, target: &FullJid, random: Random<'_>) -> (Asked, Iq) {
    let pending = Pending::new(proxy.clone(), random);
    let activate = Element::builder("activate", BYTESTREAMS).append(target.as_str());
    let query = Element::builder("query", BYTESTREAMS).attr(xml_ncname!("sid").into(), sid);
    let payload = query.append(activate.build()).build();
    let iq = Iq::Set { from: None, to: Some(proxy.clone()), id: pending.id.clone(), payload };
    (Asked(pending), iq)
}

impl Asked {
    /// Whether it was asked for with this id.
    pub(in crate::carrier) fn has_id(&self, id: &str) -> bool {
        self.0.has_id(id)
    }

    /// What is answered; none if this is no answer to it.
    pub fn answer(&self, iq: &Iq) -> Option<Result<(), Refusal>> {
        if !self.0.is_answered_by(iq) {
            return None;
        }
        Some(match iq {
            Iq::Error { error, .. } => Err(Refusal::of(error)),
            _ => Ok(()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use xmpp_parsers::stanza_error::ErrorType;

    use super::*;

    fn proxy() -> Jid {
        Jid::new("proxy.chat.example").unwrap()
    }

    fn asked() -> (Asked, Iq) {
        let target = FullJid::new("bridge@chat.example/there").unwrap();
        ask(&proxy(), "s", &target, &mut || 7)
    }

    #[test]
    fn it_is_asked_for_as_slixmpp_asks() {
        let (_, iq) = asked();
        assert_eq!(
            String::from(&Element::from(iq)),
            "<iq xmlns='jabber:client' id='00000000000040008000000000000007' to='proxy.chat.example' type='set'>\
             <query xmlns='http://jabber.org/protocol/bytestreams' sid='s'><activate>bridge@chat.example/there</activate></query></iq>"
        );
    }

    fn refused(condition: DefinedCondition) -> Refusal {
        let (asked, iq) = asked();
        let error = StanzaError::new(ErrorType::Cancel, condition, "", "");
        let id = iq.id().to_owned();
        let error = Iq::Error { from: Some(proxy()), to: None, id, error, payload: None };
        asked.answer(&error).unwrap().unwrap_err()
    }

    #[test]
    fn a_refusal_says_whether_somebody_is_missing_or_nothing_helps() {
        use DefinedCondition as C;
        for (condition, expected) in [
            (C::ItemNotFound, Refusal::NotConnected("item-not-found")),
            (C::NotAllowed, Refusal::NotConnected("not-allowed")),
            (C::Forbidden, Refusal::NotAllowed("forbidden")),
            (C::ResourceConstraint, Refusal::TooMany("resource-constraint")),
            (C::Gone { new_address: None }, Refusal::Other("another condition")),
        ] {
            assert_eq!(refused(condition), expected);
            assert!(expected.to_string().starts_with("activating a bytestream at the proxy: "));
        }
    }

    #[test]
    fn only_the_proxy_can_say_that_it_is_done() {
        let (asked, iq) = asked();
        let result =
            |from: Jid, id: &str| Iq::Result { from: Some(from), to: None, id: id.to_owned(), payload: None };
        assert_eq!(asked.answer(&result(Jid::new("evil.example").unwrap(), iq.id())), None);
        assert_eq!(asked.answer(&result(proxy(), "x")), None);
        assert_eq!(asked.answer(&iq), None, "the request itself");
        assert_eq!(asked.answer(&result(proxy(), iq.id())), Some(Ok(())));
    }
}
