//! The two kinds of stanza that there are many of, read and written without a tree: blocks of In-Band Bytestreams
//! (XEP-0047) and empty results. Pure.
//!
//! Everything else is the XML library's. What is not exactly one of these two, in the plainest way to write them, is left
//! to it as well: so nothing can be one thing here and another one there.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;

use super::reader;

/// The most attributes that a tag of these has; whoever writes more gains nothing by it, and has each compared with all
/// others nowhere.
const MOST_ATTRIBUTES: usize = 8;

/// A stanza that came in.
#[derive(Debug)]
pub enum Swift {
    /// An IQ set with `<data/>`.
    Block(Block),
    /// An IQ result without content.
    Result {
        /// Who sent it.
        from: FullJid,
        /// The id of the IQ that it answers.
        id: String,
    },
}

/// A block, of which the content was not looked at yet: for strangers that would be too much trouble.
#[derive(Debug)]
pub struct Block {
    /// Who sent it.
    pub from: FullJid,
    /// The IQ's id.
    pub id: String,
    /// The bytestream's id.
    pub sid: String,
    /// The block's number.
    pub seq: u16,
    stanza: Vec<u8>,
    text: Range<usize>,
}

impl Block {
    /// What the block holds; none when that is no base64.
    pub fn data(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.stanza.get(self.text.clone())?).ok()
    }

    /// As the library reads it, or at least its head.
    pub fn into_stanza(self) -> Option<Stanza> {
        reader::stanza(&self.stanza)
    }
}

/// Reads an element that has come, if it is one of these.
///
/// # Errors
///
/// The element, if it is not.
pub fn read(stanza: Vec<u8>) -> Result<Swift, Vec<u8>> {
    match Head::of(&stanza) {
        Some(head) => Ok(head.with(stanza)),
        None => Err(stanza),
    }
}

/// What there is to know of an element.
struct Head {
    from: FullJid,
    id: String,
    /// None in a result.
    data: Option<(String, u16, Range<usize>)>,
}

impl Head {
    fn of(stanza: &[u8]) -> Option<Self> {
        let (attributes, rest) = open_tag(stanza, b"<iq ")?;
        let attributes = Attributes::read(attributes)?;
        let [from, id, kind] = ["from", "id", "type"].map(|name| attributes.get(name));
        let (from, id) = (FullJid::new(from?).ok()?, id.filter(|id| !id.is_empty())?.to_owned());
        attributes.has_only(&["from", "id", "type", "to", "xml:lang", "xmlns"])?;
        if attributes.get("xmlns").is_some_and(|name| name != ns::JABBER_CLIENT) {
            return None;
        }
        match kind? {
            "result" if rest.is_empty() || rest == b"</iq>" => Some(Self { from, id, data: None }),
            "set" if !rest.is_empty() => Some(Self { from, id, data: Some(data(stanza, rest)?) }),
            _ => None,
        }
    }

    fn with(self, stanza: Vec<u8>) -> Swift {
        let Self { from, id, data } = self;
        match data {
            None => Swift::Result { from, id },
            Some((sid, seq, text)) => Swift::Block(Block { from, id, sid, seq, stanza, text }),
        }
    }
}

/// The bytestream's id, the number and the place of the text in a stanza that goes on with `rest`.
fn data(stanza: &[u8], rest: &[u8]) -> Option<(String, u16, Range<usize>)> {
    let (attributes, rest) = open_tag(rest, b"<data ")?;
    let attributes = Attributes::read(attributes)?;
    attributes.has_only(&["xmlns", "sid", "seq"])?;
    let seq = attributes.get("seq")?.parse().ok()?;
    let text = rest.strip_suffix(b"</data></iq>")?;
    let is_plain = attributes.get("xmlns") == Some(ns::IBB) && memchr::memchr2(b'<', b'&', text).is_none();
    let start = stanza.len() - rest.len();
    is_plain.then(|| Some((attributes.get("sid")?.to_owned(), seq, start..start + text.len())))?
}

/// What is between this beginning and the end of the tag, and what comes behind it; nothing, if the tag is all.
fn open_tag<'a>(bytes: &'a [u8], begin: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let inside = bytes.strip_prefix(begin)?;
    // Within values it would be written as an entity by every server; if not, the rest makes no sense.
    let end = memchr::memchr(b'>', inside)?;
    let (attributes, rest) = inside.split_at(end);
    match attributes.strip_suffix(b"/") {
        Some(attributes) if rest == b">" => Some((attributes, &[])),
        Some(_) => None,
        None => Some((attributes, rest.get(1..).filter(|rest| !rest.is_empty())?)),
    }
}

/// Of one tag, in their order.
struct Attributes<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Attributes<'a> {
    /// None when there is anything about them that is not plain: an entity, a name that comes twice, ...
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = std::str::from_utf8(bytes).ok()?.trim_ascii();
        let mut attributes = Vec::with_capacity(MOST_ATTRIBUTES);
        while !rest.is_empty() {
            let (name, behind) = cut(rest, b'=')?;
            let quote = *behind.as_bytes().first().filter(|quote| matches!(quote, b'\'' | b'"'))?;
            let (value, behind) = cut(behind.get(1..)?, quote)?;
            let is_one_too_many =
                attributes.len() == MOST_ATTRIBUTES || attributes.iter().any(|(known, _)| *known == name);
            if is_one_too_many || !value.bytes().all(stands_for_itself) {
                return None;
            }
            attributes.push((name, value));
            rest = if behind.is_empty() { behind } else { behind.strip_prefix(' ')? };
        }
        Some(Self(attributes))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn has_only(&self, names: &[&str]) -> Option<()> {
        self.0.iter().all(|(name, _)| names.contains(name)).then_some(())
    }
}

/// What is before this byte, an ASCII character, and what is behind it.
fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let (before, rest) = text.split_at_checked(memchr::memchr(at, text.as_bytes())?)?;
    Some((before, rest.get(1..)?))
}

/// In the value of an attribute. Control characters are either changed by a parser or not allowed at all, and so are some of
/// the characters that begin with 0xef, all of which are rare.
fn stands_for_itself(byte: u8) -> bool {
    !matches!(byte, b'&' | b'<' | 0..0x20 | 0xef)
}

/// The stanza that sends a block.
pub fn block(to: &FullJid, id: &str, sid: &str, seq: u16, data: &[u8]) -> Vec<u8> {
    let [id, to, sid] = [id, to.as_str(), sid].map(escaped);
    let seq = seq.to_string();
    let head = [
        "<iq type='set' id='",
        &id,
        "' to='",
        &to,
        "'><data xmlns='",
        ns::IBB,
        "' sid='",
        &sid,
        "' seq='",
        &seq,
        "'>",
    ];
    let length = head.iter().map(|part| part.len()).sum::<usize>() + data.len().div_ceil(3) * 4 + END.len();
    let mut stanza = String::with_capacity(length);
    stanza.extend(head);
    BASE64.encode_string(data, &mut stanza);
    stanza.push_str(END);
    stanza.into_bytes()
}

const END: &str = "</data></iq>";

/// The empty result for the IQ with this id.
pub fn result(to: &FullJid, id: &str) -> Vec<u8> {
    let [id, to] = [id, to.as_str()].map(escaped);
    format!("<iq type='result' id='{id}' to='{to}'/>").into_bytes()
}

/// For the value of an attribute.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| matches!(c, '&' | '<' | '>' | '\'' | '"') || c.is_control()) {
        return text.into();
    }
    let mut escaped = String::with_capacity(2 * text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '\'' | '"' | '\t' | '\n' | '\r' => {
                escaped.push_str(&format!("&#{};", u32::from(c)));
            }
            // XML has no way to write the others, and servers let none of them in.
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use xmpp_parsers::iq::Iq;

    fn is_swift(xml: &str) -> bool {
        read(xml.as_bytes().to_vec()).is_ok()
    }

    const BLOCK: &str = "<iq from='eve@x/r' id='i1' type='set' to='bob@x/r'>\
        <data xmlns='http://jabber.org/protocol/ibb' sid='s' seq='7'>AAAA</data></iq>";

    #[test]
    fn a_block_is_read_whatever_the_order_of_attributes_and_the_quotes() {
        for xml in [
            BLOCK.to_owned(),
            BLOCK.replace('\'', "\""),
            BLOCK.replace("<iq ", "<iq xml:lang='en' xmlns='jabber:client' "),
            BLOCK.replace("sid='s' seq='7'", "seq='7' sid='s'"),
        ] {
            let Ok(Swift::Block(block)) = read(xml.clone().into_bytes()) else { panic!("{xml}") };
            assert_eq!((block.from.as_str(), block.id.as_str()), ("eve@x/r", "i1"));
            assert_eq!((block.sid.as_str(), block.seq, block.data()), ("s", 7, Some(vec![0; 3])));
        }
    }

    #[test]
    fn a_result_is_read_with_a_tag_of_its_own_or_without() {
        for xml in
            ["<iq from='eve@x/r' id='i1' type='result'/>", "<iq type='result' from='eve@x/r' id='i1'></iq>"]
        {
            let Ok(Swift::Result { from, id }) = read(xml.as_bytes().to_vec()) else { panic!("{xml}") };
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
            ("AAAA", "AA&#65;A"),
            ("AAAA", "<![CDATA[AAAA]]>"),
            ("seq='7'", "seq='65536'"),
            ("seq='7'", "seq='7' more='1'"),
            ("/ibb", "/ibc"),
            ("</data>", "</data><data/>"),
            ("</data>", "</data> "),
        ] {
            let xml = BLOCK.replace(from, to);
            assert_ne!(xml, BLOCK, "{from}");
            assert!(!is_swift(&xml), "{xml}");
        }
    }

    fn by_the_library(xml: &[u8]) -> Iq {
        match reader::parse(xml).unwrap() {
            Stanza::Iq(iq) => iq,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn the_library_reads_what_is_written_here(
            to in "[a-z&']{1,8}@[a-z]{1,8}/[ -~\u{e4}\u{2603}]{1,20}",
            id in "[ -~\u{e4}\n]{0,20}",
            data in prop::collection::vec(any::<u8>(), 0..300),
            seq: u16,
        ) {
            let Ok(to) = FullJid::new(&to) else { return Ok(()) };
            let Iq::Set { to: read_to, id: read_id, payload, .. } =
                by_the_library(&block(&to, &id, "s", seq, &data)) else { panic!("no set") };
            prop_assert_eq!((read_to.unwrap().to_string(), &read_id), (to.to_string(), &id));
            let ibb = xmpp_parsers::ibb::Data::try_from(payload).unwrap();
            prop_assert_eq!((ibb.seq, ibb.data), (seq, data));
            let Iq::Result { to: read_to, id: read_id, payload: None, .. } =
                by_the_library(&result(&to, &id)) else { panic!("no empty result") };
            prop_assert_eq!((read_to.unwrap().to_string(), &read_id), (to.to_string(), &id));
        }

        #[test]
        fn nothing_is_read_here_that_the_library_would_read_otherwise(
            xml in "<iq( from='[ab]@x/r'| id='[a-c&;]{0,3}'| type='(set|get|result)'| xmlns='jabber:client'){2,5}>\
                (<data( xmlns='http://jabber.org/protocol/ibb'| sid='s'| seq='[0-9+]{0,3}'){2,4}>[A-D=&;]{0,5}</data>)?</iq>"
        ) {
            let Ok(swift) = read(xml.clone().into_bytes()) else { return Ok(()) };
            let iq = by_the_library(xml.as_bytes());
            prop_assert!(iq.from().is_some());
            match (swift, iq) {
                (Swift::Result { from, id }, Iq::Result { from: expected, id: expected_id, payload: None, .. }) => {
                    prop_assert_eq!((from.to_string(), id), (expected.unwrap().to_string(), expected_id));
                }
                (Swift::Block(block), Iq::Set { from, id, payload, .. }) => {
                    prop_assert_eq!((block.from.to_string(), &block.id), (from.unwrap().to_string(), &id));
                    prop_assert_eq!(Some(block.seq), payload.attr("seq").and_then(|seq| seq.parse().ok()));
                    prop_assert_eq!(block.data(), BASE64.decode(payload.text()).ok());
                }
                (swift, iq) => panic!("{swift:?} instead of {iq:?}"),
            }
        }
    }
}
