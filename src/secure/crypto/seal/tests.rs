//! Tests of the encryption of packets.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use proptest::prelude::*;

use super::*;
use crate::secure::crypto::keys::{SessionKeys, Side};

const EPOCH: u64 = 1 << EPOCH_BITS;

fn keys(side: Side) -> SessionKeys {
    SessionKeys::derive(Secret::new([1; 32]), Secret::new([2; 32]), side)
}

fn draft(frames: &[u8]) -> Draft {
    let mut draft = Draft::new(frames.len() + OVERHEAD);
    draft.buffer().extend_from_slice(frames);
    draft
}

/// The packet that the client would send with this counter.
fn packet(counter: u64, frames: &[u8]) -> Vec<u8> {
    let mut sealer = Sealer::at(&keys(Side::Client).send, counter);
    sealer.seal(draft(frames)).unwrap().1.into()
}

fn bridge() -> Opener {
    Opener::new(&keys(Side::Bridge).receive)
}

#[test]
fn counters_start_at_0_and_go_up_by_one() {
    let mut sealer = Sealer::new(&keys(Side::Client).send);
    let mut opener = bridge();
    for counter in 0..5 {
        assert_eq!(sealer.next_counter(), counter);
        let (sent, packet) = sealer.seal(draft(b"frames")).unwrap();
        let (received, frames) = opener.open(packet.into()).unwrap();
        assert_eq!((sent, received, &frames[..]), (counter, counter, &b"frames"[..]));
    }
}

#[test]
fn a_draft_knows_how_long_its_packet_will_be() {
    let mut draft = Draft::new(64);
    assert_eq!((draft.packet_len(), draft.is_empty()), (OVERHEAD, true));
    draft.buffer().extend_from_slice(b"frames");
    assert_eq!((draft.packet_len(), draft.is_empty()), (28, false));
    let room = draft.buffer().capacity();
    draft.pad_to(64);
    draft.pad_to(30);
    let length = draft.packet_len();
    let packet = Sealer::new(&keys(Side::Client).send).seal(draft).unwrap().1;
    assert_eq!((length, packet.len(), room), (64, 64, 64));
    let frames = bridge().open(packet.into()).unwrap().1;
    assert_eq!(frames[..], [&b"frames"[..], &[0; 36]].concat());
}

#[test]
fn a_draft_whose_beginning_was_removed_is_not_sent() {
    let mut draft = Draft::new(64);
    draft.buffer().clear();
    assert_eq!(Sealer::new(&keys(Side::Client).send).seal(draft), Err(Exhausted));
}

#[test]
fn a_packet_goes_in_one_direction_of_one_session() {
    let sent = packet(3, b"frames");
    assert!(bridge().open(sent.clone()).is_ok());
    assert_eq!(Opener::new(&keys(Side::Client).receive).open(sent.clone()), Err(NotAuthentic));
    let other = SessionKeys::derive(Secret::new([3; 32]), Secret::new([2; 32]), Side::Bridge);
    assert_eq!(Opener::new(&other.receive).open(sent), Err(NotAuthentic));
}

#[test]
fn every_single_bit_counts_and_so_does_the_length() {
    let sent = packet(EPOCH - 1, b"some frames");
    for bit in 0..sent.len() * 8 {
        let mut flipped = sent.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(bridge().open(flipped), Err(NotAuthentic), "bit {bit}");
    }
    for length in 0..sent.len() {
        assert_eq!(bridge().open(sent[..length].to_vec()), Err(NotAuthentic), "{length} bytes");
    }
    assert_eq!(bridge().open([&sent[..], &[0]].concat()), Err(NotAuthentic));
}

#[test]
fn the_sealer_takes_the_next_key_in_time() {
    let mut sealer = Sealer::at(&keys(Side::Client).send, EPOCH - 2);
    for counter in EPOCH - 2..EPOCH + 2 {
        let (sent, rolling) = sealer.seal(draft(b"frames")).unwrap();
        assert_eq!((sent, rolling.as_ref()), (counter, &packet(counter, b"frames")[..]));
    }
    let last = Sealer::at(&keys(Side::Client).send, 5 * EPOCH - 1).seal(draft(b"")).unwrap();
    assert_eq!(last.1, packet(5 * EPOCH - 1, b""));
}

#[test]
fn around_the_boundary_packets_of_both_epochs_open_in_any_order() {
    let mut opener = bridge();
    for counter in [EPOCH + 1, EPOCH - 1, EPOCH, 0, 2 * EPOCH, EPOCH + 2, 3 * EPOCH, 2 * EPOCH + 1] {
        assert_eq!(opener.open(packet(counter, b"frames")).unwrap().0, counter);
    }
    for counter in [EPOCH - 1, EPOCH + 1, 5 * EPOCH] {
        assert_eq!(opener.open(packet(counter, b"frames")), Err(NotAuthentic), "{counter}");
    }
    assert_eq!(opener.open(packet(3 * EPOCH + 1, b"frames")).unwrap().0, 3 * EPOCH + 1);
}

#[test]
fn a_forged_packet_of_the_next_epoch_changes_nothing() {
    let mut opener = bridge();
    for _ in 0..3 {
        let mut forged = packet(EPOCH, b"frames");
        forged[HEADER] ^= 1;
        assert_eq!(opener.open(forged), Err(NotAuthentic));
    }
    assert_eq!(opener.epoch, 0);
    assert_eq!(opener.open(packet(2 * EPOCH, b"frames")), Err(NotAuthentic));
    assert_eq!(opener.open(packet(EPOCH, b"frames")).unwrap().0, EPOCH);
}

#[test]
fn there_is_a_last_counter() {
    let start = Sealer::new(&keys(Side::Client).send);
    let mut sealer = Sealer { counter: COUNTERS - 1, ..start };
    assert_eq!(sealer.seal(draft(b"frames")).unwrap().0, COUNTERS - 1);
    assert_eq!(sealer.seal(draft(b"frames")), Err(Exhausted));
    assert_eq!(sealer.seal(draft(b"frames")), Err(Exhausted));
}

#[test]
fn packets_with_the_same_frames_have_nothing_in_common() {
    let mut sealer = Sealer::new(&keys(Side::Client).send);
    let packets: Vec<_> = (0..200).map(|_| sealer.seal(draft(&[0; 10])).unwrap().1).collect();
    // Counters below 200 would leave these bits at 0.
    let ones = packets.iter().filter(|packet| packet[0] >> 7 == 1).count();
    assert!((60..=140).contains(&ones), "{ones} of 200");
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(counter in 0..2 * EPOCH, frames in prop::collection::vec(any::<u8>(), 0..2000)) {
        let sealed = packet(counter, &frames);
        prop_assert_eq!(sealed.len(), frames.len() + OVERHEAD);
        let (received, opened) = bridge().open(sealed).unwrap();
        prop_assert_eq!((received, &opened[..]), (counter, &frames[..]));
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(bridge().open(bytes), Err(NotAuthentic));
    }
}
