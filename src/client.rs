//! The user's side: a bridge line and a TCP connection become a stream.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::accounts::open_accounts;
use crate::classic::Address;
use crate::config::{BridgeConfig, Config, ConfigError, Protocol, Warning};
use crate::state::StateDir;
use crate::tunnel::{ConnectError, Tunnel, TunnelStream};
use crate::xmpp::AccountId;

/// Connects to bridges.
pub struct Client {
    tunnel: Tunnel,
    config: Config,
    state: StateDir,
    /// What was said already, so that it is not said again for each connection.
    said: Mutex<BTreeSet<String>>,
}

/// Why there is no stream to a bridge.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The bridge line, or the configuration file under it, can never work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The bridge line asks for what this version cannot do.
    #[error("bridge line: it has a key, and this version does not speak the secure protocol yet")]
    SecureUnsupported,
    /// The bridge could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl Client {
    /// A client that connects through `tunnel`. `config` gives what a bridge line leaves open.
    pub fn new(tunnel: Tunnel, config: Config, state: StateDir) -> Self {
        Self { tunnel, config, state, said: Mutex::default() }
    }

    /// What the arguments of a bridge line mean.
    ///
    /// # Errors
    ///
    /// [`ClientError::Config`] and [`ClientError::SecureUnsupported`]: trying again cannot help.
    pub fn resolve<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        arguments: impl IntoIterator<Item = (K, V)>,
    ) -> Result<BridgeConfig, ClientError> {
        let (bridge, warnings) = BridgeConfig::resolve(arguments, &self.config)?;
        warnings.iter().for_each(|warning| self.warn_once(warning));
        match bridge.protocol {
            Protocol::Classic => Ok(bridge),
            Protocol::Secure { .. } => Err(ClientError::SecureUnsupported),
        }
    }

    fn warn_once(&self, warning: &Warning) {
        let text = warning.to_string();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < 1000 && said.insert(text.clone()) {
            tracing::warn!("{text}");
        }
    }

    /// Logs in to what the bridge needs; [`connect`](Self::connect) does it too, later.
    pub fn log_in(&self, bridge: &BridgeConfig) -> Vec<AccountId> {
        open_accounts(self.tunnel.pool(), &self.state, &bridge.accounts)
    }

    /// A connection through `bridge` to `remote`, for the application at `local`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`].
    pub async fn connect(
        &self,
        bridge: &BridgeConfig,
        local: Address,
        remote: Address,
    ) -> Result<TunnelStream, ClientError> {
        let accounts = self.log_in(bridge);
        let timeout = self.config.limits.connect_timeout;
        Ok(self.tunnel.connect(&accounts, &bridge.peers, local, remote, timeout).await?)
    }
}
