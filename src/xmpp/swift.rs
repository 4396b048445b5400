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
}

/// Reads an element that has come, if it is one of these.
///
/// # Errors
///
/// The element, if it is not.
pub(super) fn read(stanza: Vec<u8>) -> Result<Swift, Vec<u8>> {
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
        let (from, id) = (FullJid::new(from?).ok()?, id?.to_owned());
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
        let mut attributes = Vec::with_capacity(8);
        while !rest.is_empty() {
            let (name, behind) = rest.split_once('=')?;
            let quote = behind.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
            let (value, behind) = behind.get(1..)?.split_once(quote)?;
            let is_plain = !value.contains(['&', '<', '\t', '\n', '\r']);
            if !is_plain || attributes.iter().any(|(known, _)| *known == name) {
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

/// The stanza that sends a block.
pub fn block(to: &FullJid, id: &str, sid: &str, seq: u16, data: &[u8]) -> Vec<u8> {
    let [id, to, sid] = [id, to.as_str(), sid].map(escaped);
    let head =
        format!("<iq type='set' id='{id}' to='{to}'><data xmlns='{}' sid='{sid}' seq='{seq}'>", ns::IBB);
    let mut stanza = String::with_capacity(head.len() + data.len().div_ceil(3) * 4 + END.len());
    stanza.push_str(&head);
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
