//! The head of a stanza, for when it cannot be read as a whole. Pure.
//!
//! It says who asks for what, and that is all that the answer of an ordinary client depends on. So an attribute that no
//! parser of ours would take, or a payload of a size that is beyond all reason, gets the answer that it would get from others.
//! The attributes are copied as they were written; whether they make sense is for the library to say, which reads what is
//! made of them.

use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;

use super::parse::parse;
use super::scanner::Scanner;

/// A request that nobody knows.
const UNKNOWN: &str = "<unknown xmlns='jabber:client'/>";

/// In place of an error that cannot be read.
const ERROR: &str =
    "<error type='cancel'><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";

/// What is left of the stanza that `written` begins with; none when there is nothing to answer about it.
pub(super) fn stanza(written: &[u8]) -> Option<Stanza> {
    let [stanza, payload] = start_tags(written);
    let stanza = Tag::read(stanza?)?;
    match (stanza.name, stanza.get("type")?.trim_matches(['\'', '"'])) {
        ("iq", "get" | "set") => {
            let payload = payload.and_then(Tag::read).map(|payload| payload.as_request());
            let with = |payload: &str| parse(stanza.with(payload).as_bytes());
            payload.and_then(|payload| with(&payload)).or_else(|| with(UNKNOWN))
        }
        ("iq", "result") | ("presence", "subscribe") => parse(stanza.with("").as_bytes()),
        ("iq", "error") => parse(stanza.with(ERROR).as_bytes()),
        _ => None,
    }
}

/// The first two start tags, without their brackets.
fn start_tags(written: &[u8]) -> [Option<&[u8]>; 2] {
    let mut scanner = Scanner::between_elements();
    let mut found = [None; 2];
    let (mut at, mut opened) = (0, 0);
    while at < written.len() && scanner.tags() < found.len() {
        let seen = scanner.tags();
        at += scanner.advance(&written[at..]);
        if scanner.is_opening() {
            opened = at;
        }
        if scanner.tags() > seen {
            let tag = &written[opened..at - 1];
            found[seen] = Some(tag.strip_suffix(b"/").unwrap_or(tag));
        }
    }
    found
}

/// A start tag, as it was written.
#[derive(Debug)]
struct Tag<'a> {
    name: &'a str,
    attributes: &'a str,
}

impl<'a> Tag<'a> {
    fn read(tag: &'a [u8]) -> Option<Self> {
        let tag = str::from_utf8(tag).ok()?;
        let (name, attributes) = tag.split_at(tag.find(is_space).unwrap_or(tag.len()));
        Some(Self { name, attributes })
    }

    /// Names, and values in their quotes, up to the first that is none.
    fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            let (name, behind) = rest.split_once('=')?;
            let value = behind.trim_start_matches(is_space);
            let quote = value.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
            let end = value[1..].find(quote)? + 2;
            rest = &value[end..];
            Some((name.trim_matches(is_space), &value[..end]))
        })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.attributes().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// As a stanza that has nothing but this payload.
    fn with(&self, payload: &str) -> String {
        let name = self.name;
        let id = self.get("id").unwrap_or("''");
        let mut attributes = format!(" id={id}");
        for name in ["type", "from"] {
            if let Some(value) = self.get(name) {
                attributes.extend([" ", name, "=", value]);
            }
        }
        format!("<{name} xmlns='{}'{attributes}>{payload}</{name}>", ns::JABBER_CLIENT)
    }

    /// As a request without content.
    fn as_request(&self) -> String {
        let name = self.name;
        let prefix = name.split_once(':').map(|(prefix, _)| format!("xmlns:{prefix}"));
        let mut attributes = String::new();
        for name in ["xmlns", "node"].into_iter().chain(prefix.as_deref()) {
            if let Some(value) = self.get(name) {
                attributes.extend([" ", name, "=", value]);
            }
        }
        format!("<{name}{attributes}/>")
    }
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::persona;
    use xmpp_parsers::iq::Iq;
    use xmpp_parsers::presence::{Presence, Type};

    fn iq(written: &str) -> Iq {
        match stanza(written.as_bytes()) {
            Some(Stanza::Iq(iq)) => iq,
            other => panic!("{other:?} of {written}"),
        }
    }

    fn is_refused(iq: &Iq) -> bool {
        let refused = persona::refuses(iq, persona::Plugins::default());
        assert_eq!(iq.from().unwrap().as_str(), "eve@x/r");
        refused
    }

    const HEAD: &str = "<iq from='eve@x/r' id='i&amp;1' type='get' to='bob@x/r'>";

    #[test]
    fn of_a_request_its_kind_its_id_its_sender_and_its_name_are_left() {
        for rest in [
            "<ping xmlns='urn:xmpp:ping'>",
            "<ping xmlns='urn:xmpp:ping'/></iq>",
            "<p:ping xmlns:p='urn:xmpp:ping'>",
        ] {
            let iq = iq(&format!("{HEAD}{rest}"));
            assert_eq!(iq.id(), "i&1");
            assert!(persona::answer_ping(&iq).is_some() && !is_refused(&iq), "{rest}");
        }
        let with_node = iq(&format!("{HEAD}text<query xmlns='{}' node=\"n\"><", ns::DISCO_INFO));
        assert!(matches!(persona::reply_to(&with_node), Some(Iq::Error { .. })));
        assert!(!is_refused(&with_node));
    }

    #[test]
    fn a_request_of_which_no_more_is_known_is_an_unknown_one() {
        for rest in [
            "",
            "</iq>",
            "text",
            "<q xmlns='x' xmlns:ns1='http://www.w3.org/XML/1998/namespace' ns1:foo='1'/>",
            "<p:q/>",
            "<q xmlns='\u{1}'/>",
            "<ping xmlns='urn:xmpp:ping",
        ] {
            assert!(is_refused(&iq(&format!("{HEAD}{rest}"))), "{rest}");
        }
        let set = iq("<iq type='set' id='1' from='eve@x/r'/>");
        assert!(matches!(set, Iq::Set { .. }) && is_refused(&set));
        let nameless = iq("<iq type='get' from='eve@x/r'><a/></iq>");
        assert!(nameless.id().is_empty() && is_refused(&nameless));
    }

    #[test]
    fn a_long_id_is_kept_and_other_attributes_do_not_matter() {
        let id = "A".repeat(200_000);
        let others: String = (0..5000).map(|n| format!(" a{n}='{n}'")).collect();
        assert_eq!(iq(&format!("<iq{others} type='get'  from = 'eve@x/r'\nid=\"{id}\" \u{1}>")).id(), id);
    }

    #[test]
    fn answers_remain_answers() {
        assert!(matches!(
            iq("<iq type='result' id='1' from='eve@x/r'><a b='\u{1}'/></iq>"),
            Iq::Result { payload: None, .. }
        ));
        assert!(matches!(iq("<iq type='error' id='1' from='eve@x/r'/>"), Iq::Error { .. }));
    }

    #[test]
    fn a_request_for_a_subscription_remains_one_and_all_else_is_nothing() {
        let subscribe = "<presence type='subscribe' from='eve@x' id='1'><q xmlns='x' y:z=''/></presence>";
        match stanza(subscribe.as_bytes()) {
            Some(Stanza::Presence(Presence { type_: Type::Subscribe, from: Some(from), .. })) => {
                assert_eq!(from.as_str(), "eve@x");
            }
            other => panic!("{other:?}"),
        }
        for nothing in [
            "<presence type='unheard-of' from='eve@x' id='1'/>",
            "<presence from='eve@x' id='1'/>",
            "<message type='chat' from='eve@x' id='1'/>",
            "<iq type='get' id='1' from='@'/>",
            "<iq type='get' id='\u{1}' from='eve@x/r'/>",
            "<iq type='unheard-of' id='1' from='eve@x/r'/>",
            "<iq",
            "<iq ",
            "<iq type=",
            "<iq type='get",
            "text",
            "</stream:stream>",
            "",
        ] {
            assert_eq!(stanza(nothing.as_bytes()), None, "{nothing}");
        }
    }
}
