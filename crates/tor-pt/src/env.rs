//! Environment variables: what Tor asks of this process (pt-spec section 3.2).
//!
//! Nothing here reads the environment itself: variables come in through a function. No error shows a variable's value,
//! since some hold passwords and none is needed to find the fault.

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::args::{self, Args, ArgsError};
use super::message::Message;
use super::name::TransportName;
use super::proxy::{Proxy, ProxyUriError};

const VERSIONS: &str = "TOR_PT_MANAGED_TRANSPORT_VER";
const STATE_LOCATION: &str = "TOR_PT_STATE_LOCATION";
const EXIT_ON_STDIN_CLOSE: &str = "TOR_PT_EXIT_ON_STDIN_CLOSE";
const OUTBOUND_V4: &str = "TOR_PT_OUTBOUND_BIND_ADDRESS_V4";
const OUTBOUND_V6: &str = "TOR_PT_OUTBOUND_BIND_ADDRESS_V6";
const CLIENT_TRANSPORTS: &str = "TOR_PT_CLIENT_TRANSPORTS";
const PROXY: &str = "TOR_PT_PROXY";
const SERVER_TRANSPORTS: &str = "TOR_PT_SERVER_TRANSPORTS";
const SERVER_OPTIONS: &str = "TOR_PT_SERVER_TRANSPORT_OPTIONS";
const SERVER_BINDADDR: &str = "TOR_PT_SERVER_BINDADDR";
const ORPORT: &str = "TOR_PT_ORPORT";
const EXT_PORT: &str = "TOR_PT_EXTENDED_SERVER_PORT";
const COOKIE_FILE: &str = "TOR_PT_AUTH_COOKIE_FILE";

/// What this process was launched to do: one of the two, of which a transport is always one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// To offer SOCKS5 to a Tor client.
    Client(ClientLaunch),
    /// To hand connections to a Tor bridge.
    Server(ServerLaunch),
}

/// What clients and servers are both told (section 3.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    state_dir: PathBuf,
    exit_on_stdin_close: bool,
    transports: Vec<TransportName>,
    outbound_bind: OutboundBind,
}

/// Source addresses for outgoing connections: `TOR_PT_OUTBOUND_BIND_ADDRESS_V4` and `_V6` (section 3.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboundBind {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

/// A client's launch (section 3.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLaunch {
    common: Common,
    proxy: Option<Proxy>,
}

/// A server's launch (section 3.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLaunch {
    common: Common,
    bind_addrs: Vec<(TransportName, SocketAddr)>,
    destination: Destination,
    options: Vec<(TransportName, Args)>,
}

/// Where a server's connections go: `TOR_PT_ORPORT` or `TOR_PT_EXTENDED_SERVER_PORT` (section 3.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// Tor's ORPort: application bytes only.
    OrPort(SocketAddr),
    /// Tor's extended ORPort, given and therefore preferred.
    ExtOrPort {
        /// Its address. Worth a warning if it is not a loopback address.
        addr: SocketAddr,
        /// The file with the secret. Tor writes a new one whenever it starts.
        cookie_file: PathBuf,
    },
}

/// Why this process cannot do what Tor asks. Trying again with the same environment cannot help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// No version variable at all: a person has started this process, not Tor.
    #[error("{VERSIONS} is not set: this program is meant to be started by Tor")]
    NotManaged,
    /// Tor does not offer version 1, the only one there is.
    #[error("{VERSIONS} does not offer version 1")]
    NoCommonVersion,
    /// The variable is needed and not set, or empty.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// The variable is not what it should be.
    #[error("{0} is not {1}")]
    Malformed(&'static str, &'static str),
    /// Neither or both of the variables that say whether this is a client or a server.
    #[error("exactly one of {CLIENT_TRANSPORTS} and {SERVER_TRANSPORTS} must be set")]
    ClientOrServer,
    /// The server options do not follow their grammar.
    #[error("{SERVER_OPTIONS} is malformed: {0}")]
    Options(ArgsError),
    /// The proxy cannot be used.
    #[error("{PROXY}: {0}")]
    Proxy(ProxyUriError),
}

impl LaunchError {
    /// What to tell Tor, in order, before exiting (section 3.3.1).
    ///
    /// C tor shows the text of an `ENV-ERROR` only before `VERSION`, and that of a `PROXY-ERROR`
    /// only after it.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        match self {
            Self::NoCommonVersion => vec![Message::VersionError],
            Self::Proxy(_) => vec![Message::Version, Message::ProxyError(self.to_string())],
            _ => vec![Message::EnvError(self.to_string())],
        }
    }
}

/// The proxy that `TOR_PT_PROXY` names, for a program that a person has started and that is to go the way that it goes under Tor. An
/// empty variable is one that is not set.
///
/// # Errors
///
/// [`LaunchError::Proxy`] when it cannot be used.
pub fn proxy_from_env(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Option<Proxy>, LaunchError> {
    Env(&lookup).proxy()
}

impl Launch {
    /// Reads the variables through `lookup`, usually [`std::env::var_os`]. An empty variable is one that is not set.
    ///
    /// # Errors
    ///
    /// When this process cannot do what Tor asks. Tell Tor so by [`LaunchError::messages`], and exit.
    pub fn from_env(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, LaunchError> {
        let env = Env(&lookup);
        env.check_version()?;
        let client = env.get(CLIENT_TRANSPORTS);
        let server = env.get(SERVER_TRANSPORTS);
        match (client, server) {
            (Some(list), None) => env.client(&list).map(Self::Client),
            (None, Some(list)) => env.server(&list).map(Self::Server),
            _ => Err(LaunchError::ClientOrServer),
        }
    }

    /// What clients and servers are both told.
    #[must_use]
    pub fn common(&self) -> &Common {
        match self {
            Self::Client(client) => &client.common,
            Self::Server(server) => &server.common,
        }
    }

    /// Whether `transport` is to be started.
    #[must_use]
    pub fn wants(&self, transport: &TransportName) -> bool {
        self.common().transports.contains(transport)
    }

    /// What to tell Tor first: `VERSION 1`, and `PROXY DONE` if there is a proxy (sections 3.3.1 and 3.3.2).
    #[must_use]
    pub fn greeting(&self) -> Vec<Message> {
        let proxied = matches!(self, Self::Client(ClientLaunch { proxy: Some(_), .. }));
        [Message::Version].into_iter().chain(proxied.then_some(Message::ProxyDone)).collect()
    }
}

impl Common {
    /// Where to keep state, `TOR_PT_STATE_LOCATION`: an absolute path, where there may be no directory yet.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Whether this process must exit when its standard input ends: `TOR_PT_EXIT_ON_STDIN_CLOSE`.
    #[must_use]
    pub fn exit_on_stdin_close(&self) -> bool {
        self.exit_on_stdin_close
    }

    /// The transports to start, each once. Names that are no C identifiers are left out.
    #[must_use]
    pub fn transports(&self) -> &[TransportName] {
        &self.transports
    }

    /// Where outgoing connections should come from.
    #[must_use]
    pub fn outbound_bind(&self) -> OutboundBind {
        self.outbound_bind
    }
}

impl OutboundBind {
    /// The addresses for IPv4 and for IPv6 destinations; none leaves the choice to the system.
    #[must_use]
    pub fn new(v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> Self {
        Self { v4, v6 }
    }

    /// The source address for connections to `destination`; none for loopback, where it must not apply.
    #[must_use]
    pub fn source_for(self, destination: IpAddr) -> Option<IpAddr> {
        match destination {
            local if local.is_loopback() => None,
            IpAddr::V4(_) => self.v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.v6.map(IpAddr::V6),
        }
    }
}

impl ClientLaunch {
    /// What clients and servers are both told.
    #[must_use]
    pub fn common(&self) -> &Common {
        &self.common
    }

    /// The proxy that all outgoing connections must use: `TOR_PT_PROXY`.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }
}

impl ServerLaunch {
    /// What clients and servers are both told.
    #[must_use]
    pub fn common(&self) -> &Common {
        &self.common
    }

    /// Where connections go.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Where Tor wants `transport` to listen: `TOR_PT_SERVER_BINDADDR`. Any address will do when it does not say.
    #[must_use]
    pub fn bind_addr(&self, transport: &TransportName) -> Option<SocketAddr> {
        self.bind_addrs.iter().find(|(name, _)| name == transport).map(|(_, addr)| *addr)
    }

    /// The address for the `SMETHOD` line of a transport that listens on nothing: both parents
    /// require one with a port other than 0. The one that was asked for, or `127.0.0.1:1`.
    #[must_use]
    pub fn placeholder_addr(&self, transport: &TransportName) -> SocketAddr {
        let placeholder = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        self.bind_addr(transport).filter(|addr| addr.port() != 0).unwrap_or(placeholder)
    }

    /// The options of `transport`: `TOR_PT_SERVER_TRANSPORT_OPTIONS`. Values may be secrets. None for a transport that
    /// is not to be started.
    #[must_use]
    pub fn options(&self, transport: &TransportName) -> Args {
        let found = self.options.iter().find(|(name, _)| name == transport);
        found.map(|(_, options)| options.clone()).unwrap_or_default()
    }
}

/// The environment, in which an empty variable is one that is not set.
struct Env<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Env<'_> {
    fn get(&self, variable: &str) -> Option<OsString> {
        (self.0)(variable).filter(|value| !value.is_empty())
    }

    fn require(&self, variable: &'static str) -> Result<OsString, LaunchError> {
        self.get(variable).ok_or(LaunchError::Missing(variable))
    }

    /// A comma-separated list, of which `1` alone matters.
    fn check_version(&self) -> Result<(), LaunchError> {
        let offered = (self.0)(VERSIONS).ok_or(LaunchError::NotManaged)?;
        if offered.is_empty() {
            return Err(LaunchError::Missing(VERSIONS));
        }
        let found = offered.as_encoded_bytes().split(|byte| *byte == b',').any(|version| version == b"1");
        if found { Ok(()) } else { Err(LaunchError::NoCommonVersion) }
    }

    fn client(&self, transports: &OsStr) -> Result<ClientLaunch, LaunchError> {
        let common = self.common(transports)?;
        Ok(ClientLaunch { common, proxy: self.proxy()? })
    }

    fn proxy(&self) -> Result<Option<Proxy>, LaunchError> {
        let parse = |uri: OsString| Proxy::parse(uri.to_str().ok_or(ProxyUriError::NotAUri)?);
        self.get(PROXY).map(parse).transpose().map_err(LaunchError::Proxy)
    }

    fn server(&self, transports: &OsStr) -> Result<ServerLaunch, LaunchError> {
        let common = self.common(transports)?;
        let bind_addrs = self.bind_addrs()?;
        let destination = self.destination()?;
        let options = self.options(&common.transports)?;
        Ok(ServerLaunch { common, bind_addrs, destination, options })
    }

    fn common(&self, transports: &OsStr) -> Result<Common, LaunchError> {
        Ok(Common {
            state_dir: self.state_dir()?,
            exit_on_stdin_close: self.get(EXIT_ON_STDIN_CLOSE).is_some_and(|value| value == "1"),
            transports: transport_names(transports),
            outbound_bind: OutboundBind::new(
                self.optional_addr(OUTBOUND_V4, "an IPv4 address", |text| text)?,
                self.optional_addr(OUTBOUND_V6, "an IPv6 address in brackets", unbracketed)?,
            ),
        })
    }

    fn state_dir(&self) -> Result<PathBuf, LaunchError> {
        let path = PathBuf::from(self.require(STATE_LOCATION)?);
        if path.is_absolute() {
            Ok(path)
        } else {
            Err(LaunchError::Malformed(STATE_LOCATION, "an absolute path"))
        }
    }

    /// The parsed value of a variable that may be absent.
    fn optional_addr<T: FromStr>(
        &self,
        variable: &'static str,
        expected: &'static str,
        trim: impl Fn(&str) -> &str,
    ) -> Result<Option<T>, LaunchError> {
        let parse = |value: OsString| trim(value.to_str()?).parse().ok();
        let malformed = LaunchError::Malformed(variable, expected);
        self.get(variable).map(|value| parse(value).ok_or(malformed)).transpose()
    }

    /// An address to connect to, if the variable is set.
    fn port_to_dial(&self, variable: &'static str) -> Result<Option<SocketAddr>, LaunchError> {
        let expected = "an IP address and a port";
        let addr: Option<SocketAddr> = self.optional_addr(variable, expected, |text| text)?;
        match addr {
            Some(addr) if addr.port() == 0 => Err(LaunchError::Malformed(variable, expected)),
            addr => Ok(addr),
        }
    }

    fn destination(&self) -> Result<Destination, LaunchError> {
        if let Some(addr) = self.port_to_dial(EXT_PORT)? {
            let cookie_file = self.require(COOKIE_FILE)?.into();
            return Ok(Destination::ExtOrPort { addr, cookie_file });
        }
        let addr = self.port_to_dial(ORPORT)?.ok_or(LaunchError::Missing(ORPORT))?;
        Ok(Destination::OrPort(addr))
    }

    /// `name-ip:port,…`; a name has no hyphen, so the first one ends it.
    fn bind_addrs(&self) -> Result<Vec<(TransportName, SocketAddr)>, LaunchError> {
        let Some(list) = self.get(SERVER_BINDADDR) else { return Ok(Vec::new()) };
        let malformed = LaunchError::Malformed(
            SERVER_BINDADDR,
            "a list of name-address:port, with IP addresses only and each name once",
        );
        let mut addrs = Vec::new();
        for item in list.to_str().unwrap_or("?").split(',') {
            let (name, addr) = bind_addr(item).ok_or_else(|| malformed.clone())?;
            if addrs.iter().any(|(earlier, _)| *earlier == name) {
                return Err(malformed);
            }
            addrs.push((name, addr));
        }
        Ok(addrs)
    }

    fn options(&self, transports: &[TransportName]) -> Result<Vec<(TransportName, Args)>, LaunchError> {
        let raw = self.get(SERVER_OPTIONS).unwrap_or_default();
        let of = |name: &TransportName| {
            let options = args::parse_server_options(raw.as_encoded_bytes(), name)?;
            Ok((name.clone(), options))
        };
        transports.iter().map(of).collect::<Result<_, _>>().map_err(LaunchError::Options)
    }
}

/// The names in a comma-separated list that a transport can have, each once.
fn transport_names(list: &OsStr) -> Vec<TransportName> {
    let mut names = Vec::new();
    for item in list.as_encoded_bytes().split(|byte| *byte == b',') {
        let name = std::str::from_utf8(item).ok().and_then(|text| text.parse().ok());
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

fn bind_addr(item: &str) -> Option<(TransportName, SocketAddr)> {
    let (name, addr) = item.split_once('-')?;
    Some((name.parse().ok()?, addr.parse().ok()?))
}

/// The specification puts an IPv6 address in brackets; without them it is as clear.
fn unbracketed(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

#[cfg(test)]
mod tests;
