//! Tests of the format of files.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::secure::crypto::keys::SessionKeys;

/// A small file: one packet and a half.
const SIZE: u64 = 24 * 1024;

fn key(side: Side) -> FilesKey {
    SessionKeys::derive(Secret::new([1; 32]), Secret::new([2; 32]), side).files_key
}

fn id(size: u64) -> FileId {
    FileId { sender: Side::Bridge, number: 7, size: FileSize::new(size).unwrap() }
}

/// A file with these frames, of which each packet takes as many as it has room for.
fn file(id: FileId, frames: &[u8]) -> Vec<u8> {
    let (mut sealer, mut rest, mut file) = (FileSealer::new(&key(Side::Bridge), id), frames, Vec::new());
    while sealer.room() > 0 {
        let (now, later) = rest.split_at(sealer.room().min(rest.len()));
        file.extend(sealer.seal(now.to_vec()).unwrap());
        rest = later;
    }
    assert!(rest.is_empty(), "there was no room");
    file
}

/// What comes out of these bytes, taken in such pieces, and how it ends: the packets that were opened, and whether that was all.
fn opened(id: FileId, file: &[u8], piece: usize) -> (Vec<Bytes>, Result<bool, NotTheFile>) {
    let (mut opener, mut packets) = (FileOpener::new(&key(Side::Client), id), Vec::new());
    for piece in file.chunks(piece) {
        let mut piece = Bytes::copy_from_slice(piece);
        while !piece.is_empty() {
            match opener.open(&mut piece) {
                Ok(packet) => packets.extend(packet),
                Err(error) => return (packets, Err(error)),
            }
        }
    }
    assert_eq!(opener.packets(), packets.len());
    (packets, Ok(opener.is_complete()))
}

fn content(id: FileId, file: &[u8]) -> Result<Vec<u8>, NotTheFile> {
    let (packets, end) = opened(id, file, 1000);
    end.map(|_| packets.concat())
}

#[test]
fn a_file_has_the_size_that_was_said_and_packets_that_hold_something() {
    for (bytes, packets) in [(17, 1), (16_384, 1), (16_401, 2), (65_536, 4), (1_048_576, 64)] {
        let size = FileSize::new(bytes).unwrap();
        assert_eq!((size.bytes() as u64, size.packets()), (bytes, packets));
        assert_eq!(file(id(bytes), b"x").len() as u64, bytes);
    }
    for bytes in [0, 1, 16, 16_385, 16_400, 1_048_577, u64::MAX] {
        assert_eq!(FileSize::new(bytes), None, "{bytes}");
    }
}

#[test]
fn a_file_is_full_when_every_packet_is() {
    let mut sealer = FileSealer::new(&key(Side::Client), id(SIZE));
    assert_eq!(sealer.room(), PACKET - TAG);
    assert_eq!(sealer.seal(vec![1; PACKET]), Err(CannotSeal::TooLong));
    for room in [PACKET - TAG, 8 * 1024 - TAG] {
        assert_eq!(sealer.room(), room);
        assert_eq!(sealer.seal(vec![1; room]).unwrap().len(), room + TAG);
    }
    assert_eq!((sealer.room(), sealer.seal(Vec::new())), (0, Err(CannotSeal::Complete)));
}

#[test]
fn a_packet_can_be_used_before_the_next_has_come() {
    let file = file(id(SIZE), &[1; 20_000]);
    let (packets, end) = opened(id(SIZE), &file[..PACKET + 5], 700);
    assert_eq!((packets.len(), packets[0].len(), end), (1, PACKET - TAG, Ok(false)));
}

#[test]
fn nothing_but_the_file_itself_is_opened_as_it() {
    let file = file(id(SIZE), b"frames");
    assert!(content(id(SIZE), &file).unwrap().starts_with(b"frames\0"));
    let FileId { sender, number, size } = id(SIZE);
    for other in [
        FileId { sender: Side::Client, number, size },
        FileId { sender, number: number + 1, size },
        FileId { sender, number, size: FileSize::new(SIZE + 1).unwrap() },
    ] {
        assert_eq!(content(other, &file), Err(NotTheFile), "{other:?}");
    }
    let other = FilesKey(Secret::new([3; 32]));
    let mut opener = FileOpener::new(&other, id(SIZE));
    assert_eq!(opener.open(&mut file.into()), Err(NotTheFile));
}

#[test]
fn packets_in_another_order_or_twice_are_refused() {
    const TWO: usize = 2 * PACKET;
    let file = file(id(TWO as u64), &[1; PACKET + 100]);
    let (first, second) = file.split_at(PACKET);
    for wrong in [[second, first], [first, first], [second, second]] {
        assert_eq!(content(id(TWO as u64), &wrong.concat()), Err(NotTheFile));
    }
}

#[test]
fn what_stands_behind_the_end_is_no_file_and_nothing_follows_an_error() {
    let mut file = Bytes::from([file(id(SIZE), b"x"), vec![0]].concat());
    let mut opener = FileOpener::new(&key(Side::Client), id(SIZE));
    for packet in 0..2 {
        assert!(opener.open(&mut file).unwrap().is_some(), "{packet}");
    }
    assert!(opener.is_complete());
    assert_eq!(opener.open(&mut Bytes::new()), Ok(None), "it has ended, and that is well");
    assert_eq!(opener.open(&mut file), Err(NotTheFile));
    assert_eq!(opener.open(&mut Bytes::new()), Err(NotTheFile));
}

#[test]
fn every_file_of_a_session_has_a_key_of_its_own() {
    let numbers = (0..4).flat_map(|number| [(Side::Client, number), (Side::Bridge, number)]);
    let ids = numbers.flat_map(|(sender, number)| {
        [SIZE, SIZE + 1].map(|size| FileId { sender, number, size: FileSize::new(size).unwrap() })
    });
    let keys: BTreeSet<[u8; 32]> = ids.map(|id| *key(Side::Client).derive(id).expose()).collect();
    assert_eq!(keys.len(), 16);
}

#[test]
fn a_file_shows_neither_that_it_is_empty_nor_where_its_packets_begin() {
    let file = file(id(1_048_576), b"");
    let mut counts = [0_u32; 256];
    file.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    // 4096 of each are expected, and 64 is the standard deviation: nine of them happen to no random file.
    assert!(counts.iter().all(|count| count.abs_diff(4096) < 9 * 64), "{counts:?}");
    let ends: BTreeSet<&[u8]> = file.chunks(PACKET).map(|packet| &packet[PACKET - TAG..]).collect();
    assert_eq!(ends.len(), 64);
}

fn sizes() -> impl Strategy<Value = u64> {
    (17_u64..50_000).prop_filter("a size that a file can have", |bytes| FileSize::new(*bytes).is_some())
}

proptest! {
    #[test]
    fn whatever_is_in_it_and_however_it_comes_it_arrives(
        size in sizes(),
        share in 0.0..1.0,
        byte in 1_u8..,
        piece in 1_usize..40_000,
    ) {
        let id = id(size);
        let room = id.size.bytes() - id.size.packets() * TAG;
        let frames = vec![byte; (share * room as f64) as usize];
        let (packets, end) = opened(id, &file(id, &frames), piece);
        prop_assert_eq!((packets.len(), end), (id.size.packets(), Ok(true)));
        let content = packets.concat();
        prop_assert_eq!((content.len(), &content[..frames.len()]), (room, &frames[..]));
        prop_assert!(content[frames.len()..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_not_complete_and_loses_only_what_was_cut(size in sizes(), at in any::<prop::sample::Index>()) {
        let (id, whole) = (id(size), file(id(size), b"x"));
        let length = at.index(whole.len());
        let (packets, end) = opened(id, &whole[..length], 5000);
        prop_assert_eq!((packets.len(), end), (length / PACKET, Ok(false)));
    }

    #[test]
    fn a_file_with_any_bit_flipped_is_opened_up_to_there_at_most(size in sizes(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (id, mut damaged) = (id(size), file(id(size), b"x"));
        let place = at.index(damaged.len());
        damaged[place] ^= 1_u8 << bit;
        let (packets, end) = opened(id, &damaged, 5000);
        prop_assert_eq!((packets.len(), end), (place / PACKET, Err(NotTheFile)));
    }

    #[test]
    fn what_anybody_else_puts_there_is_opened_by_nobody(bytes in prop::collection::vec(any::<u8>(), 17..2000)) {
        let Some(size) = FileSize::new(bytes.len() as u64) else { return Ok(()) };
        let id = FileId { size, ..id(SIZE) };
        prop_assert_eq!(content(id, &bytes), Err(NotTheFile));
    }
}
