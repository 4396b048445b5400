//! One login: connect, stay connected, and know what became of every stanza.
//!
//! One task owns everything, the stanza stream included. It never waits for anything but the next thing to do: the
//! owner's commands, the server's stanzas and acknowledgements, the connection attempt under way.
//!
//! ```text
//!   Waiting ──slot──▶ Attempting ──logged in──▶ Opening ──bound or resumed──▶ Up
//!      ▲                  │  ▲                     │                          │
//!      │                  └──┘ try again later     │                          │
//!      └──────────────────── connection lost ──────┴──────────────────────────┘
//! ```
//!
//! Without XEP-0198 an attempt ends with a bound resource, so that from Attempting it goes to Up, and back.
//! With it, the stanza stream asks for each new connection through a slot; connecting, and the pauses between attempts, are ours,
//! because it would retry a wrong password for ever. It exists from the first successful login on.

mod connecting;
mod link;
mod session;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_xmpp::stanzastream::{Connection, Event, StanzaStream};
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::presence::Presence;

use super::backlog::Gauge;
use super::backoff::Backoff;
use super::connector::Connector;
use super::dialer::Dialer;
use super::error::AccountError;
use super::flight::{Fate, Flight};
use super::line::Line;
use super::outbox::{Outbox, Outgoing};
use super::plain::{Heard, Plain, Wanted};
use super::probe::Probes;
use super::reports::Reports;
use super::{AccountEvent, AccountStatus, StreamManagement, manners, timing};
use crate::config::{AccountConfig, Credential};
use link::Link;

/// How many stanzas the stanza stream queues each way: as many as can come up between two of our wake-ups.
const QUEUE: usize = 128;

/// How many commands are taken in one go.
const BATCH: usize = 128;

/// What the owner wants.
pub(super) enum Command {
    /// Send a stanza.
    Send(Outgoing),
    /// Send what is queued, log out, then drop this.
    Close(Option<Done>),
}

/// Dropped when the account has logged out.
pub(super) type Done = oneshot::Sender<()>;

/// The owner's end of an account.
pub(super) struct Mailbox {
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) reports: Reports,
    pub(super) gauge: Arc<Gauge>,
}

/// Runs an account until it is closed or nobody listens to it any more. Of stanzas of more than `max_stanza` bytes it reads
/// the head.
pub(super) async fn run(
    config: AccountConfig,
    management: StreamManagement,
    dialer: Dialer,
    max_stanza: usize,
    mut mailbox: Mailbox,
) {
    let end = match Connector::new(&config, max_stanza) {
        Ok(connector) => Account::new(&config, management, connector, dialer).run(&mut mailbox).await,
        Err(error) => End::Failed(error),
    };
    match end {
        End::Closed(done) => {
            mailbox.reports.status(AccountStatus::Failed(AccountError::LoggedOut));
            drop(done);
        }
        End::Failed(error) => refuse_all(mailbox, error).await,
    }
}

/// Why an account stops.
enum End {
    /// It was told to, or nobody listens any more.
    Closed(Option<Done>),
    /// It can never work.
    Failed(AccountError),
}

/// After a failure for good: says so, then loses whatever is to be sent, until told to close.
async fn refuse_all(mut mailbox: Mailbox, error: AccountError) {
    mailbox.reports.status(AccountStatus::Failed(error.clone()));
    mailbox.reports.event(AccountEvent::Failed(error));
    loop {
        tokio::select! {
            listening = mailbox.reports.drain(), if mailbox.reports.is_congested() => {
                if !listening {
                    return;
                }
            }
            command = mailbox.commands.recv() => match command {
                Some(Command::Send(outgoing)) => mailbox.reports.fates(outgoing.tag.map(Fate::Lost)),
                Some(Command::Close(_)) | None => return,
            }
        }
    }
}

fn now() -> Instant {
    Instant::now()
}

/// For a stanza of ours.
fn new_id() -> String {
    manners::new_id(rand::random())
}

type Slot = oneshot::Sender<Connection>;

/// What stanzas go through.
enum Wire {
    /// There is no connection, and no stanza stream that asks for one.
    None,
    /// With XEP-0198. It exists from the first successful login on, and asks for each new connection.
    Managed(StanzaStream),
    /// Without. One for each connection.
    Plain(Box<Plain>),
}

struct Account {
    connector: Arc<Connector>,
    dialer: Dialer,
    /// Whom to log in as: with the resource that the server gave us, once it did, so that peers find us again.
    identity: Jid,
    /// False for an anonymous login, which gets a new name each time.
    keeps_name: bool,
    backoff: Backoff,
    link: Link,
    /// The present connection, or the last one.
    line: Line,
    wire: Wire,
    slots: mpsc::UnboundedReceiver<Slot>,
    slot: Option<Slot>,
    outbox: Outbox,
    probes: Probes,
    flight: Flight,
    /// What was handed over without XEP-0198, and may not be written yet.
    unwritten: Vec<u64>,
    /// As whom we were online last.
    bound: Option<FullJid>,
    /// Whether the present stanza stream has had a session, which it tries to resume.
    resumes: bool,
    /// Whether this server resumes sessions that then do not work.
    resumes_badly: bool,
    /// Whether XEP-0198 is wanted.
    management: StreamManagement,
    /// Whether to do without XEP-0198 all the same: the server offers it and then refuses.
    without_acks: bool,
}

impl Account {
    fn new(
        config: &AccountConfig,
        management: StreamManagement,
        connector: Connector,
        dialer: Dialer,
    ) -> Self {
        Self {
            connector: Arc::new(connector),
            dialer,
            identity: config.jid.clone(),
            keeps_name: matches!(config.credential, Credential::Password(_)),
            backoff: Backoff::default(),
            link: Link::Waiting,
            line: Line::default(),
            wire: Wire::None,
            slots: mpsc::unbounded_channel().1,
            slot: None,
            outbox: Outbox::default(),
            probes: Probes::default(),
            flight: Flight::default(),
            unwritten: Vec::new(),
            bound: None,
            resumes: false,
            resumes_badly: false,
            management,
            without_acks: false,
        }
    }

    async fn run(mut self, mailbox: &mut Mailbox) -> End {
        self.attempt_after(Duration::ZERO);
        let end = self.serve(mailbox).await;
        match end {
            End::Closed(_) => self.log_out().await,
            End::Failed(_) => {
                mailbox.reports.fates(self.flight.abandon());
                let unsent = std::iter::from_fn(|| self.outbox.pop_ours());
                mailbox.reports.fates(unsent.filter_map(|unsent| unsent.tag.map(Fate::Lost)));
            }
        }
        self.let_go();
        end
    }

    /// The one loop. Every branch is cancel-safe, and none of the handlers waits for anything outside this task.
    async fn serve(&mut self, mailbox: &mut Mailbox) -> End {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.hand_over().await;
            if self.wire.is_flushed() {
                // Nobody will ever know more of it.
                mailbox.reports.fates(self.unwritten.drain(..).map(Fate::Acked));
            }
            if mailbox.gauge.take_relief() {
                mailbox.reports.event(AccountEvent::Relieved);
            }
            let up = self.link.is_up();
            let waiting = matches!(self.link, Link::Waiting);
            let congested = mailbox.reports.is_congested();
            let has_due = self.outbox.has_due(now());
            let wanted = Wanted {
                room: has_due || !self.unwritten.is_empty(),
                relief: mailbox.gauge.is_awaited().then_some(&*mailbox.gauge),
            };
            tokio::select! {
                _ = mailbox.commands.recv_many(&mut batch, BATCH) => {
                    if let Some(end) = self.obey(&mut batch) {
                        return end;
                    }
                }
                news = self.wire.news(wanted), if !congested => match news {
                    News::Managed(event) => self.on_event(*event, &mut mailbox.reports),
                    News::Plain(heard) => self.on_heard(heard, &mut mailbox.reports),
                },
                () = self.flight.news(), if up => self.on_news(&mut mailbox.reports),
                () = self.flight.room(), if up && has_due => {}
                progress = self.link.progress() => {
                    if let Err(error) = self.on_progress(progress, &mut mailbox.reports) {
                        return End::Failed(error);
                    }
                }
                Some(slot) = self.slots.recv(), if waiting => self.on_slot(slot),
                listening = mailbox.reports.drain(), if congested => {
                    if !listening {
                        return End::Closed(None);
                    }
                }
            }
        }
    }

    /// Queues what is to be sent. Ends when told to, or when the owner is gone, which is an empty batch.
    fn obey(&mut self, batch: &mut Vec<Command>) -> Option<End> {
        if batch.is_empty() {
            return Some(End::Closed(None));
        }
        for command in batch.drain(..) {
            match command {
                Command::Send(outgoing) => self.outbox.push_back(outgoing),
                Command::Close(done) => return Some(End::Closed(done)),
            }
        }
        None
    }

    /// Hands to the wire as much as it has room for, so that handing over never waits.
    async fn hand_over(&mut self) {
        if !self.link.is_up() {
            return;
        }
        let now = now();
        match &mut self.wire {
            Wire::None => {}
            Wire::Plain(plain) => {
                while plain.has_room()
                    && let Some(Outgoing { parcel, tag, counted }) = self.outbox.pop(now, new_id)
                {
                    plain.send(parcel, counted);
                    self.unwritten.extend(tag);
                }
            }
            // The stream panics when its worker is gone; the closure, and so the slots, go first.
            Wire::Managed(_) if self.slots.is_closed() => {}
            Wire::Managed(stream) => {
                let room = QUEUE.saturating_sub(self.flight.queued());
                for _ in 0..room {
                    let Some(Outgoing { parcel, tag, .. }) = self.outbox.pop(now, new_id) else { return };
                    let Some(stanza) = parcel.into_stanza() else { continue };
                    let token = stream.send(stanza).await;
                    self.flight.push(token, tag);
                }
            }
        }
    }

    /// Sends what is queued and says goodbye, as far as time allows.
    async fn log_out(&mut self) {
        if !self.link.is_up() {
            return;
        }
        self.outbox.push_back(Outgoing::untagged(Presence::unavailable()));
        let goodbye = async {
            self.hand_over().await;
            while self.outbox.has_due(now()) {
                match &mut self.wire {
                    Wire::None => return,
                    Wire::Managed(_) => self.flight.room().await,
                    Wire::Plain(plain) => {
                        let wanted = Wanted { room: true, relief: None };
                        if matches!(plain.heard(wanted).await, Heard::Gone(_)) {
                            return;
                        }
                    }
                }
                self.hand_over().await;
            }
            match std::mem::replace(&mut self.wire, Wire::None) {
                Wire::None => {}
                Wire::Managed(stream) => stream.close().await,
                Wire::Plain(plain) => plain.close().await,
            }
        };
        // What is too late is left to the server's time-outs.
        let _ = timeout(timing::LOGOUT, goodbye).await;
    }

    /// Leaves nothing behind, whatever the stanza stream is waiting for.
    fn let_go(&mut self) {
        self.retire_stream();
        if matches!(self.link, Link::Opening(_)) {
            self.line.hang_up();
        }
    }
}

/// What a wire brings.
enum News {
    Managed(Box<Option<Event>>),
    Plain(Heard),
}

impl Wire {
    /// Whether all that was handed over has been written, where that is all there is to know.
    fn is_flushed(&self) -> bool {
        matches!(self, Self::Plain(plain) if plain.is_flushed())
    }

    /// Cancel-safe.
    async fn news(&mut self, wanted: Wanted<'_>) -> News {
        match self {
            Self::None => std::future::pending().await,
            Self::Managed(stream) => News::Managed(Box::new(stream.next().await)),
            Self::Plain(plain) => News::Plain(plain.heard(wanted).await),
        }
    }
}
