//! Other host: where a server sends us that does not want us itself (`see-other-host`, RFC 6120 section 4.9.3.19).
//!
//! It may be said before TLS, and so by anybody in between; who could do that could as well answer for the server's name in DNS. Whoever
//! we reach by it has to show a certificate of the account's domain all the same.

use std::fmt;
use std::net::IpAddr;

use safelog::sensitive;

use crate::config::ServerAddr;

/// The port where none is said.
const PORT: u16 = 5222;

/// The longest name of a host: 253 characters (RFC 1035 section 2.3.4).
const LONGEST_NAME: usize = 253;

/// A host and a port.
#[derive(Clone, PartialEq, Eq)]
pub struct OtherHost(ServerAddr);

impl OtherHost {
    /// As a server writes it: a name or an address, which is in brackets if it is of IPv6, and perhaps a port. Servers leave the brackets
    /// out, too.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
            None if text.parse::<IpAddr>().is_ok() => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map_or(Some(PORT), |port| port.parse().ok())?;
        (is_host(host) && port != 0).then(|| Self(ServerAddr { host: host.to_owned(), port }))
    }

    /// To dial it.
    pub(super) fn address(&self) -> &ServerAddr {
        &self.0
    }
}

impl fmt::Debug for OtherHost {
    /// Addresses are private: nothing is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtherHost(..)")
    }
}

impl fmt::Display for OtherHost {
    /// With its port, where what is private is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerAddr { host, port } = &self.0;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        write!(f, "{}", sensitive(format!("{host}:{port}")))
    }
}

fn is_host(host: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    host.parse::<IpAddr>().is_ok()
        || (1..=LONGEST_NAME).contains(&host.len()) && host.chars().all(is_name) && !host.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, u16)> {
        OtherHost::parse(text).map(|OtherHost(ServerAddr { host, port })| (host, port))
    }

    #[test]
    fn a_name_or_an_address_may_have_a_port() {
        for (text, host, port) in [
            ("node7.chat.example", "node7.chat.example", 5222),
            (" node7.chat.example:9222 ", "node7.chat.example", 9222),
            ("192.0.2.7", "192.0.2.7", 5222),
            ("192.0.2.7:1", "192.0.2.7", 1),
            ("[2001:db8::7]", "2001:db8::7", 5222),
            ("[2001:db8::7]:65535", "2001:db8::7", 65535),
            ("2001:db8::7", "2001:db8::7", 5222),
        ] {
            assert_eq!(parsed(text), Some((host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_leads_nowhere() {
        for text in [
            "",
            ":5222",
            "a b",
            "a:0",
            "a:65536",
            "a:x",
            "a/b",
            "u@h",
            "[::1]x",
            "[::1",
            "-a",
            "é.example",
            "[]",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(parsed(&"a".repeat(254)), None);
    }

    #[test]
    fn it_is_never_shown() {
        assert_eq!(format!("{:?}", OtherHost::parse("secret.example")), "Some(OtherHost(..))");
    }
}
