//! The upstream proxy of `TOR_PT_PROXY`: its URI, and the handshakes to get through it.
//!
//! The handshakes read exactly the proxy's answer and not a byte more, and nothing that the proxy
//! says in words comes further than here.

mod handshake;

use std::fmt;
use std::net::SocketAddr;

pub use handshake::ProxyError;

/// A proxy that all outgoing connections must use. `Debug` shows its kind only.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    addr: SocketAddr,
}

/// How to speak to the proxy, with what it needs to know of us.
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
    /// A `%` in the credentials without two hexadecimal digits.
    #[error("the proxy's user name or password has a % that is not part of an escape like %25")]
    BadEscape,
    /// The kind of proxy cannot carry these credentials.
    #[error("the proxy's user name or password does not suit its kind: {0}")]
    BadCredentials(&'static str),
}

impl Proxy {
    /// Parses `scheme://[user[:password]@]ip:port`, with `%XX` escapes in the credentials.
    pub fn parse(uri: &str) -> Result<Self, ProxyUriError> {
        let (scheme, rest) = uri.split_once("://").ok_or(ProxyUriError::NotAUri)?;
        let (credentials, addr) = match rest.rsplit_once('@') {
            Some((credentials, addr)) => (Some(credentials), addr),
            None => (None, rest),
        };
        if rest.contains(['/', '?', '#']) {
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
            Some((user, password)) => (percent_decode(user)?, percent_decode(password)?),
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

fn percent_decode(text: &str) -> Result<Vec<u8>, ProxyUriError> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' { hex_pair(&mut bytes).ok_or(ProxyUriError::BadEscape)? } else { byte });
    }
    Ok(decoded)
}

fn hex_pair(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit()? * 16 + digit()?)
}

#[cfg(test)]
mod tests;
