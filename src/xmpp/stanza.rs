//! Stanzas from their bytes: as the XML library reads them, or by their head. Pure.

use std::borrow::Cow;

use xmpp_parsers::iq::Iq;
use xmpp_parsers::stanza::Stanza;

use super::head;
use super::parse::parse;

/// The most tags, references and sections of a stanza that is read as a whole: twice the [framer's](super::framer) bound on
/// elements, and as many texts. A text between two references takes up to 230 bytes, so that a quarter of a megabyte of `&lt;`
/// would take 11 MB.
const MOST_NODES: usize = 12_288;

/// An element as a stanza, by its head if it cannot be read as a whole; none when it is no stanza, or means nothing without
/// the rest.
pub(super) fn read(written: &[u8]) -> Option<Stanza> {
    let written = &*with_line_feeds(written);
    let whole = if is_cheap(written) { parse(written) } else { None };
    whole.or_else(|| head::stanza(written)).map(with_plain_id)
}

/// The same of an element of which only the head was kept.
pub(super) fn read_head(written: &[u8]) -> Option<Stanza> {
    head::stanza(&with_line_feeds(written)).map(with_plain_id)
}

/// Whether it takes little memory to read it as a whole.
pub(super) fn is_cheap(written: &[u8]) -> bool {
    memchr::memchr2_iter(b'<', b'&', written).count() <= MOST_NODES
}

/// With line feeds for other ends of lines (XML 1.0 section 2.11). The library reads no carriage return.
fn with_line_feeds(written: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\r', written).is_none() {
        return written.into();
    }
    let mut lines = Vec::with_capacity(written.len());
    for (at, &byte) in written.iter().enumerate() {
        match byte {
            b'\r' if written.get(at + 1) == Some(&b'\n') => {}
            b'\r' => lines.push(b'\n'),
            _ => lines.push(byte),
        }
    }
    lines.into()
}

/// With spaces for other white space in its id. Servers write that as references or as it is, which would be read as spaces (XML
/// 1.0 section 3.3.3), and the client that we answer like writes it as it is: so in its answers it is always spaces.
fn with_plain_id(mut stanza: Stanza) -> Stanza {
    if let Stanza::Iq(Iq::Get { id, .. } | Iq::Set { id, .. }) = &mut stanza
        && id.contains(['\t', '\n', '\r'])
    {
        *id = id.replace("\r\n", " ").replace(['\t', '\n', '\r'], " ");
    }
    stanza
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn white_space_in_an_id_is_spaces() {
        for written in ["a\tb\nc\r\nd\re", "a&#9;b&#10;c&#13;&#10;d&#xd;e"] {
            let written =
                format!("<iq type='get' id='{written}' from='a@b/c'><ping xmlns='urn:xmpp:ping'/></iq>");
            let stanza = read(written.as_bytes()).unwrap();
            assert!(matches!(&stanza, Stanza::Iq(iq) if iq.id() == "a b c d e"), "{stanza:?}");
            let head = written.split_inclusive('>').take(2).collect::<String>();
            let stanza = read_head(head.as_bytes()).unwrap();
            assert!(matches!(&stanza, Stanza::Iq(iq) if iq.id() == "a b c d e"), "{stanza:?}");
        }
    }
}
