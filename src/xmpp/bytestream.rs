//! Bytestream through a proxy (XEP-0065): the connection of one end, by SOCKS5 (RFC 1928).
//!
//! The proxy joins two connections that ask it for the same address, once one of the ends has had them activated. Nothing is to be sent
//! before that: the proxy need not keep it.
//!
//! Prosody 0.12 keeps back the end of what it reads at once, up to 4096 bytes (it reads 8192, passes on half, and looks at the rest when
//! more comes): whoever waits for an answer has to write a little more until there is one.
//!
//! The few bytes of SOCKS5 are written by hand: `fast-socks5`'s client panics on a reply code that it does not know. What is asked for goes
//! in two writes, since Prosody wants the request in one piece and behind its own answer.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::error::{AccountError, NamedBy};
use super::finder;
use super::place::{Place, PlaceDialer};
use super::socket::Socket;

/// The bytes of an address: 20, those of SHA-1.
pub const ADDRESS_BYTES: usize = 20;

/// How long it may take until the proxy is reached: 7 seconds, as with files.
const CONNECTING: Duration = Duration::from_secs(7);

/// How long the proxy may take to answer: 7 seconds, far above two round trips.
const ASKING: Duration = Duration::from_secs(7);

/// The version of SOCKS, one method of authentication, and that it is none.
const GREETING: [u8; 3] = [VERSION, 1, NO_AUTHENTICATION];
const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xff;

/// CONNECT, to a name of 40 bytes.
const REQUEST: [u8; 5] = [VERSION, 1, 0, 3, 2 * ADDRESS_BYTES as u8];

/// Why there is no connection. The text does not say where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BytestreamError {
    /// Nobody was reached.
    #[error("connecting to the proxy of bytestreams: it cannot be reached")]
    Unreachable,
    /// It has no address, or none that may be dialled.
    #[error("connecting to the proxy of bytestreams: it has no address, or none that may be dialled")]
    NoAddress,
    /// Nobody was reached, or nobody has answered, within the time for that.
    #[error("connecting to the proxy of bytestreams: it did not take place in time")]
    TimedOut,
    /// The connection ended before the answer.
    #[error("asking the proxy of bytestreams for one: the connection was closed")]
    Closed,
    /// It lets nobody in who shows no credentials.
    #[error("asking the proxy of bytestreams for one: it demands a login, and there is none")]
    Login,
    /// It refuses, with this reply code of RFC 1928 section 6.
    #[error("asking the proxy of bytestreams for one: it refuses (code {0})")]
    Refused(u8),
    /// The answer is none of SOCKS5.
    #[error("asking the proxy of bytestreams for one: the answer makes no sense")]
    Nonsense,
}

impl BytestreamError {
    /// Why nobody was reached.
    fn of_connection(error: &AccountError) -> Self {
        match error {
            AccountError::NoAddress(_) | AccountError::OnionWithoutProxy | AccountError::BadAddress(_) => {
                Self::NoAddress
            }
            AccountError::TimedOut(_) => Self::TimedOut,
            _ => Self::Unreachable,
        }
    }
}

/// Connects to the proxy at this place, and asks it for an address. The connection is to be joined to the other that asks for the same; all
/// that it carries afterwards is the bytestream's.
///
/// # Errors
///
/// The proxy is not reached in time, or does not grant what it is asked for.
pub async fn connect(
    dialer: &PlaceDialer,
    place: &Place,
    address: [u8; ADDRESS_BYTES],
) -> Result<Socket, BytestreamError> {
    let connecting = finder::connect_protected(place.address(), NamedBy::Server, dialer.to(place));
    let connected = timeout(CONNECTING, connecting).await.map_err(|_| BytestreamError::TimedOut)?;
    let mut socket = connected.map_err(|error| BytestreamError::of_connection(&error))?;
    timeout(ASKING, ask(&mut socket, address)).await.unwrap_or(Err(BytestreamError::TimedOut))?;
    Ok(socket)
}

/// Reads the answers and not a byte more.
async fn ask(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    address: [u8; ADDRESS_BYTES],
) -> Result<(), BytestreamError> {
    write(io, &GREETING).await?;
    match read(io).await? {
        [VERSION, NO_AUTHENTICATION] => {}
        [VERSION, NO_METHOD] => return Err(BytestreamError::Login),
        _ => return Err(BytestreamError::Nonsense),
    }
    write(io, &request(address)).await?;
    match read(io).await? {
        [VERSION, 0] => {}
        [VERSION, code] => return Err(BytestreamError::Refused(code)),
        _ => return Err(BytestreamError::Nonsense),
    }
    skip_bound_address(io).await
}

fn request(address: [u8; ADDRESS_BYTES]) -> Vec<u8> {
    let mut name = String::with_capacity(2 * ADDRESS_BYTES);
    for byte in address {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    [&REQUEST, name.as_bytes(), &[0, 0]].concat()
}

/// Skips the address to which a SOCKS5 server says that it is connected: this one is connected to nothing yet.
async fn skip_bound_address(io: &mut (impl AsyncRead + Unpin)) -> Result<(), BytestreamError> {
    let [_reserved, kind] = read(io).await?;
    let length = match kind {
        1 => 4,
        3 => read::<1>(io).await?[0].into(),
        4 => 16,
        _ => return Err(BytestreamError::Nonsense),
    };
    let mut address_and_port = vec![0; length + 2];
    io.read_exact(&mut address_and_port).await.map_err(closed)?;
    Ok(())
}

async fn write(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), BytestreamError> {
    io.write_all(bytes).await.map_err(closed)?;
    io.flush().await.map_err(closed)
}

async fn read<const N: usize>(io: &mut (impl AsyncRead + Unpin)) -> Result<[u8; N], BytestreamError> {
    let mut bytes = [0; N];
    io.read_exact(&mut bytes).await.map_err(closed)?;
    Ok(bytes)
}

fn closed(_: io::Error) -> BytestreamError {
    BytestreamError::Closed
}
