//! Files: runs of sealed packets, each run under a key of its own (doc/lanes.md).
//!
//! `packet 0 ‖ packet 1 ‖ …`, each of [`PACKET`] bytes but the last, which has what remains; a packet is `ciphertext ‖ tag (16)`,
//! ChaCha20-Poly1305 without associated data, its place in the run as the nonce. Who made the file, its number and its size are in the key,
//! so that nothing else opens it. A file is as long as it was said to be beforehand, and random to its last byte.

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use ring::aead::{Aad, LessSafeKey};
use secrecy::zeroize::Zeroize as _;

use crate::secure::crypto::keys::Side;
use crate::secure::crypto::seal::{TAG, cipher, nonce};
use crate::secure::crypto::secret::{MacKey, Secret, mac};

/// The size of a packet: 16 KiB, as much as a TLS record holds, so that the first of a file can be used long before its end has come.
pub const PACKET: usize = 16 * 1024;

/// The largest file: 1 MiB, which an upload service takes in half a second at 100 ms, and a stock one at least ten times.
pub const MAX_FILE: usize = 1024 * 1024;

/// How long a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileSize(usize);

impl FileSize {
    /// So many bytes; none if no file can have so many: each of its packets holds something.
    #[must_use]
    pub fn new(bytes: u64) -> Option<Self> {
        let bytes = usize::try_from(bytes).ok().filter(|bytes| (1..=MAX_FILE).contains(bytes))?;
        let last = (bytes - 1) % PACKET + 1;
        (last > TAG).then_some(Self(bytes))
    }

    /// In bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.0
    }

    /// In packets.
    #[must_use]
    pub fn packets(self) -> usize {
        self.0.div_ceil(PACKET)
    }

    /// How long this packet of it is; 0 behind the last.
    fn packet(self, index: usize) -> usize {
        self.0.saturating_sub(index * PACKET).min(PACKET)
    }
}

/// Which file of a session it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// Who made it.
    pub(crate) sender: Side,
    /// Its number, which no other file of the session has.
    pub(crate) number: u64,
    /// How long it is.
    pub(crate) size: FileSize,
}

/// Shared by the two sides of a session; the keys of its files are made from it.
#[derive(Clone, Debug)]
pub struct FilesKey(pub(crate) Secret);

impl FilesKey {
    /// The key of one file.
    pub(crate) fn derive(&self, id: FileId) -> Secret {
        let parts: [&[u8]; 3] =
            [&[id.sender.number()], &id.number.to_be_bytes(), &(id.size.bytes() as u64).to_be_bytes()];
        let mut bytes = mac(&MacKey::new(&self.0), &parts);
        let key = Secret::new(bytes);
        bytes.zeroize();
        key
    }

    fn cipher(&self, id: FileId) -> LessSafeKey {
        cipher(&self.derive(id))
    }
}

/// Why a packet cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotSeal {
    /// There is no room for so many frames.
    #[error("there is no room for so much in a packet of the file")]
    TooLong,
    /// The file has all its packets.
    #[error("the file has all its packets")]
    Complete,
}

/// Makes a file, packet by packet. No second one is to be made of the same file: the key is for one content.
#[derive(Debug)]
pub struct FileSealer {
    key: LessSafeKey,
    size: FileSize,
    next: usize,
}

impl FileSealer {
    /// One that begins this file.
    #[must_use]
    pub fn new(key: &FilesKey, id: FileId) -> Self {
        Self { key: key.cipher(id), size: id.size, next: 0 }
    }

    /// How many bytes of frames the next packet holds; 0 once the file is complete.
    #[must_use]
    pub fn room(&self) -> usize {
        self.size.packet(self.next).saturating_sub(TAG)
    }

    /// The next packet: these frames, and padding.
    ///
    /// # Errors
    /// They are too many, or there is no next packet.
    pub fn seal(&mut self, mut frames: Vec<u8>) -> Result<Bytes, CannotSeal> {
        let room = self.room();
        if room == 0 {
            return Err(CannotSeal::Complete);
        }
        if frames.len() > room {
            return Err(CannotSeal::TooLong);
        }
        frames.reserve_exact(room + TAG - frames.len());
        frames.resize(room, 0);
        let nonce = nonce(self.next as u64);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut frames);
        sealed.map_err(|_| CannotSeal::TooLong)?;
        self.next += 1;
        Ok(frames.into())
    }
}

/// What came is not the file that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came is not the file that was announced, or was damaged")]
pub struct NotTheFile;

/// Opens a file while it comes. Nothing follows an error.
#[derive(Debug)]
pub struct FileOpener {
    key: LessSafeKey,
    size: FileSize,
    next: usize,
    /// The beginning of the next packet.
    buffer: BytesMut,
    has_failed: bool,
}

impl FileOpener {
    /// For this file.
    #[must_use]
    pub fn new(key: &FilesKey, id: FileId) -> Self {
        Self { key: key.cipher(id), size: id.size, next: 0, buffer: BytesMut::new(), has_failed: false }
    }

    /// Takes bytes of the file from the front of these, as many as belong to the next packet: the frames in that, decrypted, if it is there as
    /// a whole. So at most one packet is kept.
    ///
    /// # Errors
    /// The packet is none of this file in this place, or there are bytes behind the end.
    pub fn open(&mut self, bytes: &mut Bytes) -> Result<Option<Bytes>, NotTheFile> {
        let length = self.size.packet(self.next);
        if self.has_failed || (length == 0 && !bytes.is_empty()) {
            return self.fail();
        }
        let missing = length - self.buffer.len();
        self.buffer.extend_from_slice(&bytes.split_to(missing.min(bytes.len())));
        if length == 0 || self.buffer.len() < length {
            return Ok(None);
        }
        let mut packet = self.buffer.split();
        if self.key.open_in_place(nonce(self.next as u64), Aad::empty(), &mut packet).is_err() {
            return self.fail();
        }
        self.next += 1;
        packet.truncate(length - TAG);
        Ok(Some(packet.freeze()))
    }

    /// How many packets have arrived.
    #[must_use]
    pub fn packets(&self) -> usize {
        self.next
    }

    /// Whether all have.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.next == self.size.packets()
    }

    fn fail(&mut self) -> Result<Option<Bytes>, NotTheFile> {
        self.has_failed = true;
        self.buffer = BytesMut::new();
        Err(NotTheFile)
    }
}
