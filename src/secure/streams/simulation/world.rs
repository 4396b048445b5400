//! Two sides, the channel between them, and what the applications at both ends may see.

use std::collections::BTreeMap;

use proptest::sample::Index;

use crate::protocol::{Address, CloseReason, Read};
use crate::secure::budget::ledger::Usage;
use crate::secure::budget::price;
use crate::secure::streams::simulation::{CREDIT, LIMITS};
use crate::secure::streams::tests::MIN_ROOM;
use crate::secure::streams::totals::Totals;
use crate::secure::streams::{Role, Sent, StreamEvent, Streams};
use crate::secure::wire::frame::{Frame, Reader};

/// A packet on its way.
pub(super) struct Packet {
    pub(super) from_client: bool,
    pub(super) frames: Vec<Frame>,
    pub(super) sent: Option<Sent>,
}

/// One direction of one stream, as its applications see it.
#[derive(Default)]
pub(super) struct Flow {
    pub(super) written: u64,
    read: u64,
    pub(super) finished: bool,
    /// One side broke the stream off or let go of it: not everything has to arrive.
    disturbed: bool,
    ended: bool,
}

pub(super) struct World {
    pub(super) client: Streams,
    pub(super) bridge: Streams,
    pub(super) on_the_way: Vec<Packet>,
    /// Those that an application holds, by side: the client's first.
    pub(super) held: [Vec<u64>; 2],
    pub(super) flows: BTreeMap<(u64, bool), Flow>,
    targets: BTreeMap<u64, Address>,
}

/// What the peer may be given credit for beyond the first, in bytes.
const PROMISED: usize = 9000;

/// The byte of a stream at an offset.
fn byte_at(id: u64, from_client: bool, offset: u64) -> u8 {
    (offset * 31 + id * 7 + u64::from(from_client) * 101 + offset / 251) as u8
}

impl World {
    pub(super) fn new() -> Self {
        let credit = CREDIT;
        Self {
            client: Streams::new(Role::Client, LIMITS, credit),
            bridge: Streams::new(Role::Bridge, LIMITS, credit),
            on_the_way: Vec::new(),
            held: [Vec::new(), Vec::new()],
            flows: BTreeMap::new(),
            targets: BTreeMap::new(),
        }
    }

    pub(super) fn side(&mut self, client: bool) -> &mut Streams {
        if client { &mut self.client } else { &mut self.bridge }
    }

    pub(super) fn pick(&self, client: bool, at: Index) -> Option<u64> {
        let held = &self.held[usize::from(!client)];
        (!held.is_empty()).then(|| held[at.index(held.len())])
    }

    pub(super) fn take_packet(&mut self, at: Index) -> Option<Packet> {
        let waiting = self.on_the_way.len();
        (waiting > 0).then(|| self.on_the_way.swap_remove(at.index(waiting)))
    }

    pub(super) fn disturb(&mut self, id: u64) {
        for client in [true, false] {
            self.flows.entry((id, client)).or_default().disturbed = true;
        }
    }

    pub(super) fn open(&mut self) {
        let target = Address::new(format!("host{}.example", self.targets.len()), "80").unwrap();
        if let Ok(id) = self.client.open(target.clone()) {
            assert!(self.targets.insert(id, target).is_none());
            self.held[0].push(id);
        }
    }

    pub(super) fn write(&mut self, client: bool, at: Index, length: u64) {
        let Some(id) = self.pick(client, at) else { return };
        let from = self.flows.entry((id, client)).or_default().written;
        let data: Vec<u8> = (from..from + length).map(|offset| byte_at(id, client, offset)).collect();
        let outcome = self.side(client).write(id, &data);
        let flow = self.flows.entry((id, client)).or_default();
        match outcome {
            Ok(taken) => {
                assert!(!flow.finished);
                flow.written += taken as u64;
            }
            Err(reason) => assert!(flow.finished || flow.disturbed, "{reason}"),
        }
    }

    pub(super) fn read(&mut self, client: bool, id: u64) {
        let streams = self.side(client);
        let outcome = streams.read(id);
        streams.widen_windows(PROMISED - streams.usage().promised);
        let flow = self.flows.entry((id, !client)).or_default();
        match outcome {
            Read::Data(data) => {
                assert!(!data.is_empty() && !flow.ended);
                for byte in data {
                    assert_eq!(byte, byte_at(id, !client, flow.read));
                    flow.read += 1;
                }
                assert!(flow.read <= flow.written);
            }
            Read::End => {
                assert!(flow.finished && flow.read == flow.written, "an end before the end");
                flow.ended = true;
            }
            Read::Broken(_) => assert!(flow.disturbed),
            Read::Blocked => {}
        }
    }

    pub(super) fn release(&mut self, client: bool, id: u64) {
        let undone = self.side(client).close_reason(id) != Some(CloseReason::Finished);
        if undone {
            self.disturb(id);
        }
        self.side(client).release(id);
        let unread = self.flows.entry((id, !client)).or_default();
        unread.disturbed |= !unread.ended;
        self.flows.entry((id, client)).or_default().finished = true;
        self.held[usize::from(!client)].retain(|held| *held != id);
    }

    pub(super) fn send(&mut self, client: bool, room: usize) {
        let mut packet = Vec::new();
        let wanted = self.side(client).wants_to_send();
        let sent = self.side(client).write_frames(&mut packet, room);
        assert!(packet.len() <= room);
        assert!(wanted != sent.is_empty() || room < MIN_ROOM && sent.is_empty());
        assert_eq!(packet.is_empty(), sent.is_empty());
        let frames = Reader::new(packet.into()).map(Result::unwrap).collect();
        self.on_the_way.push(Packet { from_client: client, frames, sent: Some(sent) });
    }

    pub(super) fn deliver(&mut self, packet: Packet) {
        let to_client = !packet.from_client;
        for frame in packet.frames {
            self.side(to_client).handle_frame(frame).unwrap();
        }
        if let Some(sent) = packet.sent {
            self.side(packet.from_client).on_acked(sent);
        }
        while let Some(event) = self.side(to_client).poll_event() {
            self.on_event(to_client, event);
        }
    }

    pub(super) fn on_event(&mut self, client: bool, event: StreamEvent) {
        assert!(
            matches!(event, StreamEvent::Incoming { .. })
                || self.held[usize::from(!client)].contains(&event.id())
        );
        match event {
            StreamEvent::Incoming { id, target } => {
                assert!(!client && !self.held[1].contains(&id));
                assert_eq!(target, self.targets[&id]);
                self.held[1].push(id);
            }
            // What is over for the client may not be over for the bridge yet.
            StreamEvent::Closed(id, CloseReason::TooManyStreams) if client => self.disturb(id),
            StreamEvent::Closed(id, reason) if reason != CloseReason::Finished => {
                assert!(self.flows.get(&(id, true)).is_some_and(|flow| flow.disturbed), "{reason}");
            }
            _ => {}
        }
    }

    pub(super) fn check(&mut self) {
        for streams in [&self.client, &self.bridge] {
            let mut sums = Totals { sent: 0, received: 0, consumed: 0, ..streams.totals };
            (sums.in_use, sums.queued, sums.unread, sums.fragments) = (0, 0, 0, 0);
            (sums.send_cost, sums.receive_cost, sums.unopened) = (0, 0, 0);
            for stream in streams.streams.values() {
                let of = Totals::of(stream);
                sums.in_use += of.in_use;
                sums.queued += of.queued;
                sums.unread += of.unread;
                sums.fragments += of.fragments;
                sums.send_cost += of.send_cost;
                sums.receive_cost += of.receive_cost;
                sums.unopened += of.unopened;
                assert!(of.queued <= LIMITS.send_buffer);
                assert!(of.unread as u64 <= LIMITS.largest_credit.stream);
            }
            let totals = streams.totals;
            assert_eq!(
                (sums.in_use, sums.queued, sums.unread, sums.fragments),
                (totals.in_use, totals.queued, totals.unread, totals.fragments),
            );
            assert_eq!(
                (sums.send_cost, sums.receive_cost, sums.unopened),
                (totals.send_cost, totals.receive_cost, totals.unopened),
            );
            let usage = streams.usage();
            assert!(usage.promised <= PROMISED);
            assert!(totals.unread <= CREDIT.session as usize + usage.promised);
            assert!(totals.sent <= streams.session_credit && totals.received <= streams.credit.granted());
            assert!(totals.consumed <= totals.received);
        }
    }

    /// Lets everything that is on its way arrive, and everything be sent and read.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            while let Some(packet) = self.on_the_way.pop() {
                self.deliver(packet);
            }
            for client in [true, false] {
                for id in self.held[usize::from(!client)].clone() {
                    (0..50).for_each(|_| self.read(client, id));
                }
                if self.side(client).wants_to_send() {
                    self.send(client, 1500);
                }
            }
            self.check();
            if self.on_the_way.is_empty() {
                return;
            }
        }
        panic!("it never becomes quiet");
    }

    /// Everything is let go: nothing may be left.
    pub(super) fn end(&mut self) {
        self.settle();
        for id in self.held[1].clone() {
            self.bridge.accept(id);
        }
        self.settle();
        for ((id, client), flow) in &self.flows {
            assert!(flow.disturbed || flow.read == flow.written, "stream {id}, from the client: {client}");
            assert!(flow.disturbed || flow.ended == flow.finished);
        }
        for client in [true, false] {
            for id in self.held[usize::from(!client)].clone() {
                self.release(client, id);
            }
        }
        self.settle();
        for streams in [&self.client, &self.bridge] {
            assert!(streams.is_idle(), "{streams:?}");
            assert_eq!(
                (streams.buffered_bytes(), streams.totals.fragments, streams.totals.in_use),
                (0, 0, 0)
            );
            let numbers = price::RANGE * streams.seen.len();
            let usage = streams.usage();
            let promised = usage.promised;
            assert_eq!(usage, Usage { received: numbers, promised, ..Usage::default() });
            assert_eq!(streams.totals.consumed, streams.totals.received);
            assert!(streams.queues.is_empty() && streams.seen.len() <= 1);
        }
        assert_eq!(self.client.totals.sent, self.bridge.totals.received);
        assert_eq!(self.bridge.totals.sent, self.client.totals.received);
    }
}
