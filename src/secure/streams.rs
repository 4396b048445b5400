//! Streams of one session, for either side: what applications write becomes frames, and back.
//!
//! [`Streams`] knows nothing of packets, paths and time. Its methods are:
//!
//! - **commands** of applications: `open`, `accept`, `refuse`, `write`, `read`, `finish`, `abort`, `release`, and
//!   `close_all` of the session;
//! - **what comes in**: `handle_frame`, for frames of packets that are authentic and no replays;
//! - **what goes out**: `write_frames` fills a packet and says in a [`Sent`] what went in, which is given back to
//!   `on_acked` or `on_lost`, once;
//! - **`poll_event`** says what applications should know, and the getters what is kept.
//!
//! # Memory
//!
//! Whatever the peer sends, a session keeps at most the session's credit of received bytes (`credit`) and a third more,
//! [`StreamLimits::max_fragments`] small fragments, and the state of [`StreamLimits::max_streams`] + [`MAX_CLOSING`] streams.
//! What is sent is bounded by [`StreamLimits::send_buffer`] for each stream. `Streams::usage` has the sum of it all, at the
//! prices of `price`.

pub(crate) mod assembler;
mod byte_queue;
mod credit;
mod incoming;
mod outgoing;
pub(crate) mod overdue;
mod queues;
pub(crate) mod receive;
pub(crate) mod send_buffer;
pub(crate) mod stream;
mod totals;
mod types;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::protocol::{Address, CloseReason, Read};
use crate::secure::budget::ledger::Usage;
use crate::secure::budget::price;
use crate::secure::streams::credit::CreditWindow;
use crate::secure::streams::overdue::is_overdue;
use crate::secure::streams::stream::{Delivery, Stream};
use crate::secure::wire::frame::ResetReason;
use crate::secure::wire::ranges::RangeSet;
use queues::Queues;
use totals::Totals;

pub(crate) use outgoing::Sent;
pub(crate) use types::{Credit, ProtocolViolation, Role, StreamEvent, StreamLimits};

/// Streams that are over and that the peer has not confirmed: 1024 beyond the limit on streams, as many as that limit is by default.
pub(crate) const MAX_CLOSING: usize = 1024;
/// A stream's number is at most 16,384 above the lowest that was never seen: which ones were is remembered in ranges.
pub(crate) const MAX_STREAMS_AHEAD: u64 = 16 * 1024;

/// Room for 16 events stays when all have been told.
const SPARE_EVENTS: usize = 16;

/// Credit that a peer has outgrown becomes 4 times as much: that it did shows only once in a round trip, and twice as much each time would
/// hold up a window that doubles as fast (`path::window::slow_start`).
const WIDER: u64 = 4;

/// Every stream may keep 16 KiB of what was written to it, however much others keep: those whose peers do not read must not stop
/// all the rest.
pub(crate) const FLOOR: usize = 16 * 1024;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Streams {
    role: Role,
    limits: StreamLimits,
    /// How much each stream may keep of what was written to it.
    send_buffer: usize,
    streams: BTreeMap<u64, Stream>,
    /// The client's next stream.
    next_id: u64,
    /// Streams that the bridge knows of, or has known.
    seen: RangeSet,
    events: VecDeque<StreamEvent>,
    queues: Queues,
    totals: Totals,
    /// Streams that could write more if others had less on their way.
    crowded: BTreeSet<u64>,
    /// Streams from which less was taken than there was, because others have so much. Each goes on when its own is nearly
    /// gone, even if others never have less.
    short: BTreeSet<u64>,
    /// How much we may send on a new stream.
    stream_credit: u64,
    /// Up to which sum of offsets we may send.
    session_credit: u64,
    /// Up to which sum of offsets the peer may send.
    credit: CreditWindow,
    grant: Delivery,
    /// Streams whose peer uses up its credit faster than it hears of more, and whether it does so with the session's.
    outgrown: BTreeSet<u64>,
    has_outgrown_session: bool,
    /// How many more streams the peer may open, as far as other sessions leave room.
    room_for_streams: usize,
    /// Frames that were sent and are neither acknowledged nor lost.
    in_flight: usize,
    /// Why the session is over.
    closed: Option<CloseReason>,
}

impl Streams {
    /// No streams yet, on our side of a session whose peer gives `peer_credit` at first.
    pub(crate) fn new(role: Role, limits: StreamLimits, peer_credit: Credit) -> Self {
        Self {
            role,
            limits,
            send_buffer: limits.send_buffer,
            streams: BTreeMap::new(),
            next_id: 0,
            seen: RangeSet::default(),
            events: VecDeque::new(),
            queues: Queues::default(),
            totals: Totals::default(),
            crowded: BTreeSet::new(),
            short: BTreeSet::new(),
            stream_credit: peer_credit.stream,
            session_credit: peer_credit.session,
            credit: CreditWindow::new(limits.first_credit.session),
            grant: Delivery::Not,
            outgrown: BTreeSet::new(),
            has_outgrown_session: false,
            room_for_streams: usize::MAX,
            in_flight: 0,
            closed: None,
        }
    }

    /// Asks the bridge for a connection to `target`. The outcome is a [`StreamEvent::Connected`] or
    /// [`StreamEvent::Closed`]; bytes may be written before.
    ///
    /// # Errors
    ///
    /// [`CloseReason::TooManyStreams`], or why the session is over.
    pub(crate) fn open(&mut self, target: Address) -> Result<u64, CloseReason> {
        if let Some(reason) = self.closed {
            return Err(reason);
        }
        // Half of what the bridge accepts: it can be behind with what it has seen.
        let far_ahead = self.next_id - self.first_unseen() >= MAX_STREAMS_AHEAD / 2;
        if far_ahead || self.totals.in_use >= self.limits.max_streams || self.is_crowded() {
            return Err(CloseReason::TooManyStreams);
        }
        let id = self.next_id;
        self.next_id += 1;
        let mut stream = self.new_stream();
        stream.open(target);
        self.add(id, stream);
        Ok(id)
    }

    /// Tells the client that the target was reached.
    pub(crate) fn accept(&mut self, id: u64) {
        self.with(id, |stream| stream.accept());
    }

    /// Tells the client that the target cannot be reached or is not allowed. The stream is released with it.
    pub(crate) fn refuse(&mut self, id: u64) {
        self.with(id, |stream| {
            stream.reset(ResetReason::Refused);
            stream.release();
        });
    }

    /// Takes as much of `data` as there is room for, and says how much that was; when it was not all, a
    /// [`StreamEvent::Writable`] will follow.
    ///
    /// # Errors
    ///
    /// Why nothing more can be written; [`CloseReason::Finished`] when the peer reads nothing more.
    pub(crate) fn write(&mut self, id: u64, data: &[u8]) -> Result<usize, CloseReason> {
        self.write_within(id, data, usize::MAX)
    }

    /// The same, when there is room for so many bytes outside.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub(crate) fn write_within(&mut self, id: u64, data: &[u8], room: usize) -> Result<usize, CloseReason> {
        let own = FLOOR.saturating_sub(self.streams.get(&id).map_or(0, |stream| stream.send.len()));
        let among_all = self.limits.session_queue.saturating_sub(self.waiting_for_acks());
        let offered = data.get(..room.min(among_all).max(own)).unwrap_or(data);
        let taken = self.with(id, |stream| stream.write(offered)).unwrap_or(Err(CloseReason::Finished))?;
        if taken >= among_all && taken < data.len() {
            self.crowded.insert(id);
        }
        if taken == offered.len() && taken < data.len() {
            self.short.insert(id);
        }
        Ok(taken)
    }

    /// From now on each stream keeps about `bytes` of what is written to it, within its limit. What is more than a slow path
    /// carries soon would only wait here, and whatever the application writes after it.
    pub(crate) fn fit_send_buffers(&mut self, bytes: usize) {
        let bytes = bytes.max(1).next_multiple_of(FLOOR).min(self.limits.send_buffer);
        if bytes == self.send_buffer {
            return;
        }
        self.send_buffer = bytes;
        let ids: Vec<u64> = self.streams.keys().copied().collect();
        for id in ids {
            self.with(id, |stream| stream.send_capacity = bytes);
        }
    }

    /// Whether a peer should have more credit, so as not to wait for it.
    pub(crate) fn needs_wider_windows(&self) -> bool {
        self.has_outgrown_session || !self.outgrown.is_empty()
    }

    /// Gives it [`WIDER`] times the credit that it has outgrown, within the limits; the session may be promised `room` more bytes.
    pub(crate) fn widen_windows(&mut self, room: usize) {
        for id in std::mem::take(&mut self.outgrown) {
            self.has_outgrown_session |= self.widen_stream(id);
        }
        if std::mem::take(&mut self.has_outgrown_session) && self.closed.is_none() {
            self.widen_session(room as u64);
        }
    }

    /// Whether the session's credit is too small for the stream to get twice as much.
    fn widen_stream(&mut self, id: u64) -> bool {
        let (largest, widened) = (self.limits.largest_credit.stream, self.totals.widened);
        // Half of the session's first credit is for other streams, and what these may send beyond their own first credit.
        let left = self.credit.width() - self.limits.first_credit.session / 2;
        let lacks_session = self.with(id, |stream| {
            let credit = &stream.receive.credit;
            let wanted = (WIDER * credit.width()).min(largest);
            let most = left.saturating_sub(widened - credit.extra());
            if wanted.min(most) > credit.width() {
                stream.receive.set_window(wanted.min(most));
            }
            wanted > most
        });
        lacks_session == Some(true)
    }

    fn widen_session(&mut self, room: u64) {
        let width = self.credit.width();
        let wanted = (WIDER * width).min(self.limits.largest_credit.session);
        let more = wanted.saturating_sub(width).min(room);
        if more > 0 {
            self.credit.set_width(width + more, self.totals.consumed);
            self.credit.grant(self.totals.consumed);
            self.grant = Delivery::Due;
        }
    }

    /// Takes the next bytes that came from the peer.
    pub(crate) fn read(&mut self, id: u64) -> Read {
        self.with(id, Stream::read).unwrap_or(Read::End)
    }

    /// Nothing more will be written: the peer sees the end after the last byte. Reading goes on.
    pub(crate) fn finish(&mut self, id: u64) {
        self.with(id, |stream| stream.send.finish());
    }

    /// The application broke the stream off: the peer must not take what it has got for all there was.
    pub(crate) fn abort(&mut self, id: u64) {
        self.with(id, |stream| stream.reset(ResetReason::Aborted));
    }

    /// The same of a stream that we have asked for, if its target was not reached yet.
    pub(crate) fn abort_unconnected(&mut self, id: u64) {
        let is_ours = self.role == Role::Client;
        if is_ours && self.streams.get(&id).is_some_and(|stream| !stream.connected) {
            self.abort(id);
        }
    }

    /// The application has let go of the stream: nothing more will be read or written, and no event will name it. What was
    /// written still goes out. One that was not accepted yet is refused, and one that is not connected yet and has nothing
    /// written is cancelled.
    pub(crate) fn release(&mut self, id: u64) {
        if self.role == Role::Bridge && self.streams.get(&id).is_some_and(|stream| !stream.connected) {
            return self.refuse(id);
        }
        self.with(id, Stream::release);
    }

    /// The session is over: every stream is closed, and what is in order can still be read.
    pub(crate) fn close_all(&mut self, reason: CloseReason) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(reason);
        self.grant = Delivery::Not;
        let ids: Vec<u64> = self.streams.keys().copied().collect();
        for id in ids {
            self.with(id, |stream| stream.end(reason));
        }
    }

    /// The next thing that applications should know.
    pub(crate) fn poll_event(&mut self) -> Option<StreamEvent> {
        loop {
            let Some(event) = self.events.pop_front() else {
                if self.events.capacity() > SPARE_EVENTS {
                    self.events = VecDeque::new();
                }
                return None;
            };
            // The application may have let go of it since.
            if self.streams.get(&event.id()).is_some_and(|stream| !stream.released) {
                return Some(event);
            }
        }
    }

    /// Why a stream is over, once it is.
    pub(crate) fn close_reason(&self, id: u64) -> Option<CloseReason> {
        self.streams.get(&id).map_or(Some(CloseReason::Finished), Stream::close_reason)
    }

    /// Sets the credit that the peer gives in its half of the handshake, for streams that were opened before.
    pub(crate) fn set_credit(&mut self, credit: Credit) {
        self.stream_credit = credit.stream;
        self.session_credit = credit.session;
        let ids: Vec<u64> = self.streams.keys().copied().collect();
        for id in ids {
            self.with(id, |stream| stream.on_credit(credit.stream));
        }
    }

    /// Which side this is.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Whether no application has a stream any more.
    pub(crate) fn are_all_released(&self) -> bool {
        self.streams.values().all(|stream| stream.released)
    }

    /// Bytes that were written and are not known to have arrived.
    #[cfg(test)]
    pub(crate) fn queued_bytes(&self) -> usize {
        self.totals.queued
    }

    /// Bytes that were written and never sent, as far as the peer's credit for each stream allows.
    pub(crate) fn unsent_bytes(&self) -> usize {
        usize::try_from(self.totals.unsent).unwrap_or(usize::MAX)
    }

    /// The same, and what was lost and is to be sent again.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.unsent_bytes().saturating_add(usize::try_from(self.totals.lost).unwrap_or(usize::MAX))
    }

    /// Whether everything is on its way and so much of it that there may be no room to write more.
    pub(crate) fn wants_acks(&self) -> bool {
        self.totals.unsent == 0 && self.totals.queued >= FLOOR.min(self.limits.send_buffer)
    }

    /// Whether an application has more than there is room for.
    pub(crate) fn is_blocked(&self) -> bool {
        self.totals.blocked > 0
    }

    /// Whether everything is on its way and an application has more, for which there is no room until some of it has arrived.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.totals.unsent == 0 && self.totals.blocked > 0
    }

    /// What all of it takes, at its prices.
    pub(crate) fn usage(&self) -> Usage {
        let streams = price::STREAM * self.streams.len() + price::RANGE * self.seen.len();
        Usage {
            written: self.totals.send_cost + price::IN_FLIGHT * self.in_flight,
            received: self.totals.receive_cost + streams,
            promised: self.promised(),
            streams: self.totals.in_use,
        }
    }

    /// How much credit the peer has beyond what everyone gets at first.
    fn promised(&self) -> usize {
        if self.closed.is_some() {
            return 0;
        }
        let unused = self.credit.granted().saturating_sub(self.totals.consumed);
        (unused.max(self.credit.width()) - self.limits.first_credit.session) as usize
    }

    /// Whether the peer has owed something for too long, while its clock shows `time`.
    pub(crate) fn check_overdue(&mut self, time: Duration) -> bool {
        let may_have = self.totals.unopened > 0 || self.totals.fragments > 0;
        may_have && self.streams.values_mut().any(|stream| is_overdue(stream, time))
    }

    /// What counts against the limit on what is written: a byte that went alone takes more than a byte.
    fn waiting_for_acks(&self) -> usize {
        self.totals.queued + price::IN_FLIGHT * self.in_flight
    }

    /// From now on the peer may open no more than so many further streams, whatever the limit of the session says: the next
    /// is reset.
    pub(crate) fn set_room_for_streams(&mut self, room: usize) {
        self.room_for_streams = room;
    }

    /// Breaks off the newest stream that is in use, in favour of other sessions; false when there is none.
    pub(crate) fn give_up_newest(&mut self) -> bool {
        let mut newest_first = self.streams.iter().rev();
        let Some(id) = newest_first.find(|(_, stream)| stream.close_reason().is_none()).map(|(id, _)| *id)
        else {
            return false;
        };
        self.with(id, |stream| stream.give_up(ResetReason::TooManyStreams));
        true
    }

    /// Bytes that are kept in both directions.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.totals.queued + self.totals.unread
    }

    /// Streams that exist, those included that are only being closed.
    pub(crate) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// Whether there is no stream, not even one that is being closed.
    pub(crate) fn is_idle(&self) -> bool {
        self.streams.is_empty()
    }

    fn new_stream(&self) -> Stream {
        Stream::new(self.send_buffer, self.limits.first_credit.stream, self.stream_credit)
    }

    fn first_unseen(&self) -> u64 {
        self.seen.first().filter(|seen| seen.start == 0).map_or(0, |seen| seen.end)
    }

    fn is_crowded(&self) -> bool {
        self.streams.len() >= self.limits.max_streams.saturating_add(MAX_CLOSING)
    }

    fn add(&mut self, id: u64, stream: Stream) {
        self.totals.replace(&Totals::default(), &Totals::of(&stream));
        self.streams.insert(id, stream);
        self.with(id, |_| ());
    }

    /// Every change of a stream goes through here, so that all that follows from it is done: sums, events, queues, its end.
    fn with<R>(&mut self, id: u64, change: impl FnOnce(&mut Stream) -> R) -> Option<R> {
        let stream = self.streams.get_mut(&id)?;
        let before = Totals::of(stream);
        let result = change(stream);
        note_events(id, stream, &mut self.events);
        self.totals.replace(&before, &Totals::of(stream));
        self.queues.settle(id, stream);
        if stream.send.len() <= FLOOR / 2 && self.short.remove(&id) {
            self.events.push_back(StreamEvent::Writable(id));
        }
        if std::mem::take(&mut stream.needs_wider_window) {
            self.outgrown.insert(id);
        }
        let is_over = self.closed.is_some() && stream.released || stream.is_forgettable();
        if !self.crowded.is_empty() && self.waiting_for_acks() <= self.limits.session_queue / 4 * 3 {
            self.events.extend(std::mem::take(&mut self.crowded).into_iter().map(StreamEvent::Writable));
        }
        if is_over {
            self.forget(id);
        }
        self.grant_session();
        Some(result)
    }

    fn forget(&mut self, id: u64) {
        let Some(stream) = self.streams.remove(&id) else { return };
        let sums = Totals::of(&stream);
        self.totals.replace(&sums, &sums.when_gone());
        self.queues.remove(id, &stream);
        self.crowded.remove(&id);
        self.short.remove(&id);
        self.outgrown.remove(&id);
        if self.streams.is_empty() {
            self.credit.set_width(self.limits.first_credit.session, self.totals.consumed);
        }
        self.seen.insert(id..id + 1);
    }

    /// Gives the peer credit once some of it is used up.
    fn grant_session(&mut self) {
        let consumed = self.totals.consumed;
        if self.closed.is_none() && self.credit.is_due(consumed) {
            self.has_outgrown_session |= self.credit.is_outgrown(self.totals.received);
            // Streams that are wide must leave as much to others as when they became so.
            let Credit { stream, session } = self.limits.first_credit;
            self.credit.set_least(session.max(session / 2 + stream + self.totals.widened));
            self.credit.grant(consumed);
            self.grant = Delivery::Due;
        }
    }
}

/// What the application does not know yet and waits for.
fn note_events(id: u64, stream: &mut Stream, events: &mut VecDeque<StreamEvent>) {
    if !stream.known || stream.released {
        return;
    }
    if stream.read_blocked && stream.is_readable() {
        stream.read_blocked = false;
        events.push_back(StreamEvent::Readable(id));
    }
    if stream.write_blocked && (stream.room() > 0 || stream.write_error().is_some()) {
        stream.write_blocked = false;
        events.push_back(StreamEvent::Writable(id));
    }
    if let Some(reason) = stream.close_reason().filter(|_| !stream.told_closed) {
        stream.told_closed = true;
        events.push_back(StreamEvent::Closed(id, reason));
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
