//! Send buffer: the bytes of one direction that were written and are not known to have arrived.

use std::ops::Range;

use crate::secure::budget::price;
use crate::secure::streams::byte_queue::ByteQueue;
use crate::secure::wire::ranges::RangeSet;

#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    /// The bytes from `base` on.
    bytes: ByteQueue,
    /// Everything before has arrived, or nobody wants it any more.
    base: u64,
    /// Everything before was sent at least once.
    sent: u64,
    /// What has arrived after `base`.
    arrived: RangeSet,
    /// What must be sent again.
    lost: RangeSet,
    fin: Fin,
}

/// How far the end of the direction has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fin {
    /// More may be written.
    #[default]
    Open,
    /// It is to be sent, again perhaps.
    Due,
    Sent,
    Arrived,
}

/// A part of the buffer that was put into a packet. No byte is in two of them at a time: each is either lost, and sent
/// again after that, or arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) range: Range<u64>,
    /// The end of the stream was sent with it.
    pub(crate) fin: bool,
}

impl SendBuffer {
    /// How many bytes are kept.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What it takes in memory, at its price.
    pub(crate) fn cost(&self) -> usize {
        self.bytes.capacity() + price::RANGE * (self.arrived.len() + self.lost.len())
    }

    /// How many bytes were sent at least once.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Keeps a copy of `data`, the only one until it goes into a packet.
    pub(crate) fn write(&mut self, data: &[u8]) {
        self.bytes.write(data);
    }

    /// The end follows the last byte.
    pub(crate) fn finish(&mut self) {
        if self.fin == Fin::Open {
            self.fin = Fin::Due;
        }
    }

    /// Whether nothing more can be written.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin != Fin::Open
    }

    /// Whether everything has arrived, the end included.
    pub(crate) fn is_done(&self) -> bool {
        self.fin == Fin::Arrived && self.bytes.is_empty()
    }

    /// The peer wants nothing more of it: what was not sent will not be, and what was lost stays lost. It must learn
    /// where the direction ends all the same.
    pub(crate) fn stop(&mut self) {
        if self.fin == Fin::Open || self.end() > self.sent {
            self.fin = Fin::Due;
        }
        self.abandon();
    }

    /// Forgets everything: a reset says the rest.
    pub(crate) fn abandon(&mut self) {
        self.base = self.sent;
        self.bytes = ByteQueue::default();
        self.arrived.clear();
        self.lost.clear();
    }

    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// Whether something must be sent that needs no credit: what was lost, or the end alone.
    pub(crate) fn has_urgent(&self) -> bool {
        !self.lost.is_empty() || self.fin == Fin::Due && self.sent == self.end()
    }

    /// How many bytes of what is urgent belong together.
    pub(crate) fn urgent_len(&self) -> u64 {
        self.lost.first().map_or(0, |lost| lost.end - lost.start)
    }

    /// How many bytes must be sent again.
    pub(crate) fn lost_len(&self) -> u64 {
        self.lost.total()
    }

    /// How many bytes were never sent and may be, up to the offset `credit`.
    pub(crate) fn unsent(&self, credit: u64) -> u64 {
        self.end().min(credit).saturating_sub(self.sent)
    }

    /// Takes at most `most` bytes of what is urgent.
    pub(crate) fn take_urgent(&mut self, most: u64) -> Option<Piece> {
        if !self.has_urgent() {
            return None;
        }
        let range = match self.lost.first() {
            Some(lost) => lost.start..lost.end.min(lost.start.saturating_add(most)),
            None => self.sent..self.sent,
        };
        self.lost.remove(range.clone());
        Some(self.note_sent(range))
    }

    /// Takes at most `most` bytes that were never sent.
    pub(crate) fn take_unsent(&mut self, most: u64) -> Option<Piece> {
        let range = self.sent..self.end().min(self.sent.saturating_add(most));
        if range.is_empty() {
            return None;
        }
        self.sent = range.end;
        Some(self.note_sent(range))
    }

    fn note_sent(&mut self, range: Range<u64>) -> Piece {
        let fin = self.fin == Fin::Due && range.end == self.end();
        if fin {
            self.fin = Fin::Sent;
        }
        Piece { range, fin }
    }

    /// The bytes of a piece that was just taken, in parts.
    pub(crate) fn bytes(&self, range: &Range<u64>) -> impl Iterator<Item = &[u8]> {
        let place = |offset: u64| (offset.saturating_sub(self.base) as usize).min(self.bytes.len());
        self.bytes.parts(place(range.start)..place(range.end))
    }

    /// A piece has arrived.
    pub(crate) fn on_arrived(&mut self, piece: &Piece) {
        if piece.fin {
            self.fin = Fin::Arrived;
        }
        let range = piece.range.start.max(self.base)..piece.range.end;
        if range.start > self.base {
            self.arrived.insert(range);
            return;
        }
        self.free_until(range.end);
        while let Some(next) = self.arrived.first().filter(|next| next.start <= self.base) {
            self.arrived.pop_first();
            self.free_until(next.end);
        }
    }

    fn free_until(&mut self, offset: u64) {
        let arrived = (offset.saturating_sub(self.base) as usize).min(self.bytes.len());
        self.base += arrived as u64;
        self.bytes.drop_front(arrived);
    }

    /// A piece has not arrived: it is to be sent again.
    pub(crate) fn on_lost(&mut self, piece: &Piece) {
        if piece.fin && self.fin == Fin::Sent {
            self.fin = Fin::Due;
        }
        self.lost.insert(piece.range.start.max(self.base)..piece.range.end);
    }

    /// These bytes have arrived after they were taken for lost: those that were not sent again by now need not be.
    pub(crate) fn on_arrived_late(&mut self, range: &Range<u64>) {
        let within = |lost: Range<u64>| lost.start.max(range.start)..lost.end.min(range.end);
        let late: Vec<_> = self.lost.newest_first().map(within).filter(|range| !range.is_empty()).collect();
        for range in late {
            self.lost.remove(range.clone());
            self.on_arrived(&Piece { range, fin: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(data: &[u8]) -> SendBuffer {
        let mut buffer = SendBuffer::default();
        buffer.write(data);
        buffer
    }

    fn text(buffer: &SendBuffer, piece: &Piece) -> Vec<u8> {
        buffer.bytes(&piece.range).flatten().copied().collect()
    }

    #[test]
    fn what_arrives_late_is_not_sent_again_and_what_was_sent_again_is_waited_for() {
        let mut buffer = buffer(b"abcdefgh");
        let first = buffer.take_unsent(6).unwrap();
        buffer.on_lost(&first);
        let again = buffer.take_urgent(2).unwrap();
        buffer.on_arrived_late(&first.range);
        assert_eq!((buffer.take_urgent(10), buffer.len()), (None, 8));
        buffer.on_arrived(&again);
        assert_eq!(buffer.len(), 2);
        let rest = buffer.take_unsent(10).unwrap();
        assert_eq!(text(&buffer, &rest), b"gh");
        buffer.on_arrived_late(&(0..8));
        assert_eq!(buffer.len(), 2, "only what was lost can arrive late");
    }

    #[test]
    fn pieces_follow_each_other_and_the_end_goes_with_the_last() {
        let mut buffer = buffer(b"abcdef");
        buffer.finish();
        let first = buffer.take_unsent(4).unwrap();
        assert_eq!((text(&buffer, &first), first.fin), (b"abcd".to_vec(), false));
        let last = buffer.take_unsent(4).unwrap();
        assert_eq!((text(&buffer, &last), last.fin), (b"ef".to_vec(), true));
        assert_eq!(buffer.take_unsent(4), None);
        buffer.on_arrived(&last);
        assert_eq!((buffer.len(), buffer.is_done()), (6, false));
        buffer.on_arrived(&first);
        assert_eq!((buffer.len(), buffer.is_done()), (0, true));
    }

    #[test]
    fn what_was_lost_is_urgent_until_it_was_sent_again() {
        let mut buffer = buffer(b"abcdef");
        let first = buffer.take_unsent(2).unwrap();
        let second = buffer.take_unsent(2).unwrap();
        buffer.on_lost(&first);
        buffer.on_arrived(&second);
        assert!(buffer.has_urgent());
        let again = buffer.take_urgent(9).unwrap();
        assert_eq!(again, first);
        assert_eq!(text(&buffer, &again), b"ab");
        assert!(!buffer.has_urgent());
        buffer.on_arrived(&again);
        assert_eq!(buffer.len(), 2);
    }

    #[test]
    fn a_lost_end_is_sent_again_alone() {
        let mut buffer = SendBuffer::default();
        buffer.finish();
        let end = buffer.take_urgent(9).unwrap();
        assert_eq!(end, Piece { range: 0..0, fin: true });
        assert!(!buffer.has_urgent());
        buffer.on_lost(&end);
        assert_eq!(buffer.take_urgent(9), Some(end));
    }

    #[test]
    fn a_stopped_direction_ends_where_it_was_sent_up_to() {
        let mut buffer = buffer(b"abcdef");
        let sent = buffer.take_unsent(2).unwrap();
        buffer.stop();
        assert_eq!((buffer.len(), buffer.unsent(u64::MAX)), (0, 0));
        buffer.on_lost(&sent);
        let end = buffer.take_urgent(9).unwrap();
        assert_eq!(end, Piece { range: 2..2, fin: true });
        buffer.on_arrived(&end);
        assert!(buffer.is_done());
    }

    #[test]
    fn nothing_stays_allocated_for_long_when_everything_has_arrived() {
        let mut buffer = buffer(&[7; 100_000]);
        let all = buffer.take_unsent(u64::MAX).unwrap();
        buffer.on_arrived(&all);
        assert!(buffer.cost() <= 4096);
    }
}
