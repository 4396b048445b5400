//! Dialling: how the connection to a chat server's machine is made.

mod through_proxy;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::{AccountError, NamedBy, ProxyFault, Step};
use super::socket::Socket;
use through_proxy::ThroughProxy;

/// The longest wait for one address: 7 seconds. It is far above any round trip, and leaves most of a login's time when all are silent.
const PER_ADDRESS: Duration = Duration::from_secs(7);

/// A connection that is being made.
pub type Dialling = Pin<Box<dyn Future<Output = Result<Socket, AccountError>> + Send>>;

type ToAddress = dyn Fn(SocketAddr) -> Dialling + Send + Sync;
type SourceFor = dyn Fn(IpAddr) -> Option<IpAddr> + Send + Sync;
type ToName = dyn Fn(&str, u16) -> Dialling + Send + Sync;

/// Makes the connections of every account: nothing of theirs reaches the outside by another way, but for lookups of names, and none of
/// those where connections are made to names.
#[derive(Clone)]
pub struct Dialer {
    target: Target,
    source_for: Arc<SourceFor>,
}

/// What connections are made to.
#[derive(Clone)]
enum Target {
    Addresses(Arc<ToAddress>),
    Names(Arc<ToName>),
}

impl Dialer {
    /// Dials on our own, to addresses.
    pub fn direct() -> Self {
        Self::to_addresses(|address| Box::pin(dial_address(address)))
    }

    /// Lets `connect` make every connection, to an address.
    pub fn to_addresses(connect: impl Fn(SocketAddr) -> Dialling + Send + Sync + 'static) -> Self {
        Self { target: Target::Addresses(Arc::new(connect)), source_for: Arc::new(|_| None) }
    }

    /// Lets `connect` make every connection, to a name or an address: nothing is looked up here.
    pub fn through(connect: impl Fn(&str, u16) -> Dialling + Send + Sync + 'static) -> Self {
        Self { target: Target::Names(Arc::new(connect)), source_for: Arc::new(|_| None) }
    }

    /// The same, with a DNS server being asked from the address that `source_for` has for its own.
    #[must_use]
    pub fn asking_from(self, source_for: impl Fn(IpAddr) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self { source_for: Arc::new(source_for), ..self }
    }

    /// The same to those addresses alone of which this is true. Who makes connections to names finds their addresses, and is asked nothing.
    #[must_use]
    pub(super) fn only_to(&self, is_allowed: fn(IpAddr) -> bool) -> Self {
        let Target::Addresses(connect) = &self.target else { return self.clone() };
        let connect = Arc::clone(connect);
        let target = move |address: SocketAddr| match is_allowed(address.ip()) {
            true => connect(address),
            false => Box::pin(async { Err(AccountError::NoAddress(NamedBy::Server)) }),
        };
        Self { target: Target::Addresses(Arc::new(target)), source_for: Arc::clone(&self.source_for) }
    }

    /// The address that a DNS server must be asked from, if it matters.
    pub(super) fn source_for(&self, server: IpAddr) -> Option<IpAddr> {
        (self.source_for)(server)
    }

    /// Whether whoever connects finds the addresses of names.
    pub(super) fn takes_names(&self) -> bool {
        matches!(self.target, Target::Names(_))
    }

    /// The fault where this step had no answer in time. Where a proxy does the dialling, it is the proxy that has not answered, or that
    /// may not have passed on what was answered.
    pub(super) fn timed_out(&self, step: Step) -> AccountError {
        match step {
            Step::Dial if self.takes_names() => AccountError::Proxy(ProxyFault::Silent),
            Step::HostMeta | Step::StartTls | Step::Tls if self.takes_names() => {
                AccountError::Proxy(ProxyFault::Stalled(step))
            }
            step => AccountError::TimedOut(step),
        }
    }

    /// Connects to `host`, which has this `address` where it [takes no names](Self::takes_names).
    pub(super) fn dial(&self, host: &str, port: u16, address: Option<IpAddr>) -> Dialling {
        let dialling = match (&self.target, address) {
            (Target::Names(connect), _) => {
                let dialling = connect(host, port);
                return Box::pin(async { Ok(Socket::new(ThroughProxy::new(dialling.await?))) });
            }
            (Target::Addresses(connect), Some(address)) => connect(SocketAddr::new(address, port)),
            (Target::Addresses(_), None) => {
                return Box::pin(async { Err(AccountError::NoAddress(NamedBy::Server)) });
            }
        };
        Box::pin(async {
            timeout(PER_ADDRESS, dialling).await.unwrap_or(Err(AccountError::TimedOut(Step::Dial)))
        })
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("takes_names", &self.takes_names()).finish()
    }
}

async fn dial_address(address: SocketAddr) -> Result<Socket, AccountError> {
    TcpStream::connect(address).await.and_then(Socket::tcp).map_err(|error| AccountError::dial(&error))
}
