//! Proxy of bytestreams (XEP-0065 section 4): how it says that it is one, and where.

use std::fmt;

use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use crate::persona::BYTESTREAMS;

/// The longest name of a host that is taken, in bytes: 253, the longest that DNS has.
const MAX_HOST: usize = 253;

/// The port of a proxy that names none: 1080 (XEP-0065 section 10).
const DEFAULT_PORT: u16 = 1080;

/// A proxy. Host and port are as it wrote them; whether they may be called is for whoever calls them to decide.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Whom to ask for activations: in a cluster of ejabberds, the resource is that of the machine to connect to.
    pub jid: Jid,
    /// Where it takes connections: a name or an address, without brackets.
    pub host: String,
    /// At which port.
    pub port: u16,
}

impl fmt::Debug for Proxy {
    /// Not where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy(..)")
    }
}

/// Whether what somebody says of himself is that he is a proxy.
pub(in crate::carrier) fn is_proxy(info: &Element) -> bool {
    let is_identity = |child: &Element| {
        child.is("identity", ns::DISCO_INFO)
            && (child.attr("category"), child.attr("type")) == (Some("proxy"), Some("bytestreams"))
    };
    info.children().any(is_identity)
}

/// Asks a proxy where it is.
pub(in crate::carrier) fn ask(jid: &Jid, id: String) -> Iq {
    Iq::Get { from: None, to: Some(jid.clone()), id, payload: Element::bare("query", BYTESTREAMS) }
}

impl Proxy {
    /// The proxy `jid`, if the answer says where it is, perhaps with a resource. Others that it may name are nothing to us.
    pub(in crate::carrier) fn read(jid: &Jid, query: &Element) -> Option<Self> {
        let hosts = Some(query).filter(|query| query.is("query", BYTESTREAMS))?.children();
        hosts.filter(|child| child.is("streamhost", BYTESTREAMS)).find_map(|host| Self::of(jid, host))
    }

    fn of(proxy: &Jid, streamhost: &Element) -> Option<Self> {
        let named = Jid::new(streamhost.attr("jid")?).ok()?;
        let jid = Some(named).filter(|named| named == proxy || named.to_bare() == *proxy)?;
        let (host, port) = (streamhost.attr("host")?, port(streamhost.attr("port"))?);
        let is_plausible = (1..=MAX_HOST).contains(&host.len());
        is_plausible.then(|| Self { jid, host: host.to_owned(), port })
    }
}

fn port(text: Option<&str>) -> Option<u16> {
    let Some(text) = text else { return Some(DEFAULT_PORT) };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use proptest::prelude::*;

    use super::*;

    fn jid() -> Jid {
        Jid::new("proxy.chat.example").unwrap()
    }

    fn read(inside: &str) -> Option<(String, u16)> {
        let xml = format!("<query xmlns='http://jabber.org/protocol/bytestreams'>{inside}</query>");
        Proxy::read(&jid(), &xml.parse().unwrap()).map(|proxy| (proxy.host, proxy.port))
    }

    #[test]
    fn it_is_asked_where_it_is_as_slixmpp_asks() {
        let written = String::from(&Element::from(ask(&jid(), "x".to_owned())));
        assert_eq!(
            written,
            "<iq xmlns='jabber:client' id='x' to='proxy.chat.example' type='get'>\
             <query xmlns='http://jabber.org/protocol/bytestreams'/></iq>"
        );
    }

    #[test]
    fn it_is_where_its_own_first_usable_streamhost_says() {
        let own = |rest: &str| format!("<streamhost jid='Proxy.chat.example' {rest}/>");
        let other = "<streamhost jid='other.chat.example' host='x' port='1'/>";
        for (inside, expected) in [
            (own("host='a.chat.example' port='5000'"), Some(("a.chat.example", 5000))),
            (own("host='192.0.2.1'"), Some(("192.0.2.1", 1080))),
            (other.to_owned() + &own("host='b' port='1'") + &own("host='c' port='2'"), Some(("b", 1))),
            (own("host='a' port='0'") + &own("host='c' port='2'"), Some(("c", 2))),
            (other.to_owned(), None),
            (own("host='' port='1'"), None),
            (own("port='1'"), None),
            (own("host='a' port='+1'"), None),
            (own("host='a' port='65536'"), None),
            (own(&format!("host='{}' port='1'", "a".repeat(254))), None),
        ] {
            assert_eq!(read(&inside), expected.map(|(host, port)| (host.to_owned(), port)), "{inside}");
        }
    }

    #[test]
    fn whom_it_names_as_itself_with_a_resource_is_who_is_asked_to_activate() {
        let read = |named: &str| {
            let host = format!("<streamhost jid='{named}' host='a' port='1'/>");
            let xml = format!("<query xmlns='http://jabber.org/protocol/bytestreams'>{host}</query>");
            Proxy::read(&jid(), &xml.parse().unwrap()).map(|proxy| proxy.jid.to_string())
        };
        for named in ["proxy.chat.example", "proxy.chat.example/70306884"] {
            assert_eq!(read(named).as_deref(), Some(named));
        }
        assert_eq!(read("x@proxy.chat.example"), None);
    }

    #[test]
    fn neither_its_name_nor_its_host_is_shown() {
        let proxy = Proxy { jid: jid(), host: "relay.chat.example".to_owned(), port: 7777 };
        assert_eq!(format!("{proxy:?}"), "Proxy(..)");
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_not(inside in "(<streamhost jid='(proxy[.]chat[.]example|x|@)' (host='[a-z]?' )?(port='[0-9+-]{0,6}')?/>|<x/>|[a-z]){0,4}") {
            if let Some((host, port)) = read(&inside) {
                prop_assert!(!host.is_empty() && port != 0);
            }
        }
    }
}
