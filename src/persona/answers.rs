//! Answers to requests that no protocol claims: what the ordinary client says.
//!
//! Its refusal of an unknown request is slixmpp's, too: `feature-not-implemented` with a text, where the standard has
//! `service-unavailable` (RFC 6120 section 8.4).

use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use super::discovery::{self, BYTESTREAMS, Plugins};
use super::ids::new_id;

/// What slixmpp says to a request that none of its plugins knows.
const UNKNOWN: &str = "No handlers registered for this request.";

/// What slixmpp 1.8.3 says to everyone who asks for the time: it cannot read the offset that it has written.
const TROUBLE: &str = "Slixmpp got into trouble.";

/// Gives a request without an id a new one, as that client does when it answers. Servers let some of them through.
pub fn complete(iq: &mut Iq, random: u128) {
    if let Iq::Get { id, .. } | Iq::Set { id, .. } = iq
        && id.is_empty()
    {
        *id = new_id(random);
    }
}

/// The answer to `iq`, if it gets one. An unknown request gets the [`refusal`]. Results and errors are never answered
/// (RFC 6120 section 8.2.3).
pub fn reply_to(iq: &Iq) -> Option<Iq> {
    reply_with(iq, Plugins::default())
}

/// The same of a client with further plugins.
pub fn reply_with(iq: &Iq, plugins: Plugins) -> Option<Iq> {
    let (to, id) = (iq.from().cloned(), iq.id().to_owned());
    match answer(iq, plugins) {
        Answer::Result(payload) => Some(Iq::Result { from: None, to, id, payload }),
        Answer::Error(error) => Some(Iq::Error { from: None, to, id, error: *error, payload: None }),
        Answer::Unknown => Some(refusal(to, id)),
        Answer::Nothing => None,
    }
}

/// Whether the answer of a client with these plugins to `iq` is the [`refusal`].
pub fn refuses(iq: &Iq, plugins: Plugins) -> bool {
    matches!(answer(iq, plugins), Answer::Unknown)
}

/// The answer to a ping; none for anything else.
pub fn answer_ping(iq: &Iq) -> Option<Iq> {
    match iq {
        Iq::Get { payload, .. } if payload.is("ping", ns::PING) => reply_to(iq),
        _ => None,
    }
}

/// The empty result: what was asked for is done.
pub fn empty_result(to: Option<Jid>, id: String) -> Iq {
    Iq::Result { from: None, to, id, payload: None }
}

/// The refusal of a request that is not understood: the same for all of them, whoever asks.
pub fn refusal(to: Option<Jid>, id: String) -> Iq {
    let error = error_with_text(DefinedCondition::FeatureNotImplemented, UNKNOWN);
    Iq::Error { from: None, to, id, error, payload: None }
}

/// What becomes of a request.
enum Answer {
    Result(Option<Element>),
    Error(Box<StanzaError>),
    /// It is refused as everything is that is not understood.
    Unknown,
    Nothing,
}

fn answer(iq: &Iq, plugins: Plugins) -> Answer {
    match iq {
        // That client takes whatever has an error in it for an answer.
        Iq::Get { payload, .. } | Iq::Set { payload, .. } if payload.is("error", ns::JABBER_CLIENT) => {
            Answer::Nothing
        }
        Iq::Get { payload, .. } => answer_get(payload, plugins),
        Iq::Set { payload, .. } => answer_set(payload, plugins),
        Iq::Result { .. } | Iq::Error { .. } => Answer::Nothing,
    }
}

fn answer_get(payload: &Element, plugins: Plugins) -> Answer {
    match (payload.name(), payload.ns().as_str()) {
        ("ping", ns::PING) => Answer::Result(None),
        ("query", ns::DISCO_INFO | ns::DISCO_ITEMS) if discovery::has_node(payload) => {
            Answer::Error(Box::new(error(DefinedCondition::ItemNotFound)))
        }
        ("query", ns::DISCO_INFO) => Answer::Result(Some(discovery::info(plugins))),
        ("query", ns::DISCO_ITEMS) => Answer::Result(Some(discovery::items())),
        ("query", ns::VERSION) => Answer::Result(Some(discovery::version())),
        ("time", ns::TIME) => {
            Answer::Error(Box::new(error_with_text(DefinedCondition::UndefinedCondition, TROUBLE)))
        }
        // The plugin takes it for itself, and says nothing.
        ("request", ns::HTTP_UPLOAD) if plugins.uploads => Answer::Nothing,
        _ => Answer::Unknown,
    }
}

/// slixmpp's handlers for service discovery and the roster take such a set, and then forget to answer.
fn answer_set(payload: &Element, plugins: Plugins) -> Answer {
    match (payload.name(), payload.ns().as_str()) {
        ("query", ns::DISCO_INFO | ns::DISCO_ITEMS | ns::ROSTER) => Answer::Nothing,
        ("query", BYTESTREAMS) if plugins.relays && payload.has_child("streamhost", BYTESTREAMS) => {
            Answer::Error(Box::new(refused_bytestream(payload)))
        }
        _ => Answer::Unknown,
    }
}

/// The plugin for bytestreams refuses all that its program has not told it to take, and ours tells it to take none.
fn refused_bytestream(query: &Element) -> StanzaError {
    let has_id = query.attr("sid").is_some_and(|sid| !sid.is_empty());
    let condition = if has_id { DefinedCondition::NotAcceptable } else { DefinedCondition::BadRequest };
    StanzaError { type_: ErrorType::Modify, ..error(condition) }
}

fn error_with_text(defined_condition: DefinedCondition, text: &str) -> StanzaError {
    let mut error = error(defined_condition);
    // Not one of its `texts`: those would be written with a language.
    error.other = Some(Element::builder("text", ns::XMPP_STANZAS).append(text).build());
    error
}

fn error(defined_condition: DefinedCondition) -> StanzaError {
    StanzaError {
        type_: ErrorType::Cancel,
        by: None,
        defined_condition,
        texts: Default::default(),
        other: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use xmpp_parsers::ping::Ping;

    fn peer() -> Jid {
        "peer@chat.example/r".parse().unwrap()
    }

    fn request(kind: &str, payload: &str) -> Iq {
        let xml = format!("<iq xmlns='jabber:client' from='{}' type='{kind}' id='q'>{payload}</iq>", peer());
        Iq::try_from(xml.parse::<Element>().unwrap()).unwrap()
    }

    fn condition(kind: &str, payload: &str) -> DefinedCondition {
        match reply_to(&request(kind, payload)) {
            Some(Iq::Error { to, id, error, .. }) => {
                assert_eq!((to, id.as_str(), error.type_), (Some(peer()), "q", ErrorType::Cancel));
                error.defined_condition
            }
            other => panic!("{other:?}"),
        }
    }

    fn result(payload: &str) -> Element {
        match reply_to(&request("get", payload)) {
            Some(Iq::Result { payload: Some(payload), .. }) => payload,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_ping_gets_an_empty_result() {
        let answer = reply_to(&Iq::from_get("p1", Ping).with_from(peer())).unwrap();
        assert_eq!(answer, empty_result(Some(peer()), "p1".into()));
        assert_eq!(answer_ping(&Iq::from_get("p1", Ping).with_from(peer())), Some(answer));
    }

    #[test]
    fn a_ping_from_the_server_itself_is_answered_to_the_server() {
        let answer = reply_to(&Iq::from_get("p2", Ping)).unwrap();
        assert_eq!((answer.to(), answer.id()), (None, "p2"));
    }

    #[test]
    fn a_ping_that_is_a_set_is_a_request_like_any_other() {
        let set = Iq::Set { from: Some(peer()), to: None, id: "p3".into(), payload: Ping.into() };
        assert!(answer_ping(&set).is_none());
        assert!(matches!(reply_to(&set), Some(Iq::Error { .. })));
    }

    #[test]
    fn who_uploads_files_says_so_among_the_features_and_nowhere_else() {
        let asked = request("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
        let features = |plugins| match reply_with(&asked, plugins) {
            Some(Iq::Result { payload: Some(info), .. }) => {
                info.children().filter_map(|child| child.attr("var").map(str::to_owned)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let none = Plugins::default();
        let (plain, uploads) = (features(none), features(Plugins { uploads: true, ..none }));
        assert!(uploads.starts_with(&plain));
        assert_eq!(uploads[plain.len()..], ["jabber:x:data", "urn:xmpp:http:upload:0"]);
        let slot = request("get", "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='1'/>");
        let answer = |uploads| reply_with(&slot, Plugins { uploads, ..none });
        assert!(answer(true).is_none() && answer(false) == Some(refusal(Some(peer()), "q".into())));
    }

    #[test]
    fn who_uses_relays_says_so_last_and_takes_no_bytestream_of_anybody() {
        let plugins = Plugins { uploads: true, relays: true };
        let asked = request("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
        let Some(Iq::Result { payload: Some(info), .. }) = reply_with(&asked, plugins) else { panic!() };
        let features: Vec<_> = info.children().filter_map(|child| child.attr("var")).collect();
        assert_eq!(features.last(), Some(&BYTESTREAMS));
        let host = "<streamhost jid='a' host='a' port='1'/>";
        for (sid, inside, expected) in [
            ("sid='s'", host, DefinedCondition::NotAcceptable),
            ("sid=''", host, DefinedCondition::BadRequest),
            ("", host, DefinedCondition::BadRequest),
            ("sid='s'", "", DefinedCondition::FeatureNotImplemented),
        ] {
            let query = format!("<query xmlns='{BYTESTREAMS}' {sid}>{inside}</query>");
            let set = request("set", &query);
            let Some(Iq::Error { error, .. }) = reply_with(&set, plugins) else { panic!("{query}") };
            assert_eq!(error.defined_condition, expected, "{query}");
            assert!(refuses(&set, Plugins::default()) && refuses(&request("get", &query), plugins));
        }
    }

    #[test]
    fn all_unknown_requests_get_the_same_refusal() {
        let refused = Some(refusal(Some(peer()), "q".into()));
        for payload in [
            "<query xmlns='jabber:iq:unheard-of'/>",
            "<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='x'/>",
            "<data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='x'>AAAA</data>",
            "<close xmlns='http://jabber.org/protocol/ibb' sid='x'/>",
            "<packet xmlns='hexchat:packet'/>",
        ] {
            for kind in ["get", "set"] {
                let request = request(kind, payload);
                assert!(refuses(&request, Plugins::default()), "{payload}");
                assert_eq!(reply_to(&request), refused, "{payload}");
            }
        }
        assert_eq!(
            condition("set", "<query xmlns='jabber:iq:version'/>"),
            DefinedCondition::FeatureNotImplemented
        );
    }

    #[test]
    fn the_refusal_is_written_as_slixmpp_writes_it() {
        let refusal = Element::from(refusal(Some(peer()), "q".into()));
        let error = refusal.get_child("error", ns::JABBER_CLIENT).unwrap();
        assert_eq!(
            String::from(error),
            "<error xmlns='jabber:client' type='cancel'>\
             <feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>No handlers registered for this request.</text></error>"
        );
    }

    #[test]
    fn what_is_known_is_not_refused() {
        for payload in ["<query xmlns='jabber:iq:version'/>", "<time xmlns='urn:xmpp:time'/>"] {
            assert!(!refuses(&request("get", payload), Plugins::default()), "{payload}");
        }
        assert!(!refuses(&Iq::empty_result(peer(), "r").with_from(peer()), Plugins::default()));
    }

    #[test]
    fn a_request_without_an_id_gets_an_answer_with_a_new_one() {
        let mut nameless = request("get", "<ping xmlns='urn:xmpp:ping'/>").with_id(String::new());
        complete(&mut nameless, 1);
        assert_eq!(reply_to(&nameless).unwrap().id(), new_id(1));
        let mut named = request("set", "<a xmlns='b'/>");
        complete(&mut named, 1);
        assert_eq!(named.id(), "q");
        let mut result = Iq::empty_result(peer(), "");
        complete(&mut result, 1);
        assert_eq!(result.id(), "");
    }

    #[test]
    fn answers_are_never_answered() {
        let result = Iq::empty_result(peer(), "r").with_from(peer());
        assert!(reply_to(&result).is_none());
        assert!(reply_to(&refusal(Some(peer()), "e".into())).is_none());
    }

    #[test]
    fn a_request_for_an_error_is_taken_for_an_answer() {
        for kind in ["get", "set"] {
            assert_eq!(reply_to(&request(kind, "<error/>")), None);
            assert!(reply_to(&request(kind, "<error xmlns='urn:x'/>")).is_some());
        }
    }

    #[test]
    fn it_is_a_bot_without_in_band_bytestreams() {
        let info = result("<query xmlns='http://jabber.org/protocol/disco#info'/>");
        let identity = info.get_child("identity", ns::DISCO_INFO).unwrap();
        assert_eq!((identity.attr("category"), identity.attr("type")), (Some("client"), Some("bot")));
        let features: Vec<_> = info.children().filter_map(|child| child.attr("var")).collect();
        assert_eq!(features, [ns::DISCO_INFO, ns::VERSION, ns::PING, ns::TIME]);
    }

    #[test]
    fn it_has_neither_items_nor_nodes() {
        assert_eq!(result("<query xmlns='http://jabber.org/protocol/disco#items'/>").children().count(), 0);
        for namespace in [ns::DISCO_INFO, ns::DISCO_ITEMS] {
            let asked = format!("<query xmlns='{namespace}' node='x'/>");
            assert_eq!(condition("get", &asked), DefinedCondition::ItemNotFound);
            assert_eq!(reply_to(&request("set", &asked)), None);
        }
    }

    #[test]
    fn it_calls_itself_what_its_answers_are_made_after() {
        let version = result("<query xmlns='jabber:iq:version'/>");
        let fields: Vec<_> =
            version.children().map(|child| (child.name().to_owned(), child.text())).collect();
        assert_eq!(fields, [("name".into(), "Slixmpp".into()), ("version".into(), "1.8.3".into())]);
    }

    #[test]
    fn asked_for_the_time_it_fails_as_that_version_does() {
        assert_eq!(condition("get", "<time xmlns='urn:xmpp:time'/>"), DefinedCondition::UndefinedCondition);
    }
}
