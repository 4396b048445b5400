//! Presence subscriptions: everyone may subscribe, and is asked for the same in return (RFC 6121 section 3).

use xmpp_parsers::jid::Jid;
use xmpp_parsers::ns;
use xmpp_parsers::presence::{Presence, Type};

use super::ids::new_id;

/// The ids of the stanzas that answer a request for a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyIds {
    /// The one of the presence that the account sent last, to everybody.
    pub last_presence: Option<String>,
    /// New ones.
    pub new: [String; 2],
}

impl ReplyIds {
    /// The id of the account's last presence, and two new ones of random bits.
    pub fn new(last_presence: Option<String>, random: [u128; 2]) -> Self {
        Self { last_presence, new: random.map(new_id) }
    }
}

/// The answers to a presence: only a request for a subscription gets any. slixmpp takes one with an error in it for an error.
pub fn reply_to_presence(presence: &Presence, ids: ReplyIds) -> Vec<Presence> {
    let (Type::Subscribe, Some(from)) = (&presence.type_, &presence.from) else { return Vec::new() };
    if presence.payloads.iter().any(|payload| payload.is("error", ns::JABBER_CLIENT)) {
        return Vec::new();
    }
    let to = Jid::from(from.to_bare());
    let [granted, asked] = ids.new;
    vec![
        answer(Type::Subscribed, &to, Some(granted)),
        answer(Type::None, &to, ids.last_presence),
        answer(Type::Subscribe, &to, Some(asked)),
    ]
}

fn answer(type_: Type, to: &Jid, id: Option<String>) -> Presence {
    let mut presence = Presence::new(type_).with_to(to.clone());
    presence.id = id;
    presence
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use xmpp_parsers::minidom::Element;

    fn from(type_: Type) -> Presence {
        Presence::new(type_).with_from("eve@chat.example/r".parse::<Jid>().unwrap())
    }

    fn answers(presence: &Presence) -> Vec<Presence> {
        reply_to_presence(presence, ReplyIds::new(Some("last".into()), [1, 2]))
    }

    #[test]
    fn whoever_asks_may_subscribe_and_is_asked_in_return() {
        let answers = answers(&from(Type::Subscribe));
        let types: Vec<_> = answers.iter().map(|answer| answer.type_.clone()).collect();
        assert_eq!(types, [Type::Subscribed, Type::None, Type::Subscribe]);
        assert!(answers.iter().all(|answer| answer.to == Some("eve@chat.example".parse().unwrap())));
        assert_eq!(answers[1].id.as_deref(), Some("last"));
    }

    #[test]
    fn a_request_with_an_error_in_it_is_not_answered() {
        let mut request = from(Type::Subscribe);
        request.payloads.push(Element::bare("error", ns::JABBER_CLIENT));
        assert!(answers(&request).is_empty());
    }

    #[test]
    fn no_other_presence_is_answered() {
        for type_ in [
            Type::None,
            Type::Error,
            Type::Probe,
            Type::Subscribed,
            Type::Unavailable,
            Type::Unsubscribe,
            Type::Unsubscribed,
        ] {
            assert_eq!(answers(&from(type_)), []);
        }
        assert_eq!(answers(&Presence::new(Type::Subscribe)), []);
    }
}
