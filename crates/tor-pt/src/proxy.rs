//! Upstream proxies: the URI of `TOR_PT_PROXY` (pt-spec section 3.2.2), and the handshakes to get through.
//!
//! The handshakes read exactly the proxy's answer and not a byte more, and nothing that the proxy
//! says in words comes further than here.

mod handshake;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use handshake::ProxyError;

/// What ends the address in a URI.
const TRAILERS: [char; 3] = ['/', '?', '#'];

/// A proxy that all outgoing connections must use. `Debug` shows its kind only.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    addr: SocketAddr,
}

/// How to speak to the proxy, with what it needs to know of this client.
#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// HTTP `CONNECT` (RFC 9110 section 9.3.6), with Basic credentials.
    Http(Option<Credentials>),
    /// SOCKS 4a, with a user name, perhaps empty.
    Socks4a(Vec<u8>),
    /// SOCKS 5 (RFC 1928), with credentials of 1 to 255 bytes each (RFC 1929).
    Socks5(Option<Credentials>),
}

#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

/// Why a proxy's URI is of no use. Trying again cannot help. No part of the URI is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyUriError {
    /// Not `scheme://…`, or not ASCII.
    #[error("the proxy is not given as scheme://address:port")]
    NotAUri,
    /// Neither `http`, `socks4a` nor `socks5`.
    #[error("the proxy is neither http, socks4a nor socks5")]
    UnknownScheme,
    /// A path, query or fragment follows the address.
    #[error("the proxy's URI does not end after the port")]
    Trailing,
    /// A host name, or no port.
    #[error("the proxy's address is not an IP address and a port")]
    BadAddress,
    /// The kind of proxy cannot carry these credentials.
    #[error("the proxy's user name or password does not suit its kind: {0}")]
    BadCredentials(&'static str),
}

impl Proxy {
    /// Parses `scheme://[user[:password]@]ip:port`, with `%XX` escapes in the credentials.
    ///
    /// C tor writes `Socks5ProxyPassword` and its like into the URI as they stand in torrc, unescaped (its
    /// `get_pt_proxy_uri`). So the credentials end at the last `@` and may have any character that a URI
    /// would have to escape, `/` too, as long as no address comes before it; and a `%` that two hexadecimal
    /// digits do not follow is itself. Two digits do make it an escape, since that is what the specification
    /// says: a password `50%25` must be written `50%2525`, in torrc too.
    ///
    /// # Errors
    ///
    /// When it is no URI of a proxy that [`Proxy::handshake`] can get through.
    pub fn parse(uri: &str) -> Result<Self, ProxyUriError> {
        let (scheme, rest) = uri.split_once("://").ok_or(ProxyUriError::NotAUri)?;
        let (credentials, addr) = split_credentials(rest);
        if addr.contains(TRAILERS) || ends_early(rest) {
            return Err(ProxyUriError::Trailing);
        }
        let kind = Kind::parse(scheme, credentials)?;
        let addr: SocketAddr = addr.parse().map_err(|_| ProxyUriError::BadAddress)?;
        if addr.port() == 0 { Err(ProxyUriError::BadAddress) } else { Ok(Self { kind, addr }) }
    }

    /// Where to connect before the handshake.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Http(_) => "http",
            Kind::Socks4a(_) => "socks4a",
            Kind::Socks5(_) => "socks5",
        };
        f.debug_struct("Proxy").field("kind", &kind).finish_non_exhaustive()
    }
}

impl Kind {
    fn parse(scheme: &str, credentials: Option<&str>) -> Result<Self, ProxyUriError> {
        let (user, password) = match credentials.map(|pair| pair.split_once(':').unwrap_or((pair, ""))) {
            Some((user, password)) => (percent_decode(user), percent_decode(password)),
            None => (Vec::new(), Vec::new()),
        };
        let given = credentials.is_some();
        match scheme.to_ascii_lowercase().as_str() {
            "http" => Self::http(given, user, password),
            "socks4a" => Self::socks4a(user, &password),
            "socks5" => Self::socks5(given, user, password),
            _ => Err(ProxyUriError::UnknownScheme),
        }
    }

    fn http(given: bool, user: Vec<u8>, password: Vec<u8>) -> Result<Self, ProxyUriError> {
        if user.contains(&b':') {
            return Err(ProxyUriError::BadCredentials("an HTTP user name has no colon"));
        }
        Ok(Self::Http(given.then_some(Credentials { user, password })))
    }

    fn socks4a(user: Vec<u8>, password: &[u8]) -> Result<Self, ProxyUriError> {
        if !password.is_empty() {
            return Err(ProxyUriError::BadCredentials("SOCKS4a has no passwords"));
        }
        if user.contains(&0) {
            return Err(ProxyUriError::BadCredentials("a SOCKS4a user name has no NUL"));
        }
        Ok(Self::Socks4a(user))
    }

    fn socks5(given: bool, user: Vec<u8>, password: Vec<u8>) -> Result<Self, ProxyUriError> {
        let fits = |text: &[u8]| (1..=255).contains(&text.len());
        if given && !(fits(&user) && fits(&password)) {
            return Err(ProxyUriError::BadCredentials("SOCKS5 takes 1 to 255 bytes of each"));
        }
        Ok(Self::Socks5(given.then_some(Credentials { user, password })))
    }
}

/// What comes before the last `@`, and what comes after.
fn split_credentials(authority: &str) -> (Option<&str>, &str) {
    match authority.rsplit_once('@') {
        Some((credentials, addr)) => (Some(credentials), addr),
        None => (None, authority),
    }
}

/// Whether there is an address before a path, a query or a fragment: then what looks like credentials may be a part of
/// that, and the address behind them not the proxy's.
fn ends_early(rest: &str) -> bool {
    let authority = rest.split_once(TRAILERS).map(|(authority, _)| split_credentials(authority).1);
    authority.is_some_and(|addr| addr.parse::<SocketAddr>().is_ok() || addr.parse::<IpAddr>().is_ok())
}

/// Decodes each `%` that two hexadecimal digits follow.
fn percent_decode(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let [byte, after @ ..] = rest {
        let escape = if *byte == b'%' { hex_pair(after) } else { None };
        let (byte, after) = escape.unwrap_or((*byte, after));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

/// The byte that two hexadecimal digits stand for, and what follows them.
fn hex_pair(text: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, after @ ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? * 16 + digit(low)?, after))
}

#[cfg(test)]
mod tests;
