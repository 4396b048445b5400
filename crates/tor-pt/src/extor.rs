//! Extended ORPort: a client of Tor's side of it (ext-orport-spec, proposals 196 and 217).
//!
//! Before it becomes a connection to the ORPort, each side proves that it can read a file that Tor
//! wrote (SAFE_COOKIE), and the transport says its name and, if it knows one, its client's address.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::hmac;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::env::Destination;
use super::name::TransportName;
use super::os;

const COOKIE_HEADER: &[u8; 32] = b"! Extended ORPort Auth Cookie !\n";
const SERVER_HASH: &[u8] = b"ExtORPort authentication server-to-client hash";
const CLIENT_HASH: &[u8] = b"ExtORPort authentication client-to-server hash";

/// The only type of authentication in use.
const SAFE_COOKIE: u8 = 1;

const DONE: u16 = 0x0000;
const USERADDR: u16 = 0x0001;
const TRANSPORT: u16 = 0x0002;
const OKAY: u16 = 0x1000;
const DENY: u16 = 0x1001;

/// How many unknown commands may come before the answer: today there are none, and an endless stream of them must end.
const MAX_UNKNOWN: usize = 16;

/// The secret in Tor's cookie file.
struct Cookie([u8; 32]);

/// Why there is no connection to Tor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtOrError {
    /// Nobody listens at the ORPort. Trying again can help.
    #[error("cannot reach Tor's ORPort: {}", .0.kind())]
    OrPort(#[source] io::Error),
    /// Nobody listens at the extended ORPort. Trying again can help.
    #[error("cannot reach Tor's extended ORPort: {}", .0.kind())]
    ExtOrPort(#[source] io::Error),
    /// Reading from the port or writing to it failed. Trying again can help.
    #[error("lost the connection to Tor's extended ORPort")]
    Io(#[from] io::Error),
    /// It took too long. Trying again can help.
    #[error("Tor does not answer")]
    Timeout,
    /// The cookie file cannot be read. Trying again can help once it is there.
    #[error("cannot read the cookie file of Tor's extended ORPort")]
    CookieFile(#[source] io::Error),
    /// The cookie file is not one. Trying again can help if Tor was just writing it.
    #[error("the cookie file of Tor's extended ORPort is malformed")]
    BadCookie,
    /// Tor does not offer SAFE_COOKIE. Trying again cannot help.
    #[error("Tor's extended ORPort offers no authentication that we know")]
    NoAuth,
    /// The other end does not know the cookie: not our Tor, or it has restarted and written a new
    /// one. Trying again, with the file read anew, can help.
    #[error("the extended ORPort does not know the secret of the cookie file")]
    WrongServer,
    /// Tor does not accept this side's proof. Trying again, with the file read anew, can help.
    #[error("Tor's extended ORPort refused our authentication")]
    AuthRefused,
    /// Tor refuses this connection.
    #[error("Tor refused the connection")]
    Denied,
    /// The other end does not keep to the protocol.
    #[error("the extended ORPort does not keep to its protocol")]
    Protocol,
}

impl Cookie {
    /// Reads Tor's cookie file, 64 bytes. Do so for each connection: Tor writes a new one when it starts.
    ///
    /// It may block the thread, as reading a file does.
    fn read(path: &Path) -> Result<Self, ExtOrError> {
        let mut bytes = Vec::new();
        // One byte more than it should have, so that a longer file shows.
        let read = os::open_without_waiting(path).and_then(|file| file.take(65).read_to_end(&mut bytes));
        read.map_err(ExtOrError::CookieFile)?;
        Self::parse(&bytes)
    }

    /// Takes the 32 bytes of the secret from behind the 32 bytes of the header.
    fn parse(file: &[u8]) -> Result<Self, ExtOrError> {
        let secret = file.strip_prefix(COOKIE_HEADER).ok_or(ExtOrError::BadCookie)?;
        secret.try_into().map(Self).map_err(|_| ExtOrError::BadCookie)
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

impl Destination {
    /// Connects to Tor for `transport`, within `limit`, in the way that Tor has given.
    ///
    /// `client` is the client's address, as far as the transport knows it: Tor's statistics count clients by country.
    /// Without it, and over the plain ORPort, the client is counted without one.
    ///
    /// What is written to the stream and read from it are the application's bytes alone.
    ///
    /// # Errors
    ///
    /// When Tor cannot be reached or refuses; the error says whether trying again can help.
    pub async fn connect(
        &self,
        transport: &TransportName,
        client: Option<SocketAddr>,
        limit: Duration,
    ) -> Result<TcpStream, ExtOrError> {
        let connect = async {
            match self {
                Self::OrPort(addr) => connect_plainly(*addr).await,
                Self::ExtOrPort { addr, cookie_file } => {
                    let announcement = announcement(transport, client).ok_or(ExtOrError::Protocol)?;
                    connect_announced(*addr, cookie_file, &announcement).await
                }
            }
        };
        tokio::time::timeout(limit, connect).await.unwrap_or(Err(ExtOrError::Timeout))
    }
}

async fn connect_plainly(addr: SocketAddr) -> Result<TcpStream, ExtOrError> {
    let stream = TcpStream::connect(addr).await.map_err(ExtOrError::OrPort)?;
    stream.set_nodelay(true).map_err(ExtOrError::OrPort)?;
    Ok(stream)
}

/// Connects, authenticates and sends `announcement`. Nothing is read past Tor's answer.
async fn connect_announced(
    addr: SocketAddr,
    cookie_file: &Path,
    announcement: &[u8],
) -> Result<TcpStream, ExtOrError> {
    let cookie = read_cookie(cookie_file.to_owned()).await?;
    let mut stream = TcpStream::connect(addr).await.map_err(ExtOrError::ExtOrPort)?;
    stream.set_nodelay(true)?;
    handshake(&mut stream, &cookie, announcement, rand::random()).await?;
    Ok(stream)
}

/// Reads the file on a thread that may block.
async fn read_cookie(path: PathBuf) -> Result<Cookie, ExtOrError> {
    let reading = tokio::task::spawn_blocking(move || Cookie::read(&path));
    reading.await.map_err(|failed| ExtOrError::CookieFile(failed.into()))?
}

/// Authenticates and sends `announcement` over a stream to the extended ORPort.
///
/// `nonce` must be random and never used before. Has no timeout of its own.
async fn handshake<S>(
    stream: &mut S,
    cookie: &Cookie,
    announcement: &[u8],
    nonce: [u8; 32],
) -> Result<(), ExtOrError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    choose_auth(stream).await?;
    prove(stream, cookie, nonce).await?;
    stream.write_all(announcement).await?;
    stream.flush().await?;
    answer(stream).await
}

/// Reads the types on offer, up to a 0, and chooses SAFE_COOKIE.
async fn choose_auth<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<(), ExtOrError> {
    let mut known = false;
    for _ in 0..=u8::MAX {
        match stream.read_u8().await? {
            0 => return say_choice(stream, known).await,
            offered => known |= offered == SAFE_COOKIE,
        }
    }
    Err(ExtOrError::Protocol)
}

async fn say_choice(stream: &mut (impl AsyncWrite + Unpin), known: bool) -> Result<(), ExtOrError> {
    stream.write_all(&[if known { SAFE_COOKIE } else { 0 }]).await?;
    stream.flush().await?;
    if known { Ok(()) } else { Err(ExtOrError::NoAuth) }
}

/// Proves the cookie to each other. The server goes first, so that an impostor learns nothing.
async fn prove<S>(stream: &mut S, cookie: &Cookie, nonce: [u8; 32]) -> Result<(), ExtOrError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(&nonce).await?;
    stream.flush().await?;
    let (mut server_hash, mut server_nonce) = ([0; 32], [0; 32]);
    stream.read_exact(&mut server_hash).await?;
    stream.read_exact(&mut server_nonce).await?;
    let proof = |label| [label, nonce.as_slice(), &server_nonce].concat();
    // In constant time.
    hmac::verify(&cookie.key(), &proof(SERVER_HASH), &server_hash).map_err(|_| ExtOrError::WrongServer)?;
    stream.write_all(hmac::sign(&cookie.key(), &proof(CLIENT_HASH)).as_ref()).await?;
    stream.flush().await?;
    if stream.read_u8().await? == 1 { Ok(()) } else { Err(ExtOrError::AuthRefused) }
}

/// The commands that say what kind of connection this is. `None` for a name that is too long for them.
fn announcement(transport: &TransportName, client: Option<SocketAddr>) -> Option<Vec<u8>> {
    let mut commands = Vec::new();
    if let Some(client) = client {
        commands.extend(command(USERADDR, user_addr(client).as_bytes())?);
    }
    commands.extend(command(TRANSPORT, transport.as_str().as_bytes())?);
    commands.extend(command(DONE, &[])?);
    Some(commands)
}

/// `1.2.3.4:5678` or `[1:2::3:4]:5678`, without the zone that an address of this machine may have.
fn user_addr(client: SocketAddr) -> String {
    SocketAddr::new(client.ip().to_canonical(), client.port()).to_string()
}

/// A command and its length in network order, and its body, which must fit.
fn command(number: u16, body: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(body.len()).ok()?;
    Some([&number.to_be_bytes()[..], &length.to_be_bytes(), body].concat())
}

/// Waits for OKAY or DENY, past unknown commands.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<(), ExtOrError> {
    for _ in 0..=MAX_UNKNOWN {
        let number = stream.read_u16().await?;
        let length = stream.read_u16().await?;
        stream.read_exact(&mut vec![0; length.into()]).await?;
        match number {
            OKAY => return Ok(()),
            DENY => return Err(ExtOrError::Denied),
            _ => {}
        }
    }
    Err(ExtOrError::Protocol)
}

#[cfg(test)]
mod tests;
