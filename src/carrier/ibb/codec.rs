//! Fast codec: blocks and empty results as text, without a tree.
//!
//! A tree for each block, escaped and validated byte by byte, would be most of what a fast connection does.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::ns;

use super::Incoming;
use crate::xmpp::flat::FlatSet;

const END: &str = "</data></iq>";

/// What a `data` has in it.
pub(crate) struct Block {
    sid: String,
    seq: u16,
    data: Vec<u8>,
}

impl Block {
    /// The block in a set, if it has one about which there is no doubt.
    pub(crate) fn in_set(set: &FlatSet) -> Option<Self> {
        let attributes = set.attributes();
        if set.name() != "data" || attributes.get("xmlns") != Some(ns::IBB) || attributes.count() != 3 {
            return None;
        }
        let (sid, seq) = (attributes.get("sid")?, attributes.get("seq")?.parse().ok()?);
        Some(Self { sid: sid.to_owned(), seq, data: BASE64.decode(set.text()?).ok()? })
    }

    /// The stanza, whose IQ has this id.
    pub(crate) fn with_id(self, id: String) -> Incoming {
        let Self { sid, seq, data } = self;
        Incoming::Data { id, sid, seq, data }
    }
}

/// The stanza that sends a block.
pub(super) fn write_block(to: &FullJid, id: &str, sid: &str, seq: u16, data: &[u8]) -> Vec<u8> {
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

/// The empty result for the IQ with this id.
pub(super) fn write_result(to: &FullJid, id: &str) -> Vec<u8> {
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
    use super::*;
    use crate::xmpp::flat::{self, Flat};
    use proptest::prelude::*;
    use xmpp_parsers::iq::Iq;
    use xmpp_parsers::minidom::Element;

    const BLOCK: &str = "<iq from='eve@x/r' id='i1' type='set' to='bob@x/r'>\
        <data xmlns='http://jabber.org/protocol/ibb' sid='s' seq='7'>AAAA</data></iq>";

    fn read(xml: &str) -> Option<Incoming> {
        match flat::read(xml.as_bytes().to_vec()) {
            Ok(Flat::Set(set)) => Some(Block::in_set(&set)?.with_id(set.id)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_block_is_read_whatever_the_order_of_its_attributes() {
        for xml in [BLOCK.to_owned(), BLOCK.replace("sid='s' seq='7'", "seq='7' sid='s'")] {
            let block = Incoming::Data { id: "i1".into(), sid: "s".into(), seq: 7, data: vec![0; 3] };
            assert_eq!(read(&xml), Some(block));
        }
    }

    #[test]
    fn what_is_not_exactly_a_block_is_none() {
        for (from, to) in [
            ("seq='7'", "seq='65536'"),
            ("seq='7'", "seq='7' more='1'"),
            (" seq='7'", ""),
            (" sid='s'", ""),
            ("sid='s'", "six='s'"),
            ("/ibb", "/ibc"),
            ("data", "date"),
            ("AAAA", "AAA"),
            ("AAAA", "AA AA"),
        ] {
            let xml = BLOCK.replace(from, to);
            assert_ne!(xml, BLOCK, "{from}");
            assert_eq!(read(&xml), None, "{xml}");
        }
    }

    fn by_the_library(xml: &[u8]) -> Iq {
        let xml = std::str::from_utf8(xml).unwrap().replacen("<iq ", "<iq xmlns='jabber:client' ", 1);
        Iq::try_from(xml.parse::<Element>().unwrap()).unwrap()
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
                by_the_library(&write_block(&to, &id, "s", seq, &data)) else { panic!("no set") };
            prop_assert_eq!((read_to.unwrap().to_string(), &read_id), (to.to_string(), &id));
            let ibb = xmpp_parsers::ibb::Data::try_from(payload).unwrap();
            prop_assert_eq!((ibb.seq, ibb.data), (seq, data));
            let Iq::Result { to: read_to, id: read_id, payload: None, .. } =
                by_the_library(&write_result(&to, &id)) else { panic!("no empty result") };
            prop_assert_eq!((read_to.unwrap().to_string(), &read_id), (to.to_string(), &id));
        }

        #[test]
        fn no_block_is_read_here_that_the_library_would_read_otherwise(
            sid in "[a-c]{0,3}", seq in "[0-9+]{0,3}", text in "[A-D=]{0,9}"
        ) {
            let xml = format!(
                "<iq from='eve@x/r' id='i1' type='set'><data xmlns='http://jabber.org/protocol/ibb' \
                 sid='{sid}' seq='{seq}'>{text}</data></iq>"
            );
            let Iq::Set { payload, .. } = by_the_library(xml.as_bytes()) else { panic!("no set") };
            let library = xmpp_parsers::ibb::Data::try_from(payload).ok().map(|data| {
                Incoming::Data { id: "i1".into(), sid: data.sid.0, seq: data.seq, data: data.data }
            });
            prop_assert_eq!(read(&xml), library);
        }
    }
}
