//! Assembler: puts the bytes of one direction, which arrive in any order, back into theirs.
//!
//! Large pieces stay slices of the packets that they came in. Small ones are copied together, so that what is kept in
//! memory is never much more than what the credit allows, however the peer cuts its bytes.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf as _, Bytes, BytesMut};

use crate::secure::budget::price;

/// Pieces shorter than 1 KiB are copied: a slice of its packet would keep all of that in memory, which may be 48 KB.
const SMALL_PIECE: usize = 1024;
/// Small pieces are collected up to 4 KiB, of which the price of one piece is a thirtieth.
const COLLECTED: usize = 4096;
/// Up to 32 fragments need not be joined: at their prices they come to 4 KiB.
const FEW_FRAGMENTS: usize = 32;
/// Room for 8 pieces is kept when all have been read, within what a stream costs.
const SPARE_PIECES: usize = 8;
/// An honest peer leaves fewer than 1024 gaps, each for a packet that was lost or overtaken, beside those between large pieces.
const MAX_GAPS: usize = 1024;

#[derive(Debug)]
pub(crate) struct Assembler {
    /// Bytes before this were read or dropped.
    taken: u64,
    /// Bytes before this were put in order.
    ordered: u64,
    ready: VecDeque<Bytes>,
    /// Follows `ready`: small pieces that came in order.
    tail: BytesMut,
    /// What came ahead of its turn, by offset; nothing overlaps.
    early: BTreeMap<u64, Bytes>,
    early_bytes: usize,
    /// With how many fragments to try to join them.
    join_at: usize,
    /// Nobody reads any more: nothing is kept.
    discarding: bool,
}

/// The peer leaves more gaps than can be remembered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyGaps;

impl Default for Assembler {
    fn default() -> Self {
        Self {
            taken: 0,
            ordered: 0,
            ready: VecDeque::new(),
            tail: BytesMut::new(),
            early: BTreeMap::new(),
            early_bytes: 0,
            join_at: FEW_FRAGMENTS,
            discarding: false,
        }
    }
}

impl Assembler {
    /// How many bytes were read.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Up to where everything has arrived.
    pub(crate) fn ordered(&self) -> u64 {
        self.ordered
    }

    /// Whether there is something to read.
    pub(crate) fn is_readable(&self) -> bool {
        self.ordered > self.taken
    }

    /// How many bytes are kept.
    pub(crate) fn len(&self) -> usize {
        (self.ordered - self.taken) as usize + self.early_bytes
    }

    /// What it takes in memory, at its price.
    pub(crate) fn cost(&self) -> usize {
        let pieces = price::FRAGMENT * (self.ready.len() + self.early.len());
        // The tail has room for more than it holds.
        self.len() - self.tail.len() + self.tail.capacity() + pieces
    }

    /// Whether something has come ahead of its turn.
    pub(crate) fn has_gap(&self) -> bool {
        !self.early.is_empty()
    }

    /// How many separate pieces wait for what comes before them.
    pub(crate) fn fragments(&self) -> usize {
        self.early.len()
    }

    /// Takes what is at `offset`; what is known already is dropped.
    pub(crate) fn insert(&mut self, mut offset: u64, mut data: Bytes) -> Result<(), TooManyGaps> {
        if self.discarding {
            return Ok(());
        }
        let known = self.ordered.saturating_sub(offset).min(data.len() as u64);
        data.advance(known as usize);
        offset += known;
        if data.is_empty() {
            return Ok(());
        }
        if offset == self.ordered && self.early.is_empty() {
            self.append(data);
            return Ok(());
        }
        self.insert_early(offset, data);
        self.take_in_order();
        self.join_fragments()
    }

    /// The next bytes.
    pub(crate) fn read(&mut self) -> Option<Bytes> {
        let data = match self.ready.pop_front() {
            Some(data) => data,
            None if self.tail.is_empty() => return None,
            None => std::mem::take(&mut self.tail).freeze(),
        };
        if self.ready.is_empty() && self.ready.capacity() > SPARE_PIECES {
            self.ready = VecDeque::new();
        }
        self.taken += data.len() as u64;
        Some(data)
    }

    /// Nothing will be read any more.
    pub(crate) fn discard(&mut self) {
        let (taken, ordered) = (self.ordered, self.ordered);
        *self = Self { taken, ordered, discarding: true, ..Self::default() };
    }

    /// What is in order stays readable; nothing else is kept or will come.
    pub(crate) fn cut_off(&mut self) {
        self.early.clear();
        self.early_bytes = 0;
        self.discarding = true;
    }

    fn append(&mut self, data: Bytes) {
        self.ordered += data.len() as u64;
        if data.len() < SMALL_PIECE {
            self.tail.extend_from_slice(&data);
            if self.tail.len() >= COLLECTED {
                self.close_tail();
            }
            return;
        }
        self.close_tail();
        self.ready.push_back(data);
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            // A copy takes no more than it holds.
            self.ready.push_back(Bytes::copy_from_slice(&self.tail));
            self.tail = BytesMut::new();
        }
    }

    /// Keeps those parts of `data` that are not there yet.
    fn insert_early(&mut self, mut offset: u64, mut data: Bytes) {
        if let Some((start, before)) = self.early.range(..=offset).next_back() {
            let known = (start + before.len() as u64).saturating_sub(offset).min(data.len() as u64);
            data.advance(known as usize);
            offset += known;
        }
        while !data.is_empty() {
            let after = self.early.range(offset..).next().map(|(start, after)| (*start, after.len()));
            let (start, length) = after.unwrap_or((u64::MAX, 0));
            let new = data.split_to((start - offset).min(data.len() as u64) as usize);
            self.keep_early(offset, new);
            offset = start;
            data.advance(length.min(data.len()));
            offset = offset.saturating_add(length as u64);
        }
    }

    fn keep_early(&mut self, offset: u64, data: Bytes) {
        if !data.is_empty() {
            self.early_bytes += data.len();
            let data = if data.len() < SMALL_PIECE { Bytes::copy_from_slice(&data) } else { data };
            self.early.insert(offset, data);
        }
    }

    fn take_in_order(&mut self) {
        while let Some(next) = self.early.first_entry().filter(|next| *next.key() == self.ordered) {
            let data = next.remove();
            self.early_bytes -= data.len();
            self.append(data);
        }
        self.join_at = self.join_at.min((2 * self.early.len()).max(FEW_FRAGMENTS));
    }

    /// Joins small fragments that follow each other, now and then.
    fn join_fragments(&mut self) -> Result<(), TooManyGaps> {
        if self.early.len() <= self.join_at {
            return Ok(());
        }
        let mut joined = BTreeMap::new();
        let mut run = (0, BytesMut::new());
        for (offset, data) in std::mem::take(&mut self.early) {
            if data.len() >= COLLECTED {
                joined.insert(offset, data);
                continue;
            }
            if run.0 + run.1.len() as u64 != offset || run.1.len() >= COLLECTED {
                let (start, run) = std::mem::replace(&mut run, (offset, BytesMut::new()));
                joined.insert(start, run.freeze());
            }
            run.1.extend_from_slice(&data);
        }
        joined.insert(run.0, run.1.freeze());
        joined.retain(|_, run| !run.is_empty());
        self.early = joined;
        self.join_at = (2 * self.early.len()).max(FEW_FRAGMENTS);
        let most = MAX_GAPS + self.early_bytes / SMALL_PIECE;
        if self.early.len() > most { Err(TooManyGaps) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(assembler: &mut Assembler) -> Vec<u8> {
        std::iter::from_fn(|| assembler.read()).flatten().collect()
    }

    #[test]
    fn bytes_come_out_in_order_whatever_order_they_came_in() {
        let mut assembler = Assembler::default();
        assembler.insert(3, Bytes::from_static(b"de")).unwrap();
        assert!(!assembler.is_readable());
        assembler.insert(0, Bytes::from_static(b"abc")).unwrap();
        assert_eq!(read_all(&mut assembler), b"abcde");
        assert_eq!((assembler.taken(), assembler.len()), (5, 0));
    }

    #[test]
    fn large_pieces_are_not_copied_and_small_ones_are_collected() {
        let mut assembler = Assembler::default();
        let large = Bytes::from(vec![1; 5000]);
        assembler.insert(0, large.clone()).unwrap();
        for n in 0..10 {
            assembler.insert(5000 + n, Bytes::from_static(b"x")).unwrap();
        }
        assert_eq!(assembler.read().unwrap().as_ptr(), large.as_ptr());
        assert_eq!(assembler.read().unwrap(), Bytes::from_static(b"xxxxxxxxxx"));
        assert_eq!(assembler.read(), None);
    }

    #[test]
    fn many_small_fragments_that_follow_each_other_become_few() {
        let mut assembler = Assembler::default();
        for n in 1..=50_000 {
            assembler.insert(n, Bytes::from_static(b"x")).unwrap();
            assert!(assembler.fragments() <= 2 * FEW_FRAGMENTS + 1);
        }
        assembler.insert(0, Bytes::from_static(b"x")).unwrap();
        assert_eq!(read_all(&mut assembler).len(), 50_001);
    }

    #[test]
    fn single_bytes_in_order_become_few_pieces() {
        let mut assembler = Assembler::default();
        for n in 0..50_000 {
            assembler.insert(n, Bytes::from_static(b"x")).unwrap();
        }
        assert!(assembler.ready.len() <= 50_000 / COLLECTED);
    }

    #[test]
    fn gaps_without_end_are_an_error() {
        let mut assembler = Assembler::default();
        let outcome = (1..100_000).find(|n| assembler.insert(2 * n, Bytes::from_static(b"x")).is_err());
        assert!(outcome.is_some_and(|n| n < 4 * MAX_GAPS as u64));
    }

    #[test]
    fn what_nobody_reads_is_not_kept() {
        let mut assembler = Assembler::default();
        assembler.insert(0, Bytes::from_static(b"abc")).unwrap();
        assembler.insert(9, Bytes::from_static(b"j")).unwrap();
        assembler.discard();
        assembler.insert(3, Bytes::from_static(b"d")).unwrap();
        assert_eq!((assembler.len(), assembler.read()), (0, None));
    }

    proptest! {
        #[test]
        fn pieces_that_overlap_make_up_the_original(
            mut cuts in proptest::collection::vec((0_usize..6000, 1_usize..2000), 1..80),
        ) {
            let original: Vec<u8> = (0..6000_u32).map(|n| (n * 7 / 3) as u8).collect();
            cuts.push((0, 6000));
            let mut assembler = Assembler::default();
            let mut read = Vec::new();
            let mut there = vec![false; 6000];
            for (start, length) in cuts {
                let end = (start + length).min(6000);
                assembler.insert(start as u64, Bytes::copy_from_slice(&original[start..end])).unwrap();
                there[start..end].fill(true);
                let in_order = there.iter().take_while(|there| **there).count();
                prop_assert_eq!(assembler.ordered(), in_order as u64);
                let kept = there.iter().filter(|there| **there).count() - read.len();
                prop_assert_eq!(assembler.len(), kept);
                if length % 2 == 0 {
                    read.extend(read_all(&mut assembler));
                }
            }
            read.extend(read_all(&mut assembler));
            prop_assert_eq!(read, original);
        }
    }
}
