//! Account: one login that connects, stays connected, and knows what became of every stanza.
//!
//! One task owns everything. It never waits for anything but the next thing to do: the owner's commands, what happens on the
//! connection, the connection attempt under way.
//!
//! ```text
//!   Attempting ──logged in──▶ Connected, its session opening ──online──▶ Connected, its session open
//!      ▲  │ ▲                            │                                        │
//!      │  └─┘ try again later            │                                        │
//!      └───────────── connection over ───┴────────────────────────────────────────┘
//! ```
//!
//! Where the resource is presumed, the session is open as soon as it is asked for (`presuming`).
//!
//! Pauses, dialling and logging in are an attempt; from there on the pure [`Connection`] knows what is said.

mod distrusted;
mod link;
mod presuming;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::stanza::Stanza;

use super::api::{AccountEvent, AccountStatus, Parcel, StreamManagement, Usage};
use super::backlog::Gauge;
use super::backoff::Backoff;
use super::connection::{Connection, Counting, Event, Session, Start, Unwritable};
use super::connector::Connector;
use super::dialer::Dialer;
use super::error::{AccountError, Step};
use super::login::LoggedIn;
use super::outbox::{Outbox, Outgoing};
use super::pings::{Pings, answered};
use super::registrar::Registrar;
use super::reports::Reports;
use super::timing;
use super::wire::{Happened, Wanted, Wire, now};
use crate::config::{AccountConfig, Credential};
use crate::persona;
pub(super) use distrusted::Distrusted;
use link::{Link, Progress};
use presuming::Presuming;

/// Commands that are taken in one go, at most.
const COMMANDS: usize = 128;

/// What the owner wants.
pub(super) enum Command {
    /// Send a stanza.
    Send(Outgoing),
    /// See whether the server is still there.
    Doubt,
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
/// the head. If it is to be registered, `registrar` keeps it.
pub(super) async fn run(
    config: AccountConfig,
    usage: Usage,
    distrusted: Distrusted,
    dialer: Dialer,
    max_stanza: usize,
    registrar: Option<Arc<Registrar>>,
    mut mailbox: Mailbox,
) {
    let end = match Connector::new(&config, max_stanza, persona::new_id(rand::random()), registrar) {
        Ok(connector) => Account::new(&config, usage, distrusted, connector, dialer).run(&mut mailbox).await,
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
                Some(Command::Send(outgoing)) => mailbox.reports.lost(outgoing.tag),
                Some(Command::Doubt) => {}
                Some(Command::Close(_)) | None => return,
            }
        }
    }
}

/// For a stanza of ours.
fn new_id() -> String {
    persona::new_id(rand::random())
}

fn server_of(account: &Jid) -> Jid {
    Jid::from_parts(None, account.domain(), None)
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
    outbox: Outbox,
    pings: Pings,
    /// Whether it was online before.
    was_online: bool,
    /// What the session on the next connection is to be.
    start: Start,
    /// The session to resume there.
    session: Option<Session>,
    /// How far stanzas are to be counted (XEP-0198): as is wanted, or less where this server does it badly.
    counting: Counting,
    presuming: Presuming,
    /// Whether the present session is presumed, and the server has not answered.
    is_presumed: bool,
}

impl Account {
    fn new(
        config: &AccountConfig,
        usage: Usage,
        distrusted: Distrusted,
        connector: Connector,
        dialer: Dialer,
    ) -> Self {
        let mut account = Self {
            link: Link::Idle,
            start: Start::default(),
            identity: connector.identity(),
            connector: Arc::new(connector),
            dialer,
            keeps_name: config.credential != Credential::Anonymous,
            backoff: Backoff::default(),
            outbox: Outbox::default(),
            pings: Pings::default(),
            was_online: false,
            session: None,
            counting: match usage.management {
                StreamManagement::Wanted => Counting::Resumable,
                StreamManagement::Unwanted => Counting::No,
            },
            presuming: Presuming::new(usage.binding, config.jid.to_bare(), distrusted),
            is_presumed: false,
        };
        account.attempt_after(Duration::ZERO);
        account
    }

    async fn run(mut self, mailbox: &mut Mailbox) -> End {
        let end = self.serve(mailbox).await;
        match end {
            End::Closed(_) => self.log_out().await,
            End::Failed(_) => {
                mailbox.reports.lost(self.session.into_iter().flat_map(Session::into_lost));
                let unsent = std::iter::from_fn(|| self.outbox.pop_ours());
                mailbox.reports.lost(unsent.filter_map(|unsent| unsent.tag));
            }
        }
        end
    }

    /// The one loop. Every branch is cancel-safe, and none of the handlers waits for anything outside this task.
    async fn serve(&mut self, mailbox: &mut Mailbox) -> End {
        let mut batch = Vec::with_capacity(COMMANDS);
        loop {
            self.hand_over();
            if mailbox.gauge.take_relief() {
                mailbox.reports.event(AccountEvent::Relieved);
            }
            let congested = mailbox.reports.is_congested();
            let wanted = Wanted {
                events: !congested,
                writable: self.link.open_connection().is_some() && self.outbox.has_due(now()),
                relief: mailbox.gauge.is_awaited().then_some(&*mailbox.gauge),
            };
            tokio::select! {
                _ = mailbox.commands.recv_many(&mut batch, COMMANDS) => {
                    if let Some(end) = self.obey(&mut batch) {
                        return end;
                    }
                }
                progress = self.link.progress(wanted) => match progress {
                    Progress::Attempted(result) => {
                        if let Err(error) = self.on_attempted(result, &mut mailbox.reports) {
                            return End::Failed(error);
                        }
                    }
                    Progress::Happened(Happened::Writable) => {}
                    Progress::Happened(Happened::Event(event)) => self.on_events(event, &mut mailbox.reports),
                },
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
                Command::Doubt => {
                    if let Some(connection) = self.link.open_connection() {
                        connection.handle_doubt(now());
                    }
                }
                Command::Close(done) => return Some(End::Closed(done)),
            }
        }
        None
    }

    /// A ping to our own server, to see whether the connection works.
    fn ping(&mut self) -> Iq {
        self.pings.ask(server_of(&self.identity), rand::random())
    }

    /// Hands to the connection as much as it has room for.
    fn hand_over(&mut self) {
        let Some(connection) = self.link.open_connection() else { return };
        let now = now();
        let ping = || persona::ping(server_of(&self.identity), new_id());
        while connection.has_room()
            && let Some(outgoing) = self.outbox.pop(now, ping)
        {
            if let Err(Unwritable) = connection.send(outgoing) {
                tracing::warn!("a stanza of ours is not XML");
            }
        }
    }

    /// Sends what is queued and says goodbye, as far as time allows.
    async fn log_out(&mut self) {
        if !self.link.is_up() {
            return;
        }
        self.outbox.push_back(Outgoing::untagged(persona::unavailable()));
        // What is too late is left to the server's time-outs.
        let _ = timeout(timing::LOGOUT, self.say_goodbye()).await;
    }

    async fn say_goodbye(&mut self) {
        self.hand_over();
        while self.outbox.has_due(now()) {
            let wanted = Wanted { events: true, writable: true, relief: None };
            if let Progress::Attempted(_)
            | Progress::Happened(Happened::Event(
                Event::Closed(_) | Event::Misbound(_) | Event::Unproven | Event::NeverCounts,
            )) = self.link.progress(wanted).await
            {
                return;
            }
            self.hand_over();
        }
        if let Some(wire) = self.link.take_wire() {
            wire.close().await;
        }
    }

    /// An attempt to log in has succeeded or failed. An error is final.
    fn on_attempted(
        &mut self,
        attempted: Result<LoggedIn, AccountError>,
        reports: &mut Reports,
    ) -> Result<(), AccountError> {
        match attempted {
            Ok(logged_in) => {
                self.open_session(logged_in);
                // What can be sent at once goes in one write with what the session begins with.
                if let Some(event) =
                    self.link.connection().and_then(|connection| connection.poll_event(now()))
                {
                    self.on_events(event, reports);
                }
            }
            Err(error) if error.is_permanent() => return Err(error),
            Err(error) => {
                self.note_fault(&error);
                let rests = error.rests();
                self.unreachable(error, reports);
                if rests { self.attempt_after(timing::REST) } else { self.attempt_later() }
            }
        }
        Ok(())
    }

    fn open_session(&mut self, logged_in: LoggedIn) {
        let LoggedIn { io, ongoing } = logged_in;
        let start = std::mem::take(&mut self.start);
        let max_stanza = self.connector.max_stanza();
        let connection = match ongoing {
            Some(framer) => Connection::go_on(start, self.session.take(), framer, now()),
            None => Connection::new(start, self.session.take(), max_stanza, now()),
        };
        self.link = Link::connected(Wire::new(io, connection));
    }

    /// Something has happened on the connection, and with it perhaps more.
    fn on_events(&mut self, event: Event, reports: &mut Reports) {
        let now = now();
        let mut next = Some(event);
        while let Some(event) = next {
            self.on_event(event, reports);
            next = match self.link.connection() {
                Some(connection) if !reports.is_congested() => connection.poll_event(now),
                _ => None,
            };
        }
    }

    fn on_event(&mut self, event: Event, reports: &mut Reports) {
        match event {
            Event::Online { jid, resumed, presumed } => {
                self.is_presumed = presumed;
                self.on_online(jid, resumed, reports);
            }
            Event::Confirmed => {
                self.is_presumed = false;
                self.presuming.on_confirmed();
            }
            Event::Flat(flat) => reports.event(AccountEvent::Flat(flat)),
            Event::Stanza(stanza) => self.on_stanza(*stanza, reports),
            Event::Acked(tag) => reports.event(AccountEvent::Acked { tag }),
            Event::Lost(tag) => reports.lost([tag]),
            Event::Silent => {
                let ping = self.ping();
                self.outbox.push_front(Outgoing::untagged(ping));
            }
            Event::Closed(reason) => {
                let has_worked = self.link.is_up() && !self.is_presumed;
                // After a short time a server that lets us in and then falls silent would be logged in to without end.
                let is_steady = self.link.up_since().is_some_and(|since| since.elapsed() >= timing::STEADY);
                let was_silent = is_steady && matches!(reason, AccountError::TimedOut(_));
                let was_cut = has_worked && (reason.is_cut() || was_silent) && !self.link.owes_end();
                self.disconnected(&reason, reports);
                if was_cut { self.attempt_soon() } else { self.attempt_later() }
            }
            Event::Misbound(reason) => {
                self.presuming.on_refuted();
                self.disconnected(&reason, reports);
                // The next login presumes nothing.
                self.attempt_after(Duration::ZERO);
            }
            Event::Unproven => {
                // The next session that it resumes would not work either.
                self.counting = Counting::OneConnection;
                self.disconnected(&AccountError::TimedOut(Step::Session), reports);
                self.attempt_after(Duration::ZERO);
            }
            Event::NeverCounts => {
                self.counting = Counting::No;
                self.disconnected(&AccountError::TimedOut(Step::Session), reports);
                self.attempt_later();
            }
        }
    }

    fn on_online(&mut self, jid: FullJid, resumed: bool, reports: &mut Reports) {
        self.outbox.on_new_connection();
        if !resumed {
            self.pings = Pings::default();
        }
        let first: Parcel = if resumed { self.ping().into() } else { persona::available(new_id()).into() };
        self.outbox.push_front(Outgoing::untagged(first));
        if self.keeps_name {
            self.identity = jid.clone().into();
        }
        self.was_online = true;
        self.link.on_up();
        reports.status(AccountStatus::Online(jid.clone()));
        reports.event(AccountEvent::Online { jid, resumed });
    }

    /// Pings are answered here, so that they are answered however busy the owner is.
    fn on_stanza(&mut self, mut stanza: Stanza, reports: &mut Reports) {
        let pong = match &mut stanza {
            Stanza::Iq(iq) => {
                persona::complete(iq, rand::random());
                persona::answer_ping(iq)
            }
            Stanza::Message(_) | Stanza::Presence(_) => None,
        };
        match pong {
            Some(pong) => self.on_ping(pong, reports),
            None if self.is_answer_to_ping(&stanza) => {}
            None => reports.event(AccountEvent::Stanza(Box::new(stanza))),
        }
    }

    fn on_ping(&mut self, pong: Iq, reports: &mut Reports) {
        if let Some(by) = pong.to().and_then(|to| to.try_as_full().ok()) {
            reports.event(AccountEvent::Pinged { by: by.clone() });
        }
        self.outbox.push_back(Outgoing::untagged(Parcel::reply(pong)));
    }

    /// The answers to pings of ours to our own server are nobody else's business.
    fn is_answer_to_ping(&mut self, stanza: &Stanza) -> bool {
        answered(stanza).is_some_and(|id| self.pings.on_answer(id) || self.outbox.on_answer(now(), id))
    }

    /// The connection is over. Another attempt is to follow.
    fn disconnected(&mut self, reason: &AccountError, reports: &mut Reports) {
        let since = self.link.up_since();
        if std::mem::take(&mut self.is_presumed) {
            self.presuming.on_unanswered();
        }
        self.session = self.link.take_wire().and_then(|wire| wire.leave());
        match since {
            Some(since) => self.suspended(since, reason, reports),
            None => self.unreachable(reason.clone(), reports),
        }
        self.note_fault(reason);
    }

    fn suspended(&mut self, since: Instant, reason: &AccountError, reports: &mut Reports) {
        // Not after a short one: a server that itself ends a session soon would do it again.
        if since.elapsed() >= timing::STEADY {
            self.backoff.reset();
        }
        reports.status(AccountStatus::Suspended { last_error: Some(reason.clone()) });
        reports.event(AccountEvent::Suspended { reason: reason.clone() });
    }

    fn unreachable(&self, error: AccountError, reports: &mut Reports) {
        let last_error = Some(error.clone());
        reports.status(if self.was_online {
            AccountStatus::Suspended { last_error }
        } else {
            AccountStatus::Connecting { last_error }
        });
        reports.event(AccountEvent::Unreachable(error));
    }

    /// Whoever took our resource would lose it again, and take it back, as fast as we can dial.
    fn note_fault(&mut self, error: &AccountError) {
        if *error == AccountError::Conflict {
            self.backoff.exhaust();
        }
    }

    /// Tries again after a cut: at once, most of the time. In some networks no connection lives for long, and much gets through all the
    /// same in the time that each has.
    fn attempt_soon(&mut self) {
        let delay = self.backoff.delay_after_cut(now(), rand::random());
        self.attempt_after(delay);
    }

    fn attempt_later(&mut self) {
        let delay = self.backoff.next_delay(rand::random());
        self.attempt_after(delay);
    }

    fn attempt_after(&mut self, delay: Duration) {
        let domain = self.connector.domain().to_owned();
        let resource = self.identity.resource().map(ToString::to_string);
        let known = self.identity.try_as_full().ok().filter(|jid| self.keeps_name && jid.node().is_some());
        let presumed = known.filter(|_| self.presuming.may_presume()).cloned();
        self.start = Start { domain, resource, id: new_id(), counting: self.counting, presumed };
        let first_request = self.start.first_request(self.session.as_ref());
        self.link = Link::attempt(delay, Arc::clone(&self.connector), self.dialer.clone(), first_request);
    }
}
