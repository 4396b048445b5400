//! Path: packets in blocks, from an account of ours to one of the peer's and back.
//!
//! How blocks travel is the carrier's affair. The answers to ours are the path's clock; they say nothing of what the peer has understood.

mod lateness;
mod pacer;
#[cfg(test)]
pub(crate) mod server_model;
#[cfg(test)]
mod tests;
pub(crate) mod window;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use xmpp_parsers::jid::FullJid;

use crate::protocol::AccountId;
use crate::secure::api::stats::{Bytes as BytesCarried, Lane, PathStats};
use crate::secure::api::{Outgoing, Receipt, Transmit};
use crate::secure::client_tag::ClientTag;
use crate::secure::crypto::credential::Credential;
use crate::secure::crypto::handshake::{Initiator, LARGEST_HELLO};
use crate::secure::delivery::Delivery;
use crate::secure::ids::{LegId, PathId, Sending};
use crate::secure::path::lateness::Lateness;
use crate::secure::path::pacer::Pacer;
use crate::secure::path::window::Window;
use crate::secure::sizes::Sizes;
use crate::secure::tuning::{
    FIRST_TIMEOUT, LEAST_TIMEOUT, ONE_READ, OPEN_PATIENCE, PATH_DEAD, SHORT_LIFE, TIMEOUTS_UNTIL_DEATH,
    UNKNOWN_DELAY,
};

/// How far a path has come.
#[derive(Debug)]
pub(crate) enum PathState {
    /// A client's open of a further path is on its way.
    Opening,
    /// A client's open of a first contact is on its way, and its half of the handshake behind it.
    Greeting(Box<Initiator>),
    /// The bridge makes a note of the handshake before it answers the open. The client's half of the handshake may have come.
    Keeping { open: Receipt, hello: Option<FirstBlock> },
    /// The bridge waits for the client's first message.
    Listening,
    /// Packets may go.
    Open,
}

/// The client's half of a handshake, as it came.
#[derive(Debug)]
pub(crate) struct FirstBlock {
    pub(crate) receipt: Receipt,
    pub(crate) message: Vec<u8>,
}

/// Between whom a path is.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    /// Our account.
    pub(crate) via: AccountId,
    pub(crate) peer: FullJid,
    /// Between their servers, if they are two.
    pub(crate) leg: Option<LegId>,
    /// Whose share of our account the path takes up.
    pub(crate) client: ClientTag,
    /// What it is opened with.
    pub(crate) credential: Credential,
}

/// One path, from the open to its end.
#[derive(Debug)]
pub(crate) struct Path {
    id: PathId,
    contact: Contact,
    state: PathState,
    /// When it was asked for; once it is open, when it was opened.
    since: Instant,
    /// When something came by it last, be it a block or an answer.
    last_heard: Instant,
    /// When something of ours was answered last.
    last_answer: Instant,
    /// What was answered then, in bytes on the wire.
    last_read: (Instant, usize),
    /// Whether the peer takes blocks.
    takes_blocks: bool,
    window: Window,
    pacer: Pacer,
    /// What was not answered yet, in the order of sending.
    outstanding: VecDeque<Sent>,
    /// The size of the largest block that was answered.
    largest_taken: usize,
    /// The block that went although the window was full.
    express: Option<Delivery>,
    /// Our account has been offline since then, and the clock stands still.
    suspended: Option<Instant>,
    has_stalled: bool,
    /// By a relay.
    lateness: Option<Lateness>,
    lane: Lane,
    /// Bytes of its blocks.
    carried: BytesCarried,
}

/// Something of ours that is to be answered.
#[derive(Clone, Copy, Debug)]
struct Sent {
    delivery: Delivery,
    /// The size of the block; none for an open.
    block: Option<usize>,
    at: Instant,
    /// It was on its way while our account was offline, so that its answer tells no delay.
    interrupted: bool,
}

impl Path {
    /// A path that is still to be opened, or that nobody has greeted yet.
    pub(crate) fn new(
        now: Instant,
        id: PathId,
        contact: Contact,
        state: PathState,
        sizes: &'static Sizes,
    ) -> Self {
        Self {
            id,
            contact,
            state,
            since: now,
            last_heard: now,
            last_answer: now,
            last_read: (now, 0),
            takes_blocks: false,
            window: Window::new(sizes),
            pacer: Pacer::default(),
            outstanding: VecDeque::new(),
            largest_taken: 0,
            express: None,
            suspended: None,
            has_stalled: false,
            lateness: None,
            lane: Lane::Chat,
            carried: BytesCarried::default(),
        }
    }

    pub(crate) fn id(&self) -> PathId {
        self.id
    }

    /// Our account.
    pub(crate) fn via(&self) -> AccountId {
        self.contact.via
    }

    pub(crate) fn peer(&self) -> &FullJid {
        &self.contact.peer
    }

    /// Between our server and the peer's, if they are two.
    pub(crate) fn leg(&self) -> Option<LegId> {
        self.contact.leg
    }

    /// The same path by a relay.
    pub(crate) fn by_relay(self) -> Self {
        let lateness = Some(Lateness::new(self.since));
        Self { lane: Lane::Relay, lateness, ..self }
    }

    /// What it does.
    pub(crate) fn stats(&self) -> PathStats {
        let round_trip = self.window.round_trip().filter(|_| self.is_open());
        PathStats { lane: self.lane, carried: self.carried, round_trip, is_open: self.is_open() }
    }

    /// Whose share of our account it takes up.
    pub(crate) fn client(&self) -> ClientTag {
        self.contact.client
    }

    pub(crate) fn set_client(&mut self, client: ClientTag) {
        self.contact.client = client;
    }

    /// What it was opened with.
    pub(crate) fn credential(&self) -> &Credential {
        &self.contact.credential
    }

    /// What our account has to know of what goes by it.
    pub(crate) fn sending(&self) -> Sending {
        Sending { via: self.via(), client: self.client(), path: self.id, leg: self.leg() }
    }

    pub(crate) fn state(&self) -> &PathState {
        &self.state
    }

    /// Goes on to another state; the one before.
    pub(crate) fn set_state(&mut self, state: PathState) -> PathState {
        std::mem::replace(&mut self.state, state)
    }

    /// A block came. The first one is kept while the handshake is noted down, if it can be the client's half of it; others are given
    /// back.
    pub(crate) fn keep_hello(&mut self, came: FirstBlock) -> Result<(), FirstBlock> {
        match &mut self.state {
            PathState::Keeping { hello: hello @ None, .. } if came.message.len() <= LARGEST_HELLO => {
                *hello = Some(came);
                Ok(())
            }
            _ => Err(came),
        }
    }

    /// The handshake is noted down, and blocks may go: the open to answer, and the client's half of the handshake if it has come. None if
    /// that was so before.
    pub(crate) fn take_kept(&mut self) -> Option<(Receipt, Option<FirstBlock>)> {
        let PathState::Keeping { open, hello } = &mut self.state else { return None };
        let kept = (open.clone(), hello.take());
        self.allow_blocks();
        self.state = PathState::Listening;
        Some(kept)
    }

    /// Whether a further path was asked for, and not answered yet.
    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.state, PathState::Opening)
    }

    /// Whether packets may go.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, PathState::Open)
    }

    /// Whether it is to lead to a handshake.
    pub(crate) fn is_first_contact(&self) -> bool {
        matches!(self.state, PathState::Greeting(_))
    }

    /// Whether packets may go, and there is a point in waiting for room.
    pub(crate) fn works(&self) -> bool {
        self.is_open() && self.is_usable()
    }

    /// Whether it has worked for some time.
    pub(crate) fn has_worked(&self, now: Instant) -> bool {
        self.is_open() && now.saturating_duration_since(self.since) >= SHORT_LIFE
    }

    /// When something came by it last.
    pub(crate) fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// Our open was sent.
    pub(crate) fn on_open_sent(&mut self, now: Instant, delivery: Delivery) {
        self.push(now, delivery, None);
    }

    /// Blocks may go: both ends have agreed on the path, or it was asked for and they go behind that.
    pub(crate) fn allow_blocks(&mut self) {
        self.takes_blocks = true;
    }

    /// The handshake is done, or none was needed: packets may go.
    pub(crate) fn open(&mut self, now: Instant) {
        self.allow_blocks();
        self.state = PathState::Open;
        self.since = now;
    }

    /// A block goes; what the carrier is to do.
    pub(crate) fn block(&mut self, now: Instant, delivery: Delivery, data: Bytes) -> Transmit {
        self.on_sent(now, delivery, data.len());
        let action = Outgoing::Block { path: self.id, token: delivery.token, data };
        Transmit { via: self.via(), to: self.peer().clone(), action }
    }

    /// The size of the block that may go now; 0 while none may.
    pub(crate) fn room(&self) -> usize {
        if self.is_usable() && !self.pacer.is_pausing() { self.window.room() } else { 0 }
    }

    /// One block at a time is to be on its way from now on, where that keeps the path busy; or that does not matter any more.
    pub(crate) fn set_sparing(&mut self, is_sparing: bool) {
        self.window.set_sparing(is_sparing);
    }

    /// Whether there is a point in waiting for room.
    pub(crate) fn is_usable(&self) -> bool {
        self.takes_blocks && self.suspended.is_none() && !self.has_stalled
    }

    /// A block of so many bytes goes.
    pub(crate) fn on_sent(&mut self, now: Instant, delivery: Delivery, bytes: usize) {
        self.carried.sent += bytes as u64;
        self.window.on_sent(now, bytes);
        if let Some(pace) = self.window.pace(now) {
            self.pacer.on_sent(now, self.sizes().wire_size(bytes), pace);
        }
        self.push(now, delivery, Some(bytes));
    }

    /// The block that was sent last did so although the window was full.
    pub(crate) fn note_express(&mut self) {
        self.express = self.outstanding.back().map(|sent| sent.delivery);
    }

    /// Whether such a block is on its way.
    pub(crate) fn has_express(&self) -> bool {
        self.express.is_some()
    }

    /// More will be sent only when some of what is on its way has arrived, though there may be room.
    pub(crate) fn note_backed_up(&mut self, now: Instant) {
        self.window.on_backed_up(now);
    }

    fn push(&mut self, now: Instant, delivery: Delivery, block: Option<usize>) {
        if let Some(lateness) = self.lateness.as_mut().filter(|_| self.outstanding.is_empty()) {
            lateness.on_empty(now);
        }
        let interrupted = self.suspended.is_some();
        self.outstanding.push_back(Sent { delivery, block, at: now, interrupted });
    }

    /// The peer has taken something of ours.
    pub(crate) fn on_taken(&mut self, now: Instant, delivery: Delivery) {
        (self.last_heard, self.last_answer) = (now, now);
        let Some(place) = self.outstanding.iter().position(|sent| sent.delivery == delivery) else { return };
        let Some(sent) = self.outstanding.remove(place) else { return };
        self.has_stalled = false;
        let bytes = sent.block.map_or(0, |bytes| self.sizes().wire_size(bytes));
        let (since, before) = self.last_read;
        let is_of_one_read = now.saturating_duration_since(since) <= ONE_READ;
        self.last_read = if is_of_one_read { (since, before + bytes) } else { (now, bytes) };
        self.express = self.express.filter(|express| *express != delivery);
        self.largest_taken = self.largest_taken.max(sent.block.unwrap_or_default());
        self.note_lateness(now, sent.at, bytes);
        match sent.block {
            Some(bytes) if sent.interrupted => self.window.on_answered_late(now, bytes),
            Some(bytes) => self.window.on_answered(now, sent.at, bytes),
            None if sent.interrupted => {}
            None => self.window.on_delay(now, now.saturating_duration_since(sent.at)),
        }
    }

    /// A block of the peer's came, of so many bytes.
    pub(crate) fn on_block(&mut self, now: Instant, bytes: usize) {
        self.carried.received += bytes as u64;
        self.last_heard = now;
    }

    /// What was not answered yet.
    pub(crate) fn outstanding(&self) -> impl Iterator<Item = Delivery> + '_ {
        self.outstanding.iter().map(|sent| sent.delivery)
    }

    /// The size of the largest block that was not answered yet; 0 where none is on its way.
    pub(crate) fn largest_outstanding(&self) -> usize {
        self.outstanding.iter().filter_map(|sent| sent.block).max().unwrap_or_default()
    }

    /// The size of the largest block that was answered.
    pub(crate) fn largest_taken(&self) -> usize {
        self.largest_taken
    }

    /// Whether our account is offline.
    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.is_some()
    }

    /// Our account is offline. What is on its way may still arrive.
    pub(crate) fn suspend(&mut self, now: Instant) {
        self.suspended.get_or_insert(now);
        for sent in &mut self.outstanding {
            sent.interrupted = true;
        }
    }

    /// Our account is back, and nothing was lost.
    pub(crate) fn resume(&mut self, now: Instant) {
        let Some(since) = self.suspended.take() else { return };
        let pause = now.saturating_duration_since(since);
        for sent in &mut self.outstanding {
            sent.at += pause;
        }
        self.last_heard += pause;
        self.last_answer += pause;
        self.has_stalled = false;
    }

    /// Whether the peer has left something unanswered for too long.
    pub(crate) fn is_dead(&self, now: Instant) -> bool {
        self.death().is_some_and(|at| at <= now)
    }

    /// True once for each time that answers, or our account, stay away for so long that what is on its way should go
    /// by another path as well. Until there is an answer nothing more goes by this one.
    pub(crate) fn check_stalled(&mut self, now: Instant) -> bool {
        let stalls = self.stall().is_some_and(|at| at <= now);
        self.has_stalled |= stalls;
        stalls
    }

    /// A pause between blocks may be over.
    pub(crate) fn end_pause(&mut self, now: Instant) {
        self.pacer.handle_timeout(now);
    }

    /// When to look at [`is_dead`](Self::is_dead), [`check_stalled`](Self::check_stalled), [`check_late`](Self::check_late) and
    /// [`end_pause`](Self::end_pause) again.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        [self.stall(), self.death(), self.lateness_timeout(), self.pacer.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    fn death(&self) -> Option<Instant> {
        if !self.is_open() {
            return Some(self.since + OPEN_PATIENCE);
        }
        let oldest = self.outstanding.front().filter(|_| self.suspended.is_none())?;
        let silent_since = self.last_heard.max(oldest.at);
        Some((silent_since + TIMEOUTS_UNTIL_DEATH * self.timeout()).min(oldest.at + PATH_DEAD))
    }

    fn stall(&self) -> Option<Instant> {
        if self.has_stalled {
            return None;
        }
        let unanswered_since = self.last_answer.max(self.outstanding.front()?.at);
        Some(self.suspended.map_or(unanswered_since, |since| since.max(unanswered_since)) + self.timeout())
    }

    /// How long there may be no answer before the path has stalled: its retransmission timeout (RFC 6298).
    fn timeout(&self) -> Duration {
        self.window.timeout().map_or(FIRST_TIMEOUT, |timeout| timeout.clamp(LEAST_TIMEOUT, PATH_DEAD))
    }

    /// What is on its way, in bytes on the wire.
    pub(crate) fn in_flight(&self) -> usize {
        self.window.in_flight()
    }

    /// How much may be on its way.
    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    /// The size of blocks.
    pub(crate) fn block_size(&self) -> usize {
        self.window.block_size()
    }

    /// Its carrier may hold something back for so long, without a queue.
    pub(crate) fn expect_held_back(&mut self, longest: Duration) {
        self.window.expect_held_back(longest);
    }

    /// What its carrier says of sizes.
    pub(crate) fn sizes(&self) -> &'static Sizes {
        self.window.sizes()
    }

    /// What the path carries, in bytes on the wire a second. An estimate from its window as long as it was never busy.
    pub(crate) fn rate(&self, now: Instant) -> f64 {
        let usual = self.window.rate().unwrap_or_else(|| {
            let delay = self.window.round_trip().unwrap_or(UNKNOWN_DELAY).max(self.age(now));
            self.window.limit() as f64 / delay.max(Duration::from_millis(1)).as_secs_f64()
        });
        self.late_rate(now).map_or(usual, |late| late.min(usual))
    }

    /// The same, where the path has shown it: its window does not open any more.
    pub(crate) fn settled_rate(&self) -> Option<f64> {
        self.window.settled_rate()
    }

    /// How much a sender should have at hand to keep the path busy, in bytes.
    pub(crate) fn send_buffer_target(&self) -> usize {
        self.window.send_buffer_target()
    }

    /// How long something takes by this path while nothing is on it, beyond what its rate makes of it.
    pub(crate) fn latency(&self, now: Instant) -> Duration {
        let lateness = self.age(now).saturating_sub(self.window.round_trip().unwrap_or(UNKNOWN_DELAY));
        self.window.base_delay().unwrap_or(UNKNOWN_DELAY) / 2 + lateness
    }

    /// When something of ours was answered last, and what was, in bytes on the wire: with it the server paused.
    pub(crate) fn last_read(&self) -> (Instant, usize) {
        self.last_read
    }

    /// Whether its rate shows: something is on its way, or so much was that the rate is known.
    pub(crate) fn has_carried(&self) -> bool {
        self.window.in_flight() > 0 || self.window.rate().is_some()
    }

    /// When what has been on its way for the longest was sent.
    pub(crate) fn oldest_sent(&self) -> Option<Instant> {
        self.outstanding.front().map(|oldest| oldest.at)
    }

    /// What it takes there and back while nothing is queued.
    pub(crate) fn distance(&self) -> Duration {
        self.window.distance().unwrap_or(UNKNOWN_DELAY)
    }

    /// How long the first thing on its way has been so.
    fn age(&self, now: Instant) -> Duration {
        self.outstanding.front().map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent.at))
    }
}

#[cfg(test)]
impl Path {
    /// Two servers are between its ends.
    pub(crate) fn set_leg(&mut self, leg: LegId) {
        self.contact.leg = Some(leg);
    }

    /// When a pause between blocks is over.
    pub(crate) fn pauses_until(&self) -> Option<Instant> {
        self.pacer.next_timeout()
    }

    /// A path by this account of ours that is still to be opened.
    pub(crate) fn by(now: Instant, via: AccountId) -> Self {
        let credential = Credential::NOBODYS;
        let peer = FullJid::new("peer@chat.example/r").expect("a JID");
        let contact = Contact { via, peer, leg: None, client: ClientTag::default(), credential };
        Self::new(now, PathId(0), contact, PathState::Open, &crate::secure::sizes::OF_TESTS)
    }
}

/// How long so many bytes take.
pub(crate) fn transfer(bytes: usize, rate: f64) -> Duration {
    /// Longer than anything is waited for.
    const FOREVER: f64 = 3600.0;
    Duration::from_secs_f64((bytes as f64 / rate.max(1.0)).min(FOREVER))
}
