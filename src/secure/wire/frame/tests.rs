//! Tests of frames: written, read back, and read from any bytes.

use super::*;
use proptest::prelude::*;

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut packet = Vec::new();
    frame.encode(&mut packet);
    packet
}

fn decoded(packet: Vec<u8>) -> Vec<Result<Frame, MalformedFrame>> {
    Reader::new(packet.into()).collect()
}

fn number() -> impl Strategy<Value = u64> {
    (0_u32..62).prop_flat_map(|bits| 0..=(1_u64 << bits))
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let address =
        ("[!-~]{1,255}", 1..=u16::MAX).prop_map(|(host, port)| Address::new(host, port.to_string()).unwrap());
    let ack = proptest::collection::vec((1_u64..1000, 1_u64..1000), 1..40).prop_map(|steps| {
        let mut start = 0;
        let mut ranges: Vec<_> = steps
            .into_iter()
            .map(|(gap, length)| {
                let range = start + gap..start + gap + length;
                start = range.end;
                range
            })
            .collect();
        ranges.reverse();
        Frame::Ack(AckFrame::new(ranges).unwrap())
    });
    let reason = prop_oneof![
        Just(ResetReason::Finished),
        Just(ResetReason::Refused),
        Just(ResetReason::Aborted),
        Just(ResetReason::Overflow),
        Just(ResetReason::TooManyStreams),
    ];
    let close = prop_oneof![
        Just(SessionClose::Done),
        Just(SessionClose::ProtocolViolation),
        Just(SessionClose::ShuttingDown),
        Just(SessionClose::Limits),
    ];
    let jids = proptest::collection::vec("[a-z]{1,9}@[a-z]{1,9}/[a-zA-Z0-9]{1,20}", 0..5)
        .prop_map(|jids| jids.iter().map(|jid| FullJid::new(jid).unwrap()).collect());
    prop_oneof![
        Just(Frame::Ping),
        ack,
        (number(), address).prop_map(|(stream, target)| Frame::Open { stream, target }),
        number().prop_map(|stream| Frame::Accept { stream }),
        (number(), number(), proptest::collection::vec(any::<u8>(), 0..300), any::<bool>())
            .prop_map(|(stream, offset, data, fin)| Frame::Data { stream, offset, data: data.into(), fin }),
        (number(), reason, number()).prop_map(|(stream, reason, sent)| Frame::Reset { stream, reason, sent }),
        (number(), number()).prop_map(|(stream, offset)| Frame::StreamCredit { stream, offset }),
        number().prop_map(|offset| Frame::SessionCredit { offset }),
        (number(), jids).prop_map(|(serial, jids)| Frame::Jids { serial, jids }),
        close.prop_map(|reason| Frame::Close { reason }),
        number().prop_map(|stream| Frame::Stop { stream }),
    ]
}

#[test]
fn padding_is_the_rest_of_the_packet_whatever_it_holds() {
    let mut packet = encoded(&Frame::Ping);
    packet.extend_from_slice(&[0, 0xff, 0xff]);
    assert_eq!(decoded(packet), [Ok(Frame::Ping)]);
}

#[test]
fn an_unknown_frame_is_the_last() {
    assert_eq!(decoded(vec![1, 0x3f, 1]), [Ok(Frame::Ping), Err(MalformedFrame::UnknownType(0x3f))]);
}

#[test]
fn data_is_a_slice_of_its_packet() {
    let frame = Frame::Data { stream: 4, offset: 9, data: vec![7; 100].into(), fin: true };
    let packet = Bytes::from(encoded(&frame));
    let Some(Ok(Frame::Data { data, .. })) = Reader::new(packet.clone()).next() else {
        panic!("no data");
    };
    assert!(packet.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn a_small_part_of_a_packet_does_not_keep_all_of_it() {
    let frame = Frame::Data { stream: 4, offset: 9, data: vec![7; 100].into(), fin: false };
    let mut packet = encoded(&frame);
    packet.resize(1000, 0);
    let packet = Bytes::from(packet);
    let Some(Ok(Frame::Data { data, .. })) = Reader::new(packet.clone()).next() else {
        panic!("no data");
    };
    assert!(!packet.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn lengths_beyond_the_packet_and_impossible_contents_are_malformed() {
    let invalid: [&[u8]; 8] = [
        // DATA that claims 2^62-1 bytes; that lies beyond all offsets.
        &[5, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[5, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, b'x'],
        // ACKs below zero, and with more ranges than there are bytes.
        &[2, 3, 0, 4],
        &[2, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
        // OPEN without a host, and with one that is not visible.
        &[3, 0, 0, 0, 80],
        &[3, 0, 1, 7, 0, 80],
        // JIDS with more than there may be, and with a bare one.
        &[0x0a, 0, 0x41, 1],
        &[0x0a, 0, 1, 0, 3, b'a', b'@', b'b'],
    ];
    for packet in invalid {
        assert_eq!(decoded(packet.to_vec()), [Err(MalformedFrame::Invalid(packet[0]))], "{packet:?}");
    }
}

proptest! {
    #[test]
    fn all_frames_come_back_and_take_the_bytes_that_they_say(
        frames in proptest::collection::vec(any_frame(), 0..6),
    ) {
        let mut packet = Vec::new();
        for frame in &frames {
            let before = packet.len();
            frame.encode(&mut packet);
            prop_assert_eq!(packet.len() - before, frame.encoded_len());
        }
        let back: Result<Vec<Frame>, _> = Reader::new(packet.into()).collect();
        prop_assert_eq!(back, Ok(frames));
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(packet in proptest::collection::vec(any::<u8>(), 0..400)) {
        let frames = decoded(packet.clone());
        prop_assert!(frames.len() <= packet.len());
    }

    #[test]
    fn damaged_frames_are_frames_or_an_error(
        frame in any_frame(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in 0_usize..9,
    ) {
        let mut packet = encoded(&frame);
        let at = at.index(packet.len());
        packet[at] = to;
        packet.truncate(packet.len().saturating_sub(cut));
        let frames = decoded(packet);
        prop_assert!(frames.iter().rev().skip(1).all(Result::is_ok));
    }
}
