//! Tests of the desk: what becomes of each kind of stanza, from whomever.

use super::testing::{ACCOUNT, Account, KEY, is_unknown, reply, to_classic, to_secure, written};
use super::*;
use crate::secure::Credential;

const OPEN: &str = "<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='s' stanza='iq'/>";
const DATA: &str = "<data xmlns='http://jabber.org/protocol/ibb' sid='s' seq='0'>AAAA</data>";
const CLOSE: &str = "<close xmlns='http://jabber.org/protocol/ibb' sid='s'/>";

/// The id of the secure protocol's IQ 7.
const ID: &str = "00000000000040008000000000000007";

fn iq(kind: &str, payload: &str) -> String {
    format!("<iq xmlns='jabber:client' from='eve@x/r' type='{kind}' id='i1'>{payload}</iq>")
}

/// An account of a bridge that has no bytestream with anybody and does not speak the classic protocol.
fn quiet() -> Account {
    Account { speaks_classic: false, has_bytestream: false, ..Account::default() }
}

/// An account of a user.
fn client() -> Account {
    Account { lets_in: false, ..Account::default() }
}

#[test]
fn a_strangers_open_goes_to_the_secure_core_which_alone_can_tell_whether_he_may() {
    let incoming = to_secure(quiet().decide(&iq("set", OPEN)));
    assert_eq!(incoming, ibb::Incoming::Open { id: "i1".into(), sid: "s".into(), block_size: 4096 });
}

#[test]
fn a_strangers_block_and_close_are_requests_like_any_unknown_one_however_they_are_read() {
    for payload in [DATA, CLOSE, "<query xmlns='jabber:iq:unheard-of'/>"] {
        assert!(is_unknown(&quiet().decide(&iq("set", payload))), "{payload}");
    }
    assert!(is_unknown(&quiet().decide_flat(&iq("set", DATA).replace(" xmlns='jabber:client'", ""))));
}

#[test]
fn an_unknown_request_of_somebody_without_a_resource_is_refused_in_the_same_words() {
    let request = iq("get", "<query xmlns='jabber:iq:unheard-of'/>");
    for from in ["from='eve@x'", "from='x'"] {
        let refused = reply(quiet().decide(&request.replace("from='eve@x/r'", from)));
        let to = from.replace("from", "to");
        let by_core = written(quiet().desk.secure(ibb::Transmit {
            via: ACCOUNT,
            to: FullJid::new("eve@x/r").unwrap(),
            stanza: ibb::Outgoing::Refusal { id: "i1".into() },
        }));
        assert_eq!(refused, by_core.replace("to='eve@x/r'", &to));
    }
}

#[test]
fn what_the_persona_knows_gets_its_answer_and_is_a_sign_of_life_to_the_classic_protocol() {
    for payload in ["<ping xmlns='urn:xmpp:ping'/>", "<query xmlns='jabber:iq:version'/>"] {
        let mut decisions = Account::default().decide(&iq("get", payload));
        let alive = decisions.remove(0);
        assert!(matches!(alive, Decision::SignOfLife { from } if from.as_str() == "eve@x/r"), "{payload}");
        let answer = reply(decisions);
        assert_eq!(reply(quiet().decide(&iq("get", payload))), answer);
        assert!(
            answer.contains("type='result'") && answer.contains("to='eve@x/r' id='i1'"),
            "{payload}: {answer}"
        );
    }
}

#[test]
fn a_ping_that_its_account_has_answered_is_a_sign_of_life_to_the_classic_protocol_and_nothing_else() {
    let ping = || Arrival::Ping { from: FullJid::new("eve@x/r").unwrap() };
    let decisions = Account::default().handle(ping());
    assert!(matches!(&decisions[..], [Decision::SignOfLife { from }] if from.as_str() == "eve@x/r"));
    assert!(quiet().handle(ping()).is_empty());
}

#[test]
fn what_the_persona_does_not_answer_is_a_sign_of_life_at_most() {
    let set = iq("set", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    assert!(matches!(Account::default().decide(&set)[..], [Decision::SignOfLife { .. }]));
    assert!(quiet().decide(&set).is_empty());
}

#[test]
fn whoever_wants_to_see_the_presence_of_an_account_that_lets_peers_in_may_and_is_asked_in_return() {
    let subscribe = "<presence xmlns='jabber:client' from='eve@x' type='subscribe' id='p'/>";
    let replies: Vec<String> =
        quiet().decide(subscribe).into_iter().map(|decision| reply(vec![decision])).collect();
    let [granted, own, asked] = &replies[..] else { panic!("{replies:?}") };
    assert!(granted.contains("type='subscribed'") && granted.contains(&persona::new_id(1)), "{granted}");
    assert!(!own.contains("type=") && !own.contains("id="), "{own}");
    assert!(asked.contains("type='subscribe'") && asked.contains(&persona::new_id(2)), "{asked}");
    assert!(replies.iter().all(|reply| reply.contains("to='eve@x'")));
}

#[test]
fn the_account_of_a_user_makes_friends_with_nobody() {
    let subscribe = "<presence xmlns='jabber:client' from='eve@x' type='subscribe' id='p'/>";
    assert!(client().decide(subscribe).is_empty());
}

#[test]
fn a_subscriber_is_shown_the_presence_that_the_account_sent_last() {
    let mut account = quiet();
    account.desk.handle_online(ACCOUNT, FullJid::new("bob@x/r").unwrap());
    let subscribe = "<presence xmlns='jabber:client' from='eve@x' type='subscribe'/>";
    let shown = |account: &mut Account| reply(vec![account.decide(subscribe).remove(1)]);
    for (from, id, last) in
        [("bob@x/r", "first", "first"), ("bob@x/other", "another", "first"), ("bob@x/r", "second", "second")]
    {
        let own = format!("<presence xmlns='jabber:client' from='{from}' id='{id}'/>");
        assert!(account.decide(&own).is_empty());
        assert!(shown(&mut account).contains(&format!("id='{last}'")), "{from}");
    }
    account.desk.handle_online(ACCOUNT, FullJid::new("bob@x/r").unwrap());
    assert!(shown(&mut account).contains("id='second'"), "it is remembered from one session to the next");
    account.desk.handle_closed(ACCOUNT);
    assert!(!shown(&mut account).contains("id="));
}

#[test]
fn no_other_presence_gets_anything() {
    for kind in ["", " type='unavailable'", " type='subscribed'", " type='probe'", " type='error'"] {
        let presence = format!("<presence xmlns='jabber:client' from='eve@x/r'{kind}/>");
        assert!(quiet().decide(&presence).is_empty(), "{kind}");
    }
}

#[test]
fn an_answer_goes_to_the_core_whose_iq_it_answers_however_late_it_comes() {
    let answer = |id: &str| format!("<iq xmlns='jabber:client' from='bob@x/r' type='result' id='{id}'/>");
    let secure = ibb::Incoming::Result { iq: Token(7) };
    assert_eq!(to_secure(Account::default().decide(&answer(ID))), secure);
    // Only the core knows whether anybody still waits for it.
    assert_eq!(to_secure(quiet().decide(&answer(ID))), secure);
    let classic = Ids::new(&KEY).write(7);
    let incoming = to_classic(Account::default().decide(&answer(&classic)));
    assert!(matches!(incoming, classic_core::Incoming::Result { set: Some(SetId(7)), payload: None }));
}

#[test]
fn an_answer_to_nothing_of_ours_is_never_answered() {
    for kind in ["result", "error"] {
        for (id, payload) in [("i1", ""), (ID, "<query xmlns='jabber:iq:version'/>")] {
            let error =
                "<error type='cancel'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
            let payload = if kind == "error" { error } else { payload };
            let id = if kind == "error" { "i1" } else { id };
            let decisions = quiet().decide(&iq(kind, payload).replace("i1", id));
            let is_reply = |decision: &Decision| !matches!(decision, Decision::ToClassic { .. });
            assert!(!decisions.iter().any(is_reply), "{kind}, {id}: {decisions:?}");
        }
    }
}

#[test]
fn a_message_is_the_classic_cores_where_that_is_in_use_and_nobodys_where_it_is_not() {
    let connect = "<connect xmlns='hexchat:connect'><local_ip>127.0.0.1</local_ip><local_port>1</local_port>\
         <remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>eve@x/r</aliases></connect>";
    let message = format!("<message xmlns='jabber:client' from='eve@x/r' type='chat'>{connect}</message>");
    assert!(matches!(
        to_classic(Account::default().decide(&message)),
        classic_core::Incoming::Message { delayed: false, .. }
    ));
    assert!(quiet().decide(&message).is_empty());
    let words = "<message xmlns='jabber:client' from='eve@x/r' type='chat'><body>Hello</body></message>";
    assert!(Account::default().decide(words).is_empty(), "and other messages are nobody's anywhere");
}

#[test]
fn where_nobody_uses_the_classic_protocol_its_stanzas_are_unknown_ones() {
    for payload in ["<connect xmlns='hexchat:connect'/>", "<packet xmlns='hexchat:packet'/>"] {
        for kind in ["get", "set"] {
            assert!(is_unknown(&quiet().decide(&iq(kind, payload))), "{kind} {payload}");
            assert!(Account::default().decide(&iq(kind, payload)).is_empty(), "{kind} {payload}");
        }
    }
}

fn opening(to: &str) -> ibb::Transmit {
    let stanza = ibb::Outgoing::Open { iq: Token(1), sid: Credential::NOBODYS, block_size: 4096 };
    ibb::Transmit { via: ACCOUNT, to: FullJid::new(to).unwrap(), stanza }
}

#[test]
fn a_peer_is_sent_our_presence_before_the_first_open_since_our_account_was_online_and_no_other() {
    let mut desk = Desk::new(&KEY);
    let own = || FullJid::new("alice@x/r").unwrap();
    for _ in 0..2 {
        desk.handle_online(ACCOUNT, own());
        let presence = written(desk.before(&opening("bridge@x/r"), || 7).unwrap());
        assert_eq!(
            presence,
            format!(
                "<presence xmlns='jabber:client' to='bridge@x' id='{ID}'><priority>0</priority></presence>"
            )
        );
        assert!(desk.before(&opening("bridge@x/other"), || 7).is_none());
    }
    assert!(desk.before(&opening("second@x/r"), || 7).is_some());
    assert!(desk.before(&opening("alice@x/other"), || 7).is_none(), "an account knows itself");
}

#[test]
fn who_only_answers_sends_nobody_his_presence() {
    let mut desk = Desk::new(&KEY);
    desk.handle_online(ACCOUNT, FullJid::new("bridge@x/r").unwrap());
    let answer = ibb::Outgoing::Result { id: "i1".into() };
    let to = FullJid::new("alice@x/r").unwrap();
    assert!(desk.before(&ibb::Transmit { via: ACCOUNT, to, stanza: answer }, || 7).is_none());
}
