//! The user's side: a bridge line and a TCP connection become a stream.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::accounts::open_accounts;
use crate::config::{BridgeConfig, Config, ConfigError, Protocol};
use crate::protocol::{Address, CloseReason};
use crate::pt::Reply;
use crate::state::StateDir;
use crate::tunnel::{ConnectError, Tunnel, TunnelStream};
use crate::xmpp::{AccountError, AccountId};

/// More different warnings than this are not remembered.
const MOST_WARNINGS: usize = 1000;

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
    /// What Tor asked for cannot be written into a header.
    #[error("the address of the bridge line cannot be used; any placeholder will do")]
    BadTarget,
    /// The bridge could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl ClientError {
    /// What to tell Tor.
    pub fn reply(&self) -> Reply {
        match self {
            Self::Config(_) | Self::SecureUnsupported | Self::BadTarget => Reply::GeneralFailure,
            Self::Connect(ConnectError::Rejected(_)) => Reply::NotAllowed,
            Self::Connect(ConnectError::NotOnline(error)) => {
                error.as_ref().map_or(Reply::Timeout, reply_to_account)
            }
            Self::Connect(ConnectError::Closed(reason)) => reply_to_close(*reason),
        }
    }
}

fn reply_to_account(error: &AccountError) -> Reply {
    match error {
        AccountError::Refused => Reply::ConnectionRefused,
        AccountError::NoRoute => Reply::NetworkUnreachable,
        AccountError::NameNotFound => Reply::HostUnreachable,
        AccountError::TimedOut(_) => Reply::Timeout,
        _ => Reply::GeneralFailure,
    }
}

fn reply_to_close(reason: CloseReason) -> Reply {
    match reason {
        CloseReason::Refused => Reply::ConnectionRefused,
        CloseReason::PeerUnavailable
        | CloseReason::ConnectTimedOut
        | CloseReason::PeerSilent
        | CloseReason::SessionLost
        | CloseReason::NoPath => Reply::HostUnreachable,
        CloseReason::NoAccount => Reply::NotAllowed,
        CloseReason::Finished
        | CloseReason::Aborted
        | CloseReason::ProtocolViolation
        | CloseReason::Overflow
        | CloseReason::TooManyStreams => Reply::GeneralFailure,
    }
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
        warnings.iter().for_each(|warning| self.warn_once(&warning.to_string()));
        match bridge.protocol {
            Protocol::Classic => Ok(bridge),
            Protocol::Secure { .. } => Err(ClientError::SecureUnsupported),
        }
    }

    /// Warns of something that will come up with every connection: Tor tries again several times a second.
    pub fn warn_once(&self, text: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < MOST_WARNINGS && said.insert(text.to_owned()) {
            tracing::warn!("{text}");
        } else {
            tracing::debug!("{text}");
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
        let stream = self.tunnel.connect(&accounts, &bridge.peers, local, remote, timeout).await?;
        // What went wrong before went right now: it is news when it goes wrong again.
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|text| text.starts_with("bridge line"));
        Ok(stream)
    }
}
