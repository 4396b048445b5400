//! The 32-byte keys of the secure protocol and of certificates, as a bridge line writes them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};

use super::error::Problem;

/// What a pin must be.
const PIN: &str = "43 characters of base64url without padding (32 bytes)";
/// What a bridge's key must be.
const KEY: &str = "43 characters of base64url without padding (32 bytes); copy the whole bridge line again";
/// What a secret must be.
const PSK: &str = "43 characters of base64url without padding (32 bytes), as `hexchat-pt gen-psk` prints them, or as they stand in the bridge line";

/// A bridge's X25519 static public key.
///
/// Public among those who hold the bridge line, and nobody else: it never shows in `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// The secret that a private bridge shares with its clients.
pub struct PresharedKey(SecretBox<[u8; 32]>);

/// SHA-256 of the public key of a chat server's certificate, as the certificate has it (its SubjectPublicKeyInfo, RFC 5280).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CertificatePin([u8; 32]);

impl CertificatePin {
    /// The hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 43 characters of base64url.
    ///
    /// # Errors
    /// As [`PublicKey::parse`], but that any 32 bytes can be one.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        decode(text, PIN).map(|bytes| Self(*bytes))
    }
}

impl fmt::Debug for CertificatePin {
    /// Not the hash: it tells which server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificatePin(..)")
    }
}

impl PublicKey {
    /// From a key's bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As a bridge line has it: 43 characters of base64url.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 43 characters of base64url.
    ///
    /// # Errors
    /// For any other length or alphabet, for padding, and for bits after the 32nd byte: a key has one spelling. For one byte all over,
    /// too, which stands in examples.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let bytes = decode(text, KEY)?;
        if is_uniform(&bytes) { Err(Problem::NobodysKey) } else { Ok(Self(*bytes)) }
    }
}

impl PresharedKey {
    /// From a key's bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self::copy_of(&bytes)
    }

    /// Goes to where it stays, and by no variable.
    fn copy_of(bytes: &[u8; 32]) -> Self {
        Self(SecretBox::init_with_mut(|key: &mut [u8; 32]| key.copy_from_slice(bytes)))
    }

    /// As a bridge line has it, for the bridge line's own file and nowhere else.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.expose())
    }

    /// The key's bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// Reads 43 characters of base64url.
    ///
    /// # Errors
    /// As [`PublicKey::parse`].
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let bytes = decode(text, PSK)?;
        if is_uniform(&bytes) { Err(Problem::NoSecret) } else { Ok(Self::copy_of(&bytes)) }
    }
}

impl Clone for PresharedKey {
    fn clone(&self) -> Self {
        Self::copy_of(self.expose())
    }
}

impl PartialEq for PresharedKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for PresharedKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(..)")
    }
}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresharedKey(..)")
    }
}

/// Whether it is one byte all over, which no key is that was drawn.
fn is_uniform(bytes: &[u8; 32]) -> bool {
    bytes.iter().all(|byte| *byte == bytes[0])
}

fn decode(text: &str, expected: &'static str) -> Result<Zeroizing<[u8; 32]>, Problem> {
    // The engine refuses padding and stray bits after the last byte.
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| Problem::Invalid(expected))?);
    let mut key = Zeroizing::new([0; 32]);
    if bytes.len() != key.len() {
        return Err(Problem::Invalid(expected));
    }
    key.copy_from_slice(&bytes);
    Ok(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    /// 42 times `A`, and then a character with no bits beyond the 32nd byte.
    const ZERO: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn a_key_is_43_characters_of_base64url() {
        assert_eq!(CertificatePin::parse(ZERO).unwrap().as_bytes(), &[0; 32]);
        let mostly_ones = format!("_{}8", "_".repeat(41).replacen('_', "-", 1));
        let expected: [u8; 32] = std::array::from_fn(|place| if place == 1 { 0xef } else { 0xff });
        assert_eq!(PresharedKey::parse(&mostly_ones).unwrap().expose(), &expected);
    }

    #[test]
    fn a_key_has_one_spelling() {
        assert_eq!(PublicKey::from_bytes([0; 32]).to_text(), ZERO);
        let key = PresharedKey::from_bytes(std::array::from_fn(|place| place as u8 | 0xf0));
        assert_eq!(PresharedKey::parse(&key.to_text()), Ok(key));
    }

    #[test]
    fn what_stands_in_examples_is_no_key_and_no_secret() {
        for byte in [0, 7, 0xff] {
            let text = URL_SAFE_NO_PAD.encode([byte; 32]);
            assert_eq!(PublicKey::parse(&text), Err(Problem::NobodysKey));
            assert_eq!(PresharedKey::parse(&text), Err(Problem::NoSecret));
        }
    }

    #[test]
    fn other_spellings_of_a_key_are_refused() {
        let stray_bits = format!("{}B", &ZERO[..42]);
        let cases = [
            "",
            &ZERO[..42],
            &format!("{ZERO}="),
            &format!("{ZERO}A"),
            &format!("+{}", &ZERO[..42]),
            &format!("/{}", &ZERO[..42]),
            &format!(" {}", &ZERO[..42]),
            &stray_bits,
        ];
        for case in cases {
            assert_eq!(PublicKey::parse(case), Err(Problem::Invalid(KEY)), "{case:?}");
            assert_eq!(PresharedKey::parse(case), Err(Problem::Invalid(PSK)), "{case:?}");
        }
    }
}
