//! Secrets, and how one is made from another.
//!
//! Outside Noise there are two primitives: HMAC-SHA256, and HKDF-SHA256 (RFC 5869) with `SALT`, of which every key
//! takes 32 bytes.

use std::fmt;
use std::hint::black_box;
use std::ops::Deref;

use ring::hmac;
use secrecy::zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};
use subtle::ConstantTimeEq as _;
use xmpp_parsers::jid::FullJid;

/// Names the protocol and its version in everything that is derived.
pub(crate) const SALT: &[u8] = b"hexchat-pt secure 1";

/// 32 bytes that never show themselves and are overwritten when they are no longer needed. They are on the
/// heap, because moving them would leave a copy behind.
#[derive(Clone)]
pub(crate) struct Secret(Box<Zeroizing<[u8; 32]>>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub(crate) fn new(mut bytes: [u8; 32]) -> Self {
        let secret = Self(Box::new(Zeroizing::new(bytes)));
        bytes.zeroize();
        secret
    }

    /// The bytes.
    #[must_use]
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn mac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.expose())
    }
}

impl ZeroizeOnDrop for Secret {}

/// A key of HMAC-SHA256 that is overwritten when it is no longer needed.
#[derive(Clone, Debug)]
pub(crate) struct MacKey(Box<hmac::Key>);

impl MacKey {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(Box::new(secret.mac_key()))
    }
}

impl Deref for MacKey {
    type Target = hmac::Key;

    fn deref(&self) -> &hmac::Key {
        &self.0
    }
}

impl Drop for MacKey {
    /// The library lets nobody at its bytes, but another key takes the same place. It counts as used, so that the
    /// compiler has to write it.
    fn drop(&mut self) {
        *self.0 = hmac::Key::new(hmac::HMAC_SHA256, &[]);
        black_box(&self.0);
    }
}

impl ZeroizeOnDrop for MacKey {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// HKDF-SHA256: 32 bytes, the only length that is used, are the first block of its output.
pub(crate) fn derive(ikm: &[u8], info: &str) -> Secret {
    let prk = Secret::new(mac(&hmac::Key::new(hmac::HMAC_SHA256, SALT), &[ikm]));
    Secret::new(mac(&MacKey::new(&prk), &[info.as_bytes(), &[1]]))
}

/// HMAC-SHA256 of the parts, one after the other.
pub(crate) fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.sign().as_ref());
    bytes
}

/// The first bytes of a MAC.
pub(crate) fn head<const N: usize>(mac: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32, "a MAC is not longer") };
    let mut bytes = [0; N];
    bytes.copy_from_slice(&mac[..N]);
    bytes
}

/// Whether two secrets are the same, in a time that does not tell how much of them is.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A full JID on the wire and in what is authenticated: the length of its text (u16) and the text.
pub(crate) fn jid_bytes(jid: &FullJid) -> Vec<u8> {
    let text = jid.as_str().as_bytes();
    // No part of a JID is longer than 1,023 bytes.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), text].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::crypto::keys::ResumeKey;

    fn is_overwritten<T: ZeroizeOnDrop>(_: &T) {}

    #[test]
    fn secrets_and_the_keys_made_of_them_are_of_types_that_are_overwritten() {
        let secret = Secret::new([7; 32]);
        let ResumeKey(resume) = ResumeKey(secret.clone());
        is_overwritten(&*secret.0);
        is_overwritten(&resume);
        is_overwritten(&MacKey::new(&secret));
    }

    #[test]
    fn a_secret_stays_where_it_is_when_it_is_moved() {
        let secret = Secret::new([7; 32]);
        let place: *const [u8; 32] = secret.expose();
        let moved = std::convert::identity(Some(secret));
        assert!(moved.is_some_and(|secret| std::ptr::eq(secret.expose(), place)));
    }
}
