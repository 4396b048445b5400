//! Fault of a proxy: why it gave no connection, and what can help.

use std::io;

use thiserror::Error;

/// Why a proxy gave no connection. Nothing that it has said in words is in it.
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
    /// It does not connect to there for us, and says so by this number.
    #[error("the proxy refuses this connection (code {0})")]
    Refused(u16),
}

impl ProxyFault {
    /// Whether the other fault is of the same kind, whatever its number.
    pub(super) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
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
            Self::NotReached(_) => "check the domain of the account, `server`, and the proxy; trying again",
            Self::Refused(_) => {
                "its rules may forbid the host or the port: give a port that it lets through in `server`, which is 443 with most, or another proxy; \
                 trying again"
            }
        }
    }
}
