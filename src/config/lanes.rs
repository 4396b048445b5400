//! `[lanes]`: what may carry streams beside stanzas.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::document::Section;
use super::error::{ConfigError, Problem};
use super::url::parse_host;

pub(super) const KEYS: &[&str] = &["upload", "relay", "proxy", "hosts"];

/// The most hosts that can be listed: 64, more than there are upload services at hosts of others.
const MOST_HOSTS: usize = 64;

/// What each of them must be.
const HOST: &str = "the name of a host, such as \"files.chat.example\", or its address, without brackets";

/// The scheme of a proxy: the one that Tor offers.
const SOCKS5: &str = "socks5://";

/// The `[lanes]` section: files at the upload service of the client's server (XEP-0363), and streams through its proxy (XEP-0065).
#[derive(Clone, PartialEq, Eq)]
pub struct Lanes {
    /// Whether files are used where there is a service for them.
    pub upload: bool,
    /// Whether sessions go through the proxy of bytestreams of the client's server, where there is one and both halves want it.
    pub relay: bool,
    /// How a bridge reaches the upload services and the proxies of its clients' servers; without, it does not.
    pub proxy: Option<LaneProxy>,
    /// Hosts of upload services and proxies that may be called, wherever they are and whatever domain an account has.
    pub hosts: Vec<String>,
}

/// How a bridge reaches upload services and proxies of bytestreams.
#[derive(Clone, PartialEq, Eq)]
pub enum LaneProxy {
    /// Through this proxy: `socks5://[user:password@]address:port`.
    At(String),
    /// As it reaches its chat server: they see its address.
    None,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { upload: true, relay: false, proxy: None, hosts: Vec::new() }
    }
}

impl fmt::Debug for Lanes {
    /// Neither the proxy, which may have a password, nor hosts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes")
            .field("upload", &self.upload)
            .field("relay", &self.relay)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LaneProxy {
    /// Not where it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::None { "None" } else { "At(..)" })
    }
}

impl Lanes {
    /// What the file says.
    pub(super) fn read(root: &Section<'_>) -> Result<Self, ConfigError> {
        let Some(section) = root.table("lanes", "[lanes]", KEYS)? else { return Ok(Self::default()) };
        Ok(Self {
            upload: section.word_or_flag("upload", parse_upload)?.is_none_or(|given| given.value),
            relay: section.flag("relay")?.is_some_and(|given| given.value),
            proxy: section.parsed("proxy", parse_proxy)?.map(|given| given.value),
            hosts: section.list("hosts", (MOST_HOSTS, HOST), read_host)?.unwrap_or_default(),
        })
    }

    /// Whether there is a password in it.
    pub(super) fn holds_secrets(&self) -> bool {
        matches!(&self.proxy, Some(LaneProxy::At(uri)) if uri.contains('@'))
    }
}

/// `Err` is `true` or `false`.
fn parse_upload(given: Result<&str, bool>) -> Result<bool, Problem> {
    match given {
        Ok("auto") => Ok(true),
        Ok("off") | Err(false) => Ok(false),
        _ => Err(Problem::Invalid("\"auto\" or false")),
    }
}

fn parse_proxy(text: &str) -> Result<LaneProxy, Problem> {
    if text == "none" {
        return Ok(LaneProxy::None);
    }
    let address = text.strip_prefix(SOCKS5).and_then(|rest| rest.rsplit('@').next());
    let address = address.and_then(|address| address.parse::<SocketAddr>().ok());
    let is_proxy = text.is_ascii() && address.is_some_and(|address| address.port() != 0);
    let problem = Problem::Invalid("socks5://address:port, such as that of this machine's tor, or \"none\"");
    if is_proxy { Ok(LaneProxy::At(text.to_owned())) } else { Err(problem) }
}

/// A whole name in its ASCII form, in lower case, or an address.
fn read_host(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let host = parse_host(text.strip_suffix('.').unwrap_or(text))?;
    // Also what some systems take for an address.
    let is_number = host.contains(':') || host.rsplit('.').next()?.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then(|| host.to_ascii_lowercase())
}
