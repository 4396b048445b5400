//! Outgoing connections as Tor wants them: through its proxy, from its addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

use super::env::{Launch, OutboundBind};
use super::proxy::Proxy;

/// How long one address of several may take to accept a connection.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Makes all outgoing connections of a transport.
///
/// With a proxy nothing goes around it: names are not resolved here, and if the proxy fails, so does
/// the connection.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    proxy: Option<Proxy>,
    bind: OutboundBind,
}

impl Dialer {
    /// Connects as this launch demands.
    #[must_use]
    pub fn new(launch: &Launch) -> Self {
        let proxy = match launch {
            Launch::Client(client) => client.proxy.clone(),
            Launch::Server(_) => None,
        };
        Self { proxy, bind: launch.common().outbound_bind }
    }

    /// Connects to a host, by name or by address without brackets.
    ///
    /// Has no timeout of its own but one of 10 seconds for each address that is tried. A fault of
    /// the proxy's is a [`ProxyError`](super::proxy::ProxyError) inside the error.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        match &self.proxy {
            Some(proxy) => self.connect_through(proxy, host, port).await,
            None => self.connect_directly(host, port).await,
        }
    }

    async fn connect_through(&self, proxy: &Proxy, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut stream = self.open(proxy.addr()).await?;
        proxy.handshake(&mut stream, host, port).await.map_err(io::Error::other)?;
        Ok(stream)
    }

    /// Tries each address in the order of the resolver.
    async fn connect_directly(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host's name has no address");
        for addr in lookup_host((host, port)).await? {
            match self.open(addr).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn open(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.bind.source_for(addr.ip()) {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        timeout(ATTEMPT, socket.connect(addr)).await?
    }
}

impl OutboundBind {
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

#[cfg(test)]
mod tests;
