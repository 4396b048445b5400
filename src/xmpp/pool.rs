//! Pool: all accounts of this process, each with a task of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::{mpsc, oneshot, watch};
use xmpp_parsers::jid::{BareJid, Jid, ResourcePart};

use super::account::{self, Command, Kept, Mailbox, Remembered};
use super::api::{AccountEvent, AccountStatus, Binding, Parcel, Persistence, StreamManagement, Usage};
use super::backlog::{Backlog, Gauge};
use super::dialer::Dialer;
use super::error::AccountError;
use super::hints::Hints;
use super::name::AccountName;
use super::outbox::Outgoing;
use super::registrar::Registrar;
use super::registration::Registry;
use super::reports::Reports;
use super::seen::Observer;
use crate::config::{AccountConfig, Credential, DailyFiles, Limits};
use crate::protocol::AccountId;

/// How many events of all accounts together wait for their reader before accounts stop reading from their servers.
const EVENTS: usize = 1024;

/// Numbers of siblings begin here, far behind those of accounts, so that these are counted 1, 2, 3.
const FIRST_SIBLING: u64 = 1 << 32;

/// Random bytes in the resource of a sibling: 9, which are 12 characters of base64url.
const RESOURCE_BYTES: usize = 9;

/// How long all accounts together may take to log out.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// An account that may upload files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploader {
    /// Whose quota it is.
    pub name: BareJid,
    /// Whom it trusts beside the well-known authorities.
    pub ca_file: Option<PathBuf>,
    /// What it may upload in a day.
    pub daily: DailyFiles,
}

/// All accounts of this process. Clones share them.
#[derive(Clone)]
pub struct AccountPool {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: Dialer,
    max_stanza: usize,
    remembered: Remembered,
    registrar: OnceLock<Arc<Registrar>>,
    hints: OnceLock<Arc<dyn Hints>>,
    observer: OnceLock<Observer>,
    events: mpsc::Sender<(AccountId, AccountEvent)>,
    accounts: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    last: u64,
    last_sibling: u64,
    open: BTreeMap<AccountId, Handle>,
}

struct Handle {
    config: AccountConfig,
    name: AccountName,
    commands: mpsc::UnboundedSender<Command>,
    status: watch::Receiver<AccountStatus>,
    gauge: Arc<Gauge>,
    siblings: Vec<Sibling>,
}

/// A further login of an account: its number, and the resource that it asks for.
type Sibling = (AccountId, ResourcePart);

impl AccountPool {
    /// A pool without accounts, and where the events of its accounts come out: in order for each account. An account
    /// stops reading from its server while nobody takes events out. Limits are the default ones.
    pub fn new(dialer: Dialer) -> (Self, mpsc::Receiver<(AccountId, AccountEvent)>) {
        Self::with_limits(dialer, &Limits::default())
    }

    /// The same with other limits, of which the one on stanzas is kept here.
    pub fn with_limits(dialer: Dialer, limits: &Limits) -> (Self, mpsc::Receiver<(AccountId, AccountEvent)>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        let (max_stanza, remembered, accounts) = (limits.max_stanza, Remembered::default(), Mutex::default());
        let (registrar, hints, observer) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let shared = Shared { dialer, max_stanza, remembered, registrar, hints, observer, events, accounts };
        (Self { shared: Arc::new(shared) }, receiver)
    }

    /// Lets accounts be registered, and this keep them. Without it, none is.
    pub fn keep_registrations(&self, registry: Arc<dyn Registry>) {
        // The first one stays.
        let _ = self.shared.registrar.set(Arc::new(Registrar::new(registry)));
    }

    /// Lets this keep in which way servers were reached, for accounts that are opened from now on.
    pub fn keep_hints(&self, hints: Arc<dyn Hints>) {
        // The first ones stay.
        let _ = self.shared.hints.set(hints);
    }

    /// Lets this observer see how the accounts log in that are opened from now on.
    pub fn observe(&self, observer: Observer) {
        // The first one stays.
        let _ = self.shared.observer.set(observer);
    }

    /// Logs in, from now on and for as long as it takes. Two equal configurations share one account, even one that has
    /// failed: its failure is final; `usage` is as the first of them wanted it. Must be called within a Tokio
    /// runtime.
    pub fn open(&self, config: AccountConfig, usage: impl Into<Usage>) -> AccountId {
        self.open_named(config, usage, None)
    }

    /// The same for one that the log is to call so; the first name that it is given stays.
    pub fn open_named(
        &self,
        config: AccountConfig,
        usage: impl Into<Usage>,
        name: Option<AccountName>,
    ) -> AccountId {
        let mut accounts = self.accounts();
        if let Some((id, _)) = accounts.open.iter().find(|(_, handle)| handle.config == config) {
            return *id;
        }
        accounts.last += 1;
        let id = AccountId(accounts.last);
        let siblings = accounts.reserve_siblings(&config);
        let name = name.unwrap_or(AccountName::Numbered(id.0));
        accounts.open.insert(id, self.start(id, (name, config), usage.into(), siblings));
        id
    }

    /// What the log calls an account.
    pub fn name(&self, id: AccountId) -> AccountName {
        self.accounts().open.get(&id).map_or(AccountName::Numbered(id.0), |handle| handle.name.clone())
    }

    /// The account that a login is of, and what that may send in a day, in bytes on the wire, if there is a bound. Anonymous logins at one
    /// domain are one account.
    pub fn quota(&self, login: AccountId) -> Option<(BareJid, u64)> {
        let accounts = self.accounts();
        let config = &accounts.open.get(&login)?.config;
        Some((config.jid.to_bare(), config.daily_bytes?))
    }

    /// What matters of a login to whoever uploads something by it; none for a component, which is no user of its server's.
    pub fn uploader(&self, login: AccountId) -> Option<Uploader> {
        let accounts = self.accounts();
        let config = &accounts.open.get(&login)?.config;
        let is_user = !matches!(config.credential, Credential::Component(_));
        let (name, ca_file, daily) = (config.jid.to_bare(), config.ca_file.clone(), config.daily_files);
        is_user.then_some(Uploader { name, ca_file, daily })
    }

    /// The siblings that an account may have. None is logged in before it is [opened](Self::open_sibling).
    pub fn siblings(&self, id: AccountId) -> Vec<AccountId> {
        self.named_siblings(id).into_iter().map(|(sibling, _)| sibling).collect()
    }

    /// The same, each with the resource that it asks for.
    pub fn named_siblings(&self, id: AccountId) -> Vec<(AccountId, ResourcePart)> {
        self.accounts().open.get(&id).map(|handle| handle.siblings.clone()).unwrap_or_default()
    }

    /// How many logins an account may have as soon as much waits; it may have more where that lasts.
    pub fn usual_sessions(&self, id: AccountId) -> usize {
        self.accounts().open.get(&id).map_or(1, |handle| handle.config.sessions().usual.into())
    }

    /// These accounts, and behind all of them the siblings that they may have.
    pub fn with_siblings(&self, ids: &[AccountId]) -> Vec<AccountId> {
        ids.iter().copied().chain(ids.iter().flat_map(|id| self.siblings(*id))).collect()
    }

    /// Logs in once more as an account of this pool, under a resource of its own, and tries that once. Its stanzas are not counted, and it
    /// counts on nothing that the server has not said. Must be called within a Tokio runtime.
    pub fn open_sibling(&self, account: AccountId, sibling: AccountId) {
        let mut accounts = self.accounts();
        let Some(handle) = accounts.open.get(&account) else {
            // It was closed meanwhile.
            return;
        };
        let Some((_, resource)) = handle.siblings.iter().find(|(id, _)| *id == sibling) else {
            // It is none of this account.
            return;
        };
        let jid = Jid::from_parts(handle.config.jid.node(), handle.config.jid.domain(), Some(resource));
        let config = AccountConfig { jid, ..handle.config.clone() };
        let usage = Usage {
            management: StreamManagement::Unwanted,
            binding: Binding::Awaited,
            persistence: Persistence::Once,
        };
        let started = self.start(sibling, (handle.name.clone(), config), usage, Vec::new());
        accounts.open.insert(sibling, started);
    }

    fn start(
        &self,
        id: AccountId,
        (name, config): (AccountName, AccountConfig),
        usage: Usage,
        siblings: Vec<Sibling>,
    ) -> Handle {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (status_in, status) = watch::channel(AccountStatus::Connecting { last_error: None });
        let reports = Reports::new(id, self.shared.events.clone(), status_in);
        let gauge = Arc::default();
        let mailbox = Mailbox { name: name.clone(), commands: receiver, reports, gauge: Arc::clone(&gauge) };
        let Shared { dialer, max_stanza, remembered, registrar, hints, observer, .. } = &*self.shared;
        let observer = observer.get().cloned().unwrap_or_default();
        let kept = Kept { registrar: registrar.get().cloned(), hints: hints.get().cloned(), observer };
        let (remembered, dialer) = (remembered.clone(), dialer.clone());
        tokio::spawn(account::run(config.clone(), usage, remembered, dialer, *max_stanza, kept, mailbox));
        Handle { config, name, commands, status, gauge, siblings }
    }

    /// Sends `stanza` when the account is online, behind all that was given to it before, and returns the account's
    /// backlog with it. Never blocks and has no bound: who sends heeds the backlog, and bounds tagged stanzas in flight by
    /// [`AccountEvent::Acked`] and [`AccountEvent::Lost`], one of which follows for each tag unless the account is closed
    /// before. An account that has failed or that does not exist drops the stanza: [`AccountEvent::Lost`].
    pub fn send(&self, id: AccountId, stanza: impl Into<Parcel>, tag: Option<u64>) -> Backlog {
        let mut outgoing = Outgoing { parcel: stanza.into(), tag, counted: None };
        let backlog = self.accounts().open.get(&id).and_then(|handle| {
            outgoing.count(&handle.gauge);
            let backlog = handle.gauge.backlog();
            handle.commands.send(Command::Send(outgoing)).is_ok().then_some(backlog)
        });
        if let (None, Some(tag)) = (backlog, tag) {
            self.report(id, AccountEvent::Lost { tag });
        }
        backlog.unwrap_or_default()
    }

    /// What went by the account is not answered, and perhaps its server is not there any more: it is asked for a sign of life, and the
    /// account logs in anew if there is none.
    pub fn doubt(&self, id: AccountId) {
        if let Some(handle) = self.accounts().open.get(&id) {
            let _ = handle.commands.send(Command::Doubt);
        }
    }

    /// What was handed to the account and is not written yet; nothing for one that does not exist.
    pub fn backlog(&self, id: AccountId) -> Backlog {
        self.accounts().open.get(&id).map(|handle| handle.gauge.backlog()).unwrap_or_default()
    }

    /// For accounts that have no task to speak for them.
    fn report(&self, id: AccountId, event: AccountEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.shared.events.try_send((id, event)) {
            let events = self.shared.events.clone();
            tokio::spawn(async move { events.send(event).await });
        }
    }

    /// The present state; [`AccountError::LoggedOut`] for an account that was closed or never opened.
    pub fn status(&self, id: AccountId) -> AccountStatus {
        self.subscribe(id).borrow().clone()
    }

    /// Follows the state.
    pub fn subscribe(&self, id: AccountId) -> watch::Receiver<AccountStatus> {
        match self.accounts().open.get(&id) {
            Some(handle) => handle.status.clone(),
            None => watch::channel(AccountStatus::Failed(AccountError::LoggedOut)).1,
        }
    }

    /// The states of all accounts, without further logins of theirs.
    pub fn statuses(&self) -> Vec<AccountStatus> {
        let accounts = self.accounts();
        let open = accounts.open.iter().filter(|(id, _)| id.0 < FIRST_SIBLING);
        open.map(|(_, handle)| handle.status.borrow().clone()).collect()
    }

    /// Whether the account was opened and is not closed.
    pub fn is_open(&self, id: AccountId) -> bool {
        self.accounts().open.contains_key(&id)
    }

    /// Sends what was given to the account before, then logs out: unavailable presence, the end of the stream. Returns
    /// at once; no further events are promised. The same configuration opens a new account from now on.
    pub fn close(&self, id: AccountId) {
        if let Some(handle) = self.accounts().open.remove(&id) {
            let _ = handle.commands.send(Command::Close(None));
        }
    }

    /// Closes all accounts and waits until they have logged out, for 2 seconds at most.
    pub async fn shutdown(&self) {
        let open = std::mem::take(&mut self.accounts().open);
        let farewells: Vec<_> = open.into_values().filter_map(farewell).collect();
        let all = async {
            for logged_out in farewells {
                // Nothing is ever sent: the account drops the other end when it is done.
                let _ = logged_out.await;
            }
        };
        let _ = tokio::time::timeout(SHUTDOWN, all).await;
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.shared.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    /// Names for the further logins that this configuration allows.
    fn reserve_siblings(&mut self, config: &AccountConfig) -> Vec<Sibling> {
        let mut reserve = || {
            self.last_sibling += 1;
            (AccountId(FIRST_SIBLING + self.last_sibling), draw_resource())
        };
        (1..config.sessions().most).map(|_| reserve()).collect()
    }
}

/// Which of all siblings this login is, counted from 1; 0 for an account's own login.
pub(crate) fn sibling_number(id: AccountId) -> u64 {
    id.0.saturating_sub(FIRST_SIBLING)
}

/// A resource as Prosody makes them, and the state for first logins: 12 random characters.
fn draw_resource() -> ResourcePart {
    let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; RESOURCE_BYTES]>());
    #[expect(clippy::expect_used, reason = "base64url is ASCII that no profile changes")]
    ResourcePart::from_str(&text).expect("a resource")
}

#[expect(clippy::needless_pass_by_value, reason = "an account must not outlive its farewell in the pool")]
fn farewell(handle: Handle) -> Option<oneshot::Receiver<()>> {
    let (done, logged_out) = oneshot::channel();
    handle.commands.send(Command::Close(Some(done))).ok()?;
    Some(logged_out)
}
