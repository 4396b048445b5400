//! Random operations on two sides over a channel that loses, repeats and reorders packets, against a reference.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::session::frame::{Frame, Reader};
use crate::session::stream::Stream;

const LIMITS: StreamLimits =
    StreamLimits { send_buffer: 3000, receive_buffer: 2000, session_credit: 5000, max_streams: 5 };

/// What an application or the channel does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Accept(Index),
    Refuse(Index),
    Write(bool, Index, u16),
    Read(bool, Index),
    Finish(bool, Index),
    Abort(bool, Index),
    Release(bool, Index),
    /// A packet is filled, with this much room.
    Send(bool, u16),
    Deliver(Index),
    Repeat(Index),
    Lose(Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let side = any::<bool>;
    prop_oneof![
        3 => Just(Step::Open),
        3 => index().prop_map(Step::Accept),
        1 => index().prop_map(Step::Refuse),
        12 => (side(), index(), 0_u16..4000).prop_map(|(side, at, length)| Step::Write(side, at, length)),
        12 => (side(), index()).prop_map(|(side, at)| Step::Read(side, at)),
        2 => (side(), index()).prop_map(|(side, at)| Step::Finish(side, at)),
        1 => (side(), index()).prop_map(|(side, at)| Step::Abort(side, at)),
        1 => (side(), index()).prop_map(|(side, at)| Step::Release(side, at)),
        25 => (side(), 40_u16..1500).prop_map(|(side, room)| Step::Send(side, room)),
        20 => index().prop_map(Step::Deliver),
        4 => index().prop_map(Step::Repeat),
        4 => index().prop_map(Step::Lose),
    ]
}

/// A packet on its way.
struct Packet {
    from_client: bool,
    frames: Vec<Frame>,
    sent: Option<Sent>,
}

/// One direction of one stream, as its applications see it.
#[derive(Default)]
struct Flow {
    written: u64,
    read: u64,
    finished: bool,
    /// Neither side broke the stream off or let go of it, so that all of it must arrive.
    disturbed: bool,
    ended: bool,
}

struct World {
    client: Streams,
    bridge: Streams,
    on_the_way: Vec<Packet>,
    /// Those that an application holds, by side: the client's first.
    held: [Vec<u64>; 2],
    flows: BTreeMap<(u64, bool), Flow>,
    targets: BTreeMap<u64, Address>,
}

/// The byte of a stream at an offset.
fn byte_at(id: u64, from_client: bool, offset: u64) -> u8 {
    (offset * 31 + id * 7 + u64::from(from_client) * 101 + offset / 251) as u8
}

impl World {
    fn new() -> Self {
        let credit = Credit { stream: LIMITS.receive_buffer, session: LIMITS.session_credit };
        Self {
            client: Streams::new(Role::Client, LIMITS, credit),
            bridge: Streams::new(Role::Bridge, LIMITS, credit),
            on_the_way: Vec::new(),
            held: [Vec::new(), Vec::new()],
            flows: BTreeMap::new(),
            targets: BTreeMap::new(),
        }
    }

    fn side(&mut self, client: bool) -> &mut Streams {
        if client { &mut self.client } else { &mut self.bridge }
    }

    fn pick(&self, client: bool, at: Index) -> Option<u64> {
        let held = &self.held[usize::from(!client)];
        (!held.is_empty()).then(|| held[at.index(held.len())])
    }

    fn take_packet(&mut self, at: Index) -> Option<Packet> {
        let waiting = self.on_the_way.len();
        (waiting > 0).then(|| self.on_the_way.swap_remove(at.index(waiting)))
    }

    fn disturb(&mut self, id: u64) {
        for client in [true, false] {
            self.flows.entry((id, client)).or_default().disturbed = true;
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Open => self.open(),
            Step::Accept(at) => {
                if let Some(id) = self.pick(false, at) {
                    self.bridge.accept(id);
                }
            }
            Step::Refuse(at) => {
                if let Some(id) = self.pick(false, at).filter(|id| !self.bridge.streams[id].connected) {
                    self.disturb(id);
                    self.bridge.refuse(id);
                    self.held[1].retain(|held| *held != id);
                }
            }
            Step::Write(client, at, length) => self.write(client, at, length.into()),
            Step::Read(client, at) => {
                if let Some(id) = self.pick(client, at) {
                    self.read(client, id);
                }
            }
            Step::Finish(client, at) => {
                if let Some(id) = self.pick(client, at) {
                    self.side(client).finish(id);
                    self.flows.entry((id, client)).or_default().finished = true;
                }
            }
            Step::Abort(client, at) => {
                if let Some(id) = self.pick(client, at) {
                    self.disturb(id);
                    self.side(client).abort(id);
                }
            }
            Step::Release(client, at) => {
                if let Some(id) = self.pick(client, at) {
                    self.release(client, id);
                }
            }
            Step::Send(client, room) => self.send(client, room.into()),
            Step::Deliver(at) => {
                if let Some(packet) = self.take_packet(at) {
                    self.deliver(packet);
                }
            }
            Step::Repeat(at) => {
                if !self.on_the_way.is_empty() {
                    let at = at.index(self.on_the_way.len());
                    let Packet { from_client, frames, .. } = &self.on_the_way[at];
                    let copy = Packet { from_client: *from_client, frames: frames.clone(), sent: None };
                    self.deliver(copy);
                }
            }
            Step::Lose(at) => {
                if let Some(Packet { from_client, sent: Some(sent), .. }) = self.take_packet(at) {
                    self.side(from_client).on_lost(sent);
                }
            }
        }
        self.check();
    }

    fn open(&mut self) {
        let target = Address::new(format!("host{}.example", self.targets.len()), "80").unwrap();
        if let Ok(id) = self.client.open(target.clone()) {
            assert!(self.targets.insert(id, target).is_none());
            self.held[0].push(id);
        }
    }

    fn write(&mut self, client: bool, at: Index, length: u64) {
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

    fn read(&mut self, client: bool, id: u64) {
        let outcome = self.side(client).read(id);
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

    fn release(&mut self, client: bool, id: u64) {
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

    fn send(&mut self, client: bool, room: usize) {
        let mut packet = Vec::new();
        let wanted = self.side(client).wants_to_send();
        let sent = self.side(client).write_frames(&mut packet, room);
        assert!(packet.len() <= room);
        assert!(wanted != sent.is_empty() || room < MIN_ROOM && sent.is_empty());
        assert_eq!(packet.is_empty(), sent.is_empty());
        let frames = Reader::new(packet.into()).map(Result::unwrap).collect();
        self.on_the_way.push(Packet { from_client: client, frames, sent: Some(sent) });
    }

    fn deliver(&mut self, packet: Packet) {
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

    fn on_event(&mut self, client: bool, event: StreamEvent) {
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

    fn check(&mut self) {
        for streams in [&self.client, &self.bridge] {
            let mut sums = Totals { sent: 0, received: 0, consumed: 0, ..streams.totals };
            (sums.live, sums.queued, sums.unread, sums.fragments) = (0, 0, 0, 0);
            for stream in streams.streams.values() {
                let of = Totals::of(stream);
                sums.live += of.live;
                sums.queued += of.queued;
                sums.unread += of.unread;
                sums.fragments += of.fragments;
                assert!(of.queued <= LIMITS.send_buffer && of.unread as u64 <= LIMITS.receive_buffer);
            }
            let totals = streams.totals;
            assert_eq!(
                (sums.live, sums.queued, sums.unread, sums.fragments),
                (totals.live, totals.queued, totals.unread, totals.fragments),
            );
            assert!(totals.unread as u64 <= LIMITS.session_credit);
            assert!(totals.sent <= streams.session_credit && totals.received <= streams.granted);
            assert!(totals.consumed <= totals.received);
        }
    }

    /// Lets everything that is on its way arrive, and everything be sent and read.
    fn settle(&mut self) {
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
    fn end(&mut self) {
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
            assert_eq!((streams.buffered_bytes(), streams.totals.fragments, streams.totals.live), (0, 0, 0));
            assert_eq!(streams.totals.consumed, streams.totals.received);
            assert!(streams.queues.is_empty() && streams.seen.len() <= 1);
        }
        assert_eq!(self.client.totals.sent, self.bridge.totals.received);
        assert_eq!(self.bridge.totals.sent, self.client.totals.received);
    }
}

/// Frames of a peer that keeps to no rule, with numbers where something happens.
fn hostile_frame() -> impl Strategy<Value = Frame> {
    let id = || prop_oneof![0_u64..12, 0..MOST_AHEAD + 10, Just(1 << 60)];
    let offset = || prop_oneof![0_u64..3000, 0..20_000_u64, Just(1 << 61)];
    let reason =
        prop_oneof![Just(ResetReason::Finished), Just(ResetReason::Aborted), Just(ResetReason::Overflow)];
    let target = Address::new("192.0.2.1", "80").unwrap();
    prop_oneof![
        2 => id().prop_map(move |stream| Frame::Open { stream, target: target.clone() }),
        1 => id().prop_map(|stream| Frame::Accept { stream }),
        6 => (id(), offset(), 0_usize..600, any::<bool>()).prop_map(|(stream, offset, length, fin)| {
            Frame::Data { stream, offset, data: vec![7; length].into(), fin }
        }),
        1 => (id(), reason, offset()).prop_map(|(stream, reason, sent)| Frame::Reset { stream, reason, sent }),
        2 => (id(), offset()).prop_map(|(stream, offset)| Frame::StreamCredit { stream, offset }),
        1 => offset().prop_map(|offset| Frame::SessionCredit { offset }),
        1 => id().prop_map(|stream| Frame::Stop { stream }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read_once_in_order_and_without_gaps(
        steps in proptest::collection::vec(any_step(), 1..400),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.end();
    }

    #[test]
    fn a_hostile_peer_costs_no_more_than_its_credit(
        frames in proptest::collection::vec(hostile_frame(), 1..300), bridge in any::<bool>(), read in 0..4_usize,
    ) {
        let role = if bridge { Role::Bridge } else { Role::Client };
        let mut streams = Streams::new(role, LIMITS, Credit { stream: 2000, session: 5000 });
        for _ in 0..4 {
            if let Ok(id) = streams.open(Address::new("192.0.2.1", "80").unwrap()) {
                streams.write(id, &[1; 500]).unwrap();
            }
        }
        for (n, frame) in frames.into_iter().enumerate() {
            if streams.handle_frame(frame).is_err() {
                streams.close_all(CloseReason::ProtocolViolation);
                break;
            }
            while let Some(event) = streams.poll_event() {
                match event {
                    StreamEvent::Incoming { id, .. } if n % 2 == 0 => streams.accept(id),
                    StreamEvent::Readable(id) if n % 4 < read => drop(streams.read(id)),
                    StreamEvent::Closed(id, _) => streams.release(id),
                    _ => {}
                }
            }
            prop_assert!(streams.totals.unread as u64 <= LIMITS.session_credit);
            prop_assert!(streams.totals.queued <= LIMITS.max_streams * LIMITS.send_buffer);
            prop_assert!(streams.stream_count() <= LIMITS.max_streams + MOST_CLOSING);
            if n % 3 == 0 && streams.wants_to_send() {
                let mut packet = Vec::new();
                let sent = streams.write_frames(&mut packet, 600);
                prop_assert!(!sent.is_empty());
                if n % 2 == 0 { streams.on_acked(sent) } else { streams.on_lost(sent) }
            }
        }
    }
}

#[test]
fn opening_resetting_and_skipping_streams_without_end_is_a_violation() {
    let target = Address::new("192.0.2.1", "80").unwrap();
    let floods: [fn(u64, Address) -> Frame; 4] = [
        |stream, target| Frame::Open { stream, target },
        |stream, _| Frame::Reset { stream, reason: ResetReason::Aborted, sent: 0 },
        |stream, _| Frame::Stop { stream },
        |stream, _| Frame::Data { stream: 2 * stream + 1, offset: 0, data: Bytes::new(), fin: true },
    ];
    for flood in floods {
        let mut bridge = World::new().bridge;
        let outcome = (0..100_000).find(|id| bridge.handle_frame(flood(*id, target.clone())).is_err());
        assert_eq!(outcome, Some((LIMITS.max_streams + MOST_CLOSING) as u64));
        assert!(bridge.stream_count() <= LIMITS.max_streams + MOST_CLOSING);
    }
}

#[test]
fn a_stream_without_bytes_takes_less_memory_than_a_kibibyte() {
    assert!(size_of::<Stream>() < 1024, "{}", size_of::<Stream>());
}
