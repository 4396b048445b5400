//! Outgoing connections: through the proxy and from the addresses that Tor demands (pt-spec sections 3.2.1 and 3.2.2).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use super::env::{Launch, OutboundBind};
use super::proxy::{Proxy, ProxyError};

/// How long one address may take to accept a connection: far above any round trip, and below what a user waits for.
const ATTEMPT: Duration = Duration::from_secs(10);

/// How long one address may be silent before the next is tried beside it: the delay that RFC 8305 section 5 recommends.
const STAGGER: Duration = Duration::from_millis(250);

/// The host's name cannot be resolved. Trying again can help. Does not show the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host's name cannot be resolved")]
#[non_exhaustive]
pub struct Unresolved;

/// The source address that Tor demands cannot be used. Trying again can help when it comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source address that Tor demands cannot be used")]
#[non_exhaustive]
pub struct BadSource;

/// Makes all outgoing connections of a transport.
///
/// With a proxy nothing goes around it: names are not resolved here, and if the proxy fails, so does
/// the connection. The default has no proxy and leaves the source address to the system.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    proxy: Option<Proxy>,
    bind: OutboundBind,
}

impl Dialer {
    /// Connects as `launch` demands.
    #[must_use]
    pub fn new(launch: &Launch) -> Self {
        let proxy = match launch {
            Launch::Client(client) => client.proxy().cloned(),
            Launch::Server(_) => None,
        };
        Self { proxy, bind: launch.common().outbound_bind() }
    }

    /// Connects through `proxy`, or on its own if there is none, and leaves the source address to the system.
    #[must_use]
    pub fn through(proxy: Option<Proxy>) -> Self {
        Self { proxy, bind: OutboundBind::default() }
    }

    /// Whether connections go through a proxy, which finds the addresses of names.
    #[must_use]
    pub fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// The source address that what goes to `destination` must have, if Tor demands one.
    #[must_use]
    pub fn source_for(&self, destination: IpAddr) -> Option<IpAddr> {
        self.bind.source_for(destination)
    }

    /// Connects to a host, by name or by address without brackets. If a name has several addresses, one that is
    /// silent holds the others up for a quarter of a second only.
    ///
    /// Has no timeout of its own but one of 10 seconds for each address that is tried.
    ///
    /// # Errors
    ///
    /// Inside the error is a [`ProxyError`] when the fault is the proxy's, [`Unresolved`] when the name is unknown, and
    /// [`BadSource`] when the source address cannot be used. Its kind is what [`Reply`](crate::Reply) is made from.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        match &self.proxy {
            Some(proxy) => self.connect_through(proxy, host, port).await,
            None => first_to_accept(resolve(host, port).await?, |addr| self.open(addr)).await,
        }
    }

    async fn connect_through(&self, proxy: &Proxy, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut stream = self.open(proxy.addr()).await.map_err(unreachable_proxy)?;
        proxy.handshake(&mut stream, host, port).await.map_err(io::Error::other)?;
        Ok(stream)
    }

    async fn open(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.source_for(addr.ip()) {
            let bound = socket.bind(SocketAddr::new(source, 0));
            bound.map_err(|error| io::Error::new(error.kind(), BadSource))?;
        }
        timeout(ATTEMPT, socket.connect(addr)).await?
    }
}

/// Blames the proxy, unless the source address is at fault.
fn unreachable_proxy(error: io::Error) -> io::Error {
    if error.get_ref().is_some_and(|inner| inner.is::<BadSource>()) {
        return error;
    }
    io::Error::new(error.kind(), ProxyError::Unreachable(error))
}

/// What the system's resolver knows of a name, which is at least one address.
async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let unresolved = || io::Error::new(io::ErrorKind::HostUnreachable, Unresolved);
    // The resolver's own error has no kind and may repeat the name.
    let addrs: Vec<_> = lookup_host((host, port)).await.map_err(|_| unresolved())?.collect();
    if addrs.is_empty() { Err(unresolved()) } else { Ok(addrs) }
}

/// Opens the addresses in their order, each as soon as the one before has failed or has been silent for [`STAGGER`],
/// and takes the first that succeeds. The last fault is the error when none does.
async fn first_to_accept<T, F>(addrs: Vec<SocketAddr>, open: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addrs.into_iter();
    let mut attempts: FuturesUnordered<F> = waiting.next().map(&open).into_iter().collect();
    let mut last = io::Error::new(io::ErrorKind::HostUnreachable, Unresolved);
    while !attempts.is_empty() {
        tokio::select! {
            Some(outcome) = attempts.next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
        attempts.extend(waiting.next().map(&open));
    }
    Err(last)
}

#[cfg(test)]
mod tests;
