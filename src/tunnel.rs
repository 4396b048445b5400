//! Tunnel: streams as `AsyncRead + AsyncWrite`, over accounts at chat servers.
//!
//! A [`Tunnel`] joins the protocol cores, the [desk](crate::carrier::Desk) and an account pool. Cores and desk sit behind a mutex that
//! is held for microseconds (for a millisecond where a large set of a stranger's has to be parsed) and never across an await: whoever
//! touches a stream drains the cores on the spot and hands the stanzas to the accounts, so that a write reaches the account's task without a detour through another one. The driver
//! task does the same for stanzas that come in and for timeouts. What a stanza looks like is for the desk to know.

mod announce;
pub mod bounds;
mod clocks;
mod cores;
mod drain;
mod driver;
mod entropy;
mod files;
mod handshake_log;
mod known_faults;
mod quotas;
mod relays;
mod services;
mod set_back;
mod sibling_logins;
mod siblings;
mod standing;
mod stats;
mod stream;
mod trace;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use xmpp_parsers::jid::{FullJid, Jid};

use crate::carrier::Desk;
use crate::carrier::ibb::Bytestreams;
use crate::carrier::services::discovery::Wanted;
use crate::protocol::{AccountChange, Address, CloseReason};
use crate::secure::Bridge;
use crate::xmpp::{AccountError, AccountEvent, AccountId, AccountPool};

use crate::{classic, secure};
use announce::Announcer;
use clocks::Clocks;
pub use clocks::WrongClock;
use cores::{Cores, StreamKey};
use entropy::ThreadEntropy;
pub use files::FileLane;
use files::Files;
pub use handshake_log::KeepHandshake;
pub(crate) use known_faults::AGAIN;
pub use quotas::QuotaStore;
pub use relays::RelayLane;
use relays::Relays;
pub use secure::{MOST_FIRST_BYTES, Measured};
use services::Finder;
pub use set_back::ClockWasAhead;
use siblings::Siblings;
pub use stats::{AccountCounts, Stats};
pub use stream::TunnelStream;
use trace::Outlet;
pub use trace::{TracedLogin, TunnelEvent};

/// How long a connect waits for the slower ones of several accounts once one is online. Accounts that
/// come later than that cannot join a connection any more (the aliases are part of its key).
const LATECOMER_GRACE: Duration = Duration::from_secs(3);

/// How long streams that are being closed may take when the program ends: 2 seconds.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// How a tunnel speaks its two protocols.
pub struct Protocols {
    /// The protocol document's.
    pub classic: classic::Config,
    /// The secure one.
    pub secure: secure::Config,
    /// What a bridge needs to let clients of the secure protocol in, and where it writes down whom it has let in.
    pub service: Option<(secure::Service, KeepHandshake)>,
    /// How sessions use files, if they do.
    pub files: Option<FileLane>,
    /// How sessions use relays of servers, if they do.
    pub relays: Option<RelayLane>,
}

/// All streams over a pool of accounts. Clones share everything.
#[derive(Clone)]
pub struct Tunnel {
    shared: Arc<Shared>,
}

/// Why there is no stream.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// None of the accounts can log in: ever, for hours, or before somebody has changed something. This is why the last one cannot.
    #[error("cannot log in to the chat server: {0}")]
    Rejected(AccountError),
    /// None of the accounts is online, as far as their servers have said; this is why, if it is known.
    #[error("the chat server was not reached in time: {}", .0.as_ref().map_or_else(|| "no answer yet".to_owned(), ToString::to_string))]
    NotOnline(Option<AccountError>),
    /// The bridge's account is there and does not accept what we say, and our clock is a reason for that.
    #[error(
        "the bridge's account is online and lets nobody in with the time that we say: {0}; set it; connecting again can help then"
    )]
    WrongClock(WrongClock),
    /// The bridge could not be reached, or did not want.
    #[error(transparent)]
    Closed(#[from] CloseReason),
}

impl ConnectError {
    /// Whether it is the fault of an account, which the account's own lines in the log explain, with advice as soon as an
    /// attempt to log in again has failed.
    pub fn is_announced(&self) -> bool {
        matches!(self, Self::Rejected(_) | Self::NotOnline(Some(_)))
    }
}

/// A bridge of the secure protocol, and where it is reached.
#[derive(Clone, Debug)]
pub struct SecureBridge {
    line: secure::BridgeLine,
    peers: BTreeSet<FullJid>,
}

impl SecureBridge {
    /// The bridge with this public key, and this secret if it is a private one, that is reached at `peers`.
    pub fn new(key: [u8; 32], psk: Option<[u8; 32]>, peers: impl IntoIterator<Item = FullJid>) -> Self {
        Self { line: secure::BridgeLine::new(key, psk), peers: peers.into_iter().collect() }
    }
}

/// Someone asks for a connection. Dropping it refuses.
pub struct Incoming {
    target: Address,
    stream: TunnelStream,
}

struct Shared {
    state: Mutex<State>,
    pool: AccountPool,
    /// The driver should look at its timer again.
    timer_changed: Notify,
    /// Another [`Incoming`] is there.
    incoming: Notify,
    /// The last stream may be gone.
    closed: Notify,
    /// An account has failed for good, and the log says so.
    failed: Notify,
    /// How many sessions with bridges have come up.
    sessions_up: watch::Sender<u64>,
    /// Who keeps what accounts have used of their quotas.
    quotas: OnceLock<quotas::Keeper>,
    /// Whether others are let in.
    is_bridge: bool,
    /// To whoever writes accepted handshakes down.
    records: mpsc::UnboundedSender<secure::HandshakeRecord>,
}

/// What the mutex protects.
#[derive(Debug)]
struct State {
    cores: Cores,
    desk: Desk,
    /// Between the secure core and its stanzas.
    bytestreams: Bytestreams,
    wakers: BTreeMap<StreamKey, Wakers>,
    /// Connects of ours that have reached their targets.
    connected: BTreeSet<StreamKey>,
    incoming: VecDeque<(StreamKey, Address)>,
    /// Somebody waits until there are no streams. Otherwise nobody asks, since that takes a look at every session.
    is_awaited: bool,
    /// What the driver sleeps until.
    armed: Option<Instant>,
    announcer: Announcer,
    siblings: Siblings,
    finder: Finder,
    clocks: Clocks,
    /// Where sessions use files.
    files: Option<Files>,
    /// Where they use relays.
    relays: Option<Relays>,
    /// Where somebody wants a trace.
    trace: Option<Outlet>,
}

/// Who waits for a stream.
#[derive(Debug, Default)]
struct Wakers {
    read: Option<Waker>,
    write: Option<Waker>,
    connect: Option<Waker>,
}

impl Tunnel {
    /// A tunnel over `pool`, whose events are `events`. It runs until the last clone is dropped.
    pub fn start(
        pool: AccountPool,
        events: mpsc::Receiver<(AccountId, AccountEvent)>,
        protocols: Protocols,
    ) -> Self {
        let Protocols { classic, secure, service, files: lane, relays: relay_lane } = protocols;
        let lanes = secure::Lanes { files: lane.is_some(), relays: relay_lane.is_some() };
        let secure = secure::Config { lanes, ..secure };
        let wanted = Wanted {
            uploads: lane.as_ref().is_some_and(FileLane::looks_for_services),
            relays: relay_lane.as_ref().is_some_and(RelayLane::looks_for_proxies),
        };
        let desk = Desk::new(&rand::random()).with_uploads(wanted.uploads).with_relays(wanted.relays);
        let (service, keep) = service.unzip();
        let is_bridge = service.is_some() || !classic.accept_on.is_empty();
        let (commands, to_carry) = mpsc::unbounded_channel();
        let files = lane.clone().map(|lane| Files::new(lane, commands));
        let (calls, to_call) = mpsc::unbounded_channel();
        let has_relays = relay_lane.is_some();
        let relays = relay_lane.map(|lane| Relays::new(lane, calls));
        let finder = Finder::new(wanted);
        let (records, to_remember) = mpsc::unbounded_channel();
        let cores = Cores {
            classic: classic::Endpoint::new(classic),
            secure: secure::Endpoint::new(secure, service, Box::new(ThreadEntropy)),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(cores, desk, finder, (files, relays))),
            pool,
            timer_changed: Notify::new(),
            incoming: Notify::new(),
            closed: Notify::new(),
            failed: Notify::new(),
            sessions_up: watch::Sender::new(0),
            quotas: OnceLock::new(),
            is_bridge,
            records,
        });
        if let Some(keep) = keep {
            tokio::spawn(handshake_log::run(Arc::downgrade(&shared), keep, to_remember));
        }
        if let Some(lane) = lane {
            tokio::spawn(files::run(Arc::downgrade(&shared), lane, to_carry));
        }
        if has_relays {
            tokio::spawn(relays::run(Arc::downgrade(&shared), to_call));
        }
        tokio::spawn(driver::run(Arc::downgrade(&shared), events));
        Self { shared }
    }

    /// Asks a bridge of the secure protocol for a connection to `target`, and waits until there is one, within `timeout`.
    ///
    /// # Errors
    ///
    /// Why there is none. A [`ConnectError::Rejected`] comes as soon as it is known.
    pub async fn connect_secure(
        &self,
        accounts: &[AccountId],
        bridge: &SecureBridge,
        target: Address,
        timeout: Duration,
    ) -> Result<TunnelStream, ConnectError> {
        let deadline = tokio::time::Instant::now() + timeout;
        let stream = self.ask_secure(accounts, bridge, target, timeout, Vec::new).await?;
        self.in_time(accounts, deadline, stream.connected()).await.map(|()| stream)
    }

    /// The same, but waits only until an account can send, for `timeout` at most. `first` says then what the application has written
    /// already, [`MOST_FIRST_BYTES`] at most: it goes with the question, round trips earlier, and so does
    /// what is written soon. It is lost if the bridge refuses.
    ///
    /// # Errors
    ///
    /// Why the bridge cannot be asked. Why it cannot be reached is for the stream and [`follow`](Self::follow) to say.
    pub async fn ask_secure(
        &self,
        accounts: &[AccountId],
        bridge: &SecureBridge,
        target: Address,
        timeout: Duration,
        first: impl FnOnce() -> Vec<u8>,
    ) -> Result<TunnelStream, ConnectError> {
        let deadline = tokio::time::Instant::now() + timeout;
        self.wait_for_accounts(accounts, deadline, Duration::ZERO).await?;
        let pool = &self.shared.pool;
        let uploaders: Vec<_> =
            accounts.iter().copied().filter(|account| pool.uploader(*account).is_some()).collect();
        let accounts = pool.with_siblings(accounts);
        let bridge = Bridge { line: bridge.line.clone(), peers: bridge.peers.clone(), accounts };
        let first = first();
        let key = self.shared.with(|state, now| {
            let id = state.cores.secure.connect_and_write(now, &bridge, target, &first)?;
            let key = StreamKey::Secure(id);
            state.finder.on_connect(key, &uploaders);
            Ok::<_, CloseReason>(key)
        })?;
        Ok(TunnelStream::new(Arc::clone(&self.shared), key))
    }

    /// Asks the hexchat peer behind one of `peers` for a connection to `remote` on behalf of the
    /// application at `local`, through `accounts`. The peers are tried in turn, all within `timeout`.
    ///
    /// # Errors
    ///
    /// Why the last attempt failed. A [`ConnectError::Rejected`] comes as soon as it is known.
    pub async fn connect(
        &self,
        accounts: &[AccountId],
        peers: &[Jid],
        local: Address,
        remote: Address,
        timeout: Duration,
    ) -> Result<TunnelStream, ConnectError> {
        let deadline = tokio::time::Instant::now() + timeout;
        self.wait_for_accounts(accounts, deadline, LATECOMER_GRACE).await?;
        let mut failure = ConnectError::NotOnline(None);
        for peer in peers {
            let attempt = self.connect_to(accounts, peer, &local, &remote);
            match self.in_time(accounts, deadline, attempt).await {
                // Another peer may be there. It cannot help where the time is over, or the accounts are to blame.
                Err(ConnectError::Closed(reason)) if reason != CloseReason::ConnectTimedOut => {
                    failure = reason.into();
                }
                outcome => return outcome,
            }
        }
        Err(failure)
    }

    async fn connect_to(
        &self,
        accounts: &[AccountId],
        peer: &Jid,
        local: &Address,
        remote: &Address,
    ) -> Result<TunnelStream, CloseReason> {
        let id = self.shared.with(|state, now| {
            state.cores.classic.connect(now, accounts, peer.clone(), local.clone(), remote.clone())
        })?;
        let stream = TunnelStream::new(Arc::clone(&self.shared), StreamKey::Classic(id));
        stream.connected().await?;
        Ok(stream)
    }

    /// The next connection that someone asks for.
    pub async fn accept(&self) -> Incoming {
        loop {
            let more = self.shared.incoming.notified();
            // Taken in a statement of its own, so that the lock is free again.
            let next = self.shared.lock().incoming.pop_front();
            if let Some((key, target)) = next {
                return Incoming { target, stream: TunnelStream::new(Arc::clone(&self.shared), key) };
            }
            more.await;
        }
    }

    /// Lets this keep what accounts have used of their quotas; said before the first account is online. Must be called within a Tokio
    /// runtime.
    pub fn keep_quotas(&self, store: Arc<dyn QuotaStore>) {
        // The first one stays.
        let _ = self.shared.quotas.set(quotas::Keeper::start(store));
    }

    /// How many sessions with bridges have come up so far. The classic protocol has none: its first stream counts for one.
    pub fn sessions_up(&self) -> watch::Receiver<u64> {
        self.shared.sessions_up.subscribe()
    }

    /// The accounts, to open and watch them.
    pub fn pool(&self) -> &AccountPool {
        &self.shared.pool
    }

    /// Logs an account out, and lets nothing use it any more. For one whose streams are closed: others are broken.
    pub fn close_account(&self, id: AccountId) {
        let siblings = self.shared.pool.siblings(id);
        self.shared.pool.close(id);
        self.shared.with(|state, now| {
            state.cores.handle_account(now, id, AccountChange::Gone);
            state.announcer.forget(id);
            state.desk.handle_closed(id);
            state.finder.on_gone(id);
            state.clocks.on_gone(id);
            self.shared.close_siblings_of(state, now, id, &siblings);
        });
    }

    /// Waits until none of `accounts` can ever be used again and the log says why.
    pub async fn all_failed(&self, accounts: &[AccountId]) {
        loop {
            let another = self.shared.failed.notified();
            // The lock must be free again while we wait.
            let all = {
                let state = self.shared.lock();
                accounts.iter().all(|id| state.announcer.has_failed(*id))
            };
            if all {
                return;
            }
            another.await;
        }
    }

    /// Waits until there are no streams, those included that are only being closed.
    pub async fn drained(&self) {
        loop {
            let closed = self.shared.closed.notified();
            {
                let mut state = self.shared.lock();
                if state.cores.is_idle() {
                    return;
                }
                state.is_awaited = true;
            }
            closed.await;
        }
    }

    /// Closes all streams, which may take as long as `patience`, and logs out.
    pub async fn shutdown(&self, patience: Duration) {
        self.shared.with(|state, now| state.cores.finish_all(now));
        let _ = tokio::time::timeout(patience, self.drained()).await;
        self.shared.with(|state, now| {
            state.cores.log_remains(state.bytestreams.count());
            state.cores.secure.say_goodbye(now);
            state.cores.secure.tell_quotas();
        });
        if let Some(keeper) = self.shared.quotas.get() {
            keeper.flush().await;
        }
        self.shared.write_relays().await;
        Shared::end_trace(&mut self.shared.lock());
        self.shared.pool.shutdown().await;
    }
}

impl Incoming {
    /// Where the peer wants to be connected to.
    pub fn target(&self) -> &Address {
        &self.target
    }

    /// Waits until nobody asks for it any more: the peer has broken it off, or its session is over.
    pub async fn closed(&self) {
        self.stream.closed().await;
    }

    /// Tells the peer that the target was reached.
    pub fn accept(self) -> TunnelStream {
        self.stream.accept();
        self.stream
    }

    /// Tells the peer that the target is not to be reached.
    pub fn refuse(self) {
        drop(self.stream);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves a core that is odd at worst, and streams that time out.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `action` work on the state and then does everything that follows from it.
    fn with<T>(&self, action: impl FnOnce(&mut State, Instant) -> T) -> T {
        // As the runtime has it, whose timers the cores' deadlines become.
        let now = tokio::time::Instant::now().into_std();
        let mut state = self.lock();
        let result = action(&mut state, now);
        self.drain(&mut state, now);
        result
    }
}

impl State {
    fn new(
        cores: Cores,
        desk: Desk,
        finder: Finder,
        (files, relays): (Option<Files>, Option<Relays>),
    ) -> Self {
        Self {
            cores,
            desk,
            bytestreams: Bytestreams::default(),
            wakers: BTreeMap::new(),
            connected: BTreeSet::new(),
            incoming: VecDeque::new(),
            is_awaited: false,
            armed: None,
            announcer: Announcer::default(),
            siblings: Siblings::default(),
            finder,
            clocks: Clocks::default(),
            files,
            relays,
            trace: None,
        }
    }
}
