//! Questions of somebody who examines an account: what time its server has (XEP-0202), whether that keeps messages for who is away
//! (XEP-0160), and whether a peer is there (XEP-0199). Pure.
//!
//! They are asked in the words of the persona, and an answer counts only from whom was asked.

use xmpp_parsers::disco::DiscoInfoQuery;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza::Stanza;
use xmpp_parsers::stanza_error::DefinedCondition;
use xmpp_parsers::time::TimeQuery;

use super::Arrival;
use super::clock::time_in;
use super::pending::{Pending, Random, payload};
use crate::persona;
use crate::xmpp::Parcel;
use crate::xmpp::flat::Flat;

/// The feature of a server that keeps messages for who is away (XEP-0160 section 4).
const KEEPS_MESSAGES: &str = "msgoffline";

/// An answer to one of the questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What time the server has, in milliseconds since 1970, if it says so.
    Time(Option<i64>),
    /// Whether the server keeps messages for who is away.
    Keeps(bool),
    /// Whether a peer is there.
    Peer(FullJid, Presence),
}

/// Whether a peer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Here,
    /// A server says that it is not.
    Away,
    /// Our server cannot reach the peer's.
    Unreachable,
}

#[derive(Debug)]
enum Question {
    Time,
    Keeps,
    Peer(FullJid),
}

/// Questions of one account that are not answered yet.
#[derive(Debug, Default)]
pub struct Questions(Vec<(Question, Pending)>);

impl Questions {
    /// Asks a server what time it has, and whether it keeps messages.
    pub fn ask_server(&mut self, server: &Jid, random: Random<'_>) -> [Parcel; 2] {
        let (time, keeps) = (Pending::new(server.clone(), random), Pending::new(server.clone(), random));
        let ask_time = Iq::from_get(time.id.clone(), TimeQuery).with_to(server.clone());
        let query = DiscoInfoQuery { node: None };
        let ask_info = Iq::from_get(keeps.id.clone(), query).with_to(server.clone());
        self.0.extend([(Question::Time, time), (Question::Keeps, keeps)]);
        [Stanza::from(ask_time).into(), Stanza::from(ask_info).into()]
    }

    /// Asks a peer whether it is there. Our presence goes before, as to everybody who is asked for something: some servers let nothing
    /// through otherwise.
    pub fn ask_peer(&mut self, peer: FullJid, random: Random<'_>) -> [Parcel; 2] {
        let pending = Pending::new(peer.clone().into(), random);
        let presence = persona::directed(peer.to_bare(), persona::new_id(random()));
        let ping = persona::ping(peer.clone().into(), pending.id.clone());
        self.0.push((Question::Peer(peer), pending));
        [presence.into(), Stanza::from(ping).into()]
    }

    /// Whether nothing is waited for.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// What has come to the account, if it is an answer.
    pub fn handle(&mut self, arrival: &Arrival) -> Option<Answer> {
        match arrival {
            Arrival::Parsed(stanza) => match &**stanza {
                Stanza::Iq(iq) => self.take(iq),
                _ => None,
            },
            Arrival::Flat(Flat::Result { from, id }) => {
                let from = Some(from.clone().into());
                self.take(&Iq::Result { from, to: None, id: id.clone(), payload: None })
            }
            Arrival::Flat(_) | Arrival::Ping { .. } => None,
        }
    }

    fn take(&mut self, iq: &Iq) -> Option<Answer> {
        let at = self.0.iter().position(|(_, pending)| pending.is_answered_by(iq))?;
        let (question, _) = self.0.remove(at);
        Some(match question {
            Question::Time => Answer::Time(payload(iq).and_then(time_in)),
            Question::Keeps => Answer::Keeps(payload(iq).is_some_and(keeps_messages)),
            Question::Peer(peer) => Answer::Peer(peer, presence(iq)),
        })
    }
}

fn keeps_messages(info: &Element) -> bool {
    let is_it =
        |child: &Element| child.is("feature", ns::DISCO_INFO) && child.attr("var") == Some(KEEPS_MESSAGES);
    info.children().any(is_it)
}

fn presence(iq: &Iq) -> Presence {
    match iq {
        Iq::Error { error, .. } => match error.defined_condition {
            DefinedCondition::RemoteServerNotFound | DefinedCondition::RemoteServerTimeout => {
                Presence::Unreachable
            }
            // Somebody is there, and knows no pings.
            DefinedCondition::FeatureNotImplemented => Presence::Here,
            _ => Presence::Away,
        },
        _ => Presence::Here,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;

    const ERROR: &str =
        "<error type='cancel'><CONDITION xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";

    fn bits() -> impl FnMut() -> u128 {
        let mut last = 0;
        move || {
            last += 1;
            last
        }
    }

    fn iq(text: &str) -> Arrival {
        let element: Element = text.parse().unwrap();
        Arrival::Parsed(Box::new(Stanza::from(Iq::try_from(element).unwrap())))
    }

    fn answered(to: impl FnOnce(&mut Questions), kind: &str, from: &str, inside: &str) -> Option<Answer> {
        let mut questions = Questions::default();
        to(&mut questions);
        let ids: Vec<_> = questions.0.iter().map(|(_, pending)| pending.id.clone()).collect();
        let answers = ids.iter().map(|id| {
            iq(&format!("<iq xmlns='jabber:client' id='{id}' type='{kind}' from='{from}'>{inside}</iq>"))
        });
        answers.map(|answer| questions.handle(&answer)).next().flatten()
    }

    fn server(questions: &mut Questions) {
        questions.ask_server(&Jid::new("chat.example").unwrap(), &mut bits());
    }

    fn peer(questions: &mut Questions) {
        questions.ask_peer(FullJid::new("bridge@b.example/r").unwrap(), &mut bits());
    }

    #[test]
    fn a_server_says_what_time_it_has() {
        let time =
            |utc: &str| format!("<time xmlns='urn:xmpp:time'><tzo>+02:00</tzo><utc>{utc}</utc></time>");
        for (said, expected) in [
            (time("1970-01-01T00:01:00Z"), Some(60_000)),
            (time("1970-01-01T02:00:00.5+02:00"), Some(500)),
            (time("noon"), None),
            (String::new(), None),
        ] {
            assert_eq!(
                answered(server, "result", "chat.example", &said),
                Some(Answer::Time(expected)),
                "{said}"
            );
        }
        assert_eq!(answered(server, "result", "other.example", ""), None, "nobody else can answer");
    }

    #[test]
    fn a_server_says_whether_it_keeps_messages() {
        let mut questions = Questions::default();
        server(&mut questions);
        let id = questions.0[1].1.id.clone();
        let info = "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='msgoffline'/></query>";
        let answer =
            format!("<iq xmlns='jabber:client' id='{id}' type='result' from='chat.example'>{info}</iq>");
        assert_eq!(questions.handle(&iq(&answer)), Some(Answer::Keeps(true)));
        assert!(!questions.is_over(), "its time is still to come");
    }

    #[test]
    fn a_peer_is_there_if_it_answers_anything_itself() {
        let from = "bridge@b.example/r";
        let condition = |name: &str| ERROR.replace("CONDITION", name);
        for (kind, inside, expected) in [
            ("result", String::new(), Presence::Here),
            ("error", condition("feature-not-implemented"), Presence::Here),
            ("error", condition("service-unavailable"), Presence::Away),
            ("error", condition("remote-server-not-found"), Presence::Unreachable),
            ("error", condition("remote-server-timeout"), Presence::Unreachable),
        ] {
            let answer = answered(peer, kind, from, &inside);
            assert_eq!(answer, Some(Answer::Peer(from.parse().unwrap(), expected)), "{inside}");
        }
    }
}
