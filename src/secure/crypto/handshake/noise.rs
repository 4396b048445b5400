//! Noise states, with ephemeral keys from outside.

use secrecy::zeroize::Zeroizing;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, Error, HandshakeState};

use crate::secure::crypto::handshake::{HandshakeError, NOISE_OVERHEAD};
use crate::secure::crypto::secret::Secret;

const PATTERN: &str = "Noise_NK_25519_ChaChaPoly_BLAKE2s";
const PATTERN_PSK: &str = "Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s";

/// The X25519 public key of a secret one.
pub(crate) fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "the feature is on")]
    let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("X25519");
    dh.set(secret);
    let mut public = [0; 32];
    public.copy_from_slice(dh.pubkey());
    public
}

/// A client's side.
pub(super) fn initiator(
    bridge: &[u8; 32],
    psk: Option<&[u8; 32]>,
    prologue: &[u8],
    ephemeral: Secret,
) -> HandshakeState {
    let build = || builder(psk, prologue, ephemeral)?.remote_public_key(bridge)?.build_initiator();
    #[expect(clippy::expect_used, reason = "every pattern, prologue and key of this length is good")]
    build().expect("a Noise initiator")
}

/// A bridge's side.
pub(super) fn responder(
    identity: &[u8; 32],
    psk: Option<&[u8; 32]>,
    prologue: &[u8],
    ephemeral: Secret,
) -> HandshakeState {
    let build = || builder(psk, prologue, ephemeral)?.local_private_key(identity)?.build_responder();
    #[expect(clippy::expect_used, reason = "every pattern, prologue and key of this length is good")]
    build().expect("a Noise responder")
}

fn builder<'a>(
    psk: Option<&'a [u8; 32]>,
    prologue: &'a [u8],
    ephemeral: Secret,
) -> Result<Builder<'a>, Error> {
    let pattern = if psk.is_some() { PATTERN_PSK } else { PATTERN };
    let builder =
        Builder::with_resolver(pattern.parse()?, Box::new(Resolver(ephemeral))).prologue(prologue)?;
    match psk {
        Some(psk) => builder.psk(0, psk),
        None => Ok(builder),
    }
}

/// The next message, with this payload.
pub(super) fn write(noise: &mut HandshakeState, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    let mut message = vec![0; payload.len() + NOISE_OVERHEAD];
    let length = noise.write_message(payload, &mut message).map_err(|_| HandshakeError::NotAuthentic)?;
    message.truncate(length);
    Ok(message)
}

/// The payload of the next message.
pub(super) fn read(noise: &mut HandshakeState, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, HandshakeError> {
    let mut payload = Zeroizing::new(vec![0; message.len()]);
    let length = noise.read_message(message, &mut payload).map_err(|_| HandshakeError::NotAuthentic)?;
    payload.truncate(length);
    Ok(payload)
}

/// The usual primitives, and one secret instead of random numbers: a handshake needs them only for its ephemeral key.
struct Resolver(Secret);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.0.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// Random numbers for one key.
struct Once(Option<Secret>);

impl Random for Once {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let secret = self.0.take().filter(|_| bytes.len() == 32).ok_or(Error::Rng)?;
        bytes.copy_from_slice(secret.expose());
        Ok(())
    }
}
