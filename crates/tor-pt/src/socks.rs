//! SOCKS5 server towards Tor: RFC 1928 and 1929, with a bridge line's arguments as credentials (pt-spec section 3.5).
//!
//! `fast-socks5` negotiates the method and reads addresses. The rest is here, because there it
//! rejects arguments that are not UTF-8 when cut in two, logs them, does not check the reserved
//! byte, and answers "connection refused" to a malformed name.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use fast_socks5::server::{AuthMethod, Socks5ServerProtocol, SocksServerError};
use fast_socks5::util::target_addr::{AddrError, TargetAddr, read_address};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time;
use zeroize::Zeroizing;

use super::args::{Args, ArgsError};

/// How long a refused client may take to read its answer: it is on the same machine.
const LINGER: Duration = Duration::from_secs(1);

/// How much of what a refused client still sends is read, in bytes: more than it writes before it reads its answer.
const LINGER_BYTES: u64 = 64 * 1024;

/// A client's request to connect, not yet answered. Dropping it closes the connection unanswered.
pub struct SocksRequest {
    args: Args,
    target: Target,
    peer: SocketAddr,
    stream: TcpStream,
}

/// A destination, as the client wrote it: all that SOCKS5 can name (RFC 1928 section 5). `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// An address.
    Ip(SocketAddr),
    /// A name, not resolved, and a port.
    Domain(String, u16),
}

/// Why a request could not be read. The client has been told as far as SOCKS can tell it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocksError {
    /// The connection failed or ended early.
    #[error("the SOCKS client went away during the handshake")]
    Io(#[from] io::Error),
    /// The handshake took too long.
    #[error("the SOCKS client took too long over the handshake")]
    Timeout,
    /// Something other than SOCKS version 5.
    #[error("the client does not speak SOCKS5")]
    NotSocks5,
    /// Neither "no authentication" nor "user name and password" is offered.
    #[error("the SOCKS client offers no method of authentication that carries arguments or none")]
    NoMethod,
    /// The user name and password are not sent as RFC 1929 says.
    #[error("the SOCKS client's authentication is malformed")]
    BadAuth,
    /// The arguments do not follow their grammar. The bridge line must change.
    #[error("the bridge line's arguments are malformed: {0}")]
    Args(ArgsError),
    /// The request itself cannot be served; the reply says why.
    #[error("the SOCKS client's request cannot be served ({0:?})")]
    BadRequest(Reply),
}

/// Reply codes other than success (RFC 1928 section 6): what Tor is told when there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reply {
    /// Anything without a code of its own; malformed arguments.
    GeneralFailure = 0x01,
    /// Login refused, or banned.
    NotAllowed = 0x02,
    /// No route to the network.
    NetworkUnreachable = 0x03,
    /// No route to the host; the bridge is offline or does not answer.
    HostUnreachable = 0x04,
    /// Connection refused or reset.
    ConnectionRefused = 0x05,
    /// It took too long ("TTL expired").
    Timeout = 0x06,
    /// Not CONNECT.
    CommandNotSupported = 0x07,
    /// An unknown address type, or an address that this machine cannot use.
    AddressNotSupported = 0x08,
}

impl Reply {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<&io::Error> for Reply {
    /// The codes that obfs4proxy gives for a failed connection attempt.
    fn from(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused | Kind::ConnectionReset => Self::ConnectionRefused,
            Kind::NetworkUnreachable => Self::NetworkUnreachable,
            Kind::HostUnreachable => Self::HostUnreachable,
            Kind::TimedOut => Self::Timeout,
            Kind::AddrNotAvailable => Self::AddressNotSupported,
            _ => Self::GeneralFailure,
        }
    }
}

/// Reads one request from a fresh connection, within `limit`.
///
/// Credentials are taken as arguments and never checked (pt-spec section 3.5).
///
/// # Errors
///
/// When there is no request that can be served. The client has its answer and the connection is closed.
pub async fn accept(mut stream: TcpStream, limit: Duration) -> Result<SocksRequest, SocksError> {
    let peer = stream.peer_addr()?;
    let handshake = time::timeout(limit, handshake(&mut stream)).await;
    let (args, target) = handshake.map_err(|_| SocksError::Timeout)??;
    Ok(SocksRequest { args, target, peer, stream })
}

impl SocksRequest {
    /// The arguments of the bridge line; none if the client sent none.
    #[must_use]
    pub fn args(&self) -> &Args {
        &self.args
    }

    /// Where the client wants to go: the address in the bridge line, which for some transports is a formality.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The client's own address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Tells the client that it is connected, and returns the stream with nothing read past the request.
    ///
    /// Do so only once the bridge is reached: Tor takes this for being connected to it.
    ///
    /// # Errors
    ///
    /// When the client has gone away.
    pub async fn accept(mut self) -> io::Result<TcpStream> {
        self.stream.write_all(&reply(0)).await?;
        Ok(self.stream)
    }

    /// Tells the client why it is not connected, and closes. Takes up to a second, for the client to read it.
    ///
    /// # Errors
    ///
    /// When the client has gone away.
    pub async fn refuse(mut self, why: Reply) -> io::Result<()> {
        hang_up(&mut self.stream, &reply(why.code())).await
    }

    /// Returns when the client has closed the connection, so that nobody waits for the tunnel any more.
    ///
    /// Takes nothing from the stream. If the client has already sent data, it never returns.
    pub async fn closed(&self) {
        if let Ok(1..) = self.stream.peek(&mut [0]).await {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Debug for SocksRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocksRequest").field("args", &self.args).finish_non_exhaustive()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip(_) => "Ip(_)",
            Self::Domain(..) => "Domain(_)",
        })
    }
}

/// How a client authenticates, the preferred method first: Tor sends arguments only if asked for them.
#[derive(Clone, Copy)]
enum Method {
    Arguments,
    Nothing,
}

/// The stream stays ours; what the negotiation hands back is only which method was chosen.
impl<T> AuthMethod<T> for Method {
    type StartingState = Self;

    fn method_id(self) -> u8 {
        match self {
            Self::Arguments => 0x02,
            Self::Nothing => 0x00,
        }
    }

    fn new(self, _stream: T) -> Self {
        self
    }
}

async fn handshake(stream: &mut TcpStream) -> Result<(Args, Target), SocksError> {
    let methods = [Method::Arguments, Method::Nothing];
    let args = match Socks5ServerProtocol::start(&mut *stream).negotiate_auth(&methods).await {
        Ok(Method::Arguments) => read_args(stream).await?,
        Ok(Method::Nothing) => Ok(Args::new()),
        Err(error) => return Err(refused_negotiation(stream, error).await),
    };
    match (read_request(stream).await, args) {
        (Ok(target), Ok(args)) => Ok((args, target)),
        (Ok(_), Err(error)) => refuse(stream, Reply::GeneralFailure, SocksError::Args(error)).await,
        (Err(SocksError::BadRequest(why)), _) => refuse(stream, why, SocksError::BadRequest(why)).await,
        (Err(error), _) => Err(error),
    }
}

/// The client has its answer, if there is one. Makes sure that it arrives.
async fn refused_negotiation(stream: &mut TcpStream, error: SocksServerError) -> SocksError {
    match error {
        SocksServerError::Io { source, .. } => SocksError::Io(source),
        SocksServerError::AuthMethodUnacceptable(_) => {
            let hung_up = hang_up(stream, &[]).await;
            hung_up.map_or_else(SocksError::Io, |()| SocksError::NoMethod)
        }
        _ => SocksError::NotSocks5,
    }
}

/// RFC 1929, in bytes. Malformed arguments are reported later, in the reply to the request: Tor
/// takes a failed authentication for a fault of its own.
async fn read_args(stream: &mut TcpStream) -> Result<Result<Args, ArgsError>, SocksError> {
    if stream.read_u8().await? != 1 {
        hang_up(stream, &[1, 1]).await?;
        return Err(SocksError::BadAuth);
    }
    let user_name = read_counted(stream).await?;
    let password = read_counted(stream).await?;
    stream.write_all(&[1, 0]).await?;
    Ok(Args::from_socks(&user_name, &password))
}

/// A length byte, and as many bytes.
async fn read_counted(stream: &mut TcpStream) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; stream.read_u8().await?.into()]);
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn read_request(stream: &mut TcpStream) -> Result<Target, SocksError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let kind = match head {
        [5, 1, 0, kind] => kind,
        [5, 1, _, _] => return Err(SocksError::BadRequest(Reply::GeneralFailure)),
        [5, _, _, _] => return Err(SocksError::BadRequest(Reply::CommandNotSupported)),
        _ => return Err(SocksError::NotSocks5),
    };
    match read_address(stream, kind).await {
        Ok(TargetAddr::Ip(addr)) => Ok(Target::Ip(addr)),
        Ok(TargetAddr::Domain(name, port)) if !name.is_empty() => Ok(Target::Domain(name, port)),
        Err(AddrError::IncorrectAddressType) => Err(SocksError::BadRequest(Reply::AddressNotSupported)),
        Ok(_) | Err(AddrError::Utf8(_)) => Err(SocksError::BadRequest(Reply::GeneralFailure)),
        Err(_) => Err(SocksError::Io(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// `VER REP RSV ATYP BND.ADDR BND.PORT`, with 0.0.0.0:0 as the address: there is none to tell.
fn reply(code: u8) -> [u8; 10] {
    [5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

async fn refuse<T>(stream: &mut TcpStream, why: Reply, error: SocksError) -> Result<T, SocksError> {
    hang_up(stream, &reply(why.code())).await?;
    Err(error)
}

/// Writes the last bytes and closes without a reset, which could overtake it: reads what the client
/// still sends, up to a limit.
async fn hang_up(stream: &mut TcpStream, last: &[u8]) -> io::Result<()> {
    stream.write_all(last).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(LINGER_BYTES);
    let _ = time::timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    Ok(())
}

#[cfg(test)]
mod tests;
