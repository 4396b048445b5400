//! The keys of the secure protocol, and how one is made from another.
//!
//! Outside Noise there are two primitives: HMAC-SHA256, and HKDF-SHA256 (RFC 5869) with `SALT`, of which every key
//! takes 32 bytes.

use std::fmt;

use ring::hmac;
use secrecy::zeroize::Zeroizing;
use subtle::ConstantTimeEq as _;
use xmpp_parsers::jid::FullJid;

use super::sid::PathKey;

/// Names the protocol and its version in everything that is derived.
pub(super) const SALT: &[u8] = b"hexchat-pt secure 1";

/// 32 bytes that never show themselves and are overwritten when they are no longer needed.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn mac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.expose())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What protects the packets of one direction.
#[derive(Clone, Debug)]
pub struct DirectionKeys {
    /// Encrypts the packets of epoch 0.
    pub(super) packet: Secret,
    /// Hides their counters.
    pub(super) mask: Secret,
}

/// What a handshake leaves to one of its two sides.
#[derive(Debug)]
pub struct SessionKeys {
    /// For the packets that this side sends.
    pub send: DirectionKeys,
    /// For the packets that it receives.
    pub receive: DirectionKeys,
    /// Authenticates further paths.
    pub path_key: PathKey,
    /// Proves in a later handshake that it is the same client.
    pub resume_key: ResumeKey,
}

/// The two ends of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Bridge,
}

impl SessionKeys {
    /// From the two keys of Noise's `Split()`: the client's packets are encrypted with the first.
    pub(super) fn derive(client: Secret, bridge: Secret, side: Side) -> Self {
        let secret = Zeroizing::new([*client.expose(), *bridge.expose()].concat());
        let client = DirectionKeys { packet: client, mask: derive(&secret, "client mask") };
        let bridge = DirectionKeys { packet: bridge, mask: derive(&secret, "bridge mask") };
        let (send, receive) = match side {
            Side::Client => (client, bridge),
            Side::Bridge => (bridge, client),
        };
        let path_key = PathKey::new(&derive(&secret, "path"));
        Self { send, receive, path_key, resume_key: ResumeKey(derive(&secret, "resume")) }
    }
}

/// Shared by the two sides of a session; proves in a later handshake that its client is the same.
#[derive(Clone, Debug)]
pub struct ResumeKey(pub(super) Secret);

/// What a client shows instead of its [`ResumeKey`]; good for one handshake only.
pub(super) type ResumeProof = [u8; 16];

impl ResumeKey {
    /// Binds the old session to a handshake by its ephemeral key, and to the two accounts that make it.
    pub(super) fn prove(&self, ephemeral: &[u8; 32], from: &FullJid, to: &FullJid) -> ResumeProof {
        let mac = mac(&self.0.mac_key(), &[ephemeral, &jid_bytes(from), &jid_bytes(to)]);
        head(&mac)
    }
}

/// HKDF-SHA256: 32 bytes, the only length that is used, are the first block of its output.
pub(super) fn derive(ikm: &[u8], info: &str) -> Secret {
    let prk = Secret::new(mac(&hmac::Key::new(hmac::HMAC_SHA256, SALT), &[ikm]));
    Secret::new(mac(&prk.mac_key(), &[info.as_bytes(), &[1]]))
}

/// HMAC-SHA256 of the parts, one after the other.
pub(super) fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.sign().as_ref());
    bytes
}

/// The first bytes of a MAC.
pub(super) fn head<const N: usize>(mac: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32, "a MAC is not longer") };
    let mut bytes = [0; N];
    bytes.copy_from_slice(&mac[..N]);
    bytes
}

/// Whether two secrets are the same, in a time that does not tell how much of them is.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A full JID on the wire and in what is authenticated: the length of its text (u16) and the text.
pub(super) fn jid_bytes(jid: &FullJid) -> Vec<u8> {
    let text = jid.as_str().as_bytes();
    // No part of a JID is longer than 1,023 bytes.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), text].concat()
}
