//! XMPP stream of an account after the login, to its end, as a pure core: bytes in; elements, bytes and events out.
//!
//! [`Connection`] opens a session ([`opening`]) and then carries stanzas, with stream management (XEP-0198, [`sm`]) where both ends
//! want it. It has no socket and no clock; whoever has them drives it:
//!
//! - inputs: [`handle_read`](Connection::handle_read), [`handle_end`](Connection::handle_end),
//!   [`handle_written`](Connection::handle_written), [`handle_flushed`](Connection::handle_flushed),
//!   [`handle_timeout`](Connection::handle_timeout), [`handle_doubt`](Connection::handle_doubt);
//! - commands: [`send`](Connection::send), [`finish`](Connection::finish);
//! - outputs: [`poll_transmit`](Connection::poll_transmit), what to write next; [`poll_event`](Connection::poll_event), what has
//!   happened; [`poll_timeout`](Connection::poll_timeout), when to call `handle_timeout`. After any input or command they may have
//!   something new to say.
//!
//! After [`Event::Closed`], [`Event::Misbound`], [`Event::Unproven`] or [`Event::NeverCounts`] nothing happens any more, and
//! [`take_session`](Connection::take_session) is what the next connection can resume.

mod ack_requests;
mod delayed_ack;
mod enabling;
mod event;
mod keep_alive;
mod liveness;
mod losses;
mod opening;
mod output;
mod presumption;
mod sender;
mod sm;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::BytesMut;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::sm::R;
use xmpp_parsers::stream_features::StreamFeatures;

use self::ack_requests::AckRequests;
use self::delayed_ack::DelayedAck;
use self::enabling::{Answer, Enabling};
pub(super) use self::event::Event;
use self::liveness::{Liveness, Silence};
pub(super) use self::opening::{Counting, Start};
use self::opening::{Opening, Outcome, Request};
use self::output::Output;
use self::presumption::Presumption;
use self::sender::Sender;
pub(super) use self::sm::Session;
use self::sm::{Nonza, Unacked};
use super::answer_size::AnswerSize;
use super::api::Parcel;
use super::error::{AccountError, Step};
use super::framer::{Endless, Framer};
use super::outbox::Outgoing;
use super::reader::{self, Meaning};
use super::records::BATCH;
use super::seen::Offers;
use super::timing;
pub(super) use super::writer::Unwritable;
use super::writer::Writer;

/// The end of a stream (RFC 6120 section 4.4).
const FOOTER: &[u8] = b"</stream:stream>";

/// The connection.
pub(super) struct Connection {
    framer: Framer,
    writer: Writer,
    output: Output,
    liveness: Liveness,
    /// Who the stanzas of a component are from.
    sender: Option<Sender>,
    answer_size: AnswerSize,
    offers: Offers,
    state: State,
    /// When the connection began.
    since: Instant,
    counting: Counting,
    /// Where both ends count: the session that is being resumed, or is open, or can be resumed.
    session: Option<Session>,
    /// The request to count, until the server has answered it.
    enabling: Option<Enabling>,
    ack_requests: AckRequests,
    /// The acknowledgement that the server has asked for.
    delayed_ack: DelayedAck,
    /// Where the acknowledgement that went last ends in the output.
    last_ack: u64,
    /// Whether our end of the stream is to be written.
    owes_end: bool,
    events: VecDeque<Event>,
}

enum State {
    /// A session is being opened, until the deadline.
    Opening(Box<Opening>, Instant),
    Open {
        /// Until when a session that was resumed must show that it works.
        proof: Option<Instant>,
    },
    Closed,
}

impl Connection {
    /// After a login, at the beginning of the stream that follows it; an `earlier` session is resumed if it can be. Of stanzas of more
    /// than `max_stanza` bytes only the head is read.
    pub(super) fn new(start: Start, earlier: Option<Session>, max_stanza: usize, now: Instant) -> Self {
        let (writer, header) = Writer::begin(&start.domain, None);
        let first = start.first_request(earlier.as_ref());
        let mut connection = Self::begin(start, earlier, Framer::new(max_stanza), writer, now);
        connection.output.push(&header);
        connection.output.push(&first);
        connection
    }

    /// After a login behind which the stream goes on. `framer` has what has come of it, and the first request was written.
    pub(super) fn go_on(start: Start, earlier: Option<Session>, framer: Framer, now: Instant) -> Self {
        Self::begin(start, earlier, framer, Writer::new(), now)
    }

    /// As a component, whose handshake is done. Nobody asks its server for a sign of life: it could not answer each of several
    /// processes that share a domain. But something is written when nothing has come for a while, for otherwise no system would notice that
    /// the server is gone without a word.
    pub(super) fn of_component(jid: FullJid, framer: Framer, now: Instant) -> Self {
        let mut connection = Self::begin(Start::default(), None, framer, Writer::new(), now);
        connection.sender = Some(Sender::new(jid.clone()));
        connection.state = State::Open { proof: None };
        connection.events.push_back(Event::Online { jid, resumed: false, presumed: false });
        connection
    }

    fn begin(start: Start, earlier: Option<Session>, framer: Framer, writer: Writer, now: Instant) -> Self {
        let resumes = start.resume(earlier.as_ref()).is_some();
        let (session, over) = if resumes { (earlier, None) } else { (None, earlier) };
        let Start { resource, id, counting, presumed, .. } = start;
        let presumed = presumed.filter(|_| !resumes);
        let online = presumed.clone().map(|jid| Event::Online { jid, resumed: false, presumed: true });
        let lost = over.into_iter().flat_map(Session::into_lost).map(Event::Lost);
        let opening = Opening::new(resource, id, resumes, presumed);
        Self {
            framer,
            writer,
            output: Output::default(),
            liveness: Liveness::new(now),
            sender: None,
            answer_size: AnswerSize::default(),
            offers: Offers::default(),
            state: State::Opening(Box::new(opening), now + timing::OPENING),
            since: now,
            counting,
            session,
            enabling: None,
            ack_requests: AckRequests::default(),
            delayed_ack: DelayedAck::NotAsked,
            last_ack: 0,
            owes_end: false,
            events: lost.chain(online).collect(),
        }
    }

    /// Whether a session is open, or presumed to be, so that stanzas can be sent.
    pub(super) fn is_open(&self) -> bool {
        match &self.state {
            State::Opening(opening, _) => opening.is_presumed(),
            State::Open { .. } => true,
            State::Closed => false,
        }
    }

    /// What the server has said that it offers in a session.
    pub(super) fn offers(&self) -> Offers {
        self.offers
    }

    /// Whether it is over.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether our end of the stream is owed, which [`finish`](Self::finish) writes: the server has ended it, and waits for that (RFC
    /// 6120 section 4.4), or we are the first.
    pub(super) fn owes_end(&self) -> bool {
        self.owes_end
    }

    /// Whether another stanza should be sent now. If not, others may overtake it while it waits.
    pub(super) fn has_room(&self) -> bool {
        self.output.has_room()
    }

    /// Larger answers than these are not sent.
    pub(super) fn limit_answers(&mut self, size: AnswerSize) {
        self.answer_size = size;
    }

    /// What can be resumed of a connection that is over.
    pub(super) fn take_session(&mut self) -> Option<Session> {
        self.session.take()
    }

    /// Sends a stanza in the session, which must be open. What becomes of its tag is reported. An answer that is larger than the server takes
    /// is dropped.
    ///
    /// # Errors
    ///
    /// It cannot be written. Its tag is reported as lost.
    pub(super) fn send(&mut self, stanza: Outgoing) -> Result<(), Unwritable> {
        let Outgoing { parcel, tag, counted } = stanza;
        let is_answer = tag.is_none() && !matches!(parcel, Parcel::Written(_));
        let written = match (parcel, &self.sender) {
            (Parcel::Written(bytes), None) => Ok(bytes),
            (Parcel::Written(bytes), Some(sender)) => Ok(sender.sign_written(&bytes)),
            (Parcel::Stanza(mut stanza) | Parcel::Reply(mut stanza), sender) => {
                if let Some(sender) = sender {
                    sender.sign(&mut stanza);
                }
                self.writer.write(&*stanza).map(BytesMut::freeze)
            }
        };
        let bytes = match written {
            Ok(bytes) => bytes,
            Err(error) => {
                self.events.extend(tag.map(Event::Lost));
                return Err(error);
            }
        };
        if is_answer && !self.answer_size.allows(bytes.len()) {
            return Ok(());
        }
        match &mut self.session {
            None => self.output.push_stanza(&bytes, tag, counted),
            Some(session) => {
                self.output.push_stanza(&bytes, tag.filter(|_| self.enabling.is_some()), counted);
                self.ack_requests.on_sent(bytes.len());
                session.on_sent(Unacked { bytes, tag });
            }
        }
        if self.ack_requests.is_overdue() {
            self.request_ack();
        }
        Ok(())
    }

    /// Ends the stream, behind all that was sent. What is waiting can still be written; nothing more is reported.
    pub(super) fn finish(&mut self) {
        if let Some(session) = self.session.as_mut().filter(|session| session.has_unreported()) {
            let ack = session.ack();
            self.write(&ack);
        }
        self.output.push(FOOTER);
        self.state = State::Closed;
    }

    /// Something that went by this connection is not answered: perhaps nothing comes by it any more. Before all is
    /// open there is a deadline.
    pub(super) fn handle_doubt(&mut self, now: Instant) {
        if matches!(self.state, State::Open { proof: None }) && self.enabling.is_none() {
            self.liveness.on_doubt(now);
        }
    }

    /// Takes in what has come.
    pub(super) fn handle_read(&mut self, now: Instant, bytes: &[u8]) {
        self.liveness.on_heard(now);
        if let Err(Endless) = self.framer.feed(bytes) {
            self.handle_end(now, AccountError::TooMuch(Step::Session));
        }
    }

    /// Nothing more can be read or written, for this reason. What has come before still counts.
    pub(super) fn handle_end(&mut self, now: Instant, reason: AccountError) {
        while self.read_element(now) {}
        self.close(reason);
    }

    /// Gives up a session that does not open, a resumption that does not work, and a server that is silent; sends an acknowledgement
    /// that has waited long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.delayed_ack.on_timeout(now);
        match self.state {
            State::Closed => {}
            State::Opening(_, deadline) if now >= deadline => {
                if self.has_features() {
                    // A server that does not answer the request to resume would not the next time.
                    self.lose_session();
                }
                self.close(AccountError::TimedOut(Step::Session));
            }
            State::Open { .. }
                if self.enabling.as_ref().is_some_and(|enabling| now >= enabling.deadline()) =>
            {
                self.give_session_up(Event::NeverCounts);
            }
            State::Open { proof: Some(deadline) } if now >= deadline => self.give_session_up(Event::Unproven),
            State::Open { .. } if self.sender.is_some() => self.keep_alive(now),
            State::Opening(..) | State::Open { .. } => match self.liveness.on_timeout(now) {
                None => {}
                Some(Silence::Ask) if self.session.is_some() => self.ack_requests.owe(),
                Some(Silence::Ask) => self.events.push_back(Event::Silent),
                Some(Silence::Dead) => self.close(AccountError::TimedOut(Step::Session)),
            },
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let deadline = match self.state {
            State::Closed => return None,
            State::Opening(_, deadline) => Some(deadline),
            State::Open { proof } => proof.or(self.enabling.as_ref().map(Enabling::deadline)),
        };
        [deadline, self.delayed_ack.timeout(), Some(self.liveness.timeout())].into_iter().flatten().min()
    }

    /// What is to be written next, some [`BATCH`] of bytes at most.
    pub(super) fn poll_transmit(&mut self) -> &[u8] {
        if self.is_open() {
            if self.ack_requests.is_due(self.output.waiting().len() <= BATCH) {
                self.request_ack();
            }
            self.acknowledge();
        }
        let waiting = self.output.waiting();
        &waiting[..waiting.len().min(BATCH)]
    }

    /// So many bytes of it were taken by the layers below.
    pub(super) fn handle_written(&mut self, length: usize) {
        self.output.on_handed_on(length);
    }

    /// The layers below have written all that they took.
    pub(super) fn handle_flushed(&mut self) {
        let written = self.output.on_flushed();
        match (&mut self.state, &mut self.enabling) {
            (State::Opening(opening, _), _) => opening.on_written(written),
            (_, Some(enabling)) => enabling.on_written(written),
            (_, None) => self.events.extend(written.map(Event::Acked)),
        }
    }

    /// The next thing that has happened.
    pub(super) fn poll_event(&mut self, now: Instant) -> Option<Event> {
        while self.events.is_empty() && self.read_element(now) {}
        self.events.pop_front()
    }

    /// Reads the next element that has come whole. False if there is none, or nothing counts any more.
    fn read_element(&mut self, now: Instant) -> bool {
        if self.is_closed() {
            return false;
        }
        let Some(piece) = self.framer.pop() else { return false };
        self.on_element(now, reader::read(piece));
        true
    }

    fn on_element(&mut self, now: Instant, meaning: Meaning) {
        if let Meaning::End(error) = meaning {
            self.owes_end = true;
            let error = error.unwrap_or(AccountError::Closed(Step::Session));
            return self.close(if self.sender.is_some() { error.of_component() } else { error });
        }
        if let Meaning::Features(features) = &meaning {
            self.note_limits(features);
        }
        match &mut self.state {
            State::Closed => {}
            State::Open { .. } => self.on_element_of_session(now, meaning),
            State::Opening(opening, _) => {
                let outcome = match meaning {
                    Meaning::Features(features) => opening.on_features(&features),
                    Meaning::Nonza(element) => opening.on_nonza(element.as_deref().and_then(Nonza::read)),
                    meaning if opening.may_get_stanzas() => return self.pass_on(meaning),
                    Meaning::Stanza(stanza) => opening.on_stanza(*stanza),
                    _ => return,
                };
                self.on_outcome(now, outcome);
            }
        }
    }

    /// How long it waits for an idle client, which a server says as well, does not matter: it is asked for a sign of life sooner.
    fn note_limits(&mut self, features: &StreamFeatures) {
        self.offers = Offers {
            max_stanza: features
                .limits
                .as_ref()
                .and_then(|limits| limits.max_bytes)
                .map(|max| max.get() as usize),
            idle_seconds: features
                .limits
                .as_ref()
                .and_then(|limits| limits.idle_seconds)
                .map(|idle| idle.get()),
            counts: features.stream_management.is_some(),
        };
        self.events.extend(self.offers.max_stanza.map(Event::StanzaLimit));
    }

    fn on_outcome(&mut self, now: Instant, outcome: Outcome) {
        match outcome {
            Outcome::Waiting => {}
            Outcome::Resumed { h } => self.on_resumed(now, h),
            Outcome::NotResumed { h, then } => {
                if let Some(h) = h {
                    // An impossible count is as good as none: the session is over in any case.
                    self.on_acked(h);
                }
                self.lose_session();
                self.say(&then);
            }
            Outcome::Begun { jid, server_counts } => {
                self.liveness.on_answer(now.saturating_duration_since(self.since));
                self.on_begun(jid, server_counts);
            }
            Outcome::Misbound(reason) => {
                self.owes_end = true;
                self.lose_unanswered();
                self.end(Event::Misbound(reason));
            }
            Outcome::Refused(reason) => {
                self.owes_end = true;
                self.close(reason);
            }
            Outcome::Nonsense => self.close(AccountError::Protocol(Step::Session)),
        }
    }

    /// A resource is bound. Where that was presumed stanzas are on their way already.
    fn on_begun(&mut self, jid: FullJid, server_counts: bool) {
        let State::Opening(opening, deadline) = &mut self.state else { return };
        let (presumption, deadline) = (opening.take_presumption(), *deadline);
        self.state = State::Open { proof: None };
        self.events.push_back(match &presumption {
            Some(_) => Event::Confirmed,
            None => Event::Online { jid: jid.clone(), resumed: false, presumed: false },
        });
        let sent = presumption.map(Presumption::into_written).unwrap_or_default();
        if server_counts && self.counting != Counting::No {
            self.enable(jid, sent, deadline);
        } else {
            self.events.extend(sent.into_iter().map(Event::Acked));
        }
    }

    /// Asks the server to count, and begins to. What was sent before that is not counted, but no answer comes before the server has it.
    fn enable(&mut self, jid: FullJid, mut before: Vec<u64>, deadline: Instant) {
        before.extend(self.output.take_tags());
        self.write(&sm::enable());
        self.session = Some(Session::new(jid));
        self.enabling = Some(Enabling::new(self.counting, deadline, before));
    }

    /// Until the server has answered `<enable/>`, its stanzas are not counted, and that answer is the only other element that it may send.
    fn on_element_while_enabling(&mut self, meaning: Meaning) {
        let Meaning::Nonza(element) = meaning else { return self.pass_on(meaning) };
        let nonza = element.as_deref().and_then(Nonza::read);
        let Some(answer) = self.enabling.as_ref().and_then(|enabling| enabling.answer(nonza)) else {
            return self.close(AccountError::Protocol(Step::Session));
        };
        let (before, written) = self.enabling.take().map(Enabling::into_tags).unwrap_or_default();
        self.events.extend(before.into_iter().map(Event::Acked));
        match (answer, &mut self.session) {
            (Answer::Counts(id), Some(session)) => {
                session.on_enabled(id);
                self.output.take_tags();
            }
            // It offers to count, and refuses: the session goes on without.
            _ => {
                self.session = None;
                self.events.extend(written.into_iter().map(Event::Acked));
            }
        }
    }

    /// The session goes on, and has to prove it: Prosody 0.12 feeds a resumed session's data to the XML parser of the
    /// connection that broke, which swallows everything if it was in the middle of a stanza.
    fn on_resumed(&mut self, now: Instant, h: u32) {
        if !self.on_acked(h) {
            return self.close(AccountError::Protocol(Step::Session));
        }
        let Some(session) = &self.session else { return };
        for stanza in session.unacked() {
            self.output.push(&stanza.bytes);
            self.ack_requests.on_sent(stanza.bytes.len());
        }
        self.state = State::Open { proof: Some(now + timing::PROOF) };
        let jid = session.jid().clone();
        self.events.push_back(Event::Online { jid, resumed: true, presumed: false });
    }

    fn on_element_of_session(&mut self, now: Instant, meaning: Meaning) {
        if self.enabling.is_some() {
            return self.on_element_while_enabling(meaning);
        }
        let Some(session) = &mut self.session else { return self.pass_on(meaning) };
        if meaning.is_stanza() {
            session.on_received();
            return self.pass_on(meaning);
        }
        let element = match meaning {
            Meaning::Nonza(element) => element,
            // No server offers anything in the middle of a session: it is taken like an unknown element.
            Meaning::Features(_) => None,
            _ => return,
        };
        match element.as_deref().and_then(Nonza::read) {
            Some(Nonza::Request) => self.delayed_ack.on_request(now),
            Some(Nonza::Ack { h }) if self.on_acked(h) => self.ack_requests.on_answered(),
            // It does not count as we do, or says what nobody knows: what else it means by that cannot be known either.
            _ => self.close(AccountError::Protocol(Step::Session)),
        }
    }

    fn pass_on(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Flat(flat) => self.events.push_back(Event::Flat(flat)),
            Meaning::Stanza(stanza) => self.events.push_back(Event::Stanza(stanza)),
            Meaning::Skipped
            | Meaning::Nonza(_)
            | Meaning::Features(_)
            | Meaning::Nothing
            | Meaning::End(_) => {}
        }
    }

    /// Whether the server can have handled `h` of our stanzas. What is news of it proves that the session works.
    fn on_acked(&mut self, h: u32) -> bool {
        let Some(session) = &mut self.session else { return true };
        let Ok(news) = session.on_acked(h) else { return false };
        let mut is_news = false;
        for stanza in news {
            is_news = true;
            self.events.extend(stanza.tag.map(Event::Acked));
        }
        if is_news && let State::Open { proof } = &mut self.state {
            *proof = None;
        }
        true
    }

    /// Asks for an acknowledgement, but not before the server has said that it counts.
    fn request_ack(&mut self) {
        if self.enabling.is_some() {
            return;
        }
        if self.session.is_some() {
            self.write(&R);
        }
        self.ack_requests.on_asked();
    }

    /// Acknowledges what has come, where that is due. Before the last acknowledgement is written there is no other, however often
    /// the server asks.
    fn acknowledge(&mut self) {
        let Some(session) = &mut self.session else { return };
        let is_due = session.owes_report() || self.delayed_ack.is_due(!self.output.waiting().is_empty());
        if is_due && self.output.is_handed_on(self.last_ack) {
            let ack = session.ack();
            self.write(&ack);
            (self.delayed_ack, self.last_ack) = (DelayedAck::NotAsked, self.output.end());
        }
    }

    fn say(&mut self, request: &Request) {
        let written = request.write(&mut self.writer);
        self.push_written(written);
    }

    /// Writes what is no stanza of the session.
    fn write(&mut self, element: &impl xso::AsXml) {
        let written = self.writer.write(element);
        self.push_written(written);
    }

    fn push_written(&mut self, written: Result<BytesMut, Unwritable>) {
        match written {
            Ok(bytes) => self.output.push(&bytes),
            Err(Unwritable) => self.close(AccountError::Protocol(Step::Session)),
        }
    }

    /// Whether the server has taken up the stream. What it says before that is about the login, and not about a session.
    fn has_features(&self) -> bool {
        match &self.state {
            State::Opening(opening, _) => opening.has_features(),
            State::Open { .. } | State::Closed => true,
        }
    }
}
