//! What a well-behaved client answers to IQ requests that nobody else claims. Pure.

use xmpp_parsers::iq::Iq;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};
use xmpp_parsers::{jid::Jid, ns};

/// The answer to `iq`: a ping (XEP-0199) gets its result, every other request `service-unavailable` (RFC 6120
/// section 8.4). Results and errors are never answered (RFC 6120 section 8.2.3).
pub fn reply_to(iq: &Iq) -> Option<Iq> {
    answer_ping(iq).or_else(|| refuse(iq))
}

/// The answer to a ping; none for anything else.
pub fn answer_ping(iq: &Iq) -> Option<Iq> {
    match iq {
        Iq::Get { from, id, payload, .. } if is_ping(payload) => {
            Some(Iq::Result { from: None, to: from.clone(), id: id.clone(), payload: None })
        }
        _ => None,
    }
}

fn is_ping(payload: &Element) -> bool {
    payload.is("ping", ns::PING)
}

fn refuse(iq: &Iq) -> Option<Iq> {
    match iq {
        Iq::Get { from, id, .. } | Iq::Set { from, id, .. } => Some(unavailable(from.clone(), id.clone())),
        Iq::Result { .. } | Iq::Error { .. } => None,
    }
}

/// The refusal of a request with this id, in words that say nothing.
pub fn unavailable(to: Option<Jid>, id: String) -> Iq {
    let error = StanzaError {
        type_: ErrorType::Cancel,
        by: None,
        defined_condition: DefinedCondition::ServiceUnavailable,
        texts: Default::default(),
        other: None,
    };
    Iq::Error { from: None, to, id, error, payload: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use xmpp_parsers::ping::Ping;

    fn peer() -> Jid {
        "peer@chat.example/r".parse().unwrap()
    }

    #[test]
    fn a_ping_gets_an_empty_result() {
        let answer = reply_to(&Iq::from_get("p1", Ping).with_from(peer())).unwrap();
        assert_eq!(answer, Iq::Result { from: None, to: Some(peer()), id: "p1".into(), payload: None });
    }

    #[test]
    fn a_ping_from_the_server_itself_is_answered_to_the_server() {
        let answer = reply_to(&Iq::from_get("p2", Ping)).unwrap();
        assert_eq!((answer.to(), answer.id()), (None, "p2"));
    }

    #[test]
    fn a_ping_that_is_a_set_is_a_request_like_any_other() {
        let set = Iq::Set { from: Some(peer()), to: None, id: "p3".into(), payload: Ping.into() };
        assert!(answer_ping(&set).is_none());
        assert!(matches!(reply_to(&set), Some(Iq::Error { .. })));
    }

    #[test]
    fn an_unknown_request_gets_service_unavailable() {
        let payload = Element::builder("query", "jabber:iq:unheard-of").build();
        let request = Iq::Get { from: Some(peer()), to: None, id: "q".into(), payload };
        let Some(Iq::Error { to, id, error, .. }) = reply_to(&request) else { panic!("no error") };
        assert_eq!((to, id.as_str()), (Some(peer()), "q"));
        assert_eq!(error.type_, ErrorType::Cancel);
        assert_eq!(error.defined_condition, DefinedCondition::ServiceUnavailable);
    }

    #[test]
    fn answers_are_never_answered() {
        let result = Iq::empty_result(peer(), "r").with_from(peer());
        assert!(reply_to(&result).is_none());
        assert!(reply_to(&unavailable(Some(peer()), "e".into())).is_none());
    }
}
