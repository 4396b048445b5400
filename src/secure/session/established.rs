//! Packet layer of a session after its handshake: keys, streams, and what is on its way.

mod files;
mod given_up;
mod relay;

use std::time::Instant;

use bytes::Bytes;
use xmpp_parsers::jid::FullJid;

use crate::secure::api::stats::{Lane, Totals};
use crate::secure::budget::ledger::Usage;
use crate::secure::budget::price;
use crate::secure::crypto::credential::PathKey;
use crate::secure::crypto::entropy::Entropy;
use crate::secure::crypto::handshake::{Credits, Lanes, SessionId};
use crate::secure::crypto::keys::{ResumeKey, SessionKeys, Side};
use crate::secure::crypto::seal::{Draft, Opener, Sealer};
use crate::secure::ids::PathId;
use crate::secure::session::acks::AckSchedule;
use crate::secure::session::counters::Counters;
use crate::secure::session::established::given_up::GivenUp;
use crate::secure::session::flight::{Flight, Verdict};
use crate::secure::session::jids::Jids;
use crate::secure::session::measuring::{Measured, Measuring};
use crate::secure::session::relay::Relay;
use crate::secure::session::skips::Skips;
use crate::secure::shared::Shared;
use crate::secure::streams::overdue::PeerClock;
use crate::secure::streams::{Role, Sent, Streams};
use crate::secure::tuning::{
    ACK_RANGES, COALESCING, COALESCING_ROOM, COUNTER_RANGES, EXPRESS_SIZE, LONGEST_PING_INTERVAL,
    MORE_PATHS_BYTES, PACKET_AROUND, PATH_RANGES, PING_INTERVAL, PROBE_SIZE,
};
use crate::secure::wire::ack::AckFrame;
use crate::secure::wire::file_frame::FileFrame;
use crate::secure::wire::frame::{Frame, Reader, SessionClose};
use crate::secure::wire::padding;
use crate::secure::wire::relay_frame::RelayFrame;
pub(crate) use files::Files;

/// Writes as many frames of the streams as a packet has room for.
type WriteFrames = fn(&mut Streams, &mut Vec<u8>, usize) -> Sent;

/// What both ends share.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) id: SessionId,
    pub(crate) path_key: PathKey,
    pub(crate) resume_key: ResumeKey,
    pub(crate) streams: Streams,
    pub(crate) jids: Jids,
    /// The path numbers that were used.
    pub(crate) path_numbers: Counters,
    sealer: Sealer,
    /// The counters that no packet of ours has.
    skips: Skips,
    opener: Opener,
    received: Counters,
    acks: AckSchedule,
    /// What the peer has said of its accounts costs so many bytes.
    cost_of_jids: usize,
    clock: PeerClock,
    flight: Flight<Retransmittable>,
    given_up: GivenUp,
    /// Where both ends know files.
    files: Option<Box<Files>>,
    /// Where both ends know relays.
    relay: Option<Box<Relay>>,
    measuring: Measuring,
    /// Bytes of all packets, in both directions.
    carried: usize,
    /// Bytes of streams that had to go again.
    retransmitted: u64,
    /// A word from the peer is wanted.
    ping: bool,
    last_heard: Instant,
    last_ping: Instant,
    /// When the last packet went that wants an acknowledgement.
    last_sent: Option<Instant>,
    /// Since when there has been too little to send.
    held_since: Option<Instant>,
    /// When a packet last said something about a stream, whoever sent it.
    last_use: Instant,
}

/// What a packet carried that has to arrive.
#[derive(Debug, Default)]
struct Retransmittable {
    streams: Sent,
    jids: Option<u64>,
    files: Vec<FileFrame>,
    relay: Vec<RelayFrame>,
    ping: bool,
    /// Bytes of a packet by which something is measured.
    measured: usize,
}

/// What the two ends have agreed on in a handshake.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) id: SessionId,
    pub(crate) keys: SessionKeys,
    /// Which lanes both know.
    pub(crate) lanes: Lanes,
}

/// The peer does not want the session any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClosedByPeer(pub(crate) SessionClose);

/// Why a block is none of this session's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadPacket {
    /// It was changed, or comes a second time: a server is at fault, and only the path is to blame.
    Tampered,
    /// The peer acknowledges what was never sent.
    OptimisticAck,
    /// The peer itself wrote nonsense.
    Violation,
}

impl Established {
    /// A session that has just been agreed on. The peer gives so much credit at first.
    pub(crate) fn new(
        now: Instant,
        role: Role,
        agreed: Agreed,
        credits: Credits,
        shared: &mut Shared,
    ) -> Self {
        let streams = Streams::new(role, shared.config.stream_limits(), credits.into());
        Self::with_streams(now, agreed, streams, &mut *shared.entropy)
    }

    /// The same, with streams that there are already.
    pub(crate) fn with_streams(
        now: Instant,
        Agreed { id, keys, lanes }: Agreed,
        streams: Streams,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let (sealer, opener) = (Sealer::new(&keys.send), Opener::new(&keys.receive));
        let side = match streams.role() {
            Role::Client => Side::Client,
            Role::Bridge => Side::Bridge,
        };
        let files = lanes.files.then(|| Box::new(Files::new(&keys.files_key, side)));
        let relay = lanes.relays.then(|| Box::new(Relay::new(keys.relays_key, side)));
        Self {
            id,
            path_key: keys.path_key,
            resume_key: keys.resume_key,
            streams,
            jids: Jids::default(),
            path_numbers: Counters::new(PATH_RANGES),
            sealer,
            skips: Skips::new(entropy),
            opener,
            received: Counters::new(COUNTER_RANGES),
            acks: AckSchedule::default(),
            cost_of_jids: 0,
            clock: PeerClock::default(),
            flight: Flight::default(),
            given_up: GivenUp::default(),
            files,
            relay,
            measuring: Measuring::default(),
            carried: 0,
            retransmitted: 0,
            ping: false,
            last_heard: now,
            last_ping: now,
            last_sent: None,
            held_since: None,
            last_use: now,
        }
    }

    /// What the session takes, at its prices.
    pub(crate) fn usage(&self) -> Usage {
        let ranges = self.received.ranges() + self.path_numbers.ranges();
        let streams = self.streams.usage();
        let (made, told) = self.files().map_or((0, 0), |files| files.lane.kept());
        let relays =
            if self.relay().is_some_and(|relay| relay.number().is_some()) { price::RELAY } else { 0 };
        let kept = price::RANGE * ranges + price::GIVEN_UP * self.given_up.len();
        let received = streams.received + price::SESSION + kept + self.cost_of_jids + relays;
        Usage { written: streams.written + made, received: received + told, ..streams }
    }

    /// What has happened, but for what its paths have carried.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals { retransmitted: self.retransmitted, ..Totals::default() };
        totals.carried.add(Lane::Files, self.files().map(Files::carried).unwrap_or_default());
        totals
    }

    /// When the last authentic packet came.
    pub(crate) fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// Whether more than a few paths are of use.
    pub(crate) fn carries_much(&self) -> bool {
        self.carried.saturating_add(self.streams.unsent_bytes()) >= MORE_PATHS_BYTES
    }

    /// Takes a block of one of the session's paths.
    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        block: Vec<u8>,
    ) -> Result<Option<ClosedByPeer>, BadPacket> {
        let size = block.len();
        let (counter, plaintext) = self.opener.open(block).map_err(|_| BadPacket::Tampered)?;
        if !self.received.insert(counter) {
            return Err(BadPacket::Tampered);
        }
        let pause = now.saturating_duration_since(std::mem::replace(&mut self.last_heard, now));
        self.carried = self.carried.saturating_add(size);
        let (mut is_ack_eliciting, mut is_awaited) = (false, false);
        for frame in Reader::new(plaintext) {
            let frame = frame.map_err(|_| BadPacket::Violation)?;
            is_ack_eliciting |= frame.is_ack_eliciting();
            is_awaited |= is_waited_for(&frame);
            if let Some(closed) = self.handle_frame(now, frame)? {
                return Ok(Some(closed));
            }
        }
        if is_ack_eliciting {
            self.acks.on_received(now, size, is_awaited);
        }
        match self.clock.on_packet(pause) {
            Some(time) if self.streams.check_overdue(time) => Err(BadPacket::Violation),
            _ => Ok(None),
        }
    }

    fn handle_frame(&mut self, now: Instant, frame: Frame) -> Result<Option<ClosedByPeer>, BadPacket> {
        match frame {
            Frame::Ping => {}
            Frame::Ack(ack) => {
                if self.is_made_up(&ack) {
                    return Err(BadPacket::OptimisticAck);
                }
                let verdict = self.flight.on_ack(now, ack.ranges());
                self.settle(verdict);
                self.streams.on_arrived_late(self.given_up.take(ack.ranges()));
            }
            Frame::Jids { serial, jids } => {
                self.jids.on_told(serial, jids);
                self.cost_of_jids = self.jids.theirs().iter().map(cost_of_jid).sum();
            }
            Frame::Close { reason } => return Ok(Some(ClosedByPeer(reason))),
            Frame::File(frame) => self.handle_file_frame(now, frame)?,
            Frame::Relay(frame) => self.handle_relay_frame(now, frame)?,
            frame => {
                self.last_use = now;
                self.streams.handle_frame(frame).map_err(|_| BadPacket::Violation)?;
            }
        }
        Ok(None)
    }

    /// Whether it acknowledges what was never sent (RFC 9000 section 13.1).
    fn is_made_up(&self, ack: &AckFrame) -> bool {
        ack.largest() >= self.sealer.next_counter() || ack.ranges().any(|range| self.skips.touch(&range))
    }

    fn settle(&mut self, verdict: Verdict<Retransmittable>) {
        for cargo in verdict.arrived {
            self.measuring.on_arrived(cargo.measured);
            self.streams.on_acked(cargo.streams);
        }
        self.send_again(verdict.lost);
    }

    fn send_again(&mut self, lost: Vec<Retransmittable>) {
        for cargo in lost {
            self.retransmitted = self.retransmitted.saturating_add(cargo.streams.bytes());
            self.streams.on_lost(cargo.streams);
            self.ping |= cargo.ping;
            if let Some(serial) = cargo.jids {
                self.jids.on_lost(serial);
            }
            if let Some(files) = &mut self.files {
                cargo.files.into_iter().for_each(|frame| files.lane.handle_lost(frame));
            }
            if let Some(relay) = &mut self.relay {
                cargo.relay.into_iter().for_each(|frame| relay.handle_lost(frame));
            }
        }
    }

    /// What went by this path and was not acknowledged is to be sent again, by any path.
    pub(crate) fn requeue_sent_by(&mut self, path: PathId) {
        let lost = self.flight.requeue_sent_by(path);
        lost.iter().for_each(|(counter, cargo)| self.given_up.insert(*counter, cargo.streams.pieces()));
        self.send_again(lost.into_iter().map(|(_, cargo)| cargo).collect());
    }

    /// Whether there is a reason to send a packet.
    pub(crate) fn wants_to_send(&self, now: Instant) -> bool {
        let of_streams =
            if self.holds_bulk(now) { self.streams.has_but_bulk() } else { self.streams.wants_to_send() };
        of_streams || self.has_own_words(now) || self.to_measure() > 0
    }

    /// How many bytes are to be sent for nothing but to measure.
    pub(crate) fn to_measure(&self) -> usize {
        self.measuring.waits()
    }

    /// Sends so many bytes from now on to measure, or no more.
    pub(crate) fn measure(&mut self, bytes: usize) {
        self.measuring.set(bytes);
    }

    /// What was measured until now.
    pub(crate) fn measured(&self) -> Measured {
        let (knows_files, knows_relays) = (self.files.is_some(), self.relay.is_some());
        Measured { knows_files, knows_relays, ..self.measuring.measured() }
    }

    /// Whether there is something to say that is not of streams.
    fn has_own_words(&self, now: Instant) -> bool {
        let of_lanes = self.has_file_frames() || self.has_relay_frames();
        self.ping || self.jids.is_waiting() || self.acks.is_due(now) || of_lanes
    }

    /// Until when what there is to send should wait for more, with so much on its way by its path. Each packet costs the
    /// servers as much as a kilobyte, but nothing waits while nothing is on its way.
    pub(crate) fn holds_back(&mut self, now: Instant, room: usize, on_its_way: usize) -> Option<Instant> {
        let is_urgent = self.has_own_words(now) || self.streams.has_urgent() || self.to_measure() > 0;
        let is_full_enough = self.streams.unsent_bytes() + COALESCING_ROOM.min(room / 2) >= room;
        let is_answered = self.last_sent.is_none_or(|sent| sent <= self.last_heard);
        if is_urgent || on_its_way == 0 || is_answered || is_full_enough {
            return None;
        }
        let since = *self.held_since.get_or_insert(now);
        Some(since + COALESCING).filter(|until| *until > now)
    }

    /// The next packet, in a block of at most `room` bytes.
    pub(crate) fn next_packet(
        &mut self,
        now: Instant,
        path: PathId,
        room: usize,
        entropy: &mut dyn Entropy,
    ) -> Option<Bytes> {
        self.held_since = None;
        let write = if self.holds_bulk(now) { Streams::write_all_but_bulk } else { Streams::write_frames };
        let fills = self.to_measure() > 0;
        self.ping |= fills;
        self.packet(now, path, (room, write, fills), entropy)
    }

    /// Whether there is something for an express packet.
    pub(crate) fn wants_express(&self) -> bool {
        self.streams.has_little_among_much() || self.has_file_frames() || self.has_relay_frames()
    }

    /// The next packet for the streams that have little to send.
    pub(crate) fn express_packet(
        &mut self,
        now: Instant,
        path: PathId,
        entropy: &mut dyn Entropy,
    ) -> Option<Bytes> {
        self.packet(now, path, (EXPRESS_SIZE, Streams::write_little, false), entropy)
    }

    /// A packet in a block of at most `size` bytes, with what `write` says of the streams.
    fn packet(
        &mut self,
        now: Instant,
        path: PathId,
        (size, write, fills): (usize, WriteFrames, bool),
        entropy: &mut dyn Entropy,
    ) -> Option<Bytes> {
        let mut draft = Draft::new(size.min(self.streams.unsent_bytes() + PACKET_AROUND));
        let mut cargo = self.load(now, &mut draft, size, write);
        if draft.is_empty() {
            return None;
        }
        let (counter, block) = self.seal(draft, size, fills, entropy)?;
        self.carried = self.carried.saturating_add(block.len());
        if let Some(cargo) = cargo.as_mut().filter(|_| fills) {
            cargo.measured = block.len();
            self.measuring.on_sent(block.len());
        }
        if let Some(cargo) = cargo {
            self.flight.on_sent(now, counter, path, cargo);
            self.last_sent = Some(now);
        }
        Some(block)
    }

    /// A packet that does nothing but ask for a word from the peer.
    pub(crate) fn probe(&mut self, now: Instant, path: PathId, entropy: &mut dyn Entropy) -> Option<Bytes> {
        self.ping = true;
        self.packet(now, path, (PROBE_SIZE, |_, _, _| Sent::default(), false), entropy)
    }

    /// The last packet: nothing that was written before has to arrive any more.
    pub(crate) fn farewell(&mut self, reason: SessionClose, entropy: &mut dyn Entropy) -> Option<Bytes> {
        let mut draft = Draft::new(0);
        Frame::Close { reason }.encode(draft.buffer());
        self.seal(draft, usize::MAX, false, entropy).map(|(_, block)| block)
    }

    /// A packet that fills its room or is of the next size; none when the session has sent as much as it may.
    fn seal(
        &mut self,
        mut draft: Draft,
        room: usize,
        fills: bool,
        entropy: &mut dyn Entropy,
    ) -> Option<(u64, Bytes)> {
        if self.skips.skip_if_due(self.sealer.next_counter(), entropy) {
            self.sealer.skip();
        }
        let size = if fills { room } else { padding::holding(draft.packet_len()).min(room) };
        draft.pad_to(size);
        self.sealer.seal(draft).ok()
    }

    /// Fills a packet of up to `size` bytes with what there is to say; none when nothing of it has to arrive.
    fn load(
        &mut self,
        now: Instant,
        draft: &mut Draft,
        size: usize,
        write: WriteFrames,
    ) -> Option<Retransmittable> {
        if self.acks.is_useful()
            && let Some(ack) = self.received.to_ack(ACK_RANGES)
            && append(draft, size, &Frame::Ack(ack))
        {
            self.acks.on_sent();
        }
        let before = draft.packet_len();
        let mut cargo = Retransmittable::default();
        if self.ping && append(draft, size, &Frame::Ping) {
            self.ping = false;
            self.last_ping = now;
            cargo.ping = true;
        }
        if let Some(list) = self.jids.waiting()
            && append(draft, size, &list)
        {
            cargo.jids = Some(self.jids.on_sent());
        }
        cargo.files = self.write_file_frames(draft, size);
        cargo.relay = self.write_relay_frames(draft, size);
        let room = size.saturating_sub(draft.packet_len());
        cargo.streams = write(&mut self.streams, draft.buffer(), room);
        if !cargo.streams.is_empty() {
            self.last_use = now;
            if self.streams.wants_acks() {
                // Or else the acknowledgement would take its time, and nothing could be written until then.
                append(draft, size, &Frame::Ping);
            }
        }
        (draft.packet_len() > before).then_some(cargo)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let ping = (!self.streams.is_idle()).then(|| self.ping_deadline());
        let files = self.files().and_then(Files::next_timeout);
        let relay = self.relay().and_then(Relay::next_timeout);
        [self.acks.next_timeout(), self.flight.next_timeout(), ping, files, relay].into_iter().flatten().min()
    }

    fn ping_deadline(&self) -> Instant {
        let idle = self.last_heard.saturating_duration_since(self.last_use);
        let is_waiting = self.last_ping > self.last_heard;
        let patience =
            if is_waiting { PING_INTERVAL } else { idle.clamp(PING_INTERVAL, LONGEST_PING_INTERVAL) };
        self.last_heard.max(self.last_ping) + patience
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let overdue = self.flight.take_overdue(now);
        self.send_again(overdue);
        self.handle_file_timeout(now);
        if let Some(relay) = &mut self.relay {
            relay.handle_timeout(now);
        }
        if !self.streams.is_idle() && self.ping_deadline() <= now {
            self.ping = true;
            self.last_ping = now;
        }
    }
}

#[cfg(test)]
impl Established {
    /// What is in a block of one of the session's paths.
    pub(super) fn decrypt(&mut self, block: Vec<u8>) -> Bytes {
        self.opener.open(block).expect("a packet").1
    }
}

/// What it costs to remember one of the peer's accounts.
fn cost_of_jid(jid: &FullJid) -> usize {
    price::JID + price::JID_COPIES * jid.as_str().len()
}

/// Whether the peer waits until it knows that this has arrived. For the rest nothing waits but its buffers.
fn is_waited_for(frame: &Frame) -> bool {
    use Frame::{Accept, Data, File, Jids, Open, Ping, Relay, Reset, Stop};
    matches!(
        frame,
        Data { fin: true, .. }
            | Open { .. }
            | Accept { .. }
            | Reset { .. }
            | Stop { .. }
            | Ping
            | Jids { .. }
            | File(_)
            | Relay(_)
    )
}

/// Writes a frame where a packet of `size` bytes has room for it.
fn append(draft: &mut Draft, size: usize, frame: &Frame) -> bool {
    let fits = draft.packet_len() + frame.encoded_len() <= size;
    if fits {
        frame.encode(draft.buffer());
    }
    fits
}
