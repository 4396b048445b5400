//! Randomness of what files hold, as far as it shows without a key. Pure.

use std::collections::{BTreeSet, HashMap};

/// What a block cipher encrypts at a time, in bytes.
const BLOCK: usize = 16;

/// How many bytes are looked at at a time.
const PIECE: usize = 4096;

/// How long a packet of a file is, in bytes.
const PACKET: usize = 16_384;

/// χ² of a piece's bytes is 255 on average, with a standard deviation of 23: so much more comes once in 10^9 pieces.
const MOST_CHI_SQUARED: f64 = 420.0;

/// So many bytes at the end are looked at one by one.
const END: usize = 32;

/// So many that are alike, one after the other, come there once in 10^8 files.
const RUN: usize = 5;

/// Whether all values are about as frequent in each piece, the last one too, and the last bytes are no padding.
pub(super) fn is_random(file: &[u8]) -> bool {
    let Some(last) = file.len().checked_sub(PIECE) else { return false };
    let is_run = |bytes: &[u8]| bytes.iter().all(|byte| *byte == bytes[0]);
    let mut pieces = file.chunks_exact(PIECE).chain([&file[last..]]);
    let mut at_the_end = file[file.len() - END..].windows(RUN);
    pieces.all(|piece| chi_squared(piece) < MOST_CHI_SQUARED) && !at_the_end.any(is_run)
}

/// Whether two packets, of one file or of two, are encrypted with the same bytes of a cipher: what they differ by is what their texts do.
pub(super) fn share_a_key(files: &[Vec<u8>]) -> bool {
    let packets: Vec<_> =
        files.iter().flat_map(|file| file.chunks(PACKET)).filter_map(|packet| packet.get(..PIECE)).collect();
    let differ_by = |one: &[u8], other: &[u8]| -> Vec<u8> {
        one.iter().zip(other).map(|(one, other)| one ^ other).collect()
    };
    let mut pairs = packets
        .iter()
        .enumerate()
        .flat_map(|(index, one)| packets[index + 1..].iter().map(move |other| differ_by(one, other)));
    pairs.any(|difference| chi_squared(&difference) >= MOST_CHI_SQUARED)
}

/// Whether two of them begin or end with the same four bytes.
pub(super) fn are_alike_at_an_end(files: &[Vec<u8>]) -> bool {
    let ends = |end: fn(&Vec<u8>) -> Option<&[u8; 4]>| {
        let different: BTreeSet<_> = files.iter().map(end).collect();
        different.len() < files.len()
    };
    ends(|file| file.first_chunk()) || ends(|file| file.last_chunk())
}

/// How far the frequencies of bytes are from being alike.
fn chi_squared(piece: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in piece {
        counts[usize::from(*byte)] += 1;
    }
    let expected = piece.len() as f64 / 256.0;
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

/// Whether any block comes a second time, wherever it begins.
pub(super) fn repeats(files: &[Vec<u8>]) -> bool {
    let mut blocks = HashMap::new();
    for (number, file) in files.iter().enumerate() {
        for (index, block) in file.chunks_exact(BLOCK).enumerate() {
            blocks.entry(block).or_insert((number, index * BLOCK));
        }
    }
    files.iter().enumerate().any(|(number, file)| {
        let mut windows = file.windows(BLOCK).enumerate();
        windows.any(|(at, window)| blocks.get(window).is_some_and(|first| *first != (number, at)))
    })
}

#[test]
fn what_is_not_random_in_a_single_piece_is_not_taken_for_it() {
    let random = crate::harness::random_bytes(60_001);
    assert!(is_random(&random) && !repeats(std::slice::from_ref(&random)));
    let spoilt = |at: usize, with: &[u8]| {
        let mut file = random.clone();
        file[at..at + with.len()].copy_from_slice(with);
        file
    };
    let text = super::plaintext(PIECE);
    assert!(!is_random(&spoilt(PIECE, &text)) && !is_random(&spoilt(random.len() - PIECE, &text)));
    assert!(!is_random(&spoilt(random.len() - RUN, &[0; RUN])), "zeros at the end");
    let again = &random[1003..1003 + 2 * BLOCK];
    assert!(repeats(&[spoilt(50_000, again)]), "a block that comes again, at another offset");
    assert!(repeats(&[random.clone(), again.to_vec()]), "in another file");
}

#[test]
fn files_that_begin_or_end_alike_are_told_from_those_that_do_not() {
    let file =
        |begin: u8, end: u8| [vec![begin; 8], crate::harness::random_bytes(100), vec![end; 8]].concat();
    assert!(!are_alike_at_an_end(&[file(1, 2), file(3, 4), file(2, 1)]));
    assert!(are_alike_at_an_end(&[file(1, 2), file(3, 4), file(1, 5)]));
    assert!(are_alike_at_an_end(&[file(1, 2), file(3, 4), file(5, 4)]));
}

#[test]
fn texts_that_are_encrypted_with_the_same_bytes_are_told_from_others() {
    let random = crate::harness::random_bytes(4 * PACKET);
    assert!(!share_a_key(&[random[..2 * PACKET].to_vec(), random[2 * PACKET..].to_vec()]));
    let text = super::plaintext(PACKET + 9);
    let under = |text: &[u8]| text.iter().zip(&random).map(|(text, key)| text ^ key).collect::<Vec<u8>>();
    assert!(share_a_key(&[random[PACKET..].to_vec(), under(&text[9..]), under(&text[..PACKET])]));
    assert!(share_a_key(&[[under(&text[9..]), under(&text[..PACKET])].concat()]));
}
