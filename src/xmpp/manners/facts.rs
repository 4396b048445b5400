//! What it is, for those who ask.

use xmpp_parsers::disco::{DiscoInfoResult, Identity};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::DefinedCondition;
use xmpp_parsers::version::VersionResult;

use super::{Answer, error, error_with_text};

/// The software that it says it is, in the version that Debian 12 ships.
const SOFTWARE: (&str, &str) = ("Slixmpp", "1.8.3");

/// Its features. They are written in the order of the alphabet, which is slixmpp's order, too.
const FEATURES: [&str; 4] = [ns::DISCO_INFO, ns::VERSION, ns::PING, ns::TIME];

/// What that version says to everyone who asks for the time: it cannot read the offset that it has written.
const TROUBLE: &str = "Slixmpp got into trouble.";

pub(super) fn answer_get(payload: &Element) -> Answer {
    match (payload.name(), payload.ns().as_str()) {
        ("ping", ns::PING) => Answer::Result(None),
        ("query", ns::DISCO_INFO | ns::DISCO_ITEMS) if has_node(payload) => {
            Answer::Error(Box::new(error(DefinedCondition::ItemNotFound)))
        }
        ("query", ns::DISCO_INFO) => Answer::Result(Some(info())),
        ("query", ns::DISCO_ITEMS) => Answer::Result(Some(Element::bare("query", ns::DISCO_ITEMS))),
        ("query", ns::VERSION) => Answer::Result(Some(version())),
        ("time", ns::TIME) => trouble(),
        _ => Answer::Unknown,
    }
}

/// slixmpp's handlers for service discovery and the roster take such a set, and then forget to answer.
pub(super) fn answer_set(payload: &Element) -> Answer {
    match (payload.name(), payload.ns().as_str()) {
        ("query", ns::DISCO_INFO | ns::DISCO_ITEMS | ns::ROSTER) => Answer::Nothing,
        _ => Answer::Unknown,
    }
}

pub(super) fn is_ping(payload: &Element) -> bool {
    payload.is("ping", ns::PING)
}

fn has_node(query: &Element) -> bool {
    query.attr("node").is_some_and(|node| !node.is_empty())
}

fn info() -> Element {
    let features = FEATURES.map(str::to_owned).into();
    let identities = vec![Identity::new_anonymous::<_, _, String, String>("client", "bot")];
    DiscoInfoResult { node: None, identities, features, extensions: Vec::new() }.into()
}

fn version() -> Element {
    let (name, version) = SOFTWARE;
    VersionResult { name: name.to_owned(), version: version.to_owned(), os: None }.into()
}

fn trouble() -> Answer {
    Answer::Error(Box::new(error_with_text(DefinedCondition::UndefinedCondition, TROUBLE)))
}
