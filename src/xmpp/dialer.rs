//! How a TCP connection to a chat server is made.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::error::{AccountError, Step};

/// The longest wait for one address, so that a silent one leaves time for the next.
const PER_ADDRESS: Duration = Duration::from_secs(7);

/// Makes the TCP connections of every account.
///
/// The one place that knows how to reach the outside: an upstream proxy or an outbound bind address belongs here.
#[derive(Clone, Debug)]
pub struct Dialer {
    _private: (),
}

impl Dialer {
    /// Dials on our own, with the system's name resolution.
    pub fn direct() -> Self {
        Self { _private: () }
    }

    /// Connects to the first address of `host` that answers.
    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, AccountError> {
        let addresses = lookup_host((host, port)).await.map_err(|_| AccountError::NameNotFound)?;
        let mut last = AccountError::NameNotFound;
        for address in addresses {
            match dial_address(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = AccountError::io(Step::Dial, &error),
            }
        }
        Err(last)
    }
}

async fn dial_address(address: SocketAddr) -> io::Result<TcpStream> {
    timeout(PER_ADDRESS, TcpStream::connect(address)).await?
}
