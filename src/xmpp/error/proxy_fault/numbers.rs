//! Numbers by which proxies refuse: replies of SOCKS (RFC 1928 section 6; from 0xf0 on Tor's), which are at most 255, and statuses of HTTP.

/// What a proxy does that refuses with this number.
pub(super) fn refusal(code: u16) -> &'static str {
    match code {
        300..=399 | 511 => "sends us to a web page instead",
        400 | 421 => "does not understand what it was asked for",
        408 => "has waited in vain",
        429 => "has had too many requests",
        _ => "refuses this connection",
    }
}

/// What can help where a proxy could not connect and says this.
pub(super) fn advice_where_not_reached(code: u16) -> &'static str {
    match code {
        3 | 6 => "check the network that the proxy is in, and `server`; trying again",
        4 | 404 => {
            "check the domain of the account and `server`: there may be no such host, or it may be down; trying again"
        }
        5 => "check that the chat server runs, and the port in `server`; trying again",
        0xf0..=0xf7 => "check the .onion address, and whether its service runs; trying again",
        502 => {
            "check the domain of the account and `server`: there may be no such host, or nobody listening there; trying again"
        }
        503 => {
            "check the domain of the account and `server`; if nothing else gets through the proxy either, it may be overloaded: use another; \
             trying again"
        }
        504 => {
            "check the domain of the account and `server`: whoever is there gives the proxy no answer; trying again"
        }
        _ => "check the domain of the account, `server`, and the proxy; trying again",
    }
}

/// The same where it does not connect for us to this port.
pub(super) fn advice_where_refused(code: u16, port: u16) -> &'static str {
    match (code, port) {
        // A network that wants a login first (RFC 6585 section 6), or a web server.
        (300..=399 | 511, _) => {
            "if the network wants a login or a click first, as in hotels and trains, open any page in a browser; if not, it is no proxy: \
             check its kind and port in torrc or in TOR_PT_PROXY; trying again"
        }
        (400 | 421, _) => {
            "it may be a web server and no proxy, or not take the name: check its kind and port in torrc or in TOR_PT_PROXY, the domain of the \
             account, and `server`; trying again"
        }
        (408, _) => {
            "the network between here and the proxy, or between the proxy and the chat server, may lose much: use another, or another \
             proxy; trying again"
        }
        (429, _) => "let it rest, or use another proxy; trying again within half a minute",
        // A command that is not supported, a method, or a version.
        (7 | 405 | 501 | 505, _) => {
            "it makes no connections for others: check its kind and port in torrc or in TOR_PT_PROXY, or use another proxy; trying again"
        }
        // A type of address that is not supported.
        (8, _) => {
            "it takes no names, or no IPv6 addresses: give an IPv4 address in `server`, or use another proxy; trying again"
        }
        (_, 443) => {
            "its rules seem to forbid the host, since 443 is the port that most let through: ask whoever runs the proxy, or use another; \
             trying again"
        }
        _ => {
            "its rules may forbid the host or the port: give a port that it lets through in `server`, which is 443 with most, or another proxy; \
             trying again"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_about_the_port_is_for_a_refusal_that_may_be_about_the_port() {
        let advises_443 = |code, port| advice_where_refused(code, port).contains("`server`, which is 443");
        assert!(advises_443(2, 5222) && advises_443(403, 5222));
        for (code, port) in
            [(2, 443), (403, 443), (7, 5222), (8, 5222), (405, 5222), (429, 5222), (511, 5222)]
        {
            assert!(!advises_443(code, port), "{code} {port}");
        }
    }

    #[test]
    fn each_number_by_which_a_proxy_says_that_it_reaches_nobody_has_its_advice() {
        for (code, help) in [
            (1, "and the proxy"),
            (3, "the network that the proxy is in"),
            (4, "no such host"),
            (5, "that the chat server runs"),
            (6, "the network that the proxy is in"),
            (91, "and the proxy"),
            (0xf2, ".onion"),
            (502, "nobody listening there"),
            (503, "overloaded"),
            (504, "no answer"),
        ] {
            let advice = advice_where_not_reached(code);
            assert!(advice.contains(help), "{code}: {advice}");
        }
    }

    #[test]
    fn each_number_by_which_a_proxy_refuses_has_its_clause_and_its_advice() {
        for (codes, clause, help) in [
            (
                &[301, 302, 303, 307, 308, 511][..],
                "sends us to a web page instead",
                "open any page in a browser",
            ),
            (&[400, 421], "does not understand what it was asked for", "it may be a web server and no proxy"),
            (&[408], "has waited in vain", "may lose much"),
            (&[429], "has had too many requests", "let it rest"),
            (&[7, 405, 501, 505], "refuses this connection", "it makes no connections for others"),
            (&[2, 9, 403, 451], "refuses this connection", "its rules may forbid"),
        ] {
            for code in codes {
                let advice = advice_where_refused(*code, 5222);
                assert_eq!(refusal(*code), clause, "{code}");
                assert!(
                    advice.contains(help) && advice.matches("trying again").count() == 1,
                    "{code}: {advice}"
                );
            }
        }
    }
}
