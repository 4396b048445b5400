//! Tests of the streams of one session, side by side with those of its peer.

use super::*;
use crate::secure::wire::frame::{Frame, Reader};
use bytes::Bytes;

/// The longest frame, an OPEN, takes 272 bytes: with less room it might never be sent.
pub(super) const MIN_ROOM: usize = 272;

const CREDIT: Credit = Credit { stream: 16 * 1024, session: 40 * 1024 };

const LIMITS: StreamLimits = StreamLimits {
    send_buffer: 64 * 1024,
    first_credit: CREDIT,
    largest_credit: CREDIT,
    session_queue: 1 << 20,
    max_streams: 4,
    max_fragments: 16 * 1024,
};

fn streams(role: Role) -> Streams {
    Streams::new(role, LIMITS, CREDIT)
}

fn target() -> Address {
    Address::new("192.0.2.1", "443").unwrap()
}

fn events(streams: &mut Streams) -> Vec<StreamEvent> {
    std::iter::from_fn(|| streams.poll_event()).collect()
}

fn frames(packet: Vec<u8>) -> Vec<Frame> {
    Reader::new(packet.into()).map(Result::unwrap).collect()
}

/// What would be sent, with its frames.
fn packet(streams: &mut Streams, room: usize) -> (Vec<Frame>, Sent) {
    let mut packet = Vec::new();
    let sent = streams.write_frames(&mut packet, room);
    assert!(packet.len() <= room);
    (frames(packet), sent)
}

/// The same for streams with little to send.
fn express(streams: &mut Streams, room: usize) -> (Vec<Frame>, Sent) {
    let mut packet = Vec::new();
    let sent = streams.write_little(&mut packet, room);
    assert!(packet.len() <= room);
    (frames(packet), sent)
}

/// Sends until nothing is left to send; everything arrives.
fn pump(from: &mut Streams, to: &mut Streams) {
    while from.wants_to_send() {
        let (frames, sent) = packet(from, 4096);
        assert!(!sent.is_empty(), "{from:?}");
        frames.into_iter().for_each(|frame| to.handle_frame(frame).unwrap());
        from.on_acked(sent);
    }
}

fn settle(client: &mut Streams, bridge: &mut Streams) {
    while client.wants_to_send() || bridge.wants_to_send() {
        pump(client, bridge);
        pump(bridge, client);
    }
}

/// A stream that is connected.
fn connected() -> (Streams, Streams, u64) {
    let (mut client, mut bridge) = (streams(Role::Client), streams(Role::Bridge));
    let id = client.open(target()).unwrap();
    pump(&mut client, &mut bridge);
    assert_eq!(events(&mut bridge), [StreamEvent::Incoming { id, target: target() }]);
    bridge.accept(id);
    pump(&mut bridge, &mut client);
    assert_eq!(events(&mut client), [StreamEvent::Connected(id)]);
    (client, bridge, id)
}

fn read_all(streams: &mut Streams, id: u64) -> (Vec<u8>, Read) {
    let mut all = Vec::new();
    loop {
        match streams.read(id) {
            Read::Data(data) => all.extend_from_slice(&data),
            end => return (all, end),
        }
    }
}

#[test]
fn bytes_go_both_ways_and_each_direction_ends_on_its_own() {
    let (mut client, mut bridge, id) = connected();
    assert_eq!(client.write(id, b"question"), Ok(8));
    client.finish(id);
    pump(&mut client, &mut bridge);
    assert_eq!(events(&mut bridge), [StreamEvent::Readable(id)]);
    assert_eq!(read_all(&mut bridge, id), (b"question".to_vec(), Read::End));
    assert_eq!(bridge.close_reason(id), None);
    bridge.write(id, b"answer").unwrap();
    bridge.finish(id);
    settle(&mut client, &mut bridge);
    assert_eq!(read_all(&mut client, id), (b"answer".to_vec(), Read::End));
    let over = StreamEvent::Closed(id, CloseReason::Finished);
    assert_eq!(events(&mut client), [StreamEvent::Readable(id), over.clone()]);
    assert_eq!(events(&mut bridge), [over]);
    client.release(id);
    bridge.release(id);
    assert!(client.is_idle() && bridge.is_idle());
}

#[test]
fn a_refused_stream_says_so_and_is_forgotten() {
    let (mut client, mut bridge) = (streams(Role::Client), streams(Role::Bridge));
    let id = client.open(target()).unwrap();
    pump(&mut client, &mut bridge);
    bridge.refuse(id);
    settle(&mut client, &mut bridge);
    assert_eq!(client.close_reason(id), Some(CloseReason::Refused));
    assert_eq!(events(&mut client).last(), Some(&StreamEvent::Closed(id, CloseReason::Refused)));
    assert_eq!(client.read(id), Read::Broken(CloseReason::Refused));
    client.release(id);
    assert!(client.is_idle() && bridge.is_idle());
}

#[test]
fn data_that_overtakes_its_open_is_kept() {
    let mut client = streams(Role::Client);
    let mut bridge = streams(Role::Bridge);
    let id = client.open(target()).unwrap();
    let (open, _) = packet(&mut client, 4096);
    client.write(id, b"early").unwrap();
    pump(&mut client, &mut bridge);
    assert_eq!(events(&mut bridge), []);
    open.into_iter().for_each(|frame| bridge.handle_frame(frame).unwrap());
    assert_eq!(
        events(&mut bridge),
        [StreamEvent::Incoming { id, target: target() }, StreamEvent::Readable(id)]
    );
    assert_eq!(read_all(&mut bridge, id), (b"early".to_vec(), Read::Blocked));
}

#[test]
fn a_stream_that_is_broken_off_does_not_end() {
    let (mut client, mut bridge, id) = connected();
    client.write(id, b"half of").unwrap();
    pump(&mut client, &mut bridge);
    client.abort(id);
    settle(&mut client, &mut bridge);
    assert_eq!(read_all(&mut bridge, id), (b"half of".to_vec(), Read::Broken(CloseReason::Aborted)));
    assert_eq!(bridge.write(id, b"x"), Err(CloseReason::Aborted));
    client.release(id);
    bridge.release(id);
    assert!(client.is_idle() && bridge.is_idle());
}

#[test]
fn a_reader_that_stops_stops_the_sender() {
    let (mut client, mut bridge, id) = connected();
    assert_eq!(client.write(id, &[7; 100_000]), Ok(LIMITS.send_buffer));
    pump(&mut client, &mut bridge);
    assert_eq!(bridge.buffered_bytes() as u64, CREDIT.stream);
    assert!(!client.wants_to_send());
    let mut read = 0;
    while client.queued_bytes() > 0 {
        read += read_all(&mut bridge, id).0.len();
        settle(&mut client, &mut bridge);
    }
    read += read_all(&mut bridge, id).0.len();
    assert_eq!(read, LIMITS.send_buffer);
    assert_eq!(events(&mut client), [StreamEvent::Writable(id)]);
}

#[test]
fn it_is_backed_up_while_all_was_sent_and_somebody_has_more_to_write() {
    let (mut client, _, id) = connected();
    assert!(!client.is_backed_up());
    let capacity = client.write(id, &[7; 1 << 20]).unwrap();
    assert!(!client.is_backed_up(), "it is for us to send");
    let (_, sent) = packet(&mut client, 2 * capacity);
    assert!(client.is_backed_up());
    client.on_acked(sent);
    assert!(!client.is_backed_up(), "there is room to write");
    client.write(id, b"all there is").unwrap();
    packet(&mut client, 1000);
    assert!(!client.is_backed_up(), "nobody has more");
}

#[test]
fn all_streams_together_have_a_limit_too() {
    let (mut client, mut bridge, first) = connected();
    let ids = [first, client.open(target()).unwrap(), client.open(target()).unwrap()];
    ids.iter().for_each(|id| assert!(client.write(*id, &[7; 20_000]).is_ok()));
    settle(&mut client, &mut bridge);
    assert_eq!(bridge.buffered_bytes() as u64, CREDIT.session);
    // The first two have used up their own credit, and what is left is the third's.
    read_all(&mut bridge, ids[0]);
    read_all(&mut bridge, ids[1]);
    settle(&mut client, &mut bridge);
    assert_eq!(client.queued_bytes(), 3_616);
}

#[test]
fn what_was_lost_goes_out_again_before_anything_new() {
    let (mut client, mut bridge, id) = connected();
    client.write(id, b"first").unwrap();
    let (_, lost) = packet(&mut client, 4096);
    client.write(id, b"second").unwrap();
    client.on_lost(lost);
    let (frames, sent) = packet(&mut client, 4096);
    let offsets: Vec<_> = frames.iter().map(|frame| matches!(frame, Frame::Data { offset: 0, .. })).collect();
    assert_eq!(offsets, [true, false]);
    frames.into_iter().for_each(|frame| bridge.handle_frame(frame).unwrap());
    client.on_acked(sent);
    assert_eq!(read_all(&mut bridge, id), (b"firstsecond".to_vec(), Read::Blocked));
}

#[test]
fn streams_take_turns_of_the_same_size() {
    let (mut client, _, first) = connected();
    let second = client.open(target()).unwrap();
    client.write(first, &[1; 16_000]).unwrap();
    client.write(second, &[2; 16_000]).unwrap();
    let mut bytes = BTreeMap::<u64, usize>::new();
    for _ in 0..16 {
        for frame in packet(&mut client, 1000).0 {
            if let Frame::Data { stream, data, .. } = frame {
                *bytes.entry(stream).or_default() += data.len();
            }
        }
    }
    assert!(bytes[&first].abs_diff(bytes[&second]) <= 2048, "{bytes:?}");
}

#[test]
fn a_stream_with_little_to_send_overtakes_those_with_much_and_nobody_else() {
    let mut client = streams(Role::Client);
    let [much, little, more] = [(); 3].map(|()| client.open(target()).unwrap());
    let _ = packet(&mut client, 4096);
    client.write(little, &[7; 514]).unwrap();
    assert!(!client.has_little_among_much(), "there is nobody to overtake");
    client.write(much, &[7; 10_000]).unwrap();
    client.write(more, &[7; 10_000]).unwrap();
    assert!(client.has_little_among_much());
    let (frames, sent) = express(&mut client, 2048);
    let data = Frame::Data { stream: little, offset: 0, data: vec![7; 514].into(), fin: false };
    assert_eq!(frames, [data]);
    assert!(!client.has_little_among_much());
    client.on_lost(sent);
    assert!(client.has_urgent() && client.unsent_bytes() == 20_000);
}

#[test]
fn a_little_that_there_is_no_credit_for_waits() {
    let mut client = streams(Role::Client);
    let [much, little] = [(); 2].map(|()| client.open(target()).unwrap());
    let _ = packet(&mut client, 4096);
    client.session_credit = 100;
    client.write(little, &[7; 514]).unwrap();
    client.write(much, &[7; 10_000]).unwrap();
    assert!(matches!(&express(&mut client, 2048).0[..], [Frame::Data { data, .. }] if data.len() == 100));
    assert!(!client.has_little_among_much());
    assert!(express(&mut client, 2048).1.is_empty());
}

#[test]
fn a_stream_that_is_let_go_still_sends_what_was_written_and_takes_nothing_more() {
    let (mut client, mut bridge, id) = connected();
    client.write(id, b"goodbye").unwrap();
    bridge.write(id, &[7; 60_000]).unwrap();
    client.release(id);
    settle(&mut client, &mut bridge);
    assert_eq!(read_all(&mut bridge, id), (b"goodbye".to_vec(), Read::End));
    assert_eq!(bridge.write(id, b"x"), Err(CloseReason::Finished));
    assert_eq!((bridge.queued_bytes(), client.buffered_bytes()), (0, 0));
    assert!(client.is_idle());
    bridge.release(id);
    assert!(bridge.is_idle());
}

#[test]
fn credit_that_was_used_for_bytes_that_never_came_is_not_lost() {
    let (mut client, mut bridge, _) = connected();
    for round in 0..20 {
        let id = client.open(target()).unwrap();
        client.write(id, &[7; 10_000]).unwrap();
        let (_, lost) = packet(&mut client, 20_000);
        // Either side gives up, and the bytes are never sent again.
        if round % 2 == 0 {
            client.abort(id);
            client.release(id);
            client.on_lost(lost);
        } else {
            client.on_lost(lost);
            bridge.handle_frame(Frame::Open { stream: id, target: target() }).unwrap();
            bridge.refuse(id);
            pump(&mut bridge, &mut client);
            client.release(id);
        }
        settle(&mut client, &mut bridge);
    }
    let id = client.open(target()).unwrap();
    client.write(id, &[7; 16_000]).unwrap();
    settle(&mut client, &mut bridge);
    assert_eq!((client.queued_bytes(), bridge.stream_count()), (0, 2));
}

#[test]
fn credit_that_was_lost_is_given_again_whatever_becomes_of_what_was_given_before() {
    let (mut client, mut bridge, id) = connected();
    let mut given = Vec::new();
    for _ in 0..2 {
        client.write(id, &[7; 9_000]).unwrap();
        pump(&mut client, &mut bridge);
        read_all(&mut bridge, id);
        let (frames, sent) = packet(&mut bridge, 4096);
        let credit = frames.iter().find(|frame| matches!(frame, Frame::StreamCredit { .. })).cloned();
        given.push((credit.unwrap(), sent));
        client.handle_frame(Frame::StreamCredit { stream: id, offset: 1 << 20 }).unwrap();
    }
    let (newer, lost) = given.pop().unwrap();
    let (older, acked) = given.pop().unwrap();
    assert_ne!(newer, older);
    bridge.on_acked(acked);
    bridge.on_lost(lost);
    assert!(packet(&mut bridge, 4096).0.contains(&newer));
}

#[test]
fn a_client_beyond_the_bridges_limit_is_told_so() {
    let mut client = Streams::new(
        Role::Client,
        StreamLimits { max_streams: 9, ..LIMITS },
        Credit { stream: 100, session: 100 },
    );
    let mut bridge = streams(Role::Bridge);
    let ids: Vec<u64> = (0..9).map(|_| client.open(target()).unwrap()).collect();
    assert_eq!(client.open(target()), Err(CloseReason::TooManyStreams));
    settle(&mut client, &mut bridge);
    let refused =
        ids.iter().filter(|id| client.close_reason(**id) == Some(CloseReason::TooManyStreams)).count();
    assert_eq!((refused, bridge.stream_count()), (5, 4));
}

#[test]
fn a_session_that_ends_leaves_what_can_be_read() {
    let (mut client, mut bridge, id) = connected();
    client.write(id, b"last words").unwrap();
    pump(&mut client, &mut bridge);
    bridge.write(id, b"never sent").unwrap();
    events(&mut bridge);
    bridge.close_all(CloseReason::NoPath);
    assert_eq!(events(&mut bridge), [StreamEvent::Closed(id, CloseReason::NoPath)]);
    assert!(!bridge.wants_to_send());
    assert_eq!(read_all(&mut bridge, id), (b"last words".to_vec(), Read::Broken(CloseReason::NoPath)));
    bridge.release(id);
    assert!(bridge.is_idle() && bridge.buffered_bytes() == 0);
    assert_eq!(bridge.open(target()), Err(CloseReason::NoPath));
}

#[test]
fn sending_beyond_a_streams_credit_costs_the_stream_and_beyond_the_sessions_the_session() {
    let mut bridge = streams(Role::Bridge);
    let data =
        |stream, offset: u64| Frame::Data { stream, offset, data: Bytes::from_static(b"x"), fin: false };
    bridge.handle_frame(Frame::Open { stream: 0, target: target() }).unwrap();
    bridge.handle_frame(data(0, CREDIT.stream)).unwrap();
    assert_eq!(bridge.close_reason(0), Some(CloseReason::Overflow));
    assert!(streams(Role::Bridge).handle_frame(data(0, CREDIT.session)).is_err());
}

#[test]
fn frames_that_only_the_other_side_may_send_break_the_protocol() {
    let mut client = streams(Role::Client);
    assert!(client.handle_frame(Frame::Open { stream: 0, target: target() }).is_err());
    assert!(client.handle_frame(Frame::Stop { stream: 0 }).is_err());
    assert!(streams(Role::Bridge).handle_frame(Frame::Accept { stream: 0 }).is_err());
}

#[test]
fn the_smallest_room_is_enough_for_the_longest_frame() {
    let longest = Address::new("x".repeat(255), "65535").unwrap();
    let open = Frame::Open { stream: crate::secure::wire::varint::MAX, target: longest };
    assert!(open.encoded_len() <= MIN_ROOM);
}

#[test]
fn a_stream_for_which_others_leave_no_room_is_reset() {
    let mut bridge = streams(Role::Bridge);
    bridge.set_room_for_streams(1);
    for stream in [0, 1] {
        bridge.handle_frame(Frame::Open { stream, target: target() }).unwrap();
    }
    assert_eq!(events(&mut bridge), [StreamEvent::Incoming { id: 0, target: target() }]);
    let reset = Frame::Reset { stream: 1, reason: ResetReason::TooManyStreams, sent: 0 };
    assert_eq!(packet(&mut bridge, 1000).0, [reset]);
}

#[test]
fn a_byte_that_went_alone_counts_for_more_than_a_byte_until_it_has_arrived() {
    let (mut client, _, id) = connected();
    let before = client.usage().written;
    client.write(id, b"x").unwrap();
    let (_, sent) = packet(&mut client, 1000);
    assert!(client.usage().written >= before + price::IN_FLIGHT);
    client.on_acked(sent);
    assert!(client.usage().written < before + price::IN_FLIGHT);
}

#[test]
fn all_streams_together_keep_a_bounded_amount_and_whoever_waits_for_that_is_told() {
    let limits = StreamLimits { session_queue: 40_000, ..LIMITS };
    let credit = CREDIT;
    let mut client = Streams::new(Role::Client, limits, credit);
    let mut bridge = streams(Role::Bridge);
    let [first, second] = [(); 2].map(|()| client.open(target()).unwrap());
    assert_eq!(client.write(first, &[7; 35_000]), Ok(35_000));
    assert_eq!(client.write(second, &[7; 35_000]), Ok(FLOOR), "however little the others leave");
    assert_eq!(client.write(second, &[7; 6000]), Ok(0));
    assert_eq!(client.write(first, &[7]), Ok(0));
    assert_eq!(events(&mut client), []);
    settle(&mut client, &mut bridge);
    let told = events(&mut client);
    assert!([first, second].iter().all(|id| told.contains(&StreamEvent::Writable(*id))), "{told:?}");
    assert!(client.write(second, &[7; 6000]).unwrap() > 0);
}

#[test]
fn a_stream_goes_on_when_its_own_is_sent_even_if_others_keep_everything() {
    let limits = StreamLimits { session_queue: 40_000, ..LIMITS };
    let credit = CREDIT;
    let mut client = Streams::new(Role::Client, limits, credit);
    let first = client.open(target()).unwrap();
    assert_eq!(client.write_within(first, &[7; 20_000], 0), Ok(FLOOR), "there is no room outside");
    let mut sent = Vec::new();
    while client.wants_to_send() {
        assert_eq!(events(&mut client), []);
        sent.push(packet(&mut client, 1000).1);
    }
    sent.into_iter().for_each(|sent| client.on_acked(sent));
    assert_eq!(events(&mut client), [StreamEvent::Writable(first)]);
    assert_eq!(client.write_within(first, &[7; 20_000], 0), Ok(FLOOR));
}

#[test]
fn a_handshake_has_room_for_four_streams_and_for_as_many_of_their_bytes_as_fit() {
    let data_of = |frames: &[Frame]| {
        let lengths = frames.iter().map(|frame| match frame {
            Frame::Data { data, .. } => data.len(),
            _ => 0,
        });
        lengths.sum::<usize>()
    };
    for (carries_data, bytes) in [(true, 1500..1800), (false, 0..1)] {
        let mut client = Streams::new(
            Role::Client,
            StreamLimits { max_streams: 6, ..LIMITS },
            Credit { stream: 2048, session: 2048 },
        );
        for _ in 0..6 {
            let id = client.open(target()).unwrap();
            client.write(id, &[7; 600]).unwrap();
        }
        let mut payload = Vec::new();
        let sent = client.write_early(&mut payload, 1800, carries_data);
        assert!(payload.len() <= 1800 && !sent.is_empty());
        let frames = frames(payload);
        assert_eq!(frames.iter().filter(|frame| matches!(frame, Frame::Open { .. })).count(), 4);
        assert!(bytes.contains(&data_of(&frames)), "{}", data_of(&frames));
    }
}

#[test]
fn a_stream_that_was_given_up_before_it_was_asked_for_is_never_asked_for() {
    let mut client = streams(Role::Client);
    let [given_up, wanted] = [(); 2].map(|()| client.open(target()).unwrap());
    client.write(given_up, b"late").unwrap();
    client.abort_unconnected(given_up);
    client.release(given_up);
    let mut payload = Vec::new();
    let _sent = client.write_early(&mut payload, 1800, true);
    assert_eq!(frames(payload), [Frame::Open { stream: wanted, target: target() }]);
}

/// A bridge that may give `session` bytes of credit, and what it grants its client on stream 0, which sends as much as it may, while
/// it reads everything and hears nothing of what arrives.
fn grants_to_a_fast_client(session: u64, room: usize) -> (Streams, Vec<u64>) {
    grants_within(Credit { stream: session / 2, session }, room)
}

fn grants_within(largest_credit: Credit, room: usize) -> (Streams, Vec<u64>) {
    let limits = StreamLimits { largest_credit, ..LIMITS };
    let mut bridge = Streams::new(Role::Bridge, limits, CREDIT);
    bridge.handle_frame(Frame::Open { stream: 0, target: target() }).unwrap();
    bridge.accept(0);
    let mut granted = vec![CREDIT.stream];
    let mut sent = 0;
    for _ in 0..8 {
        let credit = granted[granted.len() - 1];
        let data = vec![7; (credit - sent) as usize].into();
        bridge.handle_frame(Frame::Data { stream: 0, offset: sent, data, fin: false }).unwrap();
        sent = credit;
        read_all(&mut bridge, 0);
        if bridge.needs_wider_windows() {
            bridge.widen_windows(room.saturating_sub(bridge.usage().promised));
        }
        let (frames, grants) = packet(&mut bridge, 4096);
        granted.extend(frames.into_iter().filter_map(|frame| match frame {
            Frame::StreamCredit { offset, .. } => Some(offset),
            _ => None,
        }));
        bridge.on_acked(grants);
    }
    (bridge, granted)
}

/// The widest step from one offset to the next.
fn widest(granted: &[u64]) -> u64 {
    granted.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
}

#[test]
fn a_client_that_uses_up_its_credit_before_it_hears_of_more_gets_four_times_as_much_each_time() {
    let (bridge, granted) = grants_to_a_fast_client(640 * 1024, usize::MAX);
    assert_eq!(widest(&granted), 320 * 1024, "half of the session's: {granted:?}");
    let steps: Vec<u64> = granted.windows(2).map(|pair| (pair[1] - pair[0]) / 1024).collect();
    // The third is what the session, which has become four times as wide as well, leaves to one stream.
    assert_eq!(steps[..4], [20, 80, 140, 320]);
    assert!(bridge.usage().promised <= (640 - 40) * 1024);
}

#[test]
fn it_gets_no_more_than_there_is_room_for_outside() {
    let (bridge, granted) = grants_to_a_fast_client(640 * 1024, 20 * 1024);
    assert_eq!(bridge.usage().promised, 20 * 1024);
    assert_eq!(widest(&granted), (40 + 20 - 20) * 1024, "half of the first is left to others: {granted:?}");
    let (bridge, granted) = grants_to_a_fast_client(640 * 1024, 0);
    assert_eq!((bridge.usage().promised, widest(&granted)), (0, 20 * 1024));
}

#[test]
fn a_stream_that_may_have_no_more_takes_nothing_more_for_its_session() {
    let (bridge, granted) = grants_within(Credit { session: 1 << 20, ..CREDIT }, usize::MAX);
    assert_eq!((bridge.usage().promised, widest(&granted)), (0, CREDIT.stream));
}

#[test]
fn when_all_its_streams_are_gone_it_gets_no_more_than_at_first() {
    let (mut bridge, _) = grants_to_a_fast_client(640 * 1024, usize::MAX);
    let reset = Frame::Reset { stream: 0, reason: ResetReason::Aborted, sent: bridge.totals.received };
    bridge.handle_frame(reset).unwrap();
    bridge.release(0);
    while bridge.wants_to_send() {
        let (_, sent) = packet(&mut bridge, 4096);
        bridge.on_acked(sent);
    }
    assert!(bridge.is_idle());
    let left = bridge.credit.granted() - bridge.totals.consumed;
    assert_eq!(bridge.usage().promised as u64, left - CREDIT.session, "what it has cannot be taken back");
    assert_eq!(bridge.credit.width(), CREDIT.session);
}
