//! Bridge: a stream becomes a connection to Tor's ORPort or to an allowed target.

mod heartbeat;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tor_pt::TransportName;
use tor_pt::extor::ExtOrError;

use crate::config::Limits;
use crate::logging::{PAUSE, Repeats};
use crate::os;
use crate::protocol::Address;
use crate::relay::relay;
use crate::tunnel::{Incoming, Tunnel};

/// Where streams may lead. What a peer writes into a header never widens it.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// To Tor, whatever the peer asks for.
    Tor {
        /// Which port of Tor's, and how.
        port: tor_pt::Destination,
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
pub(crate) struct Target {
    host: String,
    port: u16,
}

/// The text is not `HOST:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected HOST:PORT, the name or address of one host (an IPv6 address in brackets) and a port from 1 to 65535"
)]
pub(crate) struct InvalidTarget;

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Self::new(address.ip().to_string(), address.port());
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidTarget)?;
        // A pattern would match nothing.
        let is_in_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || !host.chars().all(is_in_name) {
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
    pub(crate) fn to_address(&self) -> Option<Address> {
        Address::new(self.host.clone(), self.port.to_string())
    }
}

impl fmt::Debug for Target {
    /// Addresses are private: nothing is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target(..)")
    }
}

/// Answers everyone who asks for a connection, until dropped. Each is dialled and relayed in a task of its own, as many at a
/// time as there may be streams; a dial that takes longer than the limit for it has failed, and one for a stream that is over
/// ends.
///
/// A stream counts in its protocol's limit, and against its client, until its task is over or it was taken from its client:
/// whoever gets its place waits until its task is over, which it soon is. So there are places for all of them unless both
/// protocols are served at once.
pub(crate) async fn serve(tunnel: &Tunnel, destination: &Destination, limits: &Limits) {
    let places = Arc::new(Semaphore::new(limits.max_streams));
    let refusals = Arc::new(Refusals::default());
    let mut minute = tokio::time::interval(PAUSE);
    let sample = || (tunnel.stats(), tunnel.take_most_clients());
    let mut heartbeat = pin!(heartbeat::run(sample, |text| tracing::info!("{text}")));
    loop {
        let incoming = tokio::select! {
            incoming = tunnel.accept() => incoming,
            () = &mut heartbeat => continue,
            _ = minute.tick() => {
                refusals.summarize();
                continue;
            }
        };
        let (destination, refusals, limit) =
            (destination.clone(), Arc::clone(&refusals), limits.dial_timeout);
        let places = Arc::clone(&places);
        tokio::spawn(async move {
            // In a box, so that the task has no room for it while it relays.
            let dialled = Box::pin(destination.dial_for(&incoming, &places, limit)).await;
            match dialled {
                Ok((tcp, _place)) => relay(tcp, &incoming.accept()).await,
                Err(DialError::NotWanted) => {}
                Err(error) => {
                    refusals.warn(&error);
                    incoming.refuse();
                }
            }
        });
    }
}

/// What the log says of connections that were refused; the peer learns no more than that. Whoever has the bridge line can
/// cause thousands in a second.
#[derive(Default)]
struct Refusals(Mutex<Repeats>);

impl Refusals {
    fn warn(&self, error: &DialError) {
        let error = error.to_string();
        if self.repeats().is_news(Instant::now(), &error) {
            tracing::warn!("a connection was refused: {error}");
        }
    }

    fn summarize(&self) {
        for (error, count) in self.repeats().take_counts(Instant::now()) {
            tracing::warn!("{count} more connections were refused in the last minutes: {error}");
        }
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        // Each change is one insertion.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Destination {
    /// Connects to where the peer may go once there is a place for it, unless the peer gives up before.
    async fn dial_for<'a>(
        &self,
        incoming: &Incoming,
        places: &'a Semaphore,
        limit: Duration,
    ) -> Result<(TcpStream, SemaphorePermit<'a>), DialError> {
        let dial = async {
            let place = tokio::time::timeout(limit, places.acquire()).await;
            let place = place.ok().and_then(Result::ok).ok_or(DialError::TooMany)?;
            Ok((self.dial(incoming.target(), limit).await?, place))
        };
        tokio::select! {
            dialled = dial => dialled,
            () = incoming.closed() => Err(DialError::NotWanted),
        }
    }

    async fn dial(&self, asked: &Address, limit: Duration) -> Result<TcpStream, DialError> {
        let dialled = tokio::time::timeout(limit, self.connect(asked)).await;
        let tcp = dialled.unwrap_or(Err(DialError::Timeout))?;
        // Cells are small and come one at a time; waiting for more of them only adds delay.
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }

    async fn connect(&self, asked: &Address) -> Result<TcpStream, DialError> {
        match self {
            // A chat server shows no client's address.
            Self::Tor { port, transport, timeout } => Ok(port.connect(transport, None, *timeout).await?),
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
    #[error("there are as many as the limits allow")]
    TooMany,
    #[error("the target did not answer in time")]
    Timeout,
    #[error("the peer has given up")]
    NotWanted,
    #[error("cannot reach its target: {}", in_plain_words(.0))]
    Io(#[from] io::Error),
    #[error("{}", of_tor(.0))]
    Tor(#[from] ExtOrError),
}

fn of_tor(error: &ExtOrError) -> String {
    match error {
        ExtOrError::OrPort(cause) | ExtOrError::ExtOrPort(cause) | ExtOrError::CookieFile(cause)
            if os::is_out_of_descriptors(cause) =>
        {
            in_plain_words(cause)
        }
        error => error.to_string(),
    }
}

/// Without addresses, which the text of an error can have.
fn in_plain_words(error: &io::Error) -> String {
    if os::is_out_of_descriptors(error) {
        "this process may open no more files and sockets".to_owned()
    } else {
        error.kind().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_hosts_with_a_port() {
        for text in ["10.0.0.1:80", "[::1]:80", "host.example:65535"] {
            assert!(text.parse::<Target>().is_ok(), "{text}");
        }
        for text in [
            "*:80",
            "*.example:80",
            "10.0.0.0-9:",
            "a b:80",
            "10.0.0.1",
            "10.0.0.1:0",
            "10.0.0.1:65536",
            ":80",
            "::1:80",
            "[::1:80",
            "http://x:80",
            "",
        ] {
            assert_eq!(text.parse::<Target>(), Err(InvalidTarget), "{text}");
        }
    }

    #[test]
    fn a_dial_that_fails_for_want_of_descriptors_says_so() {
        let error = |error: io::Error| DialError::from(error).to_string();
        assert!(error(os::out_of_descriptors()).ends_with("no more files and sockets"));
        let refused = io::ErrorKind::ConnectionRefused.into();
        assert_eq!(error(refused), "cannot reach its target: connection refused");
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
