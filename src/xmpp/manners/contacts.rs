//! How it treats those who want to see when it is online: everyone may, and it asks for the same in return.

use std::fmt::Write as _;

use xmpp_parsers::jid::Jid;
use xmpp_parsers::ns;
use xmpp_parsers::presence::{Presence, Type};

/// The ids of the stanzas that answer a presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The one of the presence that the account sent last, to everybody.
    pub last_presence: Option<String>,
    /// New ones.
    pub new: [String; 2],
}

impl Ids {
    /// Ids as slixmpp makes them: a UUID of version 4 in 32 hexadecimal digits.
    pub fn new(last_presence: Option<String>, random: [u128; 2]) -> Self {
        Self { last_presence, new: random.map(new_id) }
    }
}

/// The bits of a UUID that say that it is one of version 4, and what they say.
const FIXED: u128 = 0xf << 76 | 0b11 << 62;
const VERSION_4: u128 = 0x4 << 76 | 0b10 << 62;

/// An id as slixmpp makes them, of random bits.
pub fn new_id(random: u128) -> String {
    let mut id = String::with_capacity(32);
    // Writing to a string does not fail.
    let _ = write!(id, "{:032x}", random & !FIXED | VERSION_4);
    id
}

/// The random bits of such an id, zeros where they have no place in it; none when it is of another form.
pub fn random_of(id: &str) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let bits = u128::from_str_radix(id, 16).ok()?;
    let has_form = id.len() == 32 && id.bytes().all(is_digit) && bits & FIXED == VERSION_4;
    has_form.then_some(bits & !FIXED)
}

/// The answers to a presence: only a request for a subscription gets any. slixmpp takes one with an error in it for an error.
pub fn reply_to_presence(presence: &Presence, ids: Ids) -> Vec<Presence> {
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
        reply_to_presence(presence, Ids::new(Some("last".into()), [1, 2]))
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

    #[test]
    fn an_id_is_a_random_uuid_without_dashes() {
        assert_eq!(new_id(0), "00000000000040008000000000000000");
        assert_eq!(new_id(u128::MAX), "ffffffffffff4fffbfffffffffffffff");
    }

    #[test]
    fn what_an_id_was_made_of_can_be_read_from_it_and_from_nothing_else() {
        assert_eq!(random_of(&new_id(0)), Some(0));
        assert_eq!(random_of(&new_id(u128::MAX)), Some(!FIXED));
        for other in [
            "",
            "7",
            "0000000000004000800000000000000",
            "000000000000400080000000000000000",
            "+0000000000040008000000000000000",
            "00000000000050008000000000000000",
            "0000000000004000c000000000000000",
            "ffffffffffff4fffbfffffffffffffFf",
            "00000000-0000-4000-8000-000000000",
        ] {
            assert_eq!(random_of(other), None, "{other}");
        }
    }
}
