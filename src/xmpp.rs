//! Accounts at chat servers: connect, log in, stay logged in.
//!
//! [`AccountPool`] owns any number of accounts. Each runs in a task of its own, retries faults of the network with a
//! jittered back-off from 1 to 30 seconds, resumes its session where the server can (XEP-0198), and says by
//! [`AccountEvent`]s what happens to it and to the stanzas it was given. A wrong password is final: servers lock
//! accounts that insist.
//!
//! | module | what it is |
//! | --- | --- |
//! | `account` | one login: the task, and its states |
//! | `connector`, `login`, `sasl`, `tls`, `dialer`, `socket` | from a configuration to a stream that is logged in, step by step |
//! | `intake`, `meter` | what the library reads of a server before that, bounded, and why it ended |
//! | `connection` | an established stream, pure: sessions, stream management (XEP-0198), liveness |
//! | `wire` | its bytes between there and the socket |
//! | `records` | TLS records that servers can read without a rest |
//! | `pings` | how a server is asked for a sign of life |
//! | [`flat`] | IQs whose payload is one element of attributes and text, read without a tree |
//! | [`framer`], `scanner` | where elements begin and end, and what each may cost |
//! | [`reader`], `head` | what they mean, also when they cannot be read as a whole |
//! | `outbox` | what waits to be handed over |
//! | `stranger_replies`, `reply_window` | replies to strangers, which make nobody else wait |
//! | `backlog` | how much is not written yet |
//! | `reports` | events and status, without ever blocking the account |
//! | `backoff`, `timing` | how long to wait, and for what |
//!
//! What an account says of its own is the [`persona`](crate::persona)'s.

mod account;
mod backlog;
mod backoff;
mod connection;
mod connector;
mod dialer;
mod error;
pub mod flat;
pub mod framer;
mod head;
mod intake;
mod login;
mod meter;
mod outbox;
mod pings;
pub mod reader;
mod records;
mod reply_window;
mod reports;
mod sasl;
mod scanner;
mod socket;
mod start_tag;
mod stranger_replies;
mod timing;
mod tls;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_xmpp::Stanza;
use xmpp_parsers::jid::FullJid;

use self::account::{Command, Mailbox};
pub use self::backlog::Backlog;
use self::backlog::Gauge;
pub use self::dialer::{Dialer, Dialling};
pub use self::error::{AccountError, Step};
use self::flat::Flat;
use self::outbox::Outgoing;
use self::reports::Reports;
pub use self::socket::Socket;
use crate::config::{AccountConfig, Limits};
pub use crate::protocol::AccountId;

/// How many events of all accounts together wait for their reader before accounts stop reading from their servers.
const EVENTS: usize = 1024;

/// How long all accounts together may take to log out.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// What happened to an account, or to a stanza that it was given.
#[derive(Debug)]
pub enum AccountEvent {
    /// Stanzas can be sent, and `<presence/>` is on its way.
    Online {
        /// As whom the server knows us. The same after every reconnect, except for an anonymous login.
        jid: FullJid,
        /// Whether the session goes on as if nothing had happened (XEP-0198). If not, the server has forgotten
        /// everything, and what was in flight was reported [`Lost`](Self::Lost) just before.
        resumed: bool,
    },
    /// The connection is gone. The account is already at work on the next; stanzas wait for it.
    Suspended {
        /// Why.
        reason: AccountError,
    },
    /// An attempt to connect failed, and another will follow.
    Unreachable(AccountError),
    /// The account has given up for good. Whatever was to be sent was reported [`Lost`](Self::Lost) just before.
    Failed(AccountError),
    /// Somebody asked whether the account is there (XEP-0199). It has answered.
    Pinged {
        /// Who asked.
        by: FullJid,
    },
    /// The server delivered a stanza, other than a ping.
    Stanza(Box<Stanza>),
    /// The server delivered an IQ that was read without a tree.
    Flat(Flat),
    /// The server has the stanza with this tag. (A server without XEP-0198 cannot say so; there, it was written to the
    /// connection.) The addressee may still not get it.
    Acked {
        /// As given to [`AccountPool::send`].
        tag: u64,
    },
    /// Nobody knows whether the server has the stanza with this tag. It is not sent again.
    Lost {
        /// As given to [`AccountPool::send`].
        tag: u64,
    },
    /// The backlog has been above [`Backlog::LIMIT`], and is below half of it now.
    Relieved,
}

/// A stanza to send.
#[derive(Debug)]
pub enum Parcel {
    /// One that the XML library writes.
    Stanza(Box<Stanza>),
    /// One as it goes over the wire.
    Written(Bytes),
    /// A reply to a stranger. It waits behind everything else, and is dropped when too many of them wait.
    Reply(Box<Stanza>),
}

impl Parcel {
    /// A reply to a stranger.
    pub fn reply(stanza: impl Into<Stanza>) -> Self {
        Self::Reply(Box::new(stanza.into()))
    }
}

impl<T: Into<Stanza>> From<T> for Parcel {
    fn from(stanza: T) -> Self {
        Self::Stanza(Box::new(stanza.into()))
    }
}

/// The present state of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// Not online yet.
    Connecting {
        /// Why the last attempt failed.
        last_error: Option<AccountError>,
    },
    /// Online under this name.
    Online(FullJid),
    /// Was online, and is at work to be so again.
    Suspended {
        /// Why it is not.
        last_error: Option<AccountError>,
    },
    /// Never to be online again.
    Failed(AccountError),
}

impl AccountStatus {
    /// Whether waiting can bring it online.
    pub fn may_come_online(&self) -> bool {
        matches!(self, Self::Connecting { .. } | Self::Suspended { .. })
    }

    /// Why it is not online, where that is known.
    pub fn error(&self) -> Option<&AccountError> {
        match self {
            Self::Connecting { last_error } | Self::Suspended { last_error } => last_error.as_ref(),
            Self::Online(_) => None,
            Self::Failed(error) => Some(error),
        }
    }
}

/// Whether an account uses XEP-0198.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamManagement {
    /// The server acknowledges what it has, and a connection that breaks is resumed.
    Wanted,
    /// For whoever notices and repairs losses itself: acknowledgements are a third of all that a server has to handle,
    /// and an account whose connection broke is missed at once and not after minutes of hibernation.
    Unwanted,
}

/// All accounts of this process. Clones share them.
#[derive(Clone)]
pub struct AccountPool {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: Dialer,
    max_stanza: usize,
    events: mpsc::Sender<(AccountId, AccountEvent)>,
    accounts: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    last: u64,
    open: BTreeMap<AccountId, Handle>,
}

struct Handle {
    config: AccountConfig,
    commands: mpsc::UnboundedSender<Command>,
    status: watch::Receiver<AccountStatus>,
    gauge: Arc<Gauge>,
}

impl AccountPool {
    /// A pool without accounts, and where the events of its accounts come out: in order for each account. An account
    /// stops reading from its server while nobody takes events out. Limits are the default ones.
    pub fn new(dialer: Dialer) -> (Self, mpsc::Receiver<(AccountId, AccountEvent)>) {
        Self::with_limits(dialer, &Limits::default())
    }

    /// The same with other limits, of which the one on stanzas is kept here.
    pub fn with_limits(dialer: Dialer, limits: &Limits) -> (Self, mpsc::Receiver<(AccountId, AccountEvent)>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        let max_stanza = limits.max_stanza;
        (
            Self { shared: Arc::new(Shared { dialer, max_stanza, events, accounts: Mutex::default() }) },
            receiver,
        )
    }

    /// Logs in, from now on and for as long as it takes. Two equal configurations share one account, even one that has
    /// failed: its failure is final; `management` is as the first of them wanted it. Must be called within a Tokio
    /// runtime.
    pub fn open(&self, config: AccountConfig, management: StreamManagement) -> AccountId {
        let mut accounts = self.accounts();
        if let Some((id, _)) = accounts.open.iter().find(|(_, handle)| handle.config == config) {
            return *id;
        }
        accounts.last += 1;
        let id = AccountId(accounts.last);
        accounts.open.insert(id, self.start(id, config, management));
        id
    }

    fn start(&self, id: AccountId, config: AccountConfig, management: StreamManagement) -> Handle {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (status_in, status) = watch::channel(AccountStatus::Connecting { last_error: None });
        let reports = Reports::new(id, self.shared.events.clone(), status_in);
        let gauge = Arc::default();
        let mailbox = Mailbox { commands: receiver, reports, gauge: Arc::clone(&gauge) };
        let Shared { dialer, max_stanza, .. } = &*self.shared;
        tokio::spawn(account::run(config.clone(), management, dialer.clone(), *max_stanza, mailbox));
        Handle { config, commands, status, gauge }
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

#[expect(clippy::needless_pass_by_value, reason = "an account must not outlive its farewell in the pool")]
fn farewell(handle: Handle) -> Option<oneshot::Receiver<()>> {
    let (done, logged_out) = oneshot::channel();
    handle.commands.send(Command::Close(Some(done))).ok()?;
    Some(logged_out)
}
