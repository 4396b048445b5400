//! Proxy handshakes: asking each kind of proxy for a connection, over a stream that is open to it.
//!
//! Written by hand, SOCKS5 too: `fast-socks5`'s client panics on a reply code that it does not know
//! and cuts lengths to a byte, which a hostile proxy or a long name could use.

use std::io;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Credentials, Kind, Proxy};

/// The longest HTTP answer that is read, in bytes.
const MAX_HTTP_HEAD: usize = 8 * 1024;

/// How an answer in HTTP begins.
const HTTP: &[u8] = b"HTTP/1.";

/// Why a proxy gave no connection. Contains nothing that the proxy said in words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy does not take connections. Trying again can help.
    #[error("cannot reach the proxy: {}", .0.kind())]
    Unreachable(#[source] io::Error),
    /// The connection to the proxy failed. Trying again can help.
    #[error("lost the connection to the proxy")]
    Io(#[from] io::Error),
    /// The host name cannot be sent to a proxy: empty, too long, or with characters no host name has.
    /// Trying again cannot help.
    #[error("the host's name cannot be sent to the proxy")]
    BadHost,
    /// The answer is not of the proxy's protocol. Trying again cannot help.
    #[error("the proxy does not speak the protocol that it was configured for")]
    Protocol,
    /// The proxy wants credentials that it was not given, or refused those. Trying again cannot help.
    #[error("the proxy refused our credentials, or wants some")]
    Auth,
    /// The proxy could not reach the host, or its name has no address, and says so in its protocol's numbers: an HTTP
    /// status, or a SOCKS reply code. Trying again can help.
    #[error("the proxy could not reach the host (code {0})")]
    NotReached(u16),
    /// The proxy does not let us connect there, or not in this way; the number is one as above. Trying again can help once
    /// its rules have changed.
    #[error("the proxy refuses this connection (code {0})")]
    Refused(u16),
}

impl Proxy {
    /// Asks the proxy at the other end of `stream` to connect to `host`, which is never resolved
    /// here, and `port`. Afterwards the stream is the connection.
    ///
    /// Has no timeout of its own.
    ///
    /// # Errors
    ///
    /// When the proxy does not connect, or the stream fails; it is of no further use then.
    pub async fn handshake<S>(&self, stream: &mut S, host: &str, port: u16) -> Result<(), ProxyError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        check_host(host)?;
        match &self.kind {
            Kind::Http(credentials) => http_connect(stream, credentials.as_ref(), host, port).await,
            Kind::Socks4a(user) => socks4a(stream, user, host, port).await,
            Kind::Socks5(credentials) => socks5(stream, credentials.as_ref(), host, port).await,
        }
    }
}

/// Keeps anything out that could end a field or add one.
fn check_host(host: &str) -> Result<(), ProxyError> {
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
    if plain && (1..=255).contains(&host.len()) { Ok(()) } else { Err(ProxyError::BadHost) }
}

async fn http_connect<S>(
    stream: &mut S,
    credentials: Option<&Credentials>,
    host: &str,
    port: u16,
) -> Result<(), ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(http_request(credentials, host, port).as_bytes()).await?;
    stream.flush().await?;
    match http_status(&read_http_head(stream).await?) {
        Some(200..=299) => Ok(()),
        Some(401 | 407) => Err(ProxyError::Auth),
        // What a proxy does not understand, and a web page that it wants to be seen first.
        Some(status @ (501 | 505 | 511)) => Err(ProxyError::Refused(status)),
        // Not found: what some say of a host whose name has no address.
        Some(status @ (404 | 500..=599)) => Err(ProxyError::NotReached(status)),
        Some(status @ 300..=499) => Err(ProxyError::Refused(status)),
        _ => Err(ProxyError::Protocol),
    }
}

fn http_request(credentials: Option<&Credentials>, host: &str, port: u16) -> String {
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let authorization = credentials.map(|Credentials { user, password }| {
        let pair = [user.as_slice(), b":", password].concat();
        format!("Proxy-Authorization: Basic {}\r\n", BASE64.encode(pair))
    });
    let authorization = authorization.unwrap_or_default();
    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n")
}

/// Reads up to and including the empty line, a byte at a time so as to take nothing that follows. Whoever says something else than HTTP
/// may wait for us then, or hang up: that is noticed at the first byte of it.
async fn read_http_head(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, ProxyError> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == MAX_HTTP_HEAD {
            return Err(ProxyError::Protocol);
        }
        head.push(stream.read_u8().await?);
        if !(head.starts_with(HTTP) || HTTP.starts_with(&head)) {
            return Err(ProxyError::Protocol);
        }
    }
    Ok(head)
}

/// The status code of `HTTP/1.x NNN …`.
fn http_status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(HTTP)?;
    let [b'0' | b'1', b' ', digits @ ..] = rest else { return None };
    let (digits, after) = digits.split_at_checked(3)?;
    let separated = matches!(after.first(), Some(b' ' | b'\r' | b'\n'));
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    separated.then_some(status)
}

async fn socks4a<S>(stream: &mut S, user: &[u8], host: &str, port: u16) -> Result<(), ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(&socks4a_request(user, host, port)?).await?;
    stream.flush().await?;
    let [code, ..] = read_behind::<7>(0, stream).await?;
    match code {
        90 => Ok(()),
        92 | 93 => Err(ProxyError::Auth),
        // Rejected or failed, which SOCKS4 does not tell apart.
        91 => Err(ProxyError::NotReached(91)),
        code => Err(ProxyError::Refused(code.into())),
    }
}

/// What follows the version that a SOCKS answer begins with. Whoever begins with another byte speaks something else, and may be waiting for
/// us, or hang up, before that many have come.
async fn read_behind<const N: usize>(
    version: u8,
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<[u8; N], ProxyError> {
    if stream.read_u8().await? != version {
        return Err(ProxyError::Protocol);
    }
    let mut rest = [0; N];
    stream.read_exact(&mut rest).await?;
    Ok(rest)
}

/// SOCKS4 knows IPv4 addresses only; 4a sends anything else as a name, after the address 0.0.0.1.
fn socks4a_request(user: &[u8], host: &str, port: u16) -> Result<Vec<u8>, ProxyError> {
    let (addr, name) = match host.parse() {
        Ok(IpAddr::V4(addr)) => (addr.octets(), None),
        Ok(IpAddr::V6(_)) => return Err(ProxyError::BadHost),
        Err(_) => ([0, 0, 0, 1], Some(host)),
    };
    let mut request = vec![4, 1];
    request.extend(port.to_be_bytes());
    request.extend(addr);
    request.extend(user);
    request.push(0);
    if let Some(name) = name {
        request.extend(name.as_bytes());
        request.push(0);
    }
    Ok(request)
}

async fn socks5<S>(
    stream: &mut S,
    credentials: Option<&Credentials>,
    host: &str,
    port: u16,
) -> Result<(), ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socks5_authenticate(stream, credentials).await?;
    stream.write_all(&socks5_request(host, port)?).await?;
    stream.flush().await?;
    socks5_reply(stream).await
}

/// Offers a password only if there is one.
async fn socks5_authenticate<S>(stream: &mut S, credentials: Option<&Credentials>) -> Result<(), ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeting: &[u8] = if credentials.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(greeting).await?;
    stream.flush().await?;
    let [chosen] = read_behind(5, stream).await?;
    match (chosen, credentials) {
        (0, _) => Ok(()),
        (2, Some(credentials)) => socks5_password(stream, credentials).await,
        (0xff, _) => Err(ProxyError::Auth),
        _ => Err(ProxyError::Protocol),
    }
}

/// RFC 1929.
async fn socks5_password<S>(stream: &mut S, credentials: &Credentials) -> Result<(), ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = vec![1];
    push_counted(&mut request, &credentials.user).ok_or(ProxyError::Auth)?;
    push_counted(&mut request, &credentials.password).ok_or(ProxyError::Auth)?;
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    if answer[1] == 0 { Ok(()) } else { Err(ProxyError::Auth) }
}

fn socks5_request(host: &str, port: u16) -> Result<Vec<u8>, ProxyError> {
    let mut request = vec![5, 1, 0];
    match host.parse() {
        Ok(IpAddr::V4(addr)) => {
            request.push(1);
            request.extend(addr.octets());
        }
        Ok(IpAddr::V6(addr)) => {
            request.push(4);
            request.extend(addr.octets());
        }
        Err(_) => {
            request.push(3);
            push_counted(&mut request, host.as_bytes()).ok_or(ProxyError::BadHost)?;
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

/// Appends a length byte and the bytes, if the length fits.
fn push_counted(buffer: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    buffer.push(u8::try_from(bytes.len()).ok()?);
    buffer.extend(bytes);
    Some(())
}

async fn socks5_reply(stream: &mut (impl AsyncRead + Unpin)) -> Result<(), ProxyError> {
    let [code, _, kind] = read_behind(5, stream).await?;
    match code {
        0 => {}
        // RFC 1928 section 6; from 0xf0 on, why Tor does not reach an onion service.
        1 | 3..=6 | 0xf0..=0xf7 => return Err(ProxyError::NotReached(code.into())),
        _ => return Err(ProxyError::Refused(code.into())),
    }
    let bound = match kind {
        1 => 4,
        3 => stream.read_u8().await?.into(),
        4 => 16,
        _ => return Err(ProxyError::Protocol),
    };
    let mut rest = vec![0; bound + 2];
    stream.read_exact(&mut rest).await?;
    Ok(())
}
