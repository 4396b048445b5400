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

mod component;
mod contacts;
mod distrusted;
mod ends;
mod link;
mod presuming;
mod remembered;
mod resources;
mod resting;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};
use xmpp_parsers::stanza::Stanza;

use super::answer_size::AnswerSize;
use super::api::{AccountEvent, AccountStatus, Parcel, Persistence, StreamManagement, Usage};
use super::backlog::Gauge;
use super::backoff::Backoff;
use super::connection::{Connection, Counting, Event, Session, Start, Unwritable};
use super::connector::Connector;
pub(super) use super::connector::Kept;
use super::dialer::Dialer;
use super::error::{AccountError, Pause, Step, Words};
use super::flat::Flat;
use super::login::LoggedIn;
use super::name::AccountName;
use super::outbox::{Outbox, Outgoing};
use super::pings::{Pings, answered};
use super::reports::Reports;
use super::timing;
use super::wire::{Happened, Wanted, Wire, now};
use crate::config::AccountConfig;
use crate::persona;
use contacts::Contacts;
use link::{Link, Progress};
use presuming::Presuming;
pub(super) use remembered::Remembered;

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
    /// What the log calls the account.
    pub(super) name: AccountName,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) reports: Reports,
    pub(super) gauge: Arc<Gauge>,
}

/// Runs an account until it is closed or nobody listens to it any more. Of stanzas of more than `max_stanza` bytes it reads
/// the head. What is kept between runs is in `kept`.
pub(super) async fn run(
    config: AccountConfig,
    usage: Usage,
    remembered: Remembered,
    dialer: Dialer,
    max_stanza: usize,
    kept: Kept,
    mut mailbox: Mailbox,
) {
    let end = match Connector::new(&config, usage.persistence, max_stanza, new_id(), kept) {
        Ok(connector) => Account::new(&config, usage, remembered, connector, dialer).run(&mut mailbox).await,
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
    /// As whom the present session is presumed, until the server has answered.
    presumed: Option<FullJid>,
    remembered: Remembered,
    contacts: Contacts,
    answer_size: AnswerSize,
    persistence: Persistence,
    /// It is yet to be said that a server was reached.
    awaits_server: bool,
    /// Why it has failed for good, where it does not try again.
    failure: Option<AccountError>,
}

impl Account {
    fn new(
        config: &AccountConfig,
        usage: Usage,
        remembered: Remembered,
        connector: Connector,
        dialer: Dialer,
    ) -> Self {
        let mut account = Self {
            link: Link::Idle,
            start: Start::default(),
            identity: connector.identity(),
            connector: Arc::new(connector),
            dialer,
            keeps_name: config.credential.keeps_name(),
            backoff: Backoff::default(),
            outbox: Outbox::default(),
            pings: Pings::default(),
            was_online: false,
            session: None,
            counting: match usage.management {
                StreamManagement::Wanted => Counting::Resumable,
                StreamManagement::Unwanted => Counting::No,
            },
            presuming: Presuming::new(usage.binding, config.jid.to_bare(), remembered.distrusted.clone()),
            presumed: None,
            remembered,
            contacts: Contacts::new(config.jid.to_bare(), config.roster),
            answer_size: AnswerSize::default(),
            persistence: usage.persistence,
            awaits_server: usage.persistence == Persistence::Lasting,
            failure: None,
        };
        account.attempt_after(account.rest().unwrap_or_default());
        account
    }

    /// How long its server is to be left alone yet, because an earlier account of the name was too much for it.
    fn rest(&self) -> Option<Duration> {
        self.remembered.resting.remaining(&self.identity.to_bare(), now())
    }

    async fn run(mut self, mailbox: &mut Mailbox) -> End {
        if let Some(rest) = self.rest() {
            mailbox.reports.event(AccountEvent::Rests(rest));
            let error = AccountError::OverLimit(Step::Session, Words::default());
            self.unreachable(error, &mut mailbox.reports);
        }
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
            if let Some(error) = self.failure.take() {
                return End::Failed(error);
            }
            self.hand_over();
            if mailbox.gauge.take_relief() {
                mailbox.reports.event(AccountEvent::Relieved);
            }
            let congested = mailbox.reports.is_congested();
            let waits_until = self.contacts.waits_until(now());
            let wanted = Wanted {
                events: !congested,
                writable: waits_until.is_none()
                    && self.link.open_connection().is_some()
                    && self.outbox.has_due(now()),
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
                () = self.connector.reached(), if self.awaits_server => {
                    self.awaits_server = false;
                    tracing::info!("{}: the chat server is found", mailbox.name);
                }
                () = sleep_until(waits_until.unwrap_or_else(now).into()), if waits_until.is_some() => {}
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
            if let Command::Send(outgoing) = &command {
                self.contacts.on_outgoing(now(), &outgoing.parcel, rand::random());
            }
            match command {
                Command::Send(outgoing) if self.is_component() => {
                    self.outbox.push_back(component::as_ours(outgoing));
                }
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
        connection.limit_answers(self.answer_size);
        let ping = || persona::ping(server_of(&self.identity), new_id());
        let waits = self.contacts.waits_until(now).is_some();
        let mut next = || match self.contacts.pop() {
            None if waits => None,
            None => self.outbox.pop(now, ping),
            first => first,
        };
        while connection.has_room()
            && let Some(outgoing) = next()
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
        if !self.is_component() {
            self.outbox.push_back(Outgoing::untagged(persona::unavailable()));
        }
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
            Err(error) if error.is_permanent() || self.persistence == Persistence::Once => return Err(error),
            Err(error) => {
                self.note_fault(&error, reports);
                let pause = error.pause();
                self.unreachable(error, reports);
                if pause == Pause::Hour { self.attempt_after(timing::REST) } else { self.attempt_later() }
            }
        }
        Ok(())
    }

    fn open_session(&mut self, logged_in: LoggedIn) {
        let LoggedIn { io, ongoing } = logged_in;
        let start = std::mem::take(&mut self.start);
        let max_stanza = self.connector.max_stanza();
        let component = self.identity.try_as_full().ok().filter(|_| self.connector.is_of_component());
        let connection = match ongoing {
            Some(framer) if let Some(jid) = component => Connection::of_component(jid.clone(), framer, now()),
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
                self.presumed = presumed.then(|| jid.clone());
                self.on_online(jid, resumed, reports);
            }
            Event::Confirmed => {
                self.presuming.on_confirmed();
                if let Some(jid) = self.presumed.take() {
                    reports.status(AccountStatus::Online(jid));
                }
                reports.event(AccountEvent::Confirmed);
            }
            Event::Flat(flat) => self.on_flat(flat, reports),
            Event::Stanza(stanza) => self.on_stanza(*stanza, reports),
            Event::StanzaLimit(bytes) => {
                self.answer_size.on_told(bytes);
                reports.event(AccountEvent::StanzaLimit { bytes });
            }
            Event::Acked(tag) => reports.event(AccountEvent::Acked { tag }),
            Event::Lost(tag) => reports.lost([tag]),
            Event::Silent => {
                let ping = self.ping();
                self.outbox.push_front(Outgoing::untagged(ping));
            }
            Event::Closed(reason) => self.on_closed(&reason, reports),
            Event::Misbound(reason) => self.on_misbound(&reason, reports),
            Event::Unproven => self.on_unproven(reports),
            Event::NeverCounts => self.on_never_counting(reports),
        }
    }

    fn on_online(&mut self, jid: FullJid, resumed: bool, reports: &mut Reports) {
        self.outbox.on_new_connection();
        if !resumed {
            self.pings = Pings::default();
        }
        self.greet(jid.to_bare(), resumed);
        if self.keeps_name {
            self.identity = jid.clone().into();
        }
        if let Some(connection) = self.link.connection() {
            self.connector.note_offers(connection.offers());
        }
        self.was_online = true;
        self.link.on_up();
        let presumed = self.presumed.is_some();
        reports.status(match presumed {
            true => AccountStatus::Presumed { jid: jid.clone(), last_error: reports.last_error() },
            false => AccountStatus::Online(jid.clone()),
        });
        reports.event(AccountEvent::Online { jid, resumed, presumed });
    }

    /// What a session begins with. A component has nobody to tell that it is there.
    fn greet(&mut self, own: BareJid, resumed: bool) {
        if self.is_component() {
            return;
        }
        let first: Option<Parcel> = if resumed {
            Some(self.ping().into())
        } else {
            self.contacts.on_online(now(), own, persona::available(new_id()), rand::random()).map(Into::into)
        };
        if let Some(first) = first {
            self.outbox.push_front(Outgoing::untagged(first));
        }
    }

    fn on_flat(&mut self, flat: Flat, reports: &mut Reports) {
        match flat {
            Flat::Set(set) if self.is_component() && !component::is_flat_for(&self.identity, &set) => {
                self.on_elsewhere(set.into_stanza());
            }
            flat => reports.event(AccountEvent::Flat(flat)),
        }
    }

    /// A stanza for another JID in the domain of a component.
    fn on_elsewhere(&mut self, stanza: Option<Stanza>) {
        let answer =
            stanza.and_then(|stanza| component::answer_elsewhere(&self.identity, stanza, rand::random()));
        if let Some(answer) = answer {
            self.outbox.push_back(Outgoing::untagged(answer));
        }
    }

    fn is_component(&self) -> bool {
        self.connector.is_of_component()
    }

    /// Pings are answered here, so that they are answered however busy the owner is.
    fn on_stanza(&mut self, mut stanza: Stanza, reports: &mut Reports) {
        if self.is_component() && !component::is_for(&self.identity, &stanza) {
            return self.on_elsewhere(Some(stanza));
        }
        if self.contacts.on_stanza(now(), &stanza, rand::random()) {
            return;
        }
        if let Some((jid, is_available)) = resources::other(&self.identity, &stanza) {
            return reports.event(AccountEvent::Resource { jid, is_available });
        }
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
}
