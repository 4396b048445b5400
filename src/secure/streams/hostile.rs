//! Hostile peers, a test: whatever one sends, nothing panics and memory stays within its bounds.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::secure::wire::frame::Frame;

const CREDIT: Credit = Credit { stream: 2000, session: 5000 };

const LIMITS: StreamLimits = StreamLimits {
    send_buffer: 3000,
    first_credit: CREDIT,
    largest_credit: CREDIT,
    session_queue: 8000,
    max_streams: 5,
    max_fragments: 16 * 1024,
};

/// Frames of a peer that keeps to no rule, with numbers where something happens.
fn hostile_frame() -> impl Strategy<Value = Frame> {
    let id = || prop_oneof![0_u64..12, 0..MAX_STREAMS_AHEAD + 10, Just(1 << 60)];
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
            prop_assert!(streams.totals.unread as u64 <= CREDIT.session);
            prop_assert!(streams.totals.queued <= LIMITS.max_streams * LIMITS.send_buffer);
            prop_assert!(streams.stream_count() <= LIMITS.max_streams + MAX_CLOSING);
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
        let mut bridge = Streams::new(Role::Bridge, LIMITS, Credit { stream: 2000, session: 5000 });
        let outcome = (0..100_000).find(|id| bridge.handle_frame(flood(*id, target.clone())).is_err());
        assert_eq!(outcome, Some((LIMITS.max_streams + MAX_CLOSING) as u64));
        assert!(bridge.stream_count() <= LIMITS.max_streams + MAX_CLOSING);
    }
}

#[test]
fn a_stream_without_bytes_takes_less_memory_than_a_kibibyte() {
    assert!(size_of::<Stream>() < 1024, "{}", size_of::<Stream>());
}

#[test]
fn gaps_in_many_streams_are_a_violation_before_they_cost_much() {
    let first_credit = Credit { stream: 1 << 16, session: 1 << 20 };
    let limits = StreamLimits { first_credit, max_streams: 100, ..LIMITS };
    let mut bridge = Streams::new(Role::Bridge, limits, Credit { stream: 0, session: 0 });
    let fragments = (0..100).flat_map(|stream| (0..1000).map(move |n| (stream, 2 * n + 1)));
    let accepted = fragments
        .map(|(stream, offset)| Frame::Data { stream, offset, data: Bytes::from_static(b"x"), fin: false })
        .take_while(|frame| bridge.handle_frame(frame.clone()).is_ok())
        .count();
    assert_eq!(accepted, LIMITS.max_fragments);
}
