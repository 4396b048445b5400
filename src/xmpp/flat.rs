//! Flat IQs: sets whose payload is one element with text or a few fields, and empty results, read without a tree. Pure.
//!
//! Everything else is the XML library's. What is not written in the plainest way is left to it as well: so nothing can be
//! one thing here and another one there.

mod attributes;
mod fields;

use std::fmt;
use std::ops::Range;

use xmpp_parsers::jid::FullJid;
use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;

pub use self::attributes::Attributes;
use super::stanza;

/// An IQ that came in, from somebody with a resource.
#[derive(Debug)]
pub enum Flat {
    /// An IQ result without content.
    Result {
        /// Who sent it.
        from: FullJid,
        /// The id of the IQ that it answers.
        id: String,
    },
    /// An IQ set with one element.
    Set(FlatSet),
}

/// An IQ set whose payload is an element with a namespace of its own, other attributes, and text or fields: children that have only
/// a name and text.
pub struct FlatSet {
    /// Who sent it.
    pub from: FullJid,
    /// The IQ's id, which is not empty.
    pub id: String,
    stanza: Vec<u8>,
    payload: Payload,
}

/// Where the parts of a payload are in its stanza.
struct Payload {
    name: Range<usize>,
    attributes: Range<usize>,
    inside: Range<usize>,
    has_fields: bool,
}

impl FlatSet {
    /// The payload's name.
    pub fn name(&self) -> &str {
        let written = self.stanza.get(self.payload.name.clone());
        written.and_then(|name| str::from_utf8(name).ok()).unwrap_or_default()
    }

    /// Whom the stanza is for, as it is written.
    pub(super) fn to(&self) -> Option<&str> {
        let (_, attributes, _) = tag(&self.stanza)?;
        Attributes::read(attributes)?.get("to")
    }

    /// The payload's attributes, its namespace (`xmlns`) included.
    pub fn attributes(&self) -> Attributes<'_> {
        let written = self.stanza.get(self.payload.attributes.clone());
        written.and_then(Attributes::read).unwrap_or_default()
    }

    /// The payload's text as it stands there, without markup or references in it; none when it has fields. Whether all of its characters
    /// may stand in XML was not looked at: that is for whoever knows which ones to expect.
    pub fn text(&self) -> Option<&[u8]> {
        if self.payload.has_fields { None } else { Some(self.inside()) }
    }

    /// Names and texts of the payload's fields, in their order; none when it has none.
    pub fn fields(&self) -> Option<Vec<(&str, &str)>> {
        if self.payload.has_fields { fields::read(self.inside()) } else { None }
    }

    fn inside(&self) -> &[u8] {
        self.stanza.get(self.payload.inside.clone()).unwrap_or_default()
    }

    /// As the library reads it, or at least its head.
    pub fn into_stanza(self) -> Option<Stanza> {
        stanza::read(&self.stanza)
    }
}

impl fmt::Debug for FlatSet {
    /// Not who sent it, and what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlatSet({})", self.name())
    }
}

/// Reads an element that has come, if it is a flat IQ.
///
/// # Errors
///
/// The element, if it is not.
pub fn read(stanza: Vec<u8>) -> Result<Flat, Vec<u8>> {
    match Head::of(&stanza) {
        Some(Head { from, id, payload: None }) => Ok(Flat::Result { from, id }),
        Some(Head { from, id, payload: Some(payload) }) => {
            Ok(Flat::Set(FlatSet { from, id, stanza, payload }))
        }
        None => Err(stanza),
    }
}

/// What there is to know of an element.
struct Head {
    from: FullJid,
    id: String,
    /// None in a result.
    payload: Option<Payload>,
}

impl Head {
    fn of(stanza: &[u8]) -> Option<Self> {
        let (b"iq", attributes, rest) = tag(stanza)? else { return None };
        let attributes = Attributes::read(attributes)?;
        let [from, id, kind] = ["from", "id", "type"].map(|name| attributes.get(name));
        let (from, id) = (FullJid::new(from?).ok()?, id.filter(|id| !id.is_empty())?.to_owned());
        let known = ["from", "id", "type", "to", "xml:lang", "xmlns"];
        let is_plain = attributes.all(|name| known.contains(&name))
            && attributes.get("xmlns").is_none_or(|name| name == ns::JABBER_CLIENT);
        match kind.filter(|_| is_plain)? {
            "result" if rest.is_empty() || rest == b"</iq>" => Some(Self { from, id, payload: None }),
            "set" if !rest.is_empty() => Some(Self { from, id, payload: Some(payload(stanza, rest)?) }),
            _ => None,
        }
    }
}

/// The payload of a stanza that goes on with `rest`.
fn payload(stanza: &[u8], rest: &[u8]) -> Option<Payload> {
    let start = stanza.len() - rest.len() + 1;
    let (name, attributes, rest) = tag(rest)?;
    let inside = rest.strip_suffix(b"</iq>")?.strip_suffix(b">")?.strip_suffix(name)?.strip_suffix(b"</")?;
    let read = Attributes::read(attributes)?;
    let is_text = memchr::memchr3(b'<', b'&', b'>', inside).is_none();
    let is_plain = is_plain_name(str::from_utf8(name).ok()?)
        && read.all(is_plain_name)
        && read.get("xmlns").is_some_and(|namespace| !namespace.is_empty())
        && (is_text || fields::read(inside).is_some());
    let name = start..start + name.len();
    let attributes = name.end..name.end + attributes.len();
    let start = stanza.len() - rest.len();
    let inside = start..start + inside.len();
    is_plain.then_some(Payload { name, attributes, inside, has_fields: !is_text })
}

/// The name and the attributes of the tag with which `bytes` begin, and what comes behind it; nothing, if the tag is all.
fn tag(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let inside = bytes.strip_prefix(b"<")?;
    // A `>` within a value is written as an entity by every server; if one does not, the rest makes no sense.
    let (inside, rest) = inside.split_at_checked(memchr::memchr(b'>', inside)?)?;
    let (name, attributes) = inside.split_at_checked(memchr::memchr(b' ', inside)?)?;
    match attributes.strip_suffix(b"/") {
        Some(attributes) if rest == b">" => Some((name, attributes, &[])),
        Some(_) => None,
        None => Some((name, attributes, rest.get(1..).filter(|rest| !rest.is_empty())?)),
    }
}

/// Without a prefix.
fn is_plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::xmpp::parse::parse;
    use proptest::prelude::*;
    use xmpp_parsers::iq::Iq;

    fn is_flat(xml: &str) -> bool {
        read(xml.as_bytes().to_vec()).is_ok()
    }

    const SET: &str = "<iq from='eve@x/r' id='i1' type='set' to='bob@x/r'>\
        <data xmlns='urn:some' sid='s' n='7'>AAAA</data></iq>";

    #[test]
    fn a_set_is_read_whatever_the_order_of_attributes_and_the_quotes() {
        for xml in [
            SET.to_owned(),
            SET.replace('\'', "\""),
            SET.replace("<iq ", "<iq xml:lang='en' xmlns='jabber:client' "),
            SET.replace("sid='s' n='7'", "n='7' sid='s'"),
        ] {
            let Ok(Flat::Set(set)) = read(xml.clone().into_bytes()) else { panic!("{xml}") };
            assert_eq!((set.from.as_str(), set.id.as_str(), set.name()), ("eve@x/r", "i1", "data"));
            let values = ["xmlns", "sid", "n", "to"].map(|name| set.attributes().get(name));
            assert_eq!(values, [Some("urn:some"), Some("s"), Some("7"), None]);
            assert_eq!((set.attributes().count(), set.text()), (3, Some(&b"AAAA"[..])));
        }
    }

    #[test]
    fn a_set_with_fields_is_read_with_all_of_them_in_their_order() {
        let xml = SET.replace("AAAA", "<x>1</x><y_z></y_z><x>zwei</x>");
        let Ok(Flat::Set(set)) = read(xml.into_bytes()) else { panic!("not flat") };
        assert_eq!(set.fields(), Some(vec![("x", "1"), ("y_z", ""), ("x", "zwei")]));
        assert_eq!(set.text(), None);
        assert!(is_flat(&SET.replace("AAAA", &"<x>1</x>".repeat(16))));
    }

    #[test]
    fn a_result_is_read_with_a_tag_of_its_own_or_without() {
        for xml in
            ["<iq from='eve@x/r' id='i1' type='result'/>", "<iq type='result' from='eve@x/r' id='i1'></iq>"]
        {
            let Ok(Flat::Result { from, id }) = read(xml.as_bytes().to_vec()) else { panic!("{xml}") };
            assert_eq!((from.as_str(), id.as_str()), ("eve@x/r", "i1"));
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_library() {
        for (from, to) in [
            ("id='i1'", "id='i&amp;1'"),
            ("id='i1'", "id='i1' id='i1'"),
            ("id='i1'", "id='i1' more='1'"),
            ("id='i1' ", "id='i1'"),
            ("id='i1'", "id='i\n1'"),
            ("id='i1'", "id='i\u{1}1'"),
            ("id='i1'", "id='i\u{fffe}1'"),
            ("id='i1'", "id='i\u{ffff}1'"),
            ("id='i1'", "id=''"),
            (" id='i1'", ""),
            ("eve@x/r", "eve@x"),
            ("<iq ", "<iq xmlns='jabber:server' "),
            ("<iq ", "<iq\n"),
            ("type='set'", "type='get'"),
            ("type='set'", "type='result'"),
            ("AAAA", "AA<x/>AA"),
            ("AAAA", "<x/>"),
            ("AAAA", "<x>1</y>"),
            ("AAAA", "<x>1</x> <x>2</x>"),
            ("AAAA", "<x y='1'>1</x>"),
            ("AAAA", "<x><y>1</y></x>"),
            ("AAAA", "<x>&#65;</x>"),
            ("AAAA", "<x>a\nb</x>"),
            ("AAAA", "<a:x>1</a:x>"),
            ("AAAA", &"<x>1</x>".repeat(17)),
            ("AAAA", "AA&#65;A"),
            ("AAAA", "<![CDATA[AAAA]]>"),
            (" n='7'", " n='7' n='7'"),
            (" n='7'", " a:n='7'"),
            (" n='7'", " xml:lang='en'"),
            (" n='7'", " xmlns:n='7'"),
            (" n='7'", " 7='n'"),
            (" n='7'", " n='&#55;'"),
            (" n='7'", " n='7' b='' c='' d='' e='' f='' g=''"),
            (" xmlns='urn:some'", ""),
            ("urn:some", ""),
            ("data", "a:data"),
            ("data", "7data"),
            ("data", "d\u{e4}ta"),
            (">AAAA</data>", "/>"),
            ("</data>", "</date>"),
            ("</data>", "</data><data/>"),
            ("</data>", "</data> "),
            ("</iq>", "</iq> "),
        ] {
            let xml = SET.replace(from, to);
            assert_ne!(xml, SET, "{from}");
            assert!(!is_flat(&xml), "{xml}");
        }
    }

    #[test]
    fn a_set_that_is_not_wanted_is_still_a_stanza() {
        let Ok(Flat::Set(set)) = read(SET.as_bytes().to_vec()) else { panic!("not flat") };
        let Some(Stanza::Iq(Iq::Set { id, payload, .. })) = set.into_stanza() else { panic!("no set") };
        assert_eq!((id.as_str(), payload.name(), payload.text().as_str()), ("i1", "data", "AAAA"));
    }

    fn by_the_library(xml: &[u8]) -> Iq {
        match parse(xml).unwrap() {
            Stanza::Iq(iq) => iq,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn nothing_is_read_here_that_the_library_would_read_otherwise(
            xml in "<iq( from='[ab]@x/r'| id='[a-c&;]{0,3}'| type='(set|get|result)'| xmlns='jabber:client'){2,5}>\
                (<[ab-]{1,2}( xmlns='urn:[ab]'| sid='s'| n='[0-9+&]{0,2}'| [a-c:-]{1,3}='x'){1,4}>\
                ([A-D=&;> ]{0,5}|(<[ab_]{1,2}( a='1')?/?>[]A-D=&> ]{0,3}(</[ab_]{1,2}>)? ?){0,3})</[ab-]{1,2}>)?</iq>"
        ) {
            let Ok(flat) = read(xml.clone().into_bytes()) else { return Ok(()) };
            let iq = by_the_library(xml.as_bytes());
            match (flat, iq) {
                (Flat::Result { from, id }, Iq::Result { from: expected, id: expected_id, payload: None, .. }) => {
                    prop_assert_eq!((from.to_string(), id), (expected.unwrap().to_string(), expected_id));
                }
                (Flat::Set(set), Iq::Set { from, id, payload, .. }) => {
                    prop_assert_eq!((set.from.to_string(), &set.id), (from.unwrap().to_string(), &id));
                    let attributes = set.attributes();
                    prop_assert_eq!((set.name(), attributes.get("xmlns")), (payload.name(), Some(&*payload.ns())));
                    // The library tells the namespace apart from the attributes.
                    prop_assert_eq!(attributes.count(), payload.attrs().len() + 1);
                    for ((_, name), value) in payload.attrs() {
                        prop_assert_eq!(attributes.get(name), Some(value.as_str()));
                    }
                    let fields = payload.children().map(|child| (child.name().to_owned(), child.text()));
                    let read = set.fields().unwrap_or_default().into_iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
                    prop_assert_eq!(read.collect::<Vec<_>>(), fields.collect::<Vec<_>>());
                    prop_assert!(payload.children().all(|child| child.ns() == payload.ns() && child.attrs().is_empty()));
                    let text = payload.text();
                    prop_assert_eq!(set.text().unwrap_or_default(), text.as_bytes());
                }
                (flat, iq) => panic!("{flat:?} instead of {iq:?}"),
            }
        }
    }
}
