//! The bridge's side: a stream becomes a connection to Tor's ORPort or to an allowed target.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::protocol::Address;
use crate::pt::{self, TransportName, extor};
use crate::relay::relay;
use crate::tunnel::Tunnel;

/// Where streams may lead. What a peer writes into a header never widens it.
#[derive(Clone, Debug)]
pub enum Destination {
    /// To Tor, whatever the peer asks for.
    Tor {
        /// Which port of Tor's, and how.
        port: pt::Destination,
        /// Under which name the connections are counted.
        transport: TransportName,
        /// How long connecting may take.
        timeout: Duration,
    },
    /// To the target that the peer asks for, when it is one of these.
    Allowed(Vec<Target>),
}

/// A host and port that may be dialled.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
}

/// The text is not `HOST:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST:PORT, an IPv6 address in brackets, with a port from 1 to 65535")]
pub struct InvalidTarget;

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Self::new(address.ip().to_string(), address.port());
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidTarget)?;
        if host.is_empty() || host.contains([':', '[', ']', '/']) {
            return Err(InvalidTarget);
        }
        Self::new(host.to_owned(), port.parse().map_err(|_| InvalidTarget)?)
    }
}

impl Target {
    fn new(host: String, port: u16) -> Result<Self, InvalidTarget> {
        if port == 0 { Err(InvalidTarget) } else { Ok(Self { host, port }) }
    }

    fn matches(&self, address: &Address) -> bool {
        address.host() == self.host && address.port() == Some(self.port)
    }

    /// As a header writes it.
    pub fn to_address(&self) -> Option<Address> {
        Address::new(self.host.clone(), self.port.to_string())
    }
}

impl fmt::Debug for Target {
    /// Addresses are private: nothing is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target(..)")
    }
}

/// Answers everyone who asks for a connection, until dropped. Each is dialled and relayed in a task of
/// its own; a dial that takes longer than `dial_timeout` has failed.
pub async fn serve(tunnel: &Tunnel, destination: &Destination, dial_timeout: Duration) {
    loop {
        let incoming = tunnel.accept().await;
        let destination = destination.clone();
        tokio::spawn(async move {
            match tokio::time::timeout(dial_timeout, destination.dial(incoming.target())).await {
                Ok(Some(tcp)) => relay(tcp, incoming.accept()).await,
                Ok(None) => incoming.refuse(),
                Err(_) => {
                    tracing::warn!("a connection was refused: the target did not answer in time");
                    incoming.refuse();
                }
            }
        });
    }
}

impl Destination {
    /// Connects to where the peer may go; `None` when it may not or cannot, which is logged here because
    /// the peer learns no more than that.
    async fn dial(&self, asked: &Address) -> Option<TcpStream> {
        let tcp = match self.connect(asked).await {
            Ok(tcp) => tcp,
            Err(error) => {
                tracing::warn!("a connection was refused: {error}");
                return None;
            }
        };
        // Cells are small and come one at a time; waiting for more of them only adds delay.
        tcp.set_nodelay(true).ok()?;
        Some(tcp)
    }

    async fn connect(&self, asked: &Address) -> Result<TcpStream, DialError> {
        match self {
            Self::Tor { port, transport, timeout } => Ok(port.connect(transport, *timeout).await?),
            Self::Allowed(targets) => {
                let target =
                    targets.iter().find(|target| target.matches(asked)).ok_or(DialError::NotAllowed)?;
                Ok(TcpStream::connect((target.host.as_str(), target.port)).await?)
            }
        }
    }
}

/// Why a target was not reached.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("its target is not allowed")]
    NotAllowed,
    #[error("cannot reach its target: {}", .0.kind())]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tor(#[from] extor::ExtOrError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_hosts_with_a_port() {
        for text in ["10.0.0.1:80", "[::1]:80", "host.example:65535"] {
            assert!(text.parse::<Target>().is_ok(), "{text}");
        }
        for text in
            ["10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", ":80", "::1:80", "[::1:80", "http://x:80", ""]
        {
            assert_eq!(text.parse::<Target>(), Err(InvalidTarget), "{text}");
        }
    }

    #[test]
    fn only_exactly_what_is_allowed_matches() {
        let target: Target = "10.0.0.1:80".parse().unwrap();
        let address = |host: &str, port: &str| Address::new(host, port).unwrap();
        assert!(target.matches(&address("10.0.0.1", "80")));
        for (host, port) in
            [("10.0.0.1", "81"), ("10.0.0.2", "80"), ("10.0.0.1", "65616"), ("10.0.0.01", "80")]
        {
            assert!(!target.matches(&address(host, port)), "{host}:{port}");
        }
        let v6: Target = "[::1]:80".parse().unwrap();
        assert!(v6.matches(&address("::1", "80")));
    }
}
