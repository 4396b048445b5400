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
//! The stanza stream asks for each new connection through a slot; connecting, and the pauses between attempts, are ours,
//! because it would retry a wrong password for ever. It exists from the first successful login on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_xmpp::Stanza;
use tokio_xmpp::stanzastream::{Connection, Event, StanzaStream, StreamEvent};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{FullJid, Jid};
use xmpp_parsers::ping::Ping;
use xmpp_parsers::presence::Presence;
use xmpp_parsers::stream_features::StreamFeatures;

use super::backoff::Backoff;
use super::connector::{Connector, LoggedIn};
use super::dialer::Dialer;
use super::error::{AccountError, Step};
use super::flight::{Fate, Flight};
use super::line::Line;
use super::reports::Reports;
use super::retire::put_to_rest;
use super::{AccountEvent, AccountStatus, manners, timing};
use crate::config::{AccountConfig, Credential};

/// How many stanzas the stanza stream queues each way: as many as can come up between two of our wake-ups.
const QUEUE: usize = 128;

/// The id of the ping behind a resumption.
const PROBE: &str = "resumed";

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

/// A stanza to send.
pub(super) struct Outgoing {
    pub(super) stanza: Box<Stanza>,
    pub(super) tag: Option<u64>,
}

/// The owner's end of an account.
pub(super) struct Mailbox {
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) reports: Reports,
}

/// Runs an account until it is closed or nobody listens to it any more.
pub(super) async fn run(config: AccountConfig, dialer: Dialer, mut mailbox: Mailbox) {
    let end = match Connector::new(&config) {
        Ok(connector) => Account::new(&config, connector, dialer).run(&mut mailbox).await,
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

type Slot = oneshot::Sender<Connection>;
type Attempt = Pin<Box<dyn Future<Output = Result<Box<LoggedIn>, AccountError>> + Send>>;

/// How far the connection is.
enum Link {
    /// The stanza stream has yet to ask for a connection.
    Waiting,
    /// Pausing, dialling or logging in.
    Attempting(Attempt),
    /// Logged in; the stanza stream binds or resumes, until the deadline.
    Opening(Pin<Box<Sleep>>),
    /// Usable.
    Up {
        since: Instant,
        /// Until when a resumed session must show that it works.
        proof: Option<Pin<Box<Sleep>>>,
    },
}

/// What became of the link.
enum Progress {
    Attempted(Result<Box<LoggedIn>, AccountError>),
    NotOpened,
    NotProven,
}

impl Link {
    fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// Cancel-safe: whatever is under way goes on in the next call.
    async fn progress(&mut self) -> Progress {
        match self {
            Self::Attempting(attempt) => Progress::Attempted(attempt.await),
            Self::Opening(deadline) => {
                deadline.await;
                Progress::NotOpened
            }
            Self::Up { proof: Some(deadline), .. } => {
                deadline.await;
                Progress::NotProven
            }
            Self::Waiting | Self::Up { proof: None, .. } => std::future::pending().await,
        }
    }
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
    stream: Option<StanzaStream>,
    slots: mpsc::UnboundedReceiver<Slot>,
    slot: Option<Slot>,
    outbox: VecDeque<Outgoing>,
    flight: Flight,
    /// As whom we were online last.
    bound: Option<FullJid>,
    /// Whether the present stanza stream has had a session, which it tries to resume.
    resumes: bool,
    /// Whether this server resumes sessions that then do not work.
    resumes_badly: bool,
    /// Whether to do without XEP-0198, because the server offers it and then refuses.
    without_acks: bool,
}

impl Account {
    fn new(config: &AccountConfig, connector: Connector, dialer: Dialer) -> Self {
        Self {
            connector: Arc::new(connector),
            dialer,
            identity: config.jid.clone(),
            keeps_name: matches!(config.credential, Credential::Password(_)),
            backoff: Backoff::default(),
            link: Link::Waiting,
            line: Line::default(),
            stream: None,
            slots: mpsc::unbounded_channel().1,
            slot: None,
            outbox: VecDeque::new(),
            flight: Flight::default(),
            bound: None,
            resumes: false,
            resumes_badly: false,
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
                mailbox.reports.fates(self.outbox.drain(..).filter_map(|unsent| unsent.tag.map(Fate::Lost)));
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
            let up = self.link.is_up();
            let waiting = matches!(self.link, Link::Waiting);
            let congested = mailbox.reports.is_congested();
            tokio::select! {
                _ = mailbox.commands.recv_many(&mut batch, BATCH) => {
                    if let Some(end) = self.obey(&mut batch) {
                        return end;
                    }
                }
                event = next_event(&mut self.stream), if !congested => self.on_event(event, &mut mailbox.reports),
                () = self.flight.news(), if up => self.on_news(&mut mailbox.reports),
                () = self.flight.room(), if up && !self.outbox.is_empty() => {}
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

    /// Hands to the stanza stream as much as it has room for, so that handing over never waits.
    async fn hand_over(&mut self) {
        // The stream panics when its worker is gone; the closure, and so the slots, go first.
        if !self.link.is_up() || self.slots.is_closed() {
            return;
        }
        let Some(stream) = &self.stream else { return };
        let room = QUEUE.saturating_sub(self.flight.queued()).min(self.outbox.len());
        for Outgoing { stanza, tag } in self.outbox.drain(..room) {
            let token = stream.send(stanza).await;
            self.flight.push(token, tag);
        }
    }

    fn on_event(&mut self, event: Option<Event>, reports: &mut Reports) {
        match event {
            Some(Event::Stanza(stanza)) => self.on_stanza(stanza, reports),
            Some(Event::Stream(StreamEvent::Reset { bound_jid, features })) => {
                self.on_reset(bound_jid, &features, reports);
            }
            Some(Event::Stream(StreamEvent::Resumed)) => self.on_resumed(reports),
            Some(Event::Stream(StreamEvent::Suspended)) => self.on_suspended(reports),
            None => self.on_stream_gone(reports),
        }
    }

    /// Pings are answered here, so that they are answered however busy the owner is.
    fn on_stanza(&mut self, stanza: Stanza, reports: &mut Reports) {
        let pong = match &stanza {
            Stanza::Iq(iq) => manners::answer_ping(iq),
            Stanza::Message(_) | Stanza::Presence(_) => None,
        };
        match pong {
            Some(pong) => {
                if let Some(by) = pong.to().and_then(|to| to.try_as_full().ok()) {
                    reports.event(AccountEvent::Pinged { by: by.clone() });
                }
                self.outbox.push_back(Outgoing { stanza: Box::new(pong.into()), tag: None });
            }
            None if is_probe_answer(&stanza) => {}
            None => reports.event(AccountEvent::Stanza(Box::new(stanza))),
        }
    }

    /// A new session: the server knows nothing of an earlier one.
    fn on_reset(&mut self, bound: Jid, features: &StreamFeatures, reports: &mut Reports) {
        let acks = features.stream_management.is_some() && !self.line.acks_refused();
        reports.fates(self.flight.reset(acks));
        let Ok(jid) = bound.try_into_full() else { return self.line.hang_up() };
        if self.keeps_name {
            self.identity = jid.clone().into();
        }
        self.bound = Some(jid);
        self.resumes = true;
        self.outbox.push_front(Outgoing { stanza: Box::new(Presence::available().into()), tag: None });
        self.online(false, reports);
    }

    /// The session goes on, and has to prove it: Prosody 0.12 feeds a resumed session's data to the XML parser of the
    /// connection that broke, which swallows everything if it was in the middle of a stanza.
    fn on_resumed(&mut self, reports: &mut Reports) {
        reports.fates(self.flight.resume());
        let probe = Iq::Get { from: None, to: None, id: PROBE.into(), payload: Ping.into() };
        self.outbox.push_front(Outgoing { stanza: Box::new(probe.into()), tag: None });
        self.online(true, reports);
    }

    fn online(&mut self, resumed: bool, reports: &mut Reports) {
        let Some(jid) = self.bound.clone() else { return };
        let proof = resumed.then(|| Box::pin(sleep(timing::PROOF)));
        self.link = Link::Up { since: Instant::now(), proof };
        reports.status(AccountStatus::Online(jid.clone()));
        reports.event(AccountEvent::Online { jid, resumed });
    }

    /// The server has acknowledged something: nothing that it knew before a resumption is open any more.
    fn on_news(&mut self, reports: &mut Reports) {
        reports.fates(self.flight.settle());
        if let Link::Up { proof, .. } = &mut self.link {
            *proof = None;
        }
    }

    /// The connection is gone; a slot for the next one follows.
    fn on_suspended(&mut self, reports: &mut Reports) {
        if matches!(self.link, Link::Opening(_)) && self.line.acks_refused() {
            return self.on_acks_refused(reports);
        }
        reports.fates(self.flight.suspend());
        self.disconnected(&self.line.last_words(), reports);
        if self.resumes_badly {
            self.drop_stream(reports);
            self.attempt_later();
        }
    }

    /// The resumed session does not work, and neither would the next.
    fn on_not_proven(&mut self, reports: &mut Reports) {
        self.resumes_badly = true;
        self.line.hang_up();
        self.drop_stream(reports);
        self.disconnected(&AccountError::TimedOut(Step::Session), reports);
        self.attempt_after(Duration::ZERO);
    }

    /// XEP-0198's `<failed/>` may come without a count, as Prosody's does after a restart. The stanza stream takes that
    /// for a fault of the connection, and would ask to resume the same session for ever. So it is replaced.
    fn on_acks_refused(&mut self, reports: &mut Reports) {
        self.without_acks = !self.resumes;
        self.drop_stream(reports);
        self.attempt_after(Duration::ZERO);
    }

    /// The stanza stream has failed, which only a fault in it can cause.
    fn on_stream_gone(&mut self, reports: &mut Reports) {
        tracing::warn!("a stream of stanzas broke down; starting another");
        self.line.hang_up();
        self.drop_stream(reports);
        self.disconnected(&AccountError::Protocol(Step::Session), reports);
        self.attempt_later();
    }

    /// Lets the stanza stream go, with its session and all that it holds.
    fn drop_stream(&mut self, reports: &mut Reports) {
        reports.fates(self.flight.abandon());
        self.retire_stream();
        self.resumes = false;
    }

    /// Ends the stanza stream and its worker, if that waits for a connection.
    fn retire_stream(&mut self) {
        self.stream = None;
        self.slots.close();
        let unused = self.slot.take().into_iter().chain(std::iter::from_fn(|| self.slots.try_recv().ok()));
        for slot in unused {
            tokio::spawn(put_to_rest(slot, self.identity.clone()));
        }
    }

    fn disconnected(&mut self, reason: &AccountError, reports: &mut Reports) {
        match std::mem::replace(&mut self.link, Link::Waiting) {
            Link::Up { since, .. } => {
                if since.elapsed() >= timing::STEADY {
                    self.backoff.reset();
                }
                reports.status(AccountStatus::Suspended { last_error: Some(reason.clone()) });
                reports.event(AccountEvent::Suspended { reason: reason.clone() });
            }
            _ => self.unreachable(reason.clone(), reports),
        }
        // Whoever took our resource would lose it again, and take it back, as fast as we can dial.
        if *reason == AccountError::Conflict {
            self.backoff.exhaust();
        }
    }

    fn unreachable(&self, error: AccountError, reports: &mut Reports) {
        let last_error = Some(error.clone());
        reports.status(match self.bound {
            Some(_) => AccountStatus::Suspended { last_error },
            None => AccountStatus::Connecting { last_error },
        });
        reports.event(AccountEvent::Unreachable(error));
    }

    fn on_slot(&mut self, slot: Slot) {
        self.slot = Some(slot);
        self.attempt_later();
    }

    fn attempt_later(&mut self) {
        let delay = self.backoff.next_delay(rand::random());
        self.attempt_after(delay);
    }

    fn attempt_after(&mut self, delay: Duration) {
        let connector = Arc::clone(&self.connector);
        let (dialer, identity) = (self.dialer.clone(), self.identity.clone());
        self.link = Link::Attempting(Box::pin(async move {
            sleep(delay).await;
            connector.log_in(&dialer, identity).await.map(Box::new)
        }));
    }

    fn on_progress(&mut self, progress: Progress, reports: &mut Reports) -> Result<(), AccountError> {
        match progress {
            Progress::Attempted(Ok(logged_in)) => self.plug_in(*logged_in),
            Progress::Attempted(Err(error)) if error.is_permanent() => return Err(error),
            Progress::Attempted(Err(error)) => {
                if error == AccountError::Conflict {
                    self.backoff.exhaust();
                }
                self.unreachable(error, reports);
                self.attempt_later();
            }
            Progress::NotOpened => {
                self.link = Link::Opening(Box::pin(sleep(timing::OPENING)));
                self.line.hang_up();
            }
            Progress::NotProven => self.on_not_proven(reports),
        }
        Ok(())
    }

    /// Gives a new connection to the stanza stream, which is made for the first one.
    fn plug_in(&mut self, LoggedIn { mut connection, line }: LoggedIn) {
        self.line = line;
        if self.without_acks {
            connection.features.stream_management = None;
        }
        self.link = Link::Opening(Box::pin(sleep(timing::OPENING)));
        if self.stream.is_none() {
            self.start_stream();
        }
        if let Some(slot) = self.slot.take() {
            // If the stream is gone, its end is the next event.
            drop(slot.send(connection));
        }
    }

    fn start_stream(&mut self) {
        let (slots_in, slots) = mpsc::unbounded_channel();
        let identity = self.identity.clone();
        let pass_on = move |_, slot| {
            if let Err(unwanted) = slots_in.send(slot) {
                tokio::spawn(put_to_rest(unwanted.0, identity.clone()));
            }
        };
        self.stream = Some(StanzaStream::new(Box::new(pass_on), QUEUE));
        self.slots = slots;
        // The first slot is there before `new` returns.
        self.slot = self.slots.try_recv().ok();
    }

    /// Sends what is queued and says goodbye, as far as time allows.
    async fn log_out(&mut self) {
        if !self.link.is_up() {
            return;
        }
        self.outbox.push_back(Outgoing { stanza: Box::new(Presence::unavailable().into()), tag: None });
        let goodbye = async {
            self.hand_over().await;
            while !self.outbox.is_empty() {
                self.flight.room().await;
                self.hand_over().await;
            }
            if let Some(stream) = self.stream.take() {
                stream.close().await;
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

async fn next_event(stream: &mut Option<StanzaStream>) -> Option<Event> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

/// The answers to the pings of ours, and to those by which the stanza stream asks for signs of life where there is no
/// XEP-0198, are nobody else's business.
fn is_probe_answer(stanza: &Stanza) -> bool {
    matches!(stanza, Stanza::Iq(Iq::Result { id, .. } | Iq::Error { id, .. })
        if id == PROBE || id.starts_with("xmpp-rs-stanzastream-liveness-probe"))
}
