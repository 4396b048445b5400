//! Handshake: two messages that make a session, or show that a client is the one of an old session.
//!
//! `Noise_NK_25519_ChaChaPoly_BLAKE2s`, and with a pre-shared secret `Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s`. The
//! prologue is `SALT` ‖ the credential's 16 bytes ‖ jid(from) ‖ jid(to). The first 32 bytes of each message, the ephemeral
//! key, would tell a handshake from random bytes; they are masked with `HMAC(mask_key, n ‖ credential)`, n being 1 or 2.

pub(crate) mod noise;
pub(crate) mod payload;

use bytes::Bytes;
use secrecy::zeroize::Zeroize as _;
use snow::HandshakeState;
use xmpp_parsers::jid::FullJid;

pub use self::payload::{Credits, Lanes, PROTOCOL_VERSION, SessionId, Status, Welcome};
use self::payload::{Greeting, read_hello, read_welcome, write_hello, write_welcome};
use crate::secure::crypto::credential::Credential;
use crate::secure::crypto::entropy::{Entropy, random};
use crate::secure::crypto::keys::{ResumeKey, ResumeProof, SessionKeys, Side};
use crate::secure::crypto::line::{BridgeLine, Identity, LineKeys};
use crate::secure::crypto::secret::{SALT, Secret, equal, jid_bytes, mac};

/// Both messages are at least as long as this, a bucket of packets as well: the fields of version 1 always fit.
pub const MESSAGE_LEN: usize = 256;

/// The first message has 2048 bytes at most: three cells of Tor's fit beside the targets.
pub const LARGEST_HELLO: usize = 2048;

/// An ephemeral key before, and an authenticator after the payload.
const NOISE_OVERHEAD: usize = 32 + 16;

/// What a first message without resumption has around what the client says early.
pub(crate) const HELLO_AROUND: usize = NOISE_OVERHEAD + payload::HELLO_LEN;
const PAYLOAD_LEN: usize = MESSAGE_LEN - NOISE_OVERHEAD;

/// Why a handshake came to nothing. The bridge answers none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Wrong key, pre-shared secret, JID or credential, or damaged on the way.
    #[error("the handshake is not authentic: a wrong key, or it was damaged on the way")]
    NotAuthentic,
    /// The peer is a later version.
    #[error("the peer speaks version {0} of the protocol; a later hexchat-pt is needed")]
    Version(u8),
    /// Authentic, but not what the protocol says.
    #[error("the peer does not keep to the protocol")]
    Malformed,
}

/// What a client says in its first message.
#[derive(Debug)]
pub struct Hello {
    /// How much it will take.
    pub credits: Credits,
    /// The session that it wants to go on with.
    pub resume: Option<Resumption>,
    /// Which lanes it knows.
    pub lanes: Lanes,
    /// Early frames, and the padding that gives the message one of the usual sizes. Empty when it wants to go on with a session.
    pub early: Vec<u8>,
}

/// An old session, to its client.
#[derive(Debug)]
pub struct Resumption {
    /// Which one.
    pub session: SessionId,
    /// Its key for this purpose.
    pub key: ResumeKey,
}

/// A client's handshake that waits for the bridge's message.
#[derive(Debug)]
pub struct Initiator {
    noise: HandshakeState,
    mask: [u8; 32],
    resume: Option<SessionId>,
}

impl Initiator {
    /// The first message, for the path that is opened with `credential`, between the client's full JID (`from`) and the bridge's (`to`).
    #[must_use]
    pub fn start(
        line: &BridgeLine,
        credential: &Credential,
        from: &FullJid,
        to: &FullJid,
        hello: &Hello,
        entropy: &mut dyn Entropy,
    ) -> (Self, Vec<u8>) {
        let secret = Secret::new(random(entropy));
        let ephemeral = noise::public_key(secret.expose());
        let resume = hello.resume.as_ref();
        let greeting = Greeting {
            credits: hello.credits,
            resume: resume.map(|old| (old.session, old.key.prove(&ephemeral, from, to))),
            lanes: hello.lanes,
            early: &hello.early,
        };
        let mut noise = noise::initiator(line.key(), line.psk(), &prologue(credential, from, to), secret);
        let payload = write_hello(&greeting, PAYLOAD_LEN);
        #[expect(clippy::expect_used, reason = "a first message can always be written")]
        let mut message = noise::write(&mut noise, &payload).expect("the first message");
        let [first_mask, mask] = ephemeral_masks(&LineKeys::new(line), credential);
        xor(&mut message, &first_mask);
        (Self { noise, mask, resume: resume.map(|old| old.session) }, message)
    }

    /// Reads the bridge's message.
    ///
    /// With [`Status::Resumed`] the old session goes on with its old keys, and the ones returned are of no use.
    ///
    /// # Errors
    /// When the handshake has failed. Another one, with a new credential, may succeed.
    pub fn finish(mut self, message: &[u8]) -> Result<(Welcome, SessionKeys), HandshakeError> {
        let mut message = message.to_vec();
        xor(&mut message, &self.mask);
        let welcome = read_welcome(&noise::read(&mut self.noise, &message)?)?;
        if welcome.status == Status::Resumed && self.resume != Some(welcome.session) {
            return Err(HandshakeError::Malformed);
        }
        Ok((welcome, session_keys(&mut self.noise, Side::Client)))
    }
}

/// What a bridge has read in a client's first message.
#[derive(Debug)]
pub struct Request {
    /// How much the client will take.
    pub credits: Credits,
    /// The session that it says it had.
    pub resume: Option<ResumeRequest>,
    /// Which lanes it knows.
    pub lanes: Lanes,
    /// What follows: what it says early, and padding.
    pub early: Bytes,
}

/// A client's claim to an old session.
#[derive(Debug)]
pub struct ResumeRequest {
    /// Which session.
    pub session: SessionId,
    proof: ResumeProof,
    ephemeral: [u8; 32],
    from: FullJid,
    to: FullJid,
}

impl ResumeRequest {
    /// Whether the client knows the session's key.
    #[must_use]
    pub fn is_proved_by(&self, key: &ResumeKey) -> bool {
        equal(&self.proof, &key.prove(&self.ephemeral, &self.from, &self.to))
    }
}

/// A bridge's handshake that has to be answered.
#[derive(Debug)]
pub struct Responder {
    noise: HandshakeState,
    mask: [u8; 32],
}

impl Responder {
    /// Reads the first message by the path that was opened with `credential`, between the client's full JID (`from`) and the bridge's (`to`).
    ///
    /// It may have been recorded and sent again: that the credential is authentic and new is for the caller to know. `entropy`
    /// makes the key of the answer.
    ///
    /// # Errors
    /// When it must not be answered.
    pub fn read(
        identity: &Identity,
        psk: Option<&[u8; 32]>,
        credential: &Credential,
        from: &FullJid,
        to: &FullJid,
        message: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<(Self, Request), HandshakeError> {
        let [first_mask, mask] = ephemeral_masks(&LineKeys::new(&identity.line(psk.copied())), credential);
        let mut message = message.to_vec();
        xor(&mut message, &first_mask);
        let ephemeral = Secret::new(random(entropy));
        let mut noise =
            noise::responder(identity.expose_secret(), psk, &prologue(credential, from, to), ephemeral);
        let payload = noise::read(&mut noise, &message)?;
        let greeting = read_hello(&payload)?;
        let early = Bytes::copy_from_slice(greeting.early);
        let ephemeral = *message.first_chunk().ok_or(HandshakeError::NotAuthentic)?;
        let resume = greeting.resume.map(|(session, proof)| ResumeRequest {
            session,
            proof,
            ephemeral,
            from: from.clone(),
            to: to.clone(),
        });
        let Greeting { credits, lanes, .. } = greeting;
        Ok((Self { noise, mask }, Request { credits, resume, lanes, early }))
    }

    /// The second message. With [`Status::Resumed`] the keys are of no use: the old session keeps its own.
    ///
    /// # Errors
    /// Never for a handshake that was read.
    pub fn reply(mut self, welcome: &Welcome) -> Result<(Vec<u8>, SessionKeys), HandshakeError> {
        let mut message = noise::write(&mut self.noise, &write_welcome(welcome, PAYLOAD_LEN))?;
        xor(&mut message, &self.mask);
        Ok((message, session_keys(&mut self.noise, Side::Bridge)))
    }
}

fn prologue(credential: &Credential, from: &FullJid, to: &FullJid) -> Vec<u8> {
    [SALT, credential.as_bytes(), &jid_bytes(from), &jid_bytes(to)].concat()
}

/// For the first message and the second.
fn ephemeral_masks(keys: &LineKeys, credential: &Credential) -> [[u8; 32]; 2] {
    [1, 2].map(|message| mac(&keys.mask, &[&[message], credential.as_bytes()]))
}

/// As far as both go.
fn xor(bytes: &mut [u8], mask: &[u8]) {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

fn session_keys(noise: &mut HandshakeState, side: Side) -> SessionKeys {
    let mut split = noise.dangerously_get_raw_split();
    let keys = SessionKeys::derive(Secret::new(split.0), Secret::new(split.1), side);
    // Arrays are copied where they go, and nobody else overwrites these two.
    split.zeroize();
    keys
}

#[cfg(test)]
mod tests;
