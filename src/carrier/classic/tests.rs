//! Stanzas as they come and go.

use std::collections::BTreeSet;

use super::super::desk::testing::{ACCOUNT, Account, to_classic, written};
use super::*;
use crate::classic::seq::SeqNum;
use crate::classic::{Aliases, Header};
use crate::protocol::Address;
use xmpp_parsers::jid::FullJid;

fn header() -> Header {
    Header {
        local: Address::new("127.0.0.1", "1").unwrap(),
        remote: Address::new("127.0.0.1", "2").unwrap(),
        aliases: Aliases::new([FullJid::new("alice@x/r1").unwrap()]).unwrap(),
    }
}

/// What goes over the wire.
fn sent(stanza: Outgoing) -> String {
    let transmit = Transmit { via: ACCOUNT, to: Jid::new("bob@x/r2").unwrap(), stanza };
    written(Account::default().desk.classic(transmit))
}

fn incoming(xml: &str) -> Incoming {
    to_classic(Account::default().decide(xml))
}

const HEADER: &str = "<local_ip>127.0.0.1</local_ip><local_port>1</local_port>\
    <remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>alice@x/r1</aliases>";

#[test]
fn fields_are_unprefixed_and_inherit_the_payloads_namespace_on_the_wire() {
    let connect = Payload::Connect { header: header(), resend: false };
    let xml = sent(Outgoing::Message(connect));
    assert!(xml.contains(&format!("<connect xmlns='hexchat:connect'>{HEADER}</connect>")), "{xml}");
    assert!(xml.contains("type='chat'") && !xml.contains(" id="), "{xml}");
}

#[test]
fn a_set_means_the_same_with_a_tree_and_without() {
    let payload = |kind: &str, more: &str| format!("<{kind} xmlns='hexchat:{kind}'>{HEADER}{more}</{kind}>");
    for payload in [
        payload("packet", "<id>7</id><data>AAAA</data>"),
        payload("packet", "<id>seven</id><data>AAAA</data>"),
        payload("packet", "<data>AAAA</data><id>7</id><id>8</id>"),
        payload("connect_ack", "<response>success</response><resend>1</resend>"),
        payload("disconnect", "<id>7</id>"),
    ] {
        let xml = format!("<iq xmlns='jabber:client' from='bob@x/r2' type='set' id='i1'>{payload}</iq>");
        let without = to_classic(Account::default().decide_flat(&xml));
        match (without, incoming(&xml)) {
            (Incoming::Set { id, payload }, Incoming::Set { id: expected_id, payload: expected }) => {
                assert_eq!((id, payload), (expected_id, expected));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The id of the IQ with this number, as it goes over the wire.
fn id_of(set: SetId) -> String {
    let xml = sent(Outgoing::Ping(set));
    let (_, id) = xml.split_once("id='").unwrap();
    id.split_once('\'').unwrap().0.to_owned()
}

#[test]
fn an_answer_to_one_of_our_iqs_is_told_from_any_other() {
    let id = id_of(SetId(7));
    let disconnect = Payload::Disconnect { header: header(), id: SeqNum::ZERO };
    assert!(sent(Outgoing::Set(SetId(7), disconnect)).contains(&format!("id='{id}'")));
    let ours = incoming(&format!("<iq xmlns='jabber:client' from='bob@x/r2' type='result' id='{id}'/>"));
    assert!(matches!(ours, Incoming::Result { set: Some(SetId(7)), payload: None }));
    let other = incoming("<iq xmlns='jabber:client' from='bob@x/r2' type='result' id='0'/>");
    assert!(matches!(other, Incoming::Result { set: None, payload: None }));
}

#[test]
fn every_iq_has_an_id_of_its_own_and_none_tells_how_many_there_were() {
    let ack = |set| {
        sent(Outgoing::Unsolicited(
            SetId(set),
            Payload::ConnectAck { header: header(), success: true, resend: true },
        ))
    };
    assert!(ack(1).contains(&format!("id='{}'", id_of(SetId(1)))));
    let ids: BTreeSet<String> = (0..1000).map(|set| id_of(SetId(set))).collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| id.len() == 32));
}

#[test]
fn the_2013_programs_ack_is_understood() {
    let xml = format!(
        "<iq xmlns='jabber:client' from='bob@x/r2' id='0' type='result'>\
         <connect_ack xmlns='hexchat:connect_ack'>{HEADER}<response>success</response></connect_ack></iq>"
    );
    let Incoming::Result { payload: Some(Payload::ConnectAck { success, resend, .. }), .. } = incoming(&xml)
    else {
        panic!("not an ack")
    };
    assert!(success && !resend);
}

#[test]
fn an_error_of_the_server_is_told_from_one_of_the_peer() {
    for (condition, expected) in [
        ("service-unavailable", Some(Missing::Peer)),
        ("recipient-unavailable", Some(Missing::Peer)),
        ("remote-server-not-found", Some(Missing::Server)),
        ("remote-server-timeout", Some(Missing::Server)),
        ("feature-not-implemented", None),
    ] {
        let id = id_of(SetId(7));
        let xml = format!(
            "<iq xmlns='jabber:client' from='bob@x/r2' type='error' id='{id}'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        );
        let Incoming::Error { set: SetId(7), missing } = incoming(&xml) else { panic!("{condition}") };
        assert_eq!(missing, expected, "{condition}");
    }
}

#[test]
fn a_connect_from_offline_storage_is_marked() {
    let connect = format!("<connect xmlns='hexchat:connect'>{HEADER}</connect>");
    let delay = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>";
    for (extra, expected) in
        [("", false), (delay, true), ("<x xmlns='jabber:x:delay' stamp='20260101T00:00:00'/>", true)]
    {
        let xml =
            format!("<message xmlns='jabber:client' from='a@x/r' type='chat'>{connect}{extra}</message>");
        let Incoming::Message { delayed, .. } = incoming(&xml) else { panic!("{extra}") };
        assert_eq!(delayed, expected, "{extra}");
    }
}

#[test]
fn a_connect_that_came_back_is_no_connect_and_says_who_is_not_there() {
    for (condition, expected) in [
        ("service-unavailable", Missing::Peer),
        ("not-acceptable", Missing::Peer),
        ("remote-server-not-found", Missing::Server),
        ("remote-server-timeout", Missing::Server),
    ] {
        let xml = format!(
            "<message xmlns='jabber:client' from='bob@x' type='error'><connect xmlns='hexchat:connect'>{HEADER}\
             </connect><error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        );
        let Incoming::MessageBounce { payload: Some(Payload::Connect { .. }), missing } = incoming(&xml)
        else {
            panic!("{condition}")
        };
        assert_eq!(missing, expected, "{condition}");
    }
}

#[test]
fn what_cannot_be_read_of_this_protocol_gets_no_answer() {
    for (kind, payload) in [
        ("set", "<connect xmlns='hexchat:connect'/>"),
        ("set", "<packet xmlns='hexchat:packet'><id>0</id></packet>"),
        ("get", "<connect xmlns='hexchat:connect'/>"),
    ] {
        let xml = format!("<iq xmlns='jabber:client' from='eve@x/r' type='{kind}' id='1'>{payload}</iq>");
        assert!(Account::default().decide(&xml).is_empty(), "{xml}");
    }
}
