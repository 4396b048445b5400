//! Fault of a proxy: why it gave no connection, or one that came to nothing, and what can help.

mod numbers;

use std::io;

use thiserror::Error;

use self::numbers::{advice_where_not_reached, advice_where_refused, refusal};
use super::Step;

/// The status of a proxy over HTTP that has had too much of us (RFC 6585 section 4).
const TOO_MANY: u16 = 429;

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
    #[error("the proxy {} (code {code})", refusal(*code))]
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
    /// Whether the other fault is of the same kind, whatever its number. A proxy that never answers may do so before it has connected or after.
    pub(super) fn is_like(self, other: Self) -> bool {
        let is_silence = |fault| matches!(fault, Self::Silent | Self::Stalled(_));
        let is_same = std::mem::discriminant(&self) == std::mem::discriminant(&other);
        is_same || is_silence(self) && is_silence(other)
    }

    /// What was being done.
    pub(super) fn step(self) -> Step {
        match self {
            Self::Ended(step) | Self::Stalled(step) => step,
            _ => Step::Dial,
        }
    }

    /// The same during this step, where it can happen in several.
    pub(super) fn during(self, step: Step) -> Self {
        match self {
            Self::Ended(_) => Self::Ended(step),
            Self::Stalled(_) => Self::Stalled(step),
            other => other,
        }
    }

    /// Whether it has had too much of us. Whoever is between us and the proxy can say so, too.
    pub(super) fn is_too_much(self) -> bool {
        matches!(self, Self::Refused { code: TOO_MANY, .. })
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
                "check the proxy, and its kind in torrc or in TOR_PT_PROXY; if others get through it, check the domain of the account and \
                 `server`; trying again"
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
        Step::HostMeta => {
            "if it stays, use another proxy, put the URL of the WebSocket into `server` (server = \"wss://…\"), or ask whoever runs the domain's \
             web server; trying again"
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
    fn the_step_of_what_happens_behind_a_proxy_is_the_one_that_the_caller_knows() {
        for (fault, expected) in [
            (ProxyFault::Ended(Step::Tls), ProxyFault::Ended(Step::HostMeta)),
            (ProxyFault::Stalled(Step::Tls), ProxyFault::Stalled(Step::HostMeta)),
            (ProxyFault::Silent, ProxyFault::Silent),
        ] {
            assert_eq!(fault.during(Step::HostMeta), expected);
        }
        for fault in [ProxyFault::Ended(Step::HostMeta), ProxyFault::Stalled(Step::HostMeta)] {
            assert!(fault.advice().contains("the domain's web server"), "{fault}");
        }
    }

    #[test]
    fn what_was_being_done_is_dialling_until_the_proxy_has_connected() {
        for fault in ALL {
            assert_eq!(fault.step() == Step::Dial, !fault.is_behind_it(), "{fault}");
        }
    }
}
