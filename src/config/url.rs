//! URLs of WebSockets and of documents on the web: as much of RFC 3986 as is dialled.

use std::net::Ipv6Addr;

use super::ServerAddr;

/// What is behind the host of a URL, at most, in bytes: the paths of chat servers have a dozen, and a request has to fit into what any
/// server reads of one (8000, RFC 9110 section 4.1).
const MAX_PATH: usize = 2048;

/// Where something is, without its scheme's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Url {
    /// Whether TLS protects the connection.
    pub secure: bool,
    /// What is dialled.
    pub address: ServerAddr,
    /// What is asked for there, with its query: from the slash on.
    pub path: String,
}

impl Url {
    /// Reads `wss://host[:port][/path]`, or the same with `ws`.
    pub fn web_socket(text: &str) -> Option<Self> {
        Self::parse(text, "wss", "ws")
    }

    /// Reads `https://host[:port][/path]`; nothing less is any good.
    pub fn https(text: &str) -> Option<Self> {
        Self::parse(text, "https", "http").filter(|url| url.secure)
    }

    fn parse(text: &str, secure: &str, plain: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let secure = scheme.eq_ignore_ascii_case(secure);
        if !secure && !scheme.eq_ignore_ascii_case(plain) {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let address = address(authority, default_port(secure))?;
        is_path(&path).then_some(Self { secure, address, path })
    }

    /// The same place with another path.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<Self> {
        let is_here = path.starts_with('/') && !path.starts_with("//") && is_path(path);
        is_here.then(|| Self { path: path.to_owned(), ..self.clone() })
    }

    /// Host and port, as a request names them (RFC 9110 section 7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        let ServerAddr { host, port } = &self.address;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if *port == default_port(self.secure) { host } else { format!("{host}:{port}") }
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// Everything that RFC 3986 allows in a path and a query, and no fragment, which is nobody's business but the reader's.
fn is_path(path: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&byte);
    path.len() <= MAX_PATH && path.bytes().all(is_allowed)
}

/// `host[:port]`, with an IPv6 address in brackets.
fn address(authority: &str, default_port: u16) -> Option<ServerAddr> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, parse_port(port)?),
        _ => (authority, default_port),
    };
    Some(ServerAddr { host: parse_host(host)?.to_owned(), port })
}

/// A name or an address, which loses its brackets.
pub(super) fn parse_host(host: &str) -> Option<&str> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']')?;
        return address.parse::<Ipv6Addr>().is_ok().then_some(address);
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let plausible = (1..=253).contains(&host.len()) && host.chars().all(is_name);
    plausible.then_some(host)
}

pub(super) fn parse_port(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> Option<(bool, String, u16, String)> {
        Url::web_socket(text)
            .map(|Url { secure, address: ServerAddr { host, port }, path }| (secure, host, port, path))
    }

    #[test]
    fn a_port_and_a_path_may_be_left_out() {
        for (text, secure, host, port, path) in [
            ("wss://chat.example/xmpp-websocket", true, "chat.example", 443, "/xmpp-websocket"),
            ("WSS://chat.example:5281/a/b?c=%20", true, "chat.example", 5281, "/a/b?c=%20"),
            ("ws://127.0.0.1", false, "127.0.0.1", 80, "/"),
            ("wss://[2001:db8::1]?x", true, "2001:db8::1", 443, "/?x"),
            ("wss://[2001:db8::1]:1/", true, "2001:db8::1", 1, "/"),
        ] {
            assert_eq!(parts(text), Some((secure, host.to_owned(), port, path.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_place_or_leads_on_is_refused() {
        for text in [
            "",
            "wss:",
            "wss://",
            "wss:///x",
            "https://x/",
            "chat.example:5222",
            "wss://x:0/",
            "wss://x:65536/",
            "wss://x:/",
            "wss://user@x/",
            "wss://x/#a",
            "wss://x/a b",
            "wss://x/\r\nHost:y",
            "wss://[::1/",
            "wss://::1/",
            "wss://é.example/",
        ] {
            assert_eq!(parts(text), None, "{text:?}");
        }
        assert_eq!(parts(&format!("wss://x/{}", "a".repeat(MAX_PATH))), None);
        assert_eq!(Url::https("http://chat.example/"), None);
    }

    #[test]
    fn a_request_names_the_port_only_where_it_is_not_the_usual_one() {
        for (text, authority) in [
            ("wss://x/", "x"),
            ("wss://x:443/", "x"),
            ("wss://x:80/", "x:80"),
            ("ws://x:80/", "x"),
            ("wss://[::1]/", "[::1]"),
            ("wss://[::1]:2/", "[::1]:2"),
        ] {
            assert_eq!(Url::web_socket(text).unwrap().authority(), authority);
        }
    }

    #[test]
    fn another_path_stays_at_the_same_place() {
        let url = Url::https("https://x:1/a").unwrap();
        assert_eq!(url.at("/b?c"), Url::https("https://x:1/b?c"));
        for elsewhere in ["//y/b", "b", "", "/a b", "https://y/"] {
            assert_eq!(url.at(elsewhere), None, "{elsewhere}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_written_and_read_again(text in "wss?://([a-z.]{1,5}|\\[::[0-9a-f]{1,4}\\])(:[0-9]{1,5})?(/[a-z%?]{0,5})?") {
            let Some(url) = Url::web_socket(&text) else { return Ok(()) };
            let scheme = if url.secure { "wss" } else { "ws" };
            let again = format!("{scheme}://{}{}", url.authority(), url.path);
            prop_assert_eq!(Url::web_socket(&again), Some(url));
        }
    }
}
