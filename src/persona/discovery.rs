//! Self-description: identity, features and version, for those who ask (XEP-0030, XEP-0092).

use xmpp_parsers::disco::{DiscoInfoResult, Identity};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::version::VersionResult;

/// The software that it says it is, in the version that Debian 12 ships.
const SOFTWARE: (&str, &str) = ("Slixmpp", "1.8.3");

/// Its features. They are written in the order of the alphabet, which is slixmpp's order, too.
const FEATURES: [&str; 4] = [ns::DISCO_INFO, ns::VERSION, ns::PING, ns::TIME];

/// The same with the plugin for uploads (XEP-0363), which adds its own and, by a plugin that it needs, data forms (XEP-0004).
const UPLOADER_FEATURES: [&str; 6] =
    [ns::DISCO_INFO, ns::VERSION, ns::DATA_FORMS, ns::HTTP_UPLOAD, ns::PING, ns::TIME];

/// Plugins that the client has beside those that it always has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plugins {
    /// The one that uploads files.
    pub uploads: bool,
}

/// A bot without a name.
pub(super) fn info(plugins: Plugins) -> Element {
    let features: &[&str] = if plugins.uploads { &UPLOADER_FEATURES } else { &FEATURES };
    let features = features.iter().map(|&feature| feature.to_owned()).collect();
    let identities = vec![Identity::new_anonymous::<_, _, String, String>("client", "bot")];
    DiscoInfoResult { node: None, identities, features, extensions: Vec::new() }.into()
}

/// No items.
pub(super) fn items() -> Element {
    Element::bare("query", ns::DISCO_ITEMS)
}

/// Whether a query is about a node. There is none.
pub(super) fn has_node(query: &Element) -> bool {
    query.attr("node").is_some_and(|node| !node.is_empty())
}

pub(super) fn version() -> Element {
    let (name, version) = SOFTWARE;
    VersionResult { name: name.to_owned(), version: version.to_owned(), os: None }.into()
}
