//! The configuration file and the arguments of a bridge line, validated.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use xmpp_parsers::jid::Jid;

/// One login at a chat server.
///
/// Two equal configurations share one connection, so equality covers everything, the password included.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountConfig {
    /// Bare (a resource is chosen) or full; for [`Credential::Anonymous`] a domain.
    pub jid: Jid,
    /// How to log in.
    pub credential: Credential,
    /// Where to connect instead of the domain of `jid`, port 5222.
    pub server: Option<ServerAddr>,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// A PEM file of further trust roots, besides the well-known ones.
    pub ca_file: Option<PathBuf>,
}

/// What an account logs in with.
#[derive(Clone)]
pub enum Credential {
    /// SASL SCRAM with this password; never PLAIN.
    Password(SecretString),
    /// SASL ANONYMOUS.
    Anonymous,
}

/// A host name or address, and a port, to dial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerAddr {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// How the connection to the chat server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// `STARTTLS`, required (RFC 6120 section 5).
    #[default]
    StartTls,
    /// TLS from the first byte (XEP-0368).
    Direct,
    /// XMPP over WebSocket (RFC 7395). Parsed, not yet supported.
    WebSocket,
    /// Plaintext; accepted only for a loopback address.
    None,
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Password(a), Self::Password(b)) => a.expose_secret() == b.expose_secret(),
            (Self::Anonymous, Self::Anonymous) => true,
            _ => false,
        }
    }
}

impl Eq for Credential {}

impl fmt::Debug for AccountConfig {
    /// Neither the JID nor the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountConfig").field("tls", &self.tls).finish_non_exhaustive()
    }
}
