//! Port: where connections are taken, and the whole of a client's half behind one that speaks SOCKS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::{Client, socks};
use crate::config::Config;
use crate::lanes;
use crate::metrics;
use crate::state::StateDir;
use crate::tunnel::{Protocols, Tunnel};
use crate::xmpp::{AccountPool, Dialer};

/// The pause after a connection could not be taken: 1 second, in which descriptors can become free.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The SOCKS port of the transport, for a Tor that does not launch it.
pub(crate) struct SocksPort {
    listener: TcpListener,
    address: SocketAddr,
    client: Arc<Client>,
    tunnel: Tunnel,
}

impl SocksPort {
    /// Listens there, and starts what is behind it. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When it cannot listen there. Nothing was started then.
    pub(crate) async fn open(
        listen: SocketAddr,
        config: Config,
        state: StateDir,
        dialer: Dialer,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let tunnel = start(&config, dialer);
        let client = Arc::new(Client::new(tunnel.clone(), config, state));
        Ok(Self { listener, address, client, tunnel })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the streams go through.
    pub(crate) fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    /// Takes connections, each of which is served by a task of its own.
    pub(crate) async fn serve<T>(&self) -> T {
        loop {
            let (tcp, _) = accept(&self.listener).await;
            tokio::spawn(socks::serve(Arc::clone(&self.client), tcp));
        }
    }
}

/// Starts a client's half: its accounts, the protocols that it speaks, and its metrics.
pub(crate) fn start(config: &Config, dialer: Dialer) -> Tunnel {
    let (pool, events) = AccountPool::with_limits(dialer.clone(), &config.limits);
    let lanes::InUse { files, relays } = lanes::of_client(&config.lanes, dialer);
    let protocols = Protocols { files, relays, ..Protocols::of_client(&config.limits) };
    let tunnel = Tunnel::start(pool, events, protocols);
    metrics::start(config.metrics, &tunnel);
    tunnel
}

/// The next connection. For want of file descriptors, perhaps, it may have to be tried again: that passes.
pub(crate) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut said = false;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                if !said {
                    tracing::warn!("a connection could not be taken: {error}; trying again");
                }
                said = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
