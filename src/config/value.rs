//! Parsers of single values: JIDs, servers, TLS modes, lists, wherever they are written.

use std::net::Ipv6Addr;

use xmpp_parsers::jid::Jid;

use super::error::Problem;
use super::{ServerAddr, TlsMode, plain};

/// Which protocol is asked for by name, rather than by the presence of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The protocol document's.
    Classic,
    /// The end-to-end encrypted one.
    Secure,
}

/// The most items of a comma-separated list: 32. A bridge line, the usual place of one, has 510 bytes.
pub(super) const MAX_ITEMS: usize = 32;

/// Reads every item of a comma-separated list; the error of an item says what it must be.
pub(super) fn parse_list<T>(
    value: &str,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, Problem> {
    if value.split(',').count() > MAX_ITEMS {
        return Err(Problem::TooMany { max: MAX_ITEMS });
    }
    let item =
        |(index, item)| parse(item).map_err(|expected| Problem::InvalidItem { item: index + 1, expected });
    value.split(',').enumerate().map(item).collect()
}

/// Merges equal items, and refuses those that are `same` (one account) without being equal.
pub(super) fn without_repeats<T: PartialEq>(
    items: Vec<T>,
    same: impl Fn(&T, &T) -> bool,
) -> Result<Vec<T>, Problem> {
    let mut kept: Vec<T> = Vec::with_capacity(items.len());
    for item in items {
        match kept.iter().find(|earlier| same(earlier, &item)) {
            Some(earlier) if *earlier == item => {}
            Some(_) => return Err(Problem::Conflict("names one account twice, with different settings")),
            None => kept.push(item),
        }
    }
    Ok(kept)
}

/// `jid`: where a bridge is reached.
pub(super) fn parse_peers(value: &str) -> Result<Vec<Jid>, Problem> {
    const EXPECTED: &str = "a JID such as bridge@chat.example or bridge@chat.example/resource";
    let peer = |item: &str| Jid::new(item).ok().filter(|jid| jid.node().is_some()).ok_or(EXPECTED);
    let peers = match plain::unmarked(value) {
        Some(plainly) => parse_list(plainly, |item| peer(&plain::jid(item)?)),
        None => parse_list(value, peer),
    };
    without_repeats(peers?, PartialEq::eq)
}

/// `[[account]] jid`.
pub(super) fn parse_jid(value: &str) -> Result<Jid, Problem> {
    Jid::new(value).map_err(|_| Problem::Invalid("a JID such as user@chat.example, or a domain"))
}

/// `server`: `host:port`, an IPv6 address in brackets.
pub(super) fn parse_server(value: &str) -> Result<ServerAddr, Problem> {
    let parsed = value.rsplit_once(':').and_then(|(host, port)| {
        Some(ServerAddr { host: parse_host(host)?.to_owned(), port: parse_port(port)? })
    });
    parsed.ok_or(Problem::Invalid("host:port (an IPv6 address in brackets)"))
}

fn parse_host(host: &str) -> Option<&str> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']')?;
        return address.parse::<Ipv6Addr>().is_ok().then_some(address);
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let plausible = (1..=253).contains(&host.len()) && host.chars().all(is_name);
    plausible.then_some(host)
}

fn parse_port(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port != 0)
}

/// `tls`.
pub(super) fn parse_tls(value: &str) -> Result<TlsMode, Problem> {
    match value {
        "starttls" => Ok(TlsMode::StartTls),
        "direct" => Ok(TlsMode::Direct),
        "websocket" => Ok(TlsMode::WebSocket),
        "none" => Ok(TlsMode::None),
        _ => Err(Problem::Invalid("starttls, direct or websocket (or none, to a loopback server)")),
    }
}

/// `mode`.
pub(super) fn parse_mode(value: &str) -> Result<Mode, Problem> {
    match value {
        "classic" => Ok(Mode::Classic),
        "secure" => Ok(Mode::Secure),
        _ => Err(Problem::Invalid("classic or secure")),
    }
}

/// Plaintext leaves this machine in no case.
pub(super) fn check_plaintext(tls: TlsMode, server: Option<&ServerAddr>) -> Result<(), Problem> {
    if tls == TlsMode::None && !server.is_some_and(ServerAddr::is_loopback) {
        return Err(Problem::Conflict("none is accepted only with a loopback address as server"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("chat.example:5222", "chat.example", 5222),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[2001:db8::1]:65535", "2001:db8::1", 65535),
        ] {
            assert_eq!(parse_server(text), Ok(ServerAddr { host: host.into(), port }));
        }
    }

    #[test]
    fn a_server_with_a_part_missing_or_strange_is_refused() {
        for text in
            ["", ":", "chat.example", "chat.example:", ":5222", "x:0", "x:65536", "x:+5", "x: 5", "::1:5222"]
        {
            assert!(parse_server(text).is_err(), "{text:?}");
        }
        for text in ["[::1:5", "::1]:5", "[127.0.0.1]:5", "a b:5", "a/b:5", "u@h:5", "é.example:5"] {
            assert!(parse_server(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn plaintext_needs_a_loopback_address_and_not_just_a_name() {
        for server in ["127.0.0.1:5222", "127.9.9.9:1", "[::1]:5222", "[::ffff:127.0.0.1]:5222"] {
            assert_eq!(check_plaintext(TlsMode::None, Some(&parse_server(server).unwrap())), Ok(()));
        }
        for server in ["10.0.0.1:5222", "localhost:5222", "[2001:db8::1]:5222"] {
            assert!(
                check_plaintext(TlsMode::None, Some(&parse_server(server).unwrap())).is_err(),
                "{server}"
            );
        }
        assert!(check_plaintext(TlsMode::None, None).is_err());
        assert_eq!(check_plaintext(TlsMode::StartTls, None), Ok(()));
    }

    #[test]
    fn a_peer_has_a_local_part() {
        let peers = parse_peers("bridge@chat.example,bridge@chat.example/r,bridge@chat.example").unwrap();
        assert_eq!(peers.len(), 2);
        for (text, item) in
            [("", 1), ("chat.example", 1), ("a@x.example,", 2), ("a@x.example, b@x.example", 2)]
        {
            let problem = parse_peers(text).unwrap_err();
            assert!(
                matches!(problem, Problem::InvalidItem { item: i, .. } if i == item),
                "{text:?}: {problem}"
            );
        }
    }

    #[test]
    fn a_list_of_peers_has_an_end() {
        let list = vec!["a@x.example"; MAX_ITEMS + 1].join(",");
        assert_eq!(parse_peers(&list), Err(Problem::TooMany { max: MAX_ITEMS }));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = (parse_peers(&text), parse_jid(&text), parse_server(&text));
        }
    }
}
