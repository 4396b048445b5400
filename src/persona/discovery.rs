//! Self-description: identity, features and version, for those who ask (XEP-0030, XEP-0092).

use xmpp_parsers::disco::{DiscoInfoResult, Identity};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::version::VersionResult;
use xso::exports::rxml::xml_ncname;

/// The software that it says it is, in the version that Debian 12 ships.
const SOFTWARE: (&str, &str) = ("Slixmpp", "1.8.3");

/// Its features. They are written in the order of the alphabet, which is slixmpp's order, too.
const FEATURES: [&str; 4] = [ns::DISCO_INFO, ns::VERSION, ns::PING, ns::TIME];

/// What stands behind them with the plugin for uploads (XEP-0363): data forms, by a plugin that it needs (XEP-0004), and its own.
const OF_UPLOADS: [&str; 2] = [ns::DATA_FORMS, ns::HTTP_UPLOAD];

/// The namespace of SOCKS5 Bytestreams (XEP-0065).
pub const BYTESTREAMS: &str = "http://jabber.org/protocol/bytestreams";

/// What stands behind all of them with the plugin for bytestreams: its own.
const OF_RELAYS: [&str; 1] = [BYTESTREAMS];

/// Plugins that the client has beside those that it always has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plugins {
    /// The one that uploads files.
    pub uploads: bool,
    /// The one that connects to others through a proxy of bytestreams.
    pub relays: bool,
}

/// A bot without a name.
pub(super) fn info(plugins: Plugins) -> Element {
    let features = FEATURES.map(str::to_owned).into();
    let identities = vec![Identity::new_anonymous::<_, _, String, String>("client", "bot")];
    let mut info: Element =
        DiscoInfoResult { node: None, identities, features, extensions: Vec::new() }.into();
    let uploads = OF_UPLOADS.into_iter().filter(|_| plugins.uploads);
    for var in uploads.chain(OF_RELAYS.into_iter().filter(|_| plugins.relays)) {
        info.append_child(feature(var));
    }
    info
}

fn feature(var: &str) -> Element {
    Element::builder("feature", ns::DISCO_INFO).attr(xml_ncname!("var").into(), var).build()
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
