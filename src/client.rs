//! Client: a bridge line and a TCP connection of an application become a stream.

mod lease;
mod log_once;
mod logins;
mod port;
pub(crate) mod socks;

use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use safelog::sensitive;
use tokio::net::TcpStream;
use tor_pt::Reply;

use crate::accounts::{KeptHints, KeptQuotas, Registrations, are_to_be_kept, name_in_file, open_accounts};
use crate::config::{AccountConfig, BridgeConfig, Config, ConfigError, LoginsIn, Protocol};
use crate::protocol::{Address, CloseReason};
use crate::relay::relay;
use crate::state::StateDir;
use crate::tunnel::{ConnectError, MOST_FIRST_BYTES, SecureBridge, Tunnel, TunnelStream};
use crate::xmpp::{
    AccountError, AccountId, AccountName, Binding, Item, Persistence, ProxyFault, StreamManagement, Usage,
};
use lease::{Keeper, Lease};
pub use log_once::BridgeName;
use log_once::LogOnce;
pub use logins::LoginLimits;
pub(crate) use port::{SocksPort, accept, start};

/// What the log says of a bridge whose accounts are to blame.
const NO_ACCOUNT: &str = "no account to reach it by is online";

/// Connects to bridges.
pub struct Client {
    tunnel: Tunnel,
    config: Config,
    state: Arc<StateDir>,
    log_once: Mutex<LogOnce>,
    keeper: Arc<Keeper>,
}

/// A bridge, and what the log calls it.
#[derive(Clone)]
pub struct NamedBridge {
    config: BridgeConfig,
    name: Option<BridgeName>,
}

impl NamedBridge {
    /// How it is reached.
    pub fn config(&self) -> &BridgeConfig {
        &self.config
    }
}

/// One that no log calls anything.
impl From<BridgeConfig> for NamedBridge {
    fn from(config: BridgeConfig) -> Self {
        Self { config, name: None }
    }
}

/// A stream to a bridge. The logins that it uses stay for as long as it lives.
pub struct BridgeStream {
    stream: TunnelStream,
    tunnel: Tunnel,
    accounts: Vec<AccountId>,
    _lease: Option<Lease>,
}

impl BridgeStream {
    /// The stream itself.
    pub fn stream(&self) -> &TunnelStream {
        &self.stream
    }

    /// Relays between it and `tcp` until it is closed.
    ///
    /// # Errors
    ///
    /// Why the target was never reached, where the bridge was only [asked](Client::ask).
    pub async fn relay(self, tcp: TcpStream) -> Result<(), ConnectError> {
        let relay = relay(tcp, &self.stream);
        tokio::pin!(relay);
        let fault = tokio::select! {
            () = &mut relay => None,
            // In a box, so that the task has no room for it while it relays.
            fault = Box::pin(self.tunnel.follow(&self.accounts, &self.stream)) => {
                relay.await;
                fault
            }
        };
        match (fault, self.stream.refusal()) {
            (Some(fault), _) => Err(fault),
            (None, None | Some(CloseReason::Finished | CloseReason::Aborted)) => Ok(()),
            (None, Some(reason)) => Err(self.tunnel.cause(&self.accounts, reason)),
        }
    }
}

/// Why there is no stream to a bridge.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The bridge line, or the configuration file under it, can never work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What Tor asked for cannot be written into a header.
    #[error("the address of the bridge line cannot be used; any placeholder will do")]
    BadTarget,
    /// All logins that there may be of bridge lines are in use.
    #[error(
        "there are too many logins of bridge lines; trying again when others are not used any more can help"
    )]
    TooManyLogins,
    /// The bridge could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl ClientError {
    /// Whether it is the fault of an account, which the account's own lines in the log explain, with advice as soon as an
    /// attempt to log in again has failed.
    pub fn is_announced(&self) -> bool {
        matches!(self, Self::Connect(error) if error.is_announced())
    }

    /// What to tell Tor.
    pub fn reply(&self) -> Reply {
        match self {
            Self::Config(_) | Self::BadTarget | Self::TooManyLogins => Reply::GeneralFailure,
            Self::Connect(ConnectError::Rejected(error)) => reply_to_account(error),
            Self::Connect(ConnectError::NotOnline(error)) => {
                error.as_ref().map_or(Reply::Timeout, reply_to_account)
            }
            Self::Connect(ConnectError::WrongClock(_)) => reply_to_close(CloseReason::LineRefused),
            Self::Connect(ConnectError::Closed(reason)) => reply_to_close(*reason),
        }
    }
}

fn reply_to_account(error: &AccountError) -> Reply {
    match error {
        AccountError::Neither { server, .. } => reply_to_account(server),
        AccountError::Elsewhere(elsewhere) => reply_to_account(elsewhere.fault()),
        AccountError::RecordsUnknown(unknown) => reply_to_account(unknown.fault()),
        AccountError::Refused | AccountError::Closed(_) => Reply::ConnectionRefused,
        AccountError::NoRoute => Reply::NetworkUnreachable,
        AccountError::HostUnreachable
        | AccountError::NoAddress(_)
        | AccountError::OnionWithoutProxy
        | AccountError::NoPort
        | AccountError::NotOffered
        | AccountError::Dns(_) => Reply::HostUnreachable,
        AccountError::TimedOut(_) | AccountError::Proxy(ProxyFault::Silent | ProxyFault::Stalled(_)) => {
            Reply::Timeout
        }
        AccountError::BadSource => Reply::AddressNotSupported,
        AccountError::WrongPassword
        | AccountError::AccountDisabled
        | AccountError::PasswordExpired
        | AccountError::NotAnonymous
        | AccountError::LoginRefused(_)
        | AccountError::Registration(..)
        // What servers say to who is barred.
        | AccountError::OverLimit(..)
        | AccountError::StreamError(_, "policy-violation" | "not-authorized", _)
        | AccountError::EndedBeforeTls("policy-violation" | "not-authorized", _) => Reply::NotAllowed,
        error if error.lets_in_no_session() => Reply::NotAllowed,
        _ => Reply::GeneralFailure,
    }
}

fn reply_to_close(reason: CloseReason) -> Reply {
    match reason {
        CloseReason::Refused => Reply::ConnectionRefused,
        CloseReason::PeerUnavailable
        | CloseReason::LineRefused
        | CloseReason::PeerServerUnreachable
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
    /// A client that connects through `tunnel`. `config` gives what a bridge line leaves open. Must be called within a
    /// Tokio runtime.
    pub fn new(tunnel: Tunnel, config: Config, state: impl Into<Arc<StateDir>>) -> Self {
        Self::with_login_limits(tunnel, config, state, LoginLimits::default())
    }

    /// The same, with other bounds for the logins that only requests bring.
    pub fn with_login_limits(
        tunnel: Tunnel,
        config: Config,
        state: impl Into<Arc<StateDir>>,
        limits: LoginLimits,
    ) -> Self {
        let (keeper, state) = (Keeper::start(tunnel.clone(), limits), state.into());
        tunnel.pool().keep_registrations(Arc::new(Registrations::new(Arc::clone(&state))));
        tunnel.pool().keep_hints(Arc::new(KeptHints::new(Arc::clone(&state))));
        tunnel.keep_quotas(Arc::new(KeptQuotas::new(Arc::clone(&state))));
        Self { tunnel, config, state, log_once: Mutex::default(), keeper }
    }

    /// What the log calls the bridge that these arguments of a bridge line are for, in which this address stands.
    pub fn name<K: Hash, V: Hash>(
        &self,
        arguments: &[(K, V)],
        address: Option<SocketAddr>,
    ) -> Option<BridgeName> {
        self.log_once().name(arguments, address)
    }

    /// What the arguments of a bridge line mean.
    ///
    /// # Errors
    ///
    /// [`ClientError::Config`]: trying again cannot help.
    pub fn resolve<K: AsRef<[u8]> + Hash, V: AsRef<[u8]> + Hash>(
        &self,
        arguments: &[(K, V)],
    ) -> Result<NamedBridge, ClientError> {
        let pairs = arguments.iter().map(|(key, value)| (key, value));
        let (config, warnings) = BridgeConfig::resolve(pairs, &self.config)?;
        let name = self.name(arguments, None);
        self.introduce(name, &config);
        warnings.iter().for_each(|warning| self.warn_once(name, &warning.to_string()));
        Ok(NamedBridge { config, name })
    }

    /// Says which bridge a name stands for, where JIDs are shown.
    fn introduce(&self, name: Option<BridgeName>, bridge: &BridgeConfig) {
        let peers: Vec<_> = bridge.peers.iter().map(|peer| peer.as_str()).collect();
        let Some(name) = name else { return };
        if self.log_once().is_news(Some(name), "bridge line") {
            tracing::debug!("{name} is reached at {}", sensitive(peers.join(",")));
        }
    }

    /// Warns of something that will come up with every connection to this bridge, or to any: Tor tries again several
    /// times a second.
    pub fn warn_once(&self, about: Option<BridgeName>, text: &str) {
        self.log_news(about, text, |text| tracing::warn!("{text}"));
    }

    /// Says why there is no stream to this bridge, which will come up with every connection, too. The fault of an account is said once and
    /// for all its bridges, by the account; of the bridge only that it is one of these.
    pub fn explain_once(&self, bridge: Option<BridgeName>, error: &ClientError) {
        match error {
            error if error.is_announced() => {
                self.log_news(bridge, NO_ACCOUNT, |text| tracing::info!("{text}"));
            }
            // That there are too many is not for each of them to say.
            ClientError::TooManyLogins => self.warn_once(None, &error.to_string()),
            error => self.warn_once(bridge, &error.to_string()),
        }
    }

    /// Logs a text with what it is about: by `log` where it is news, and else for whoever debugs.
    fn log_news(&self, about: Option<BridgeName>, text: &str, log: impl FnOnce(&str)) {
        let is_news = self.log_once().is_fault_to_say(Instant::now(), about, text);
        let text = about.map_or_else(|| text.to_owned(), |bridge| format!("{text} ({bridge})"));
        if is_news { log(&text) } else { tracing::debug!("{text}") }
    }

    /// Something worked: its faults are news again.
    pub fn recovered(&self, bridge: Option<BridgeName>) {
        self.log_once().recovered(bridge);
    }

    fn log_once(&self) -> MutexGuard<'_, LogOnce> {
        self.log_once.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says once that nothing is kept for the next run, unless an account that has to be kept says so itself.
    fn note_state(&self, bridge: &BridgeConfig) {
        if let Some(reason) = self.state.ephemeral_because()
            && !are_to_be_kept(&self.state, &bridge.accounts)
            && self.log_once().is_news(None, "nothing will be kept")
        {
            tracing::info!("nothing will be kept for the next run: {}", reason.with_advice());
        }
    }

    /// Logs in to what the bridge needs, for good; [`connect`](Self::connect) does it too, for as long as it takes.
    pub fn log_in(&self, bridge: &NamedBridge) -> Vec<AccountId> {
        let NamedBridge { config: bridge, name } = bridge;
        let management = match bridge.protocol {
            Protocol::Secure { .. } => StreamManagement::Unwanted,
            Protocol::Classic => StreamManagement::Wanted,
        };
        // What a user waits for begins with a login.
        let usage = Usage { management, binding: Binding::Presumed, persistence: Persistence::Lasting };
        self.note_state(bridge);
        let name = |number, account: &AccountConfig| name_of_login(number, account, bridge, *name);
        open_accounts(self.tunnel.pool(), &self.state, &bridge.accounts, usage, name)
    }

    /// The accounts for a stream. Those that the bridge line itself has brought are not used for longer than it.
    fn accounts_for(&self, bridge: &NamedBridge) -> Result<(Vec<AccountId>, Option<Lease>), ClientError> {
        if !bridge.config.brings_logins {
            return Ok((self.log_in(bridge), None));
        }
        let lease = self.keeper.lease(|| self.log_in(bridge)).ok_or(ClientError::TooManyLogins)?;
        Ok((lease.accounts().to_vec(), Some(lease)))
    }

    /// A connection through `bridge` to `remote`, for the application at `local`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`], [`ClientError::TooManyLogins`].
    pub async fn connect(
        &self,
        bridge: &NamedBridge,
        local: Address,
        remote: Address,
    ) -> Result<BridgeStream, ClientError> {
        let (accounts, lease) = self.accounts_for(bridge)?;
        let timeout = self.config.limits.connect_timeout;
        let stream = match secure_bridge(&bridge.config) {
            Some(secure) => self.tunnel.connect_secure(&accounts, &secure, remote, timeout).await?,
            None => self.tunnel.connect(&accounts, &bridge.config.peers, local, remote, timeout).await?,
        };
        Ok(BridgeStream { stream, tunnel: self.tunnel.clone(), accounts, _lease: lease })
    }

    /// The same for the application at the other end of `tcp`, at `local`, without waiting for the bridge where the protocol allows that:
    /// what the application has said by then goes with the question. With classic the target is always reached then.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`], [`ClientError::TooManyLogins`].
    pub async fn ask(
        &self,
        bridge: &NamedBridge,
        tcp: &TcpStream,
        local: Address,
        remote: Address,
    ) -> Result<BridgeStream, ClientError> {
        let Some(secure) = secure_bridge(&bridge.config) else {
            return self.connect(bridge, local, remote).await;
        };
        let (accounts, lease) = self.accounts_for(bridge)?;
        let timeout = self.config.limits.connect_timeout;
        let first = || said_by_now(tcp);
        let stream = self.tunnel.ask_secure(&accounts, &secure, remote, timeout, first).await?;
        Ok(BridgeStream { stream, tunnel: self.tunnel.clone(), accounts, _lease: lease })
    }
}

/// What the log calls the login of this number to reach a bridge: by where somebody has written it.
fn name_of_login(
    number: usize,
    account: &AccountConfig,
    bridge: &BridgeConfig,
    name: Option<BridgeName>,
) -> AccountName {
    let item = Item { number, of: bridge.accounts.len() };
    match bridge.logins_in {
        LoginsIn::Sections => name_in_file(number, account),
        LoginsIn::Client => AccountName::OfClient(item),
        LoginsIn::Line => {
            let bridge = name.map_or_else(|| "a bridge line".to_owned(), |name| name.to_string());
            AccountName::OfLine(item, bridge)
        }
    }
}

/// What an application has said without waiting for anything. If its connection is at an end, or broken, whoever reads next sees it, too.
fn said_by_now(tcp: &TcpStream) -> Vec<u8> {
    let mut first = vec![0; MOST_FIRST_BYTES];
    let length = tcp.try_read(&mut first).unwrap_or(0);
    first.truncate(length);
    first
}

/// The bridge, if it has a key: then nothing less than the secure protocol will do.
fn secure_bridge(bridge: &BridgeConfig) -> Option<SecureBridge> {
    let Protocol::Secure { key, psk } = &bridge.protocol else { return None };
    let psk = psk.as_ref().map(|psk| *psk.expose());
    let peers = bridge.peers.iter().filter_map(|peer| peer.clone().try_into_full().ok());
    Some(SecureBridge::new(*key.as_bytes(), psk, peers))
}
