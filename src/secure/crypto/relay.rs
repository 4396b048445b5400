//! Records on a relay: a byte stream cut into sealed pieces (doc/lanes.md).
//!
//! `length (2) ‖ tag (16) ‖ body ‖ tag (16)`, again and again, each of the two ChaCha20-Poly1305 without associated data, under one key for
//! each relay and direction. The nonce counts what was sealed: 0, 1, 2, … So the stream is random from its first byte on, and whoever
//! passes it on cannot leave anything out, repeat it or cut it elsewhere without it being seen.

use bytes::{Buf as _, Bytes, BytesMut};
use ring::aead::{Aad, LessSafeKey};
use secrecy::zeroize::Zeroize as _;

use crate::secure::crypto::keys::Side;
use crate::secure::crypto::seal::{TAG, cipher, nonce};
use crate::secure::crypto::secret::{MacKey, Secret, mac};

/// The longest body, in bytes: 65,535, what its length can say.
pub const LONGEST: usize = u16::MAX as usize;

/// What a record has more than its body, in bytes: 34.
pub const AROUND: usize = LENGTH + TAG;

/// The sealed length at its beginning.
const LENGTH: usize = size_of::<u16>() + TAG;

/// Shared by the two sides of a session; the keys of its relays are made from it.
#[derive(Clone, Debug)]
pub struct RelaysKey(pub(crate) Secret);

impl RelaysKey {
    /// Seals what this side sends by the relay of this number.
    pub(crate) fn sealer(&self, number: u64, side: Side) -> RecordSealer {
        RecordSealer { key: Box::new(cipher(&self.derive(number, side))), next: 0 }
    }

    /// Opens what the other side sends by it.
    pub(crate) fn opener(&self, number: u64, side: Side) -> RecordOpener {
        let key = Box::new(cipher(&self.derive(number, side.other())));
        RecordOpener { key, next: 0, buffer: BytesMut::new(), body: None, has_failed: false }
    }

    fn derive(&self, number: u64, sender: Side) -> Secret {
        let mut bytes = mac(&MacKey::new(&self.0), &[&[sender.number()], &number.to_be_bytes()]);
        let key = Secret::new(bytes);
        bytes.zeroize();
        key
    }
}

/// Makes records. Each end of a relay has one and no more: a second would use the same nonces under the same key.
#[derive(Debug)]
pub struct RecordSealer {
    key: Box<LessSafeKey>,
    next: u64,
}

impl RecordSealer {
    /// The next record, whose body is these parts, one after the other; none if they are longer than [`LONGEST`].
    pub fn seal(&mut self, parts: &[&[u8]]) -> Option<Bytes> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let mut record = BytesMut::with_capacity(AROUND + length);
        record.extend_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
        self.seal_from(&mut record, 0)?;
        let start = record.len();
        parts.iter().for_each(|part| record.extend_from_slice(part));
        self.seal_from(&mut record, start)?;
        Some(record.freeze())
    }

    /// Encrypts the record from `start` on, and appends the tag.
    fn seal_from(&mut self, record: &mut BytesMut, start: usize) -> Option<()> {
        let nonce = nonce(self.next);
        self.next += 1;
        let (_, open) = record.split_at_mut(start);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), open).ok()?;
        record.extend_from_slice(tag.as_ref());
        Some(())
    }
}

/// What came is not the next record of this relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came by the relay is none of its records, or was damaged")]
pub struct NotARecord;

/// Opens records while they come. Nothing follows an error.
#[derive(Debug)]
pub struct RecordOpener {
    key: Box<LessSafeKey>,
    next: u64,
    /// What has come of the next piece.
    buffer: BytesMut,
    /// How long the body is that comes next; none while it is a length.
    body: Option<usize>,
    has_failed: bool,
}

impl RecordOpener {
    /// Takes from the front of these bytes as many as belong to the next record. Returns its body once it is there as a whole, so that at
    /// most one record is kept.
    ///
    /// # Errors
    /// The bytes are not the next record of the stream.
    pub fn open(&mut self, bytes: &mut Bytes) -> Result<Option<Vec<u8>>, NotARecord> {
        if self.body.is_none() {
            let Some(length) = self.piece(bytes, LENGTH)? else { return Ok(None) };
            let length = length.first_chunk().copied().ok_or(NotARecord)?;
            self.body = Some(u16::from_be_bytes(length).into());
        }
        let length = self.body.unwrap_or_default();
        let Some(body) = self.piece(bytes, length + TAG)? else { return Ok(None) };
        self.body = None;
        Ok(Some(body))
    }

    /// The next piece of this length, its tag included, decrypted, if it is there as a whole.
    fn piece(&mut self, bytes: &mut Bytes, length: usize) -> Result<Option<Vec<u8>>, NotARecord> {
        if self.has_failed {
            return Err(NotARecord);
        }
        let missing = length - self.buffer.len();
        let taken = missing.min(bytes.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        bytes.advance(taken);
        if taken < missing {
            return Ok(None);
        }
        let nonce = nonce(self.next);
        self.next += 1;
        let Ok(opened) = self.key.open_in_place(nonce, Aad::empty(), &mut self.buffer) else {
            self.has_failed = true;
            self.buffer = BytesMut::new();
            return Err(NotARecord);
        };
        let opened = opened.to_vec();
        self.buffer.clear();
        Ok(Some(opened))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use proptest::prelude::*;

    use super::*;

    fn ends(number: u64) -> (RecordSealer, RecordOpener) {
        let key = RelaysKey(Secret::new([7; 32]));
        (key.sealer(number, Side::Client), key.opener(number, Side::Bridge))
    }

    /// All bodies in this part of a stream.
    fn open_all(opener: &mut RecordOpener, bytes: &[u8]) -> Result<Vec<Vec<u8>>, NotARecord> {
        let (mut rest, mut bodies) = (Bytes::copy_from_slice(bytes), Vec::new());
        while let Some(body) = opener.open(&mut rest)? {
            bodies.push(body);
        }
        assert!(rest.is_empty());
        Ok(bodies)
    }

    #[test]
    fn a_record_is_as_much_longer_than_its_body_as_it_says() {
        let (mut sealer, mut opener) = ends(1);
        for length in [0, 1, LONGEST] {
            let body = vec![5; length];
            let record = sealer.seal(&[&body]).unwrap();
            assert_eq!(record.len(), length + AROUND);
            assert_eq!(open_all(&mut opener, &record), Ok(vec![body]));
        }
        assert!(sealer.seal(&[&[0; LONGEST], &[0]]).is_none());
    }

    #[test]
    fn another_relay_and_the_other_direction_have_other_keys() {
        let record = ends(1).0.seal(&[b"body"]).unwrap();
        let key = RelaysKey(Secret::new([7; 32]));
        for mut opener in [key.opener(2, Side::Bridge), key.opener(1, Side::Client)] {
            assert_eq!(open_all(&mut opener, &record), Err(NotARecord));
        }
        assert!(open_all(&mut ends(1).1, &record).is_ok());
    }

    #[test]
    fn what_was_repeated_left_out_or_changed_ends_the_stream() {
        let (mut sealer, _) = ends(1);
        let records: Vec<_> = (0..3_u8).map(|n| sealer.seal(&[&[n]]).unwrap()).collect();
        for order in [&[0, 0][..], &[1], &[0, 2]] {
            let (_, mut opener) = ends(1);
            let stream: Vec<u8> = order.iter().flat_map(|n| records[*n].to_vec()).collect();
            assert_eq!(open_all(&mut opener, &stream), Err(NotARecord), "{order:?}");
            assert_eq!(opener.open(&mut records[0].clone()), Err(NotARecord), "nothing follows an error");
        }
        for place in 0..records[0].len() {
            let mut changed = records[0].to_vec();
            changed[place] ^= 1;
            assert_eq!(open_all(&mut ends(1).1, &changed), Err(NotARecord), "{place}");
        }
    }

    #[test]
    fn equal_bodies_look_different() {
        let (mut sealer, _) = ends(1);
        let [one, other] = [(); 2].map(|()| sealer.seal(&[&[0; 64]]).unwrap());
        assert!(one.chunks(16).zip(other.chunks(16)).all(|(one, other)| one != other));
    }

    proptest! {
        #[test]
        fn records_come_back_however_the_stream_is_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6),
            cuts in prop::collection::vec(1_usize..50, 1..20),
        ) {
            let (mut sealer, mut opener) = ends(3);
            let stream: Vec<u8> = bodies.iter().flat_map(|body| sealer.seal(&[body]).unwrap()).collect();
            let (mut rest, mut opened) = (&stream[..], Vec::new());
            for cut in cuts.iter().cycle() {
                let (part, behind) = rest.split_at((*cut).min(rest.len()));
                opened.extend(open_all(&mut opener, part).unwrap());
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(opened, bodies);
        }

        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), LENGTH..200)) {
            prop_assert_eq!(open_all(&mut ends(1).1, &bytes), Err(NotARecord));
        }
    }
}
