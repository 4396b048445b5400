//! Packets: encrypted, authenticated and numbered.
//!
//! `masked counter (6) ‖ ciphertext ‖ tag (16)`, ChaCha20-Poly1305 without additional data. The nonce is the counter, as
//! Noise writes it; the counter is masked with an HMAC of the tag, so that a packet is uniformly random bytes. Every 2²⁰
//! packets a new key takes over (Noise's `REKEY`).

use bytes::Bytes;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;

use crate::secure::crypto::keys::DirectionKeys;
use crate::secure::crypto::secret::{MacKey, Secret, head, mac};

/// The masked counter at a packet's beginning.
const HEADER: usize = 6;
/// The authenticator at its end.
pub(super) const TAG: usize = 16;
/// What a packet has more than its frames.
pub const OVERHEAD: usize = HEADER + TAG;

/// One more than the highest counter.
const COUNTERS: u64 = 1 << (8 * HEADER);
/// A key encrypts 2 to the power of this packets: the low bits of their counters.
const EPOCH_BITS: u32 = 20;

/// A packet that is being written: frames behind room for the header.
#[derive(Debug)]
pub struct Draft(Vec<u8>);

impl Draft {
    /// An empty one, with room for a packet of `size` bytes.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let mut bytes = Vec::with_capacity(size.max(OVERHEAD));
        bytes.resize(HEADER, 0);
        Self(bytes)
    }

    /// Where frames are appended; what is there already must stay.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// How long the packet would be now.
    #[must_use]
    pub fn packet_len(&self) -> usize {
        self.0.len() + TAG
    }

    /// Whether nothing was appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len() <= HEADER
    }

    /// Fills up with PADDING frames (zeros) to a packet of `size` bytes, unless it is as long already.
    pub fn pad_to(&mut self, size: usize) {
        let end = size.saturating_sub(TAG).max(self.0.len());
        self.0.resize(end, 0);
    }
}

/// All counters are used up: the session has to end. At a million packets a second that takes nine years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session has sent as many packets as it may")]
pub struct Exhausted;

/// Encrypts the packets of one direction.
#[derive(Debug)]
pub struct Sealer {
    counter: u64,
    key: LessSafeKey,
    mask: MacKey,
}

impl Sealer {
    /// Starts with counter 0.
    #[must_use]
    pub fn new(keys: &DirectionKeys) -> Self {
        Self { counter: 0, key: cipher(&keys.packet), mask: MacKey::new(&keys.mask) }
    }

    /// One that has sent this many packets already.
    #[cfg(test)]
    pub(crate) fn at(keys: &DirectionKeys, counter: u64) -> Self {
        let start = Self::new(keys);
        let key = (0..counter >> EPOCH_BITS).fold(start.key, |key, _| rekeyed(&key));
        Self { counter, key, mask: start.mask }
    }

    /// The counter of the next packet.
    #[must_use]
    pub fn next_counter(&self) -> u64 {
        self.counter
    }

    /// Makes a packet of a draft, in place, and says its counter.
    ///
    /// # Errors
    /// When there is no counter left.
    pub fn seal(&mut self, draft: Draft) -> Result<(u64, Bytes), Exhausted> {
        let counter = self.counter;
        if counter >= COUNTERS {
            return Err(Exhausted);
        }
        let mut packet = draft.0;
        let (header, frames) = packet.split_at_mut_checked(HEADER).ok_or(Exhausted)?;
        let sealed = self.key.seal_in_place_separate_tag(nonce(counter), Aad::empty(), frames);
        let tag = sealed.map_err(|_| Exhausted)?;
        header.copy_from_slice(&masked(&self.mask, tag.as_ref(), header_of(counter)));
        packet.extend_from_slice(tag.as_ref());
        self.advance();
        Ok((counter, packet.into()))
    }

    /// Leaves the next counter out: no packet will ever have it.
    pub(crate) fn skip(&mut self) {
        self.advance();
    }

    fn advance(&mut self) {
        self.counter += 1;
        if self.counter.trailing_zeros() >= EPOCH_BITS {
            self.key = rekeyed(&self.key);
        }
    }
}

/// A packet that is not one of this session and direction, or not any more, or was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packet was damaged on the way or is not of this session")]
pub struct NotAuthentic;

/// Decrypts the packets of one direction, in any order.
///
/// Packets of the newest epoch that was seen are opened, of the one before, and of the one after. A counter is believed
/// only after its packet has opened, so that a forged one derives no key: the next key is always there already. Whether
/// a packet was seen before is for the caller to know.
#[derive(Debug)]
pub struct Opener {
    epoch: u64,
    before: Option<LessSafeKey>,
    current: LessSafeKey,
    after: LessSafeKey,
    mask: MacKey,
}

impl Opener {
    /// Starts with epoch 0.
    #[must_use]
    pub fn new(keys: &DirectionKeys) -> Self {
        let current = cipher(&keys.packet);
        let after = rekeyed(&current);
        Self { epoch: 0, before: None, current, after, mask: MacKey::new(&keys.mask) }
    }

    /// The counter and the frames of a packet, decrypted in place.
    ///
    /// # Errors
    /// When it is not authentic, or older or newer than a neighbour of the current epoch: those come with a loss of a
    /// million packets at once.
    pub fn open(&mut self, mut packet: Vec<u8>) -> Result<(u64, Bytes), NotAuthentic> {
        let (header, sealed) = packet.split_first_chunk_mut::<HEADER>().ok_or(NotAuthentic)?;
        let tag = sealed.last_chunk::<TAG>().ok_or(NotAuthentic)?;
        let counter = counter_of(masked(&self.mask, tag, *header));
        let key = self.key(counter >> EPOCH_BITS).ok_or(NotAuthentic)?;
        key.open_in_place(nonce(counter), Aad::empty(), sealed).map_err(|_| NotAuthentic)?;
        self.advance_to(counter >> EPOCH_BITS);
        let frames = HEADER..packet.len() - TAG;
        Ok((counter, Bytes::from(packet).slice(frames)))
    }

    fn key(&self, epoch: u64) -> Option<&LessSafeKey> {
        match (epoch + 1).checked_sub(self.epoch)? {
            0 => self.before.as_ref(),
            1 => Some(&self.current),
            2 => Some(&self.after),
            _ => None,
        }
    }

    fn advance_to(&mut self, epoch: u64) {
        if epoch > self.epoch {
            let after = rekeyed(&self.after);
            let current = std::mem::replace(&mut self.after, after);
            self.before = Some(std::mem::replace(&mut self.current, current));
            self.epoch += 1;
        }
    }
}

/// `REKEY` of the Noise specification (section 4.2).
fn rekeyed(key: &LessSafeKey) -> LessSafeKey {
    let mut next = [0; 32];
    #[expect(clippy::expect_used, reason = "32 bytes are not too many to encrypt")]
    let _tag = key.seal_in_place_separate_tag(nonce(u64::MAX), Aad::empty(), &mut next).expect("a key");
    cipher(&Secret::new(next))
}

pub(super) fn cipher(key: &Secret) -> LessSafeKey {
    #[expect(clippy::expect_used, reason = "the key has the length that the cipher wants")]
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key.expose()).expect("a key of 32 bytes"))
}

pub(super) fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Masks a header and takes the mask off.
fn masked(mask: &hmac::Key, tag: &[u8], header: [u8; HEADER]) -> [u8; HEADER] {
    let mask: [u8; HEADER] = head(&mac(mask, &[tag]));
    std::array::from_fn(|n| header[n] ^ mask[n])
}

fn header_of(counter: u64) -> [u8; HEADER] {
    let [_, _, header @ ..] = counter.to_be_bytes();
    header
}

fn counter_of(header: [u8; HEADER]) -> u64 {
    header.iter().fold(0, |counter, byte| counter << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
