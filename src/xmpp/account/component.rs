//! Component: what an account does that owns its domain (XEP-0114). Pure.
//!
//! It gets all that is sent to any JID there. Nobody is told that only one of them is in use: all answer alike, as a bot of slixmpp's does
//! that is a component.

use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::stanza::Stanza;

use crate::persona;
use crate::xmpp::api::Parcel;
use crate::xmpp::flat::FlatSet;
use crate::xmpp::outbox::Outgoing;

/// Whether a stanza is for the component's own JID. Presence and messages are also where they are for it without its resource.
pub(super) fn is_for(own: &Jid, stanza: &Stanza) -> bool {
    let (to, may_be_bare) = match stanza {
        Stanza::Iq(iq) => (iq.to(), false),
        Stanza::Message(message) => (message.to.as_ref(), true),
        Stanza::Presence(presence) => (presence.to.as_ref(), true),
    };
    to.is_some_and(|to| to == own || may_be_bare && *to == own.to_bare())
}

/// The same of a set that was read without a tree.
pub(super) fn is_flat_for(own: &Jid, set: &FlatSet) -> bool {
    set.to() == Some(own.as_str())
}

/// The answer to a request for another JID of the domain, from that. In the name of another domain a component may say nothing: servers end
/// its stream for that (`invalid-from`).
pub(super) fn answer_elsewhere(own: &Jid, stanza: Stanza, random: u128) -> Option<Iq> {
    let Stanza::Iq(mut iq) = stanza else { return None };
    persona::complete(&mut iq, random);
    let from = iq.to().filter(|to| to.domain() == own.domain()).cloned()?;
    let (mut header, payload) = persona::reply_to(&iq)?.split();
    header.from = Some(from);
    Some(Iq::assemble(header, payload))
}

/// Where a server reads all that comes at once, replies to strangers make nobody wait.
pub(super) fn as_ours(outgoing: Outgoing) -> Outgoing {
    match outgoing.parcel {
        Parcel::Reply(stanza) => Outgoing { parcel: Parcel::Stanza(stanza), ..outgoing },
        _ => outgoing,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use xmpp_parsers::minidom::Element;

    fn own() -> Jid {
        "chat@bridge.example/r".parse().unwrap()
    }

    fn stanza(xml: &str) -> Stanza {
        let xml = xml.replacen(' ', " xmlns='jabber:client' from='eve@chat.example/r' ", 1);
        Stanza::try_from(xml.parse::<Element>().unwrap()).unwrap()
    }

    #[test]
    fn a_request_is_for_it_by_its_full_name_only_and_presence_also_without_the_resource() {
        let ping = |to: &str| format!("<iq to='{to}' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>");
        let subscribe = |to: &str| format!("<presence to='{to}' type='subscribe'/>");
        for (to, of_iq, of_presence) in [
            ("chat@bridge.example/r", true, true),
            ("chat@bridge.example", false, true),
            ("chat@bridge.example/other", false, false),
            ("other@bridge.example/r", false, false),
            ("bridge.example", false, false),
        ] {
            assert_eq!(is_for(&own(), &stanza(&ping(to))), of_iq, "{to}");
            assert_eq!(is_for(&own(), &stanza(&subscribe(to))), of_presence, "{to}");
        }
    }

    #[test]
    fn every_name_of_the_domain_answers_alike_and_as_itself() {
        let payloads = [
            "ping xmlns='urn:xmpp:ping'",
            "query xmlns='http://jabber.org/protocol/disco#info'",
            "x xmlns='x'",
        ];
        for payload in payloads {
            let answers = ["bridge.example", "nobody@bridge.example", "chat@bridge.example"].map(|to| {
                let request = stanza(&format!("<iq to='{to}' type='get' id='1'><{payload}/></iq>"));
                let answer = answer_elsewhere(&own(), request, 1).unwrap();
                assert_eq!(answer.from(), Some(&to.parse().unwrap()));
                String::from(&Element::from(answer)).replace(to, "")
            });
            assert!(answers.iter().all(|answer| *answer == answers[0]));
        }
    }

    #[test]
    fn nothing_is_said_in_the_name_of_another_domain() {
        for to in ["chat.example", "bob@chat.example/r", "a@sub.bridge.example", "a@bridge.example.evil"] {
            let ping = format!("<iq to='{to}' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>");
            assert!(answer_elsewhere(&own(), stanza(&ping), 1).is_none(), "{to}");
        }
    }

    #[test]
    fn results_and_what_is_no_request_get_no_answer() {
        for xml in ["<iq to='a@bridge.example' type='result' id='1'/>", "<message to='a@bridge.example'/>"] {
            assert!(answer_elsewhere(&own(), stanza(xml), 1).is_none(), "{xml}");
        }
    }
}
