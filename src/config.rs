//! The configuration file and the arguments of a bridge line, validated.
//!
//! Everything that a user writes for this program comes in here, as text, and leaves as values that need no further
//! check: [`Config::load`] reads the file, [`parse_bridge_line`] the line that a bridge hands out,
//! [`BridgeConfig::resolve`] lays the arguments of one bridge line over the `[client]` section of the file, and
//! [`BridgeSettings::apply_options`] torrc's `ServerTransportOptions` over its `[bridge]` section.
//!
//! An error ([`ConfigError`]) names the place and the key and says what is expected there. It never repeats what was
//! written: its texts are all fixed in the source, so that no password can reach a log through it.

mod arguments;
mod bridge_line;
mod component;
mod descriptors;
mod document;
mod error;
mod escape;
mod file;
mod guest;
mod input;
mod key;
mod keys;
mod lanes;
mod limits;
mod login;
mod options;
mod plain;
mod sessions;
mod similar;
#[cfg(test)]
mod tests;
mod url;
mod value;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use xmpp_parsers::jid::Jid;

pub use self::arguments::{Arguments, BridgeConfig, LoginsIn, Protocol};
pub use self::bridge_line::{
    BridgeArgs, BridgeLineError, MAX_ARGUMENTS, NewBridgeLine, arguments_length, exposed_bridge_line,
    is_fingerprint, parse_bridge_line, plain_bridge_line, read_bridge_line,
};
pub use self::error::{ConfigError, Location, Problem, Warning};
pub use self::key::{CertificatePin, PresharedKey, PublicKey};
pub use self::lanes::{LaneProxy, Lanes};
pub use self::limits::{Bound, Limits};
pub use self::login::{Login, ServerConfig, parse_login};
pub use self::plain::{Spelling, spelled_jid};
pub use self::similar::Hint;
pub use self::url::Url;
pub use self::value::Mode;

/// The configuration file, or what holds without one ([`Config::default`]).
#[derive(Clone, Default)]
pub struct Config {
    /// The `[[account]]` sections, in their order, and the `[component]`, no login twice. Empty is valid: a bridge line can bring a login.
    pub accounts: Vec<AccountConfig>,
    /// The `[client]` section: defaults for the arguments of bridge lines.
    pub client: Arguments,
    /// The `[bridge]` section.
    pub bridge: BridgeSettings,
    /// The `[lanes]` section.
    pub lanes: Lanes,
    /// The `[limits]` section.
    pub limits: Limits,
    /// Where `[metrics]` are to be had: an address of this machine.
    pub metrics: Option<SocketAddr>,
    /// The file of the `[trace]`, if there is to be one.
    pub trace: Option<PathBuf>,
    /// What the user should know and that stops nothing.
    pub warnings: Vec<Warning>,
}

/// What only the bridge's side needs.
#[derive(Clone, Default)]
pub struct BridgeSettings {
    /// Also answer classic peers, which gives up the secrecy of the account.
    pub classic: bool,
    /// The secret that clients of a private bridge must know as well.
    pub psk: Option<PresharedKey>,
}

/// One login at a chat server.
///
/// Two equal configurations share one connection, so equality covers everything, the password included.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountConfig {
    /// Bare (a resource is chosen) or full; for [`Credential::Anonymous`] a domain, for [`Credential::New`] `new@domain`.
    pub jid: Jid,
    /// How to log in.
    pub credential: Credential,
    /// Where to connect instead of where the domain of `jid` says.
    pub server: Option<Server>,
    /// How the connection is protected; where this is open, as the domain says, and with a `server` by STARTTLS.
    pub tls: Option<TlsMode>,
    /// The key of the server's certificate, if that is to be trusted whoever signed it.
    pub pin: Option<CertificatePin>,
    /// A PEM file of further trust roots, besides the well-known ones.
    pub ca_file: Option<PathBuf>,
    /// Whether whoever is spoken to is to become a contact first.
    pub roster: bool,
    /// How many logins there may be at a time, if the user has said so; see [`sessions`](Self::sessions).
    pub sessions: Option<u8>,
    /// What it may send by stanzas in a day, in bytes on the wire; none is no bound.
    pub daily_bytes: Option<u64>,
    /// What it may upload in a day.
    pub daily_files: DailyFiles,
}

/// What an account may upload to its server in a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DailyFiles {
    /// What follows from the largest file that the server takes.
    #[default]
    AsServerSays,
    /// So many bytes.
    Bytes(u64),
    /// The server is one's own.
    Unbounded,
}

/// What an account logs in with.
#[derive(Clone)]
pub enum Credential {
    /// SASL SCRAM with this password; never PLAIN.
    Password(SecretString),
    /// SASL ANONYMOUS.
    Anonymous,
    /// The password of an account that is registered there once and kept (XEP-0077).
    New,
    /// The secret of a component, which owns the domain of its JID (XEP-0114).
    Component(SecretString),
}

impl Credential {
    /// Whether whoever logs in with it has a name that is the same each time.
    #[must_use]
    pub fn keeps_name(&self) -> bool {
        !matches!(self, Self::Anonymous)
    }
}

/// Where an account connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// Where the chat server takes streams over TCP.
    Address(ServerAddr),
    /// Where it takes WebSockets.
    WebSocket(Url),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// `STARTTLS`, required (RFC 6120 section 5).
    StartTls,
    /// TLS from the first byte (XEP-0368).
    Direct,
    /// XMPP over WebSocket over TLS (RFC 7395).
    WebSocket,
    /// Plaintext; accepted only for a loopback address.
    None,
}

impl Server {
    /// As [`ServerAddr::is_loopback`].
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::WebSocket(url) => url.address.is_loopback(),
        }
    }
}

impl From<ServerAddr> for Server {
    fn from(address: ServerAddr) -> Self {
        Self::Address(address)
    }
}

impl ServerAddr {
    /// Whether this is an address, not a name, that never leaves the machine.
    ///
    /// `localhost` is a name: what it means is up to a resolver.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Password(a), Self::Password(b)) | (Self::Component(a), Self::Component(b)) => {
                a.expose_secret() == b.expose_secret()
            }
            (Self::Anonymous, Self::Anonymous) | (Self::New, Self::New) => true,
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

impl fmt::Debug for Config {
    /// How much there is of everything, and the limits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("accounts", &self.accounts.len())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
