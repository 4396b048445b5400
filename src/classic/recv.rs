//! Receiving half of one connection: packets back in order, the bytes that the application has not
//! read yet, and the answers that are withheld meanwhile.
//!
//! The protocol has no flow control of its own. A peer that waits for the answer to each packet, as
//! ours does, is slowed down by answering late: while more than the buffer's worth waits to be read,
//! answers are withheld. A peer that does not wait for them is cut off when it goes far beyond.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::classic::api::Answer;
use crate::classic::reorder::{Insertion, ReorderBuffer, WINDOW};
use crate::classic::send::Body;
use crate::classic::seq::SeqNum;

/// What a peer may have on its way beyond the buffer: a full window of the largest packets in use.
const OVERSHOOT: usize = WINDOW as usize * 16 * 1024;

#[derive(Debug)]
pub(super) struct RecvHalf {
    early: ReorderBuffer<Body>,
    unread: VecDeque<Bytes>,
    /// Bytes in `early` and `unread`.
    buffered: usize,
    /// Bytes in `unread`.
    readable: usize,
    capacity: usize,
    withheld: Vec<Answer>,
    ended: bool,
}

/// What became of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// It is kept; answers to give are in `answers`.
    Stored,
    /// A copy of it waits for its turn already; this one was dropped.
    Waiting,
    /// Its turn is over; it was dropped.
    Redundant,
    /// Its id is none that a correct peer can use now.
    OutOfWindow,
    /// The peer sends although nothing is read.
    Overflow,
}

impl RecvHalf {
    /// A half that withholds answers while more than `capacity` bytes wait to be read.
    pub(super) fn new(capacity: usize, first: SeqNum) -> Self {
        Self {
            early: ReorderBuffer::new(first),
            unread: VecDeque::new(),
            buffered: 0,
            readable: 0,
            capacity,
            withheld: Vec::new(),
            ended: false,
        }
    }

    pub(super) fn receive(&mut self, id: SeqNum, body: Body, answer: Answer) -> Received {
        let length = body.len();
        if self.buffered + length > self.capacity + OVERSHOOT {
            return Received::Overflow;
        }
        match self.early.insert(id, body) {
            Insertion::Stored => {
                self.buffered += length;
                self.withheld.push(answer);
                self.put_in_order();
                Received::Stored
            }
            Insertion::Duplicate => Received::Waiting,
            Insertion::Redundant => Received::Redundant,
            // Just after the wrap, ids from before it count as far ahead.
            Insertion::TooFar if self.early.expected().distance_from(id) <= WINDOW => Received::Redundant,
            Insertion::TooFar => Received::OutOfWindow,
        }
    }

    fn put_in_order(&mut self) {
        while let Some(body) = self.early.pop() {
            match body {
                Body::Data(data) if self.ended || data.is_empty() => self.buffered -= data.len(),
                Body::Data(data) => {
                    self.readable += data.len();
                    self.unread.push_back(data);
                }
                Body::Disconnect => self.ended = true,
            }
        }
    }

    /// Takes the answers that may be given now. Only the application's delay counts: what waits for
    /// something that is missing says nothing about it, and a peer that is told that all is well would
    /// never notice that something was lost.
    pub(super) fn take_answers(&mut self) -> Vec<Answer> {
        if self.readable > self.capacity && !self.ended {
            Vec::new()
        } else {
            std::mem::take(&mut self.withheld)
        }
    }

    /// The next bytes for the application.
    pub(super) fn read(&mut self) -> Option<Bytes> {
        let data = self.unread.pop_front()?;
        self.buffered -= data.len();
        self.readable -= data.len();
        Some(data)
    }

    /// Whether the peer's disconnect has come, in order. Bytes may still wait to be read.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Whether the peer is being slowed down.
    pub(super) fn is_withholding(&self) -> bool {
        !self.withheld.is_empty()
    }

    /// Whether something is missing that was sent before what has arrived.
    pub(super) fn has_gap(&self) -> bool {
        self.early.has_gap()
    }

    /// Bytes that are kept.
    pub(super) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Nobody will read any more.
    pub(super) fn discard(&mut self) {
        self.buffered -= self.readable;
        self.readable = 0;
        self.unread.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::AccountId;
    use xmpp_parsers::jid::FullJid;

    fn answer(id: u32) -> Answer {
        Answer { via: AccountId(0), to: FullJid::new("a@x/r").unwrap(), id: id.to_string() }
    }

    fn receive(half: &mut RecvHalf, id: u32, data: &'static [u8]) -> Received {
        half.receive(SeqNum::ZERO.plus(id), Body::Data(Bytes::from_static(data)), answer(id))
    }

    #[test]
    fn answers_are_withheld_while_the_application_does_not_read() {
        let mut half = RecvHalf::new(4, SeqNum::ZERO);
        receive(&mut half, 0, b"1234");
        assert_eq!(half.take_answers(), [answer(0)]);
        receive(&mut half, 1, b"5");
        assert_eq!(half.take_answers(), []);
        assert!(half.is_withholding());
        assert_eq!(half.read().as_deref(), Some(&b"1234"[..]));
        assert_eq!(half.take_answers(), [answer(1)]);
    }

    #[test]
    fn nothing_is_withheld_on_account_of_a_gap() {
        let mut half = RecvHalf::new(4, SeqNum::ZERO);
        receive(&mut half, 1, b"12345");
        assert_eq!(half.take_answers(), [answer(1)]);
        assert!(!half.is_withholding());
    }

    #[test]
    fn a_peer_that_ignores_the_missing_answers_overflows() {
        let mut half = RecvHalf::new(10, SeqNum::ZERO);
        let chunk: &[u8] = &[0; 16 * 1024];
        let mut outcomes =
            (0..).map(|n| half.receive(SeqNum::ZERO.plus(n), Body::Data(chunk.into()), answer(n)));
        assert_eq!(outcomes.position(|outcome| outcome == Received::Overflow), Some(100));
    }

    #[test]
    fn the_disconnect_takes_effect_after_everything_before_it() {
        let mut half = RecvHalf::new(100, SeqNum::ZERO);
        half.receive(SeqNum::ZERO.plus(1), Body::Disconnect, answer(1));
        assert!(!half.has_ended() && half.has_gap());
        receive(&mut half, 0, b"last words");
        assert!(half.has_ended() && half.has_unread());
    }

    #[test]
    fn what_a_peer_sends_after_its_disconnect_is_dropped() {
        let mut half = RecvHalf::new(100, SeqNum::ZERO);
        half.receive(SeqNum::ZERO, Body::Disconnect, answer(0));
        receive(&mut half, 1, b"late");
        assert!(!half.has_unread());
        assert_eq!(half.buffered(), 0);
    }

    #[test]
    fn copies_are_told_from_what_no_correct_peer_sends() {
        let mut half = RecvHalf::new(100, SeqNum::ZERO);
        receive(&mut half, 0, b"a");
        receive(&mut half, 2, b"c");
        assert_eq!(receive(&mut half, 0, b"a"), Received::Redundant);
        assert_eq!(receive(&mut half, 2, b"c"), Received::Waiting);
        assert_eq!(receive(&mut half, 102, b"x"), Received::OutOfWindow);
    }

    #[test]
    fn a_copy_from_before_the_wrap_is_redundant_too() {
        let last = SeqNum::new(u32::MAX - 1).unwrap();
        let mut half = RecvHalf::new(100, last);
        half.receive(last, Body::Data(Bytes::from_static(b"z")), answer(0));
        assert_eq!(half.receive(last, Body::Data(Bytes::from_static(b"z")), answer(0)), Received::Redundant);
    }

    #[test]
    fn both_halves_carry_a_stream_across_the_wrap() {
        use crate::classic::api::SetId;
        use crate::classic::send::SendHalf;
        let first = SeqNum::new(u32::MAX - 3).unwrap();
        let (mut sender, mut receiver) = (SendHalf::new(1 << 20, first), RecvHalf::new(1 << 20, first));
        let data: Vec<u8> = (0..60_000u32).map(|n| n.to_le_bytes()[0]).collect();
        sender.write(&data);
        sender.finish();
        let packets: Vec<_> = (0..).map_while(|n| sender.take_due(SetId(n), AccountId(1), 4096)).collect();
        assert!(
            packets.iter().any(|(id, _)| id.get() == u32::MAX - 1)
                && packets.iter().any(|(id, _)| id.get() == 0)
        );
        for (n, (id, body)) in packets.into_iter().enumerate().rev() {
            assert_eq!(receiver.receive(id, body, answer(0)), Received::Stored);
            sender.on_arrived(id, SetId(n as u64));
        }
        assert!(sender.is_done() && receiver.has_ended());
        let received: Vec<u8> = std::iter::from_fn(|| receiver.read()).flatten().collect();
        assert_eq!(received, data);
    }
}
