//! Fault of a proxy: why it gave no connection, or one that came to nothing, and what can help.

use std::io;

use thiserror::Error;

use super::Step;

/// Why a proxy gave no connection, or none of use. Nothing that it has said in words is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyFault {
    /// It takes no connection.
    #[error("cannot reach the proxy: {0}")]
    Unreachable(io::ErrorKind),
    /// It takes connections, and what is asked of it stays without an answer.
    #[error("the proxy gives no answer in time")]
    Silent,
    /// It hangs up instead of an answer.
    #[error("the proxy closes the connection without an answer")]
    HungUp,
    /// It does not speak its protocol.
    #[error("the proxy does not speak the protocol that it was configured for")]
    Protocol,
    /// It wants credentials that it was not given, or others.
    #[error("the proxy refused our credentials, or wants some")]
    Credentials,
    /// What is to be dialled cannot be said in its protocol.
    #[error("the server's name or address cannot be given to a proxy of this kind")]
    BadHost,
    /// It could not connect, and says so by this number of its protocol.
    #[error("the proxy could not reach it (code {0})")]
    NotReached(u16),
    /// It does not connect to there for us.
    #[error("the proxy refuses this connection (code {code})")]
    Refused {
        /// The number of its protocol by which it says so.
        code: u16,
        /// The port that was asked for.
        port: u16,
    },
    /// It says that it has connected; the connection ended before its first byte, during this step.
    #[error(
        "the proxy connected, and then it, or the server behind it, closed the connection without a word"
    )]
    Ended(Step),
    /// It says that it has connected; what was to be answered in this step was not, whatever was before.
    #[error("no answer came through the proxy in time")]
    Stalled(Step),
}

/// A connection through a proxy ended before its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the connection ended before its first byte")]
pub(in crate::xmpp) struct EndedUnheard;

impl ProxyFault {
    /// Whether the other fault is of the same kind, whatever its number.
    pub(super) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// What was being done.
    pub(super) fn step(self) -> Step {
        match self {
            Self::Ended(step) | Self::Stalled(step) => step,
            _ => Step::Dial,
        }
    }

    /// Whether the proxy says that it has connected.
    pub(in crate::xmpp) fn is_behind_it(self) -> bool {
        matches!(self, Self::Ended(_) | Self::Stalled(_))
    }

    /// What can help, as a clause to put behind the text.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Unreachable(_) => {
                "check that the proxy runs, and its address in torrc or in TOR_PT_PROXY; trying again"
            }
            Self::Silent => {
                "check the proxy; if others get through it, check the domain of the account and `server`; trying again"
            }
            Self::HungUp => {
                "check the proxy, its kind in torrc or in TOR_PT_PROXY, and whether it lets this machine in; trying again"
            }
            Self::Protocol => {
                "check the proxy's kind (http, socks4a, socks5) and port in torrc or in TOR_PT_PROXY; trying again"
            }
            Self::Credentials => {
                "check the proxy's user name and password in torrc or in TOR_PT_PROXY; trying again"
            }
            Self::BadHost => {
                "check `server`; a SOCKS4 proxy takes no IPv6 address, and no proxy an odd name; trying again"
            }
            Self::NotReached(code) => advice_where_not_reached(code),
            Self::Refused { code, port } => advice_where_refused(code, port),
            Self::Ended(step) | Self::Stalled(step) => advice_behind_it(step),
        }
    }
}

/// What can help where a proxy could not connect and says this: a SOCKS reply (RFC 1928 section 6; from 0xf0 on Tor's) or an HTTP status.
fn advice_where_not_reached(code: u16) -> &'static str {
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

/// The same where it does not connect for us.
fn advice_where_refused(code: u16, port: u16) -> &'static str {
    match (code, port) {
        // A command that is not supported, or a method.
        (7 | 405 | 501, _) => {
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

/// What can help where a connection through a proxy comes to nothing at this step.
fn advice_behind_it(step: Step) -> &'static str {
    match step {
        Step::StartTls => {
            "if the proxy passes TLS alone, or the port is for TLS from the first byte, as 5223 and 443 mostly are, put such a port into \
             `server` and add `tls = \"direct\"`; if not, use another proxy, or ask whoever runs the server; trying again"
        }
        Step::Tls => {
            "check the port in `server`; if it is right, use another proxy, or ask whoever runs the server; trying again"
        }
        _ => "if it stays, use another proxy, or ask whoever runs the server; trying again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ProxyFault; 10] = [
        ProxyFault::Unreachable(io::ErrorKind::ConnectionRefused),
        ProxyFault::Silent,
        ProxyFault::HungUp,
        ProxyFault::Protocol,
        ProxyFault::Credentials,
        ProxyFault::BadHost,
        ProxyFault::NotReached(1),
        ProxyFault::Refused { code: 2, port: 5222 },
        ProxyFault::Ended(Step::StartTls),
        ProxyFault::Stalled(Step::Tls),
    ];

    #[test]
    fn each_fault_says_what_to_try() {
        for fault in ALL {
            assert!(fault.to_string().contains("proxy"), "{fault}");
            assert!(fault.advice().ends_with("; trying again"), "{fault}");
        }
    }

    #[test]
    fn advice_about_the_port_is_for_a_refusal_that_may_be_about_the_port() {
        let advises_443 =
            |code, port| ProxyFault::Refused { code, port }.advice().contains("`server`, which is 443");
        assert!(advises_443(2, 5222) && advises_443(403, 5222));
        for (code, port) in [(2, 443), (403, 443), (7, 5222), (8, 5222), (405, 5222)] {
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
            let advice = ProxyFault::NotReached(code).advice();
            assert!(advice.contains(help), "{code}: {advice}");
        }
    }

    #[test]
    fn what_was_being_done_is_dialling_until_the_proxy_has_connected() {
        for fault in ALL {
            assert_eq!(fault.step() == Step::Dial, !fault.is_behind_it(), "{fault}");
        }
    }
}
