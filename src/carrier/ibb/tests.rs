//! Bytestreams on the wire.

use bytes::Bytes;
use proptest::prelude::*;
use xmpp_parsers::jid::FullJid;

use super::super::Decision;
use super::super::desk::testing::{self, ACCOUNT, Account, is_unknown, to_secure};
use super::super::ids::Ids;
use super::*;

const SID: &str = "6d0c2a3e-59c4-4c1e-8a1b-0a4b7c1d2e3f";

/// The id of the IQ 7.
const ID: &str = "00000000000040008000000000000007";

fn sid() -> Credential {
    SID.parse().unwrap()
}

/// As it goes over the wire.
fn written(stanza: Outgoing) -> String {
    let to = FullJid::new("bob@x/r2").unwrap();
    testing::written(parcel(Transmit { via: ACCOUNT, to, stanza }))
}

/// A set with this payload from somebody with a resource.
fn set(payload: &str) -> Vec<Decision> {
    let xml = format!("<iq xmlns='jabber:client' from='eve@x/r' type='set' id='i1'>{payload}</iq>");
    Account::default().decide(&xml)
}

fn data(seq: u16, block: impl Into<Bytes>) -> Outgoing {
    Outgoing::Data { iq: Token(7), sid: sid(), seq, data: block.into() }
}

#[test]
fn an_open_is_written_as_the_specification_has_it() {
    let xml = written(Outgoing::Open { iq: Token(7), sid: sid(), block_size: BLOCK_SIZE });
    assert_eq!(
        xml,
        format!(
            "<iq xmlns='jabber:client' type='set' to='bob@x/r2' id='{ID}'><open \
             xmlns='http://jabber.org/protocol/ibb' block-size='65535' sid='{SID}' stanza='iq'></open></iq>"
        )
    );
}

#[test]
fn data_is_written_as_the_specification_has_it() {
    assert_eq!(
        written(data(65_535, &b"\0\x01\xffabc!"[..])),
        format!(
            "<iq type='set' id='{ID}' to='bob@x/r2'><data xmlns='http://jabber.org/protocol/ibb' \
             sid='{SID}' seq='65535'>AAH/YWJjIQ==</data></iq>"
        )
    );
}

#[test]
fn a_close_is_written_as_the_specification_has_it() {
    assert_eq!(
        written(Outgoing::Close { iq: Token(7), sid: sid() }),
        format!(
            "<iq xmlns='jabber:client' type='set' to='bob@x/r2' id='{ID}'><close \
             xmlns='http://jabber.org/protocol/ibb' sid='{SID}'></close></iq>"
        )
    );
}

#[test]
fn an_answer_is_empty_and_a_refusal_is_the_ordinary_one() {
    let result = written(Outgoing::Result { id: "i1".into() });
    assert_eq!(result, "<iq type='result' id='i1' to='bob@x/r2'/>");
    let request: Element =
        "<iq xmlns='jabber:client' from='bob@x/r2' type='set' id='i1'><what xmlns='urn:ever'/></iq>"
            .parse()
            .unwrap();
    let ordinary = persona::reply_to(&Iq::try_from(request).unwrap()).unwrap();
    assert_eq!(written(Outgoing::Refusal { id: "i1".into() }), testing::written(Parcel::reply(ordinary)));
}

#[test]
fn what_the_specification_shows_is_understood() {
    let open = "<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='i781hf64' stanza='iq'/>";
    assert_eq!(
        to_secure(set(open)),
        Incoming::Open { id: "i1".into(), sid: "i781hf64".into(), block_size: 4096 }
    );
    assert_eq!(to_secure(set(&open.replace(" stanza='iq'", ""))), to_secure(set(open)), "iq is the default");
    let data = "<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='i781hf64'>AAH/YWJjIQ==</data>";
    let block = b"\0\x01\xffabc!".to_vec();
    assert_eq!(
        to_secure(set(data)),
        Incoming::Data { id: "i1".into(), sid: "i781hf64".into(), seq: 0, data: block }
    );
    let close = "<close xmlns='http://jabber.org/protocol/ibb' sid='i781hf64'/>";
    assert_eq!(to_secure(set(close)), Incoming::Close { id: "i1".into(), sid: "i781hf64".into() });
}

#[test]
fn what_cannot_be_read_is_a_request_like_any_other() {
    for payload in [
        "<open NS block-size='4096' sid='s' stanza='message'/>",
        "<open NS block-size='4096' sid='s' stanza='presence'/>",
        "<open NS block-size='65536' sid='s' stanza='iq'/>",
        "<open NS block-size='-1' sid='s'/>",
        "<open NS sid='s'/>",
        "<open NS block-size='4096'/>",
        "<open NS block-size='4096' sid='s' more='1'/>",
        "<open NS block-size='4096' sid='s' stanza='iq' more='1'/>",
        "<open NS block-size='4096' sid='s'><x/></open>",
        "<open NS block-size='4096' sid='s'>text</open>",
        "<data NS seq='65536' sid='s'>AAAA</data>",
        "<data NS seq='-1' sid='s'>AAAA</data>",
        "<data NS seq='' sid='s'>AAAA</data>",
        "<data NS sid='s'>AAAA</data>",
        "<data NS seq='1'>AAAA</data>",
        "<data NS seq='1' sid='s' more='1'>AAAA</data>",
        "<data NS seq='1' sid='s'>A</data>",
        "<data NS seq='1' sid='s'>AAA</data>",
        "<data NS seq='1' sid='s'>AB==</data>",
        "<data NS seq='1' sid='s'>AA AA</data>",
        "<data NS seq='1' sid='s'>AAAA=AAA</data>",
        "<data NS seq='1' sid='s'>AA<x/>AA</data>",
        "<data NS seq='1' sid='s'>\u{e4}AAA</data>",
        "<close NS/>",
        "<close NS sid='s' more='1'/>",
        "<close NS sid='s'><x/></close>",
        "<reopen NS sid='s'/>",
        "<open xmlns='jabber:iq:other' block-size='4096' sid='s'/>",
    ] {
        let payload = payload.replace("NS", "xmlns='http://jabber.org/protocol/ibb'");
        assert!(is_unknown(&set(&payload)), "{payload}");
    }
}

#[test]
fn who_has_no_bytestream_can_only_open_one() {
    for (payload, expected) in [
        ("<open NS block-size='4096' sid='s'/>", true),
        ("<data NS seq='0' sid='s'>AAAA</data>", false),
        ("<close NS sid='s'/>", false),
    ] {
        let payload = payload.replace("NS", "xmlns='http://jabber.org/protocol/ibb'");
        let xml = format!("<iq xmlns='jabber:client' from='eve@x/r' type='set' id='i1'>{payload}</iq>");
        let decisions = Account { has_bytestream: false, ..Account::default() }.decide(&xml);
        assert_eq!(matches!(decisions[..], [Decision::ToSecure { .. }]), expected, "{payload}");
        assert_eq!(is_unknown(&decisions), !expected, "{payload}");
    }
}

#[test]
fn a_flat_block_that_cannot_be_read_or_comes_from_a_stranger_is_a_request_like_any_other() {
    for (text, has_bytestream, is_block) in
        [("AAAA", true, true), ("AAAA", false, false), ("AAA", true, false)]
    {
        let xml = format!(
            "<iq from='eve@x/r' type='set' id='i1'><data xmlns='http://jabber.org/protocol/ibb' \
             sid='s' seq='0'>{text}</data></iq>"
        );
        let decisions = Account { has_bytestream, ..Account::default() }.decide_flat(&xml);
        assert_eq!(matches!(decisions[..], [Decision::ToSecure { .. }]), is_block, "{text}");
        assert_eq!(is_unknown(&decisions), !is_block, "{text}");
    }
}

#[test]
fn a_flat_result_goes_to_the_protocol_that_asked() {
    let classic = Ids::new(&testing::KEY).write(7);
    for (id, is_ours) in [(ID, true), (classic.as_str(), false), ("7", false)] {
        let xml = format!("<iq from='bob@x/r2' type='result' id='{id}'/>");
        let decisions = Account::default().decide_flat(&xml);
        assert_eq!(matches!(decisions[..], [Decision::ToSecure { .. }]), is_ours, "{id}");
    }
}

#[test]
fn a_get_and_one_from_nobody_in_particular_are_requests_like_any_other() {
    let close = "<close xmlns='http://jabber.org/protocol/ibb' sid='s'/>";
    for attributes in ["from='eve@x/r' type='get'", "from='eve@x' type='set'", "type='set'"] {
        let xml = format!("<iq xmlns='jabber:client' id='i1' {attributes}>{close}</iq>");
        let decisions = Account::default().decide(&xml);
        assert!(is_unknown(&decisions) || matches!(decisions[..], [Decision::Reply(_)]), "{xml}");
    }
}

#[test]
fn an_answer_goes_to_the_protocol_that_asked() {
    let result = format!("<iq xmlns='jabber:client' from='bob@x/r2' type='result' id='{ID}'/>");
    assert_eq!(to_secure(Account::default().decide(&result)), Incoming::Result { iq: Token(7) });
    for (condition, expected) in [
        ("feature-not-implemented", Incoming::Error { iq: Token(7) }),
        ("not-acceptable", Incoming::Error { iq: Token(7) }),
        ("service-unavailable", Incoming::Undelivered { iq: Token(7) }),
        ("remote-server-not-found", Incoming::Unreachable { iq: Token(7) }),
        ("remote-server-timeout", Incoming::Unreachable { iq: Token(7) }),
    ] {
        let error = format!(
            "<iq xmlns='jabber:client' from='bob@x/r2' type='error' id='{ID}'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        );
        assert_eq!(to_secure(Account::default().decide(&error)), expected, "{condition}");
    }
    let nobody = format!("<iq xmlns='jabber:client' type='result' id='{ID}'/>");
    assert!(Account::default().decide(&nobody).is_empty());
}

#[test]
fn a_result_that_says_something_is_none_of_ours_whatever_its_id() {
    let ack = format!(
        "<iq xmlns='jabber:client' from='bob@x/r2' type='result' id='{ID}'>\
         <connect_ack xmlns='hexchat:connect_ack'/></iq>"
    );
    assert!(matches!(Account::default().decide(&ack)[..], [Decision::ToClassic { .. }]));
}

proptest! {
    #[test]
    fn every_block_comes_back_as_it_was(block in prop::collection::vec(any::<u8>(), 0..3000), seq: u16) {
        let xml = written(data(seq, block.clone())).replace("to='bob@x/r2'", "from='bob@x/r2'");
        let expected = Incoming::Data { id: ID.into(), sid: SID.into(), seq, data: block };
        prop_assert_eq!(to_secure(Account::default().decide_flat(&xml)), expected);
    }

    /// Reading data by hand must be no more lenient, and no stricter, than the library.
    #[test]
    fn data_is_read_as_by_the_library(seq in "[0-9+-]{0,6}", text in "[A-D+/= ]{0,9}") {
        let xml = format!("<data xmlns='http://jabber.org/protocol/ibb' sid='s' seq='{seq}'>{text}</data>");
        let element: Element = xml.parse().unwrap();
        let library = xmpp_parsers::ibb::Data::try_from(element.clone()).ok().map(|data| {
            Incoming::Data { id: "i1".into(), sid: data.sid.0, seq: data.seq, data: data.data }
        });
        prop_assert_eq!(read_set("i1", &element, true), library);
    }
}

proptest! {
    #[test]
    fn every_token_comes_back_as_it_was_and_no_two_ids_are_the_same(token in 0..1_u128 << 122, bit in 0..122_u32) {
        let id = id_of(Token(token));
        prop_assert_eq!(iq_of(&id), Some(Token(token)));
        prop_assert_ne!(id_of(Token(token ^ 1 << bit)), id);
    }
}
