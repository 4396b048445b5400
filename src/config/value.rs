//! Parsers of single values: JIDs, servers, TLS modes, lists, wherever they are written.

use xmpp_parsers::jid::Jid;

use super::error::Problem;
use super::plain::Spelling;
use super::url::{Url, parse_host, parse_port};
use super::{Server, ServerAddr, TlsMode, plain};

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

/// What internationalised names (IDNA) have for a dot between labels (RFC 3490 section 3.1).
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// A JID as a person writes it: a dot at the end of its domain is left out (RFC 7622 section 3.2), which the library does not do everywhere.
pub(crate) fn read_jid(text: &str) -> Option<Jid> {
    let bare = text.split('/').next().unwrap_or_default();
    let rest = text.get(bare.len()..)?;
    let named = bare.strip_suffix(DOTS).unwrap_or(bare);
    Jid::new(&format!("{named}{rest}")).ok().filter(|_| !named.ends_with(DOTS))
}

/// `jid`: where a bridge is reached.
pub(super) fn parse_peers(value: &str) -> Result<Vec<Jid>, Problem> {
    let expected = Spelling::of(value).choose(
        "a JID such as bridge@chat.example or bridge@chat.example/resource",
        "a JID such as bridge:chat.example or bridge:chat.example/resource",
    );
    let peer = |item: &str| read_jid(item).filter(|jid| jid.node().is_some()).ok_or(expected);
    let peers = match plain::unmarked(value) {
        Some(plainly) => parse_list(plainly, |item| peer(&plain::jid(item)?)),
        None => parse_list(value, peer),
    };
    without_repeats(peers?, PartialEq::eq)
}

/// `[[account]] jid`.
pub(super) fn parse_jid(value: &str) -> Result<Jid, Problem> {
    read_jid(value).ok_or(Problem::Invalid("a JID such as user@chat.example, or a domain"))
}

/// `server`: `host:port`, an IPv6 address in brackets, or the URL of a WebSocket.
pub(super) fn parse_server(value: &str) -> Result<Server, Problem> {
    if value.contains("://") {
        return Url::web_socket(value)
            .map(Server::WebSocket)
            .ok_or(Problem::Invalid("wss://host/path, or host:port (an IPv6 address in brackets)"));
    }
    let parsed = value.rsplit_once(':').and_then(|(host, port)| {
        Some(ServerAddr { host: parse_host(host)?.to_owned(), port: parse_port(port)? })
    });
    parsed
        .map(Server::Address)
        .ok_or(Problem::Invalid("host:port (an IPv6 address in brackets), or wss://host/path"))
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

/// How to connect, from what `tls` and `server` say, if they do. Plaintext leaves this machine in no case.
pub(super) fn tls_mode(tls: Option<TlsMode>, server: Option<&Server>) -> Result<Option<TlsMode>, Problem> {
    let is_loopback = server.is_some_and(Server::is_loopback);
    match (tls, server) {
        (Some(TlsMode::None), _) if !is_loopback => {
            Err(Problem::Conflict("none is accepted only with a loopback address as server"))
        }
        (Some(TlsMode::None), Some(Server::WebSocket(url))) if url.secure => {
            Err(Problem::Conflict("none contradicts a server that begins with wss://"))
        }
        (Some(TlsMode::None), Some(Server::WebSocket(_))) => Ok(tls),
        (_, Some(Server::WebSocket(url))) if !url.secure => {
            Err(Problem::Conflict("a server that begins with ws:// needs tls none, and a loopback address"))
        }
        (None | Some(TlsMode::WebSocket), Some(Server::WebSocket(_))) => Ok(Some(TlsMode::WebSocket)),
        (Some(_), Some(Server::WebSocket(_))) => Err(Problem::Conflict(
            "a server that begins with wss:// is reached with tls websocket, or without tls",
        )),
        (Some(TlsMode::WebSocket), Some(Server::Address(_))) => {
            Err(Problem::Conflict("websocket needs a server that begins with wss://, or none"))
        }
        (tls, _) => Ok(tls),
    }
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
            let address = ServerAddr { host: host.into(), port };
            assert_eq!(parse_server(text), Ok(Server::Address(address)));
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

    fn mode(tls: Option<TlsMode>, server: &str) -> Result<Option<TlsMode>, Problem> {
        tls_mode(tls, Some(&parse_server(server).unwrap()))
    }

    #[test]
    fn plaintext_needs_a_loopback_address_and_not_just_a_name() {
        for server in
            ["127.0.0.1:5222", "127.9.9.9:1", "[::1]:5222", "[::ffff:127.0.0.1]:5222", "ws://127.0.0.1/x"]
        {
            assert_eq!(mode(Some(TlsMode::None), server), Ok(Some(TlsMode::None)), "{server}");
        }
        for server in ["10.0.0.1:5222", "localhost:5222", "[2001:db8::1]:5222", "ws://localhost/x"] {
            assert!(mode(Some(TlsMode::None), server).is_err(), "{server}");
        }
        assert!(tls_mode(Some(TlsMode::None), None).is_err());
    }

    #[test]
    fn the_url_of_a_websocket_says_by_itself_how_to_connect() {
        for tls in [None, Some(TlsMode::WebSocket)] {
            assert_eq!(mode(tls, "wss://chat.example/x"), Ok(Some(TlsMode::WebSocket)));
            assert!(mode(tls, "ws://127.0.0.1/x").is_err());
        }
        for tls in [TlsMode::StartTls, TlsMode::Direct, TlsMode::None] {
            assert!(mode(Some(tls), "wss://chat.example/x").is_err());
            assert!(mode(Some(tls), "wss://127.0.0.1/x").is_err());
        }
    }

    #[test]
    fn without_a_url_a_websocket_is_looked_for_and_everything_else_stays_as_it_was_said() {
        assert_eq!(tls_mode(Some(TlsMode::WebSocket), None), Ok(Some(TlsMode::WebSocket)));
        assert!(mode(Some(TlsMode::WebSocket), "chat.example:443").is_err());
        for server in [None, Some(parse_server("10.0.0.1:5222").unwrap())] {
            for tls in [None, Some(TlsMode::StartTls), Some(TlsMode::Direct)] {
                assert_eq!(tls_mode(tls, server.as_ref()), Ok(tls));
            }
        }
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
    fn a_dot_behind_a_domain_is_left_out() {
        for (written, meant) in [
            ("a@chat.example.", "a@chat.example"),
            ("a@chat.example./r.", "a@chat.example/r."),
            ("chat.example.", "chat.example"),
            ("chat.example./r@x.", "chat.example/r@x."),
            ("a@b\u{fc}cher.example\u{3002}", "a@b\u{fc}cher.example"),
            ("a@chat.example", "a@chat.example"),
            ("chat.example/./.", "chat.example/./."),
        ] {
            assert_eq!(read_jid(written), Jid::new(meant).ok(), "{written}");
            assert_eq!(read_jid(written).map(|jid| jid.to_string()).as_deref(), Some(meant));
        }
        for nonsense in ["a@chat.example..", ".", "a@.", "", "a@chat.example./"] {
            assert_eq!(read_jid(nonsense), None, "{nonsense}");
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
