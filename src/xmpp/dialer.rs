//! Dialling: how the connection to a chat server's machine is made.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::error::{AccountError, Step};
use super::socket::Socket;

/// The longest wait for one address, so that a silent one leaves time for the next.
const PER_ADDRESS: Duration = Duration::from_secs(7);

/// A connection that is being made.
pub type Dialling = Pin<Box<dyn Future<Output = Result<Socket, AccountError>> + Send>>;

type Connect = dyn Fn(&str, u16) -> Dialling + Send + Sync;

/// Makes the connections of every account: nothing else of this module reaches the outside.
#[derive(Clone)]
pub struct Dialer {
    /// Connects to a host, which may be a name, and a port; `None` is the system's own way.
    through: Option<Arc<Connect>>,
}

impl Dialer {
    /// Dials on our own, with the system's name resolution: one address after the other.
    pub fn direct() -> Self {
        Self { through: None }
    }

    /// Lets `connect` make every connection and resolve every name.
    pub fn through(connect: impl Fn(&str, u16) -> Dialling + Send + Sync + 'static) -> Self {
        Self { through: Some(Arc::new(connect)) }
    }

    /// Connects to the first address of `host` that answers.
    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<Socket, AccountError> {
        if let Some(connect) = &self.through {
            return connect(host, port).await;
        }
        let addresses = lookup_host((host, port)).await.map_err(|_| AccountError::NameNotFound)?;
        let mut last = AccountError::NameNotFound;
        for address in addresses {
            match dial_address(address).await {
                Ok(stream) => {
                    return Socket::tcp(stream).map_err(|error| AccountError::io(Step::Dial, &error));
                }
                Err(error) => last = AccountError::dial(&error),
            }
        }
        Err(last)
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("direct", &self.through.is_none()).finish()
    }
}

async fn dial_address(address: SocketAddr) -> io::Result<TcpStream> {
    timeout(PER_ADDRESS, TcpStream::connect(address)).await?
}
