//! Records of a relay: one path of the secure protocol on a byte stream of its own (doc/lanes.md). Pure.
//!
//! Each record is sealed ([`relay`]); its body is a byte for what it is, and what belongs to it:
//!
//! | kind | body |
//! | --- | --- |
//! | 0, PADDING | zeros: the first record of each end, so that its first flight tells little by its size, and those that nudge a proxy |
//! | 1, BLOCK | a block of the path; the first has number 0, the next 1, and so on |
//! | 2, TAKEN | u64: the number of a block of the peer's that was taken |
//! | 3, CLOSE | nothing: the path is closed |
//!
//! [`relay`]: crate::secure::crypto::relay

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::secure::crypto::relay::{NotARecord, RecordOpener, RecordSealer};
use crate::secure::relays::{RelayPath, RelaySeals};
use crate::secure::{Endpoint, Incoming, Outgoing, Receipt, Token};

/// The longest padding of a record, in bytes: 1024, as much as the first packets behind the first record.
pub const MAX_PADDING: u16 = 1024;

/// The numbers of the kinds of records.
mod kind {
    pub(super) const PADDING: u8 = 0;
    pub(super) const BLOCK: u8 = 1;
    pub(super) const TAKEN: u8 = 2;
    pub(super) const CLOSE: u8 = 3;
}

/// The records of one end of the byte stream.
#[derive(Debug)]
pub struct Records {
    sealer: RecordSealer,
    opener: RecordOpener,
    /// The tokens of our blocks from the number `first_waiting` on; none for one that was taken.
    waiting: VecDeque<Option<Token>>,
    first_waiting: u64,
    /// How many blocks have come.
    received: u64,
}

/// What a record of the peer's says.
#[derive(Debug, PartialEq, Eq)]
enum Record {
    Padding,
    Block { number: u64, data: Vec<u8> },
    Taken(Token),
    Close,
}

impl Records {
    /// An end with these seals.
    pub fn new(RelaySeals { sealer, opener }: RelaySeals) -> Self {
        Self { sealer, opener, waiting: VecDeque::new(), first_waiting: 0, received: 0 }
    }

    /// A record that says nothing, with so many zeros, at most [`MAX_PADDING`]. The first record that this end sends has to be one.
    pub fn padding(&mut self, padding: u16) -> Bytes {
        let zeros = [0; MAX_PADDING as usize];
        let padding = &zeros[..usize::from(padding.min(MAX_PADDING))];
        self.sealer.seal(&[&[kind::PADDING], padding]).unwrap_or_default()
    }

    /// The record that does what the core wants done, if it takes one.
    pub fn write(&mut self, action: &Outgoing) -> Option<Bytes> {
        match action {
            Outgoing::Block { token, data, .. } => {
                let record = self.sealer.seal(&[&[kind::BLOCK], data])?;
                self.waiting.push_back(Some(*token));
                Some(record)
            }
            Outgoing::Taken { receipt } => {
                let number: u64 = receipt.clone().into_name().parse().ok()?;
                self.sealer.seal(&[&[kind::TAKEN], &number.to_be_bytes()])
            }
            Outgoing::Close { .. } => self.sealer.seal(&[&[kind::CLOSE]]),
            // The path needs no open, what is forgotten no record, and a block that is refused ends the path anyway.
            Outgoing::Open { .. } | Outgoing::Forget { .. } | Outgoing::Refused { .. } => None,
        }
    }

    /// Whether the peer's first record is there as a whole, which shows that it has the keys. It is taken from the front of these bytes.
    ///
    /// # Errors
    /// The bytes are no record of the peer's, or its first record says something.
    pub fn read_greeting(&mut self, bytes: &mut Bytes) -> Result<bool, NotARecord> {
        match self.read(bytes)? {
            None => Ok(false),
            Some(Record::Padding) => Ok(true),
            Some(_) => Err(NotARecord),
        }
    }

    /// Tells the core what the records in these bytes say.
    ///
    /// # Errors
    /// The bytes are no record of the peer's. Nothing that follows them is read.
    pub fn handle(
        &mut self,
        core: &mut Endpoint,
        now: Instant,
        on: &RelayPath,
        mut bytes: Bytes,
    ) -> Result<(), NotARecord> {
        let path = on.path;
        while let Some(record) = self.read(&mut bytes)? {
            let incoming = match record {
                Record::Padding => continue,
                Record::Block { number, data } => {
                    Incoming::Block { path, receipt: Receipt::new(number.to_string()), data }
                }
                Record::Taken(token) => Incoming::Taken { token },
                Record::Close => Incoming::Closed { path, receipt: Receipt::new(String::new()) },
            };
            core.handle_incoming(now, on.account, &on.peer, incoming);
        }
        Ok(())
    }

    /// The next record in these bytes, from whose front it is taken, if it is there as a whole.
    fn read(&mut self, bytes: &mut Bytes) -> Result<Option<Record>, NotARecord> {
        let Some(mut body) = self.opener.open(bytes)? else { return Ok(None) };
        let kind = *body.first().ok_or(NotARecord)?;
        Ok(Some(match kind {
            kind::PADDING => Record::Padding,
            kind::BLOCK => {
                let number = self.received;
                self.received += 1;
                body.drain(..1);
                Record::Block { number, data: body }
            }
            kind::TAKEN => {
                let number = body.get(1..).and_then(|number| number.try_into().ok());
                Record::Taken(self.take(number.map(u64::from_be_bytes).ok_or(NotARecord)?).ok_or(NotARecord)?)
            }
            kind::CLOSE => Record::Close,
            _ => return Err(NotARecord),
        }))
    }

    /// The token of a block of ours that was taken; none if there is none of this number, or not any more.
    fn take(&mut self, number: u64) -> Option<Token> {
        let place = usize::try_from(number.checked_sub(self.first_waiting)?).ok()?;
        let token = self.waiting.get_mut(place)?.take();
        while self.waiting.front() == Some(&None) {
            self.waiting.pop_front();
            self.first_waiting += 1;
        }
        token
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;
    use crate::secure::PathId;
    use crate::secure::crypto::keys::Side;
    use crate::secure::crypto::relay::{AROUND, RelaysKey};
    use crate::secure::crypto::secret::Secret;

    fn ends() -> (Records, Records) {
        let key = RelaysKey(Secret::new([7; 32]));
        let end =
            |side| Records::new(RelaySeals { sealer: key.sealer(0, side), opener: key.opener(0, side) });
        (end(Side::Client), end(Side::Bridge))
    }

    fn block(token: u128) -> Outgoing {
        Outgoing::Block { path: PathId(1), token: Token(token), data: Bytes::from(vec![token as u8; 3]) }
    }

    /// What the peer's next record says.
    fn says(to: &mut Records, bytes: Option<Bytes>) -> Result<Record, NotARecord> {
        to.read(&mut bytes.unwrap()).map(Option::unwrap)
    }

    #[test]
    fn blocks_are_numbered_and_what_was_taken_is_named_by_its_number() {
        let (mut client, mut bridge) = ends();
        for n in 0..3 {
            let sent = client.write(&block(u128::from(n) + 10));
            let data = vec![n as u8 + 10; 3];
            assert_eq!(says(&mut bridge, sent), Ok(Record::Block { number: n, data }));
        }
        for n in [1_u64, 0, 2] {
            let taken = bridge.write(&Outgoing::Taken { receipt: Receipt::new(n.to_string()) });
            assert_eq!(says(&mut client, taken), Ok(Record::Taken(Token(u128::from(n) + 10))));
        }
        assert!(client.waiting.is_empty(), "nothing is left of what was taken");
    }

    #[test]
    fn nothing_is_taken_twice_and_nothing_that_was_not_sent() {
        for number in [0_u64, 1, u64::MAX] {
            let (mut client, mut bridge) = ends();
            client.write(&block(10)).unwrap();
            let mut taken = || bridge.write(&Outgoing::Taken { receipt: Receipt::new(number.to_string()) });
            let (first, second) = (taken(), taken());
            assert_eq!(says(&mut client, first).is_ok(), number == 0);
            if number == 0 {
                assert_eq!(says(&mut client, second), Err(NotARecord));
            }
        }
    }

    #[test]
    fn the_first_record_is_padding_and_shows_that_the_peer_has_the_keys() {
        let (mut client, mut bridge) = ends();
        let mut greeting = client.padding(u16::MAX);
        assert_eq!(greeting.len(), AROUND + 1 + usize::from(MAX_PADDING));
        let mut head = greeting.split_to(40);
        assert_eq!(bridge.read_greeting(&mut head), Ok(false), "it is not there as a whole");
        assert_eq!(bridge.read_greeting(&mut greeting), Ok(true));
        let (mut client, mut bridge) = ends();
        assert_eq!(bridge.read_greeting(&mut client.write(&block(1)).unwrap()), Err(NotARecord));
        let (_, mut bridge) = ends();
        assert_eq!(bridge.read_greeting(&mut Bytes::from_static(&[0; 64])), Err(NotARecord));
    }

    #[test]
    fn a_path_needs_no_open_and_is_told_when_it_is_closed() {
        let (mut client, mut bridge) = ends();
        let close = client.write(&Outgoing::Close { path: PathId(1), token: Token(3) });
        assert_eq!(says(&mut bridge, close), Ok(Record::Close));
        assert_eq!(client.write(&Outgoing::Forget { path: PathId(1) }), None);
        assert_eq!(client.write(&Outgoing::Refused { receipt: Receipt::new("0") }), None);
    }

    #[test]
    fn a_record_of_an_unknown_kind_or_without_its_number_ends_the_stream() {
        for body in [&[][..], &[9], &[kind::TAKEN], &[kind::TAKEN, 0, 0, 0]] {
            let (mut client, mut bridge) = ends();
            let record = client.sealer.seal(&[body]);
            assert_eq!(says(&mut bridge, record), Err(NotARecord), "{body:?}");
        }
    }
}
