//! Receiving half of one stream: its bytes, where it ends, and how much credit the peer has.

use bytes::Bytes;

use crate::secure::streams::assembler::Assembler;
use crate::secure::streams::credit::CreditWindow;

#[derive(Debug)]
pub(crate) struct ReceiveHalf {
    bytes: Assembler,
    /// The highest offset that the peer has used.
    highest: u64,
    /// Where the peer says that it ends.
    end: Option<u64>,
    /// The peer has said so with FIN: once everything before has arrived, the stream is complete.
    fin: bool,
    /// What is not in order yet will never be.
    cut_off: bool,
    /// Not even what is in order will be read.
    discarded: bool,
    pub(crate) credit: CreditWindow,
}

/// Why what came cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The peer has gone beyond its credit, or leaves too many gaps.
    Overflow,
    /// The peer contradicts itself about where the stream ends.
    Contradiction,
}

impl ReceiveHalf {
    pub(crate) fn new(window: u64) -> Self {
        Self {
            bytes: Assembler::default(),
            highest: 0,
            end: None,
            fin: false,
            cut_off: false,
            discarded: false,
            credit: CreditWindow::new(window),
        }
    }

    pub(crate) fn receive(&mut self, offset: u64, data: Bytes, fin: bool) -> Result<(), Fault> {
        let end = offset + data.len() as u64;
        if self.end.is_some_and(|known| end > known || fin && end != known) || fin && end < self.highest {
            return Err(Fault::Contradiction);
        }
        self.highest = self.highest.max(end);
        if end > self.credit.granted() {
            return Err(Fault::Overflow);
        }
        if fin {
            self.end = Some(end);
            self.fin = true;
        }
        self.bytes.insert(offset, data).map_err(|_| Fault::Overflow)
    }

    /// The peer has broken the stream off after it had sent the first `sent` bytes.
    pub(crate) fn break_off(&mut self, sent: u64) -> Result<(), Fault> {
        if sent < self.highest || self.end.is_some_and(|known| sent != known) {
            return Err(Fault::Contradiction);
        }
        self.highest = sent;
        self.end = Some(sent);
        self.cut_off();
        Ok(())
    }

    /// Nothing more will be kept; what is in order can still be read.
    pub(crate) fn cut_off(&mut self) {
        self.cut_off = true;
        self.bytes.cut_off();
    }

    /// Nothing more will be read.
    pub(crate) fn discard(&mut self) {
        self.cut_off = true;
        self.discarded = true;
        self.bytes.discard();
    }

    pub(crate) fn read(&mut self) -> Option<Bytes> {
        self.bytes.read()
    }

    /// Whether there is something to read.
    pub(crate) fn is_readable(&self) -> bool {
        self.bytes.is_readable()
    }

    /// Whether the peer has finished it and everything has arrived and can be read.
    pub(crate) fn is_complete(&self) -> bool {
        self.fin && !self.discarded && self.end == Some(self.bytes.ordered())
    }

    /// Whether it is known where it ends.
    pub(crate) fn has_end(&self) -> bool {
        self.end.is_some()
    }

    /// Whether nothing more that matters can come.
    pub(crate) fn is_done(&self) -> bool {
        self.is_complete() || self.cut_off && self.has_end()
    }

    /// How many bytes are kept.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// See [`Assembler::cost`].
    pub(crate) fn cost(&self) -> usize {
        self.bytes.cost()
    }

    /// Up to where everything has arrived, while something after it has.
    pub(crate) fn gap(&self) -> Option<u64> {
        self.bytes.has_gap().then(|| self.bytes.ordered())
    }

    /// See [`Assembler::fragments`].
    pub(crate) fn fragments(&self) -> usize {
        self.bytes.fragments()
    }

    /// The highest offset that the peer has used.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// How many of the bytes up to [`highest`](Self::highest) take up no room any more.
    pub(crate) fn consumed(&self) -> u64 {
        let unread = self.bytes.ordered() - self.bytes.taken();
        if self.cut_off { self.highest - unread } else { self.bytes.taken() }
    }

    /// Whether so much was read that the peer should hear of it.
    pub(crate) fn wants_credit(&self) -> bool {
        self.end.is_none() && !self.cut_off && self.credit.is_due(self.bytes.taken())
    }

    /// The offset up to which the peer may send from now on.
    pub(crate) fn grant(&mut self) -> u64 {
        self.credit.grant(self.bytes.taken())
    }

    /// Whether the peer uses up its credit faster than it hears of more.
    pub(crate) fn has_outgrown_credit(&self) -> bool {
        self.credit.is_outgrown(self.highest)
    }

    /// From the next grant on the peer may be so far ahead of the reader.
    pub(crate) fn set_window(&mut self, width: u64) {
        self.credit.set_width(width, self.bytes.taken());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(length: usize) -> Bytes {
        vec![7; length].into()
    }

    #[test]
    fn credit_is_given_when_a_quarter_of_it_was_read() {
        let mut half = ReceiveHalf::new(100);
        half.receive(0, data(24), false).unwrap();
        half.read();
        assert!(!half.wants_credit());
        half.receive(24, data(1), false).unwrap();
        assert!(!half.wants_credit(), "nothing more was read");
        half.read();
        assert!(half.wants_credit());
        assert_eq!(half.grant(), 125);
        assert!(!half.wants_credit());
    }

    #[test]
    fn nothing_may_go_beyond_the_credit() {
        let mut half = ReceiveHalf::new(100);
        assert_eq!(half.receive(90, data(11), false), Err(Fault::Overflow));
    }

    #[test]
    fn an_end_cannot_move() {
        let mut half = ReceiveHalf::new(100);
        half.receive(0, data(10), true).unwrap();
        assert_eq!(half.receive(10, data(1), false), Err(Fault::Contradiction));
        assert_eq!(half.receive(0, data(9), true), Err(Fault::Contradiction));
        assert_eq!(half.break_off(11), Err(Fault::Contradiction));
        assert_eq!(half.receive(0, data(10), true), Ok(()));
    }

    #[test]
    fn bytes_that_never_come_are_consumed_by_a_break() {
        let mut half = ReceiveHalf::new(100);
        half.receive(0, data(10), false).unwrap();
        half.receive(20, data(10), false).unwrap();
        half.break_off(40).unwrap();
        assert_eq!((half.highest(), half.consumed(), half.len()), (40, 30, 10));
        half.read();
        assert_eq!(half.consumed(), 40);
    }
}
