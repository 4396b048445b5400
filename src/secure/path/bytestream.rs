//! Bytestream: the counters of one In-Band Bytestream (XEP-0047).

/// Where a bytestream is, and which block comes next in each direction.
#[derive(Debug)]
pub(crate) struct Bytestream {
    state: State,
    next_out: u16,
    next_in: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It was asked for and not answered yet.
    Opening,
    /// Blocks may go.
    Open,
    /// It is over.
    Closing,
}

/// A block is missing or came twice, or nobody may send blocks at all: the bytestream has to be closed
/// (XEP-0047 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block of the bytestream is missing or repeated")]
pub(crate) struct Gap;

impl Bytestream {
    pub(crate) fn opening() -> Self {
        Self { state: State::Opening, next_out: 0, next_in: 0 }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn on_opened(&mut self) {
        if self.state == State::Opening {
            self.state = State::Open;
        }
    }

    pub(crate) fn close(&mut self) {
        self.state = State::Closing;
    }

    /// The number of the next block of ours.
    pub(crate) fn next_seq(&mut self) -> u16 {
        let seq = self.next_out;
        self.next_out = seq.wrapping_add(1);
        seq
    }

    /// A block of the peer's came. One that overtakes the answer to our `open` is welcome: the peer has agreed.
    pub(crate) fn on_block(&mut self, seq: u16) -> Result<(), Gap> {
        if self.state == State::Closing || seq != self.next_in {
            self.close();
            return Err(Gap);
        }
        self.next_in = seq.wrapping_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Bytestream {
        let mut bytestream = Bytestream::opening();
        bytestream.on_opened();
        bytestream
    }

    #[test]
    fn blocks_are_counted_modulo_65536_in_each_direction() {
        let mut bytestream = open();
        for n in 0..=u32::from(u16::MAX) + 2 {
            let seq = (n % 65_536) as u16;
            assert_eq!(bytestream.next_seq(), seq);
            assert_eq!(bytestream.on_block(seq), Ok(()));
        }
    }

    #[test]
    fn a_missing_or_repeated_block_ends_it_for_good() {
        for wrong in [0, 2, 65_535] {
            let mut bytestream = open();
            assert_eq!(bytestream.on_block(0), Ok(()));
            assert_eq!(bytestream.on_block(wrong), Err(Gap), "{wrong}");
            assert_eq!(bytestream.state(), State::Closing);
            assert_eq!(bytestream.on_block(1), Err(Gap), "after {wrong}");
        }
    }

    #[test]
    fn what_is_closed_does_not_open() {
        let mut bytestream = Bytestream::opening();
        bytestream.close();
        bytestream.on_opened();
        assert_eq!(bytestream.state(), State::Closing);
    }
}
