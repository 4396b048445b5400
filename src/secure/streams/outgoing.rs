//! Outgoing frames: what goes into packets, and what becomes of it.

use std::ops::Range;

use crate::protocol::CloseReason;
use crate::secure::streams::queues::Queue;
use crate::secure::streams::send_buffer::Piece;
use crate::secure::streams::stream::{Control, Delivery, Stream};
use crate::secure::streams::{Streams, Totals};
use crate::secure::tuning::{LITTLE_BYTES, MIN_PIECE_BYTES, STREAM_QUANTUM};
use crate::secure::wire::early::MAX_STREAMS;
use crate::secure::wire::frame::{Frame, data_header_len, encode_data_header};

/// What of the streams went into one packet. It is given back, once, to [`Streams::on_acked`] or [`Streams::on_lost`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent(Vec<Item>);

#[derive(Debug, PartialEq, Eq)]
enum Item {
    Data { stream: u64, piece: Piece },
    Control { stream: u64, control: Control, credit: u64 },
    SessionCredit { offset: u64 },
}

impl Sent {
    /// Whether nothing went in.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes of streams it has.
    pub(crate) fn bytes(&self) -> u64 {
        self.pieces().map(|(_, range)| range.end - range.start).sum()
    }

    /// What it has of each stream's bytes.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (u64, Range<u64>)> {
        self.0.iter().filter_map(|item| match item {
            Item::Data { stream, piece } => Some((*stream, piece.range.clone())),
            Item::Control { .. } | Item::SessionCredit { .. } => None,
        })
    }
}

/// A packet that is being filled.
struct Writer<'a> {
    packet: &'a mut Vec<u8>,
    /// How long it may become.
    end: usize,
    sent: Sent,
}

impl Writer<'_> {
    fn room(&self) -> usize {
        self.end.saturating_sub(self.packet.len())
    }

    /// Appends a frame if it fits.
    fn write(&mut self, frame: &Frame, item: Item) -> bool {
        let fits = frame.encoded_len() <= self.room();
        if fits {
            frame.encode(self.packet);
            self.sent.0.push(item);
        }
        fits
    }
}

impl Streams {
    /// Whether [`write_frames`](Self::write_frames) would write something. What waits for credit does not count.
    pub(crate) fn wants_to_send(&self) -> bool {
        self.grant == Delivery::Due || self.next_data().is_some() || self.queues.len(Queue::Control) > 0
    }

    /// Whether there is something to send that others wait for: about a stream, or its end, or what was lost.
    pub(crate) fn has_urgent(&self) -> bool {
        self.grant == Delivery::Due
            || self.queues.len(Queue::Control) > 0
            || self.queues.len(Queue::Urgent) > 0
    }

    /// Whether a stream with little to send waits behind others that have more.
    pub(crate) fn has_little_among_much(&self) -> bool {
        self.next_within_credit(Queue::Little).is_some()
            && self.queues.len(Queue::Little) < self.queues.len(Queue::Unsent)
    }

    /// Appends at most `room` bytes of frames to `packet`: what is about streams, and the bytes of those that have little.
    #[must_use]
    pub(crate) fn write_little(&mut self, packet: &mut Vec<u8>, room: usize) -> Sent {
        let end = packet.len() + room;
        let mut writer = Writer { packet, end, sent: Sent::default() };
        self.write_control(&mut writer);
        while let Some(id) = self.next_within_credit(Queue::Little) {
            if !self.write_data(&mut writer, Queue::Little, id, true) {
                break;
            }
        }
        self.note_sent(writer.sent)
    }

    /// Appends at most `room` bytes of frames to `packet`: first what is about streams, then what was lost, then what was
    /// never sent, all streams in turn. `room` should be 272 bytes at least, so that each frame fits.
    #[must_use]
    pub(crate) fn write_frames(&mut self, packet: &mut Vec<u8>, room: usize) -> Sent {
        let end = packet.len() + room;
        let mut writer = Writer { packet, end, sent: Sent::default() };
        self.write_control(&mut writer);
        while let Some((queue, id)) = self.next_data() {
            let alone = self.queues.len(queue) == 1;
            if !self.write_data(&mut writer, queue, id, alone) {
                break;
            }
        }
        self.note_sent(writer.sent)
    }

    /// Appends at most `room` bytes of DATA to a packet of a file: of streams that have more than a little of what was lost, then of what was
    /// never sent. Each fills the packet when it is its turn.
    #[must_use]
    pub(crate) fn write_bulk(&mut self, packet: &mut Vec<u8>, room: usize) -> Sent {
        let end = packet.len() + room;
        let mut writer = Writer { packet, end, sent: Sent::default() };
        while let Some((queue, id)) = self.next_bulk() {
            if !self.write_data(&mut writer, queue, id, true) {
                break;
            }
        }
        self.note_sent(writer.sent)
    }

    /// Whether [`write_all_but_bulk`](Self::write_all_but_bulk) would write something.
    pub(crate) fn has_but_bulk(&self) -> bool {
        self.grant == Delivery::Due || self.queues.len(Queue::Control) > 0 || self.next_but_bulk().is_some()
    }

    /// Appends at most `room` bytes of frames to `packet`: as [`write_frames`](Self::write_frames), but nothing that
    /// [`write_bulk`](Self::write_bulk) would write.
    #[must_use]
    pub(crate) fn write_all_but_bulk(&mut self, packet: &mut Vec<u8>, room: usize) -> Sent {
        let end = packet.len() + room;
        let mut writer = Writer { packet, end, sent: Sent::default() };
        self.write_control(&mut writer);
        while let Some((queue, id)) = self.next_but_bulk() {
            if !self.write_data(&mut writer, queue, id, true) {
                break;
            }
        }
        self.note_sent(writer.sent)
    }

    fn next_but_bulk(&self) -> Option<(Queue, u64)> {
        let has_little =
            |id: &u64| self.streams.get(id).is_some_and(|stream| stream.send.urgent_len() <= LITTLE_BYTES);
        let lost = self.queues.iter(Queue::Urgent).find(has_little).map(|id| (Queue::Urgent, id));
        lost.or_else(|| Some((Queue::Little, self.next_within_credit(Queue::Little)?)))
    }

    fn next_bulk(&self) -> Option<(Queue, u64)> {
        let of = |queue: Queue, bytes: fn(&Stream) -> u64| {
            let has_much = |id: &u64| self.streams.get(id).is_some_and(|stream| bytes(stream) > LITTLE_BYTES);
            self.queues.iter(queue).find(has_much).map(|id| (queue, id))
        };
        let within_credit = self.totals.sent < self.session_credit;
        let lost = of(Queue::Urgent, |stream| stream.send.urgent_len());
        lost.or_else(|| of(Queue::Unsent, Stream::unsent).filter(|_| within_credit))
    }

    /// Appends at most `room` bytes of frames for a client's half of a handshake: it asks for the first few streams that it was not
    /// asked for yet, and says what was written to them if it may carry `data`.
    #[must_use]
    pub(crate) fn write_early(&mut self, packet: &mut Vec<u8>, room: usize, data: bool) -> Sent {
        let end = packet.len() + room;
        let mut writer = Writer { packet, end, sent: Sent::default() };
        let is_waiting = |stream: &Stream| stream.next_control() == Some(Control::Open);
        let waiting = self.streams.iter().filter(|(_, stream)| is_waiting(stream)).map(|(id, _)| *id);
        let waiting: Vec<u64> = waiting.take(MAX_STREAMS).collect();
        for id in &waiting {
            self.with(*id, |stream| write_next_control(*id, stream, &mut writer));
        }
        for id in waiting.into_iter().filter(|_| data) {
            while self.write_early_data(&mut writer, id) {}
        }
        self.note_sent(writer.sent)
    }

    /// Writes one piece of the data of a stream that was just asked for; false when there is no more, or no room.
    fn write_early_data(&mut self, writer: &mut Writer<'_>, id: u64) -> bool {
        let Some(stream) =
            self.streams.get(&id).filter(|stream| stream.next_control() != Some(Control::Open))
        else {
            return false;
        };
        let queue = if stream.has_urgent() { Queue::Urgent } else { Queue::Unsent };
        let has_more = queue == Queue::Urgent || stream.unsent() > 0;
        let most = if has_more { data_room(id, stream, queue, writer) } else { None };
        most.is_some_and(|most| self.write_piece(writer, queue, id, most, true))
    }

    fn note_sent(&mut self, sent: Sent) -> Sent {
        self.in_flight += sent.0.len();
        sent
    }

    /// What was sent has arrived.
    pub(crate) fn on_acked(&mut self, sent: Sent) {
        self.in_flight -= sent.0.len();
        for item in sent.0 {
            match item {
                Item::Data { stream, piece } => {
                    self.with(stream, |stream| stream.send.on_arrived(&piece));
                }
                Item::Control { stream, control, credit } => {
                    self.with(stream, |stream| stream.on_control_arrived(control, credit));
                    if matches!(control, Control::Open | Control::Reset) {
                        self.seen.insert(stream..stream + 1);
                    }
                }
                Item::SessionCredit { offset } => {
                    self.credit.on_acknowledged(offset);
                    if self.is_newest_grant(offset) {
                        self.grant = Delivery::Arrived;
                    }
                }
            }
        }
    }

    /// What was sent has not arrived: what still matters of it is sent again.
    pub(crate) fn on_lost(&mut self, sent: Sent) {
        self.in_flight -= sent.0.len();
        for item in sent.0 {
            match item {
                Item::Data { stream, piece } => {
                    self.with(stream, |stream| stream.send.on_lost(&piece));
                }
                Item::Control { stream, control, credit } => {
                    self.with(stream, |stream| stream.on_control_lost(control, credit));
                }
                Item::SessionCredit { offset } if self.is_newest_grant(offset) => self.grant = Delivery::Due,
                Item::SessionCredit { .. } => {}
            }
        }
    }

    /// These bytes of streams have arrived after they were taken for lost.
    pub(crate) fn on_arrived_late(&mut self, pieces: impl IntoIterator<Item = (u64, Range<u64>)>) {
        for (stream, piece) in pieces {
            self.with(stream, |stream| stream.send.on_arrived_late(&piece));
        }
    }

    /// Nobody knows whether what was sent has arrived, or ever will: streams whose bytes were in it end with `reason`, since bytes are
    /// sent to one peer once, and the rest is sent again.
    pub(crate) fn on_unknown(&mut self, sent: Sent, reason: CloseReason) {
        for item in &sent.0 {
            if let Item::Data { stream, .. } = item {
                self.with(*stream, |stream| stream.break_off(reason));
            }
        }
        self.on_lost(sent);
    }

    fn is_newest_grant(&self, offset: u64) -> bool {
        self.grant == Delivery::Sent && offset == self.credit.granted()
    }

    fn write_control(&mut self, writer: &mut Writer<'_>) {
        if self.grant == Delivery::Due {
            let offset = self.credit.granted();
            if writer.write(&Frame::SessionCredit { offset }, Item::SessionCredit { offset }) {
                self.grant = Delivery::Sent;
            }
        }
        while let Some(id) = self.queues.front(Queue::Control) {
            let all = self.with(id, |stream| write_control_of(id, stream, writer));
            if all != Some(true) {
                break;
            }
        }
    }

    /// The stream whose turn it is to send data, within the session's credit.
    fn next_data(&self) -> Option<(Queue, u64)> {
        let urgent = self.queues.front(Queue::Urgent).map(|id| (Queue::Urgent, id));
        urgent.or_else(|| Some((Queue::Unsent, self.next_within_credit(Queue::Unsent)?)))
    }

    fn next_within_credit(&self, queue: Queue) -> Option<u64> {
        self.queues.front(queue).filter(|_| self.totals.sent < self.session_credit)
    }

    /// Writes one piece of a stream's data, unless there is too little room.
    fn write_data(&mut self, writer: &mut Writer<'_>, queue: Queue, id: u64, alone: bool) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        let Some(most) = data_room(id, stream, queue, writer) else { return false };
        self.queues.take(queue, id, stream);
        self.write_piece(writer, queue, id, most, alone);
        true
    }

    /// Writes at most `most` bytes of a stream's data, within the session's credit; false when that was none.
    fn write_piece(
        &mut self,
        writer: &mut Writer<'_>,
        queue: Queue,
        id: u64,
        most: u64,
        alone: bool,
    ) -> bool {
        let credit = self.session_credit - self.totals.sent.min(self.session_credit);
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        let before = Totals::of(stream);
        let piece = match queue {
            Queue::Unsent | Queue::Little => take_turn(stream, most.min(credit), alone),
            Queue::Urgent | Queue::Control => stream.send.take_urgent(most),
        };
        let has_written = piece.is_some();
        if let Some(piece) = piece {
            let length = (piece.range.end - piece.range.start) as usize;
            encode_data_header(writer.packet, id, piece.range.start, length, piece.fin);
            stream.send.bytes(&piece.range).for_each(|part| writer.packet.extend_from_slice(part));
            writer.sent.0.push(Item::Data { stream: id, piece });
        }
        self.totals.replace(&before, &Totals::of(stream));
        self.queues.settle(id, stream);
        has_written
    }
}

/// How many bytes of data a frame of this stream can have; `None` if that is too few to be worth it.
fn data_room(id: u64, stream: &Stream, queue: Queue, writer: &Writer<'_>) -> Option<u64> {
    let room = writer.room();
    // Offsets that are sent again are shorter, if anything.
    let header = data_header_len(id, stream.send.sent(), room);
    let most = room.checked_sub(header)? as u64;
    let all = if queue == Queue::Urgent { stream.send.urgent_len() } else { stream.unsent() };
    let least = if writer.sent.is_empty() { 1 } else { MIN_PIECE_BYTES };
    (most >= all.min(least)).then_some(most)
}

/// Takes what a stream may send before it is the turn of the next.
fn take_turn(stream: &mut Stream, most: u64, alone: bool) -> Option<Piece> {
    if stream.quantum_left == 0 {
        stream.quantum_left = STREAM_QUANTUM;
    }
    let most = most.min(stream.unsent());
    let piece = stream.send.take_unsent(if alone { most } else { most.min(stream.quantum_left) })?;
    stream.quantum_left = stream.quantum_left.saturating_sub(piece.range.end - piece.range.start);
    Some(piece)
}

/// Writes all frames about a stream that are due, and says whether they fitted.
fn write_control_of(id: u64, stream: &mut Stream, writer: &mut Writer<'_>) -> bool {
    while stream.next_control().is_some() {
        if !write_next_control(id, stream, writer) {
            return false;
        }
    }
    true
}

/// Writes the next frame about a stream that is due, and says whether it fitted.
fn write_next_control(id: u64, stream: &mut Stream, writer: &mut Writer<'_>) -> bool {
    let Some(control) = stream.next_control() else { return false };
    let Some(frame) = stream.control_frame(id, control) else { return false };
    let item = Item::Control { stream: id, control, credit: stream.receive.credit.granted() };
    let fits = writer.write(&frame, item);
    if fits {
        stream.on_control_sent(control);
    }
    fits
}
