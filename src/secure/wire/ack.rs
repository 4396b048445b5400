//! ACK frames: which packets have arrived (as in RFC 9000 section 19.3, without the delay).

use std::ops::{Range, RangeInclusive};

use bytes::Bytes;

use crate::secure::wire::varint;

/// Ranges of counters, the highest first. They stay as they are encoded: what comes from the peer takes no more memory
/// than it took on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckFrame {
    largest: u64,
    /// How many counters just below the largest have arrived, too.
    first: u64,
    /// How many more ranges there are.
    count: u64,
    /// A gap and a range, `count` times.
    more: Bytes,
}

impl AckFrame {
    /// From ranges that do not touch, the highest first; `None` if there are none.
    pub fn new(ranges: impl IntoIterator<Item = Range<u64>>) -> Option<Self> {
        let mut ranges = ranges.into_iter().filter(|range| !range.is_empty());
        let newest = ranges.next()?;
        let (mut count, mut more, mut smallest) = (0, Vec::new(), newest.start);
        for range in ranges {
            // Two counters fewer than the distance: neither is the gap empty, nor does it belong to the ranges.
            varint::write(&mut more, smallest.checked_sub(range.end + 1)?);
            varint::write(&mut more, range.end - range.start - 1);
            smallest = range.start;
            count += 1;
        }
        let largest = newest.end - 1;
        Some(Self { largest, first: largest - newest.start, count, more: more.into() })
    }

    /// Takes one from the front of `packet`; `None` if it is cut off or goes below zero.
    pub(crate) fn decode(packet: &mut Bytes) -> Option<Self> {
        let largest = varint::read(packet)?;
        let count = varint::read(packet)?;
        let first = varint::read(packet)?;
        let start = packet.clone();
        let mut smallest = largest.checked_sub(first)?;
        for _ in 0..count {
            let gap = varint::read(packet)?;
            let range = varint::read(packet)?;
            smallest = smallest.checked_sub(gap + 2)?.checked_sub(range)?;
        }
        Some(Self { largest, first, count, more: start.slice(..start.len() - packet.len()) })
    }

    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        for value in [self.largest, self.count, self.first] {
            varint::write(into, value);
        }
        into.extend_from_slice(&self.more);
    }

    pub(crate) fn encoded_len(&self) -> usize {
        [self.largest, self.count, self.first].map(varint::len).iter().sum::<usize>() + self.more.len()
    }

    /// The highest counter.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// The ranges, the highest first.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        let mut more = self.more.clone();
        let newest = self.largest.saturating_sub(self.first)..=self.largest;
        std::iter::successors(Some(newest), move |above| {
            let gap = varint::read(&mut more)?;
            let range = varint::read(&mut more)?;
            let largest = above.start().checked_sub(gap + 2)?;
            Some(largest.checked_sub(range)?..=largest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_back_as_they_were() {
        let ack = AckFrame::new([90..100, 50..60, 0..49]).unwrap();
        assert_eq!(ack.ranges().collect::<Vec<_>>(), [90..=99, 50..=59, 0..=48]);
        assert_eq!(ack.largest(), 99);
    }

    #[test]
    fn ranges_that_touch_are_no_ack() {
        assert_eq!(AckFrame::new([50..60, 40..50]), None);
        assert_eq!(AckFrame::new([]), None);
    }
}
