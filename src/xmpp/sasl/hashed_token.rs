//! Hashed token: the SASL mechanism HT-SHA-256-NONE, which stands behind XEP-0484 (draft-schmaus-kitten-sasl-ht). Pure.
//!
//! Each end shows by one hash that it knows the token, so that one message of ours is a login.

use ring::hmac::{HMAC_SHA256, Key, sign, verify};
use sasl::client::{Mechanism, MechanismError};
use sasl::common::Credentials;

use super::HT_SHA_256_NONE;

/// One login with a token.
pub(super) struct HashedToken {
    first: Vec<u8>,
    key: Key,
}

impl HashedToken {
    pub(super) fn new(user: &str, token: &str) -> Self {
        let key = Key::new(HMAC_SHA256, token.as_bytes());
        let hash = sign(&key, b"Initiator");
        Self { first: [user.as_bytes(), b"\0", hash.as_ref()].concat(), key }
    }
}

impl Mechanism for HashedToken {
    fn name(&self) -> &str {
        HT_SHA_256_NONE
    }

    /// Never called: a token is none of the library's credentials.
    fn from_credentials(_: Credentials) -> Result<Self, MechanismError> {
        Err(MechanismError::AnonymousRequiresNoCredentials)
    }

    fn initial(&mut self) -> Vec<u8> {
        self.first.clone()
    }

    fn success(&mut self, data: &[u8]) -> Result<(), MechanismError> {
        verify(&self.key, b"Responder", data).map_err(|_| MechanismError::InvalidSignatureInSuccessResponse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_show_that_they_know_the_token_and_neither_can_repeat_the_others_word() {
        let mut ours = HashedToken::new("alice", "token");
        let key = Key::new(HMAC_SHA256, b"token");
        let first = ours.initial();
        assert_eq!(first, [&b"alice\0"[..], sign(&key, b"Initiator").as_ref()].concat());
        assert!(ours.success(sign(&key, b"Responder").as_ref()).is_ok());
        assert!(ours.success(&first[6..]).is_err());
        assert!(ours.success(b"").is_err());
        assert!(ours.success(sign(&Key::new(HMAC_SHA256, b"other"), b"Responder").as_ref()).is_err());
    }
}
