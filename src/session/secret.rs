//! Secrets, and how one is made from another.
//!
//! Outside Noise there are two primitives: HMAC-SHA256, and HKDF-SHA256 (RFC 5869) with `SALT`, of which every key
//! takes 32 bytes.

use std::fmt;

use ring::hmac;
use secrecy::zeroize::Zeroizing;
use subtle::ConstantTimeEq as _;
use xmpp_parsers::jid::FullJid;

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
