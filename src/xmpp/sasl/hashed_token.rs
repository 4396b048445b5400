//! Hashed token: the SASL mechanisms that stand behind XEP-0484 (draft-schmaus-kitten-sasl-ht). Pure.
//!
//! Each end shows by one hash that it knows the token, so that one message of ours is a login. Where the hash goes over what names the
//! connection as well, it is of no use on any other.

use ring::hmac::{HMAC_SHA256, Key, sign, verify};

use crate::xmpp::channel_binding::{BindingType, ChannelBinding};

/// One login with a token.
pub(super) struct HashedToken {
    first: Vec<u8>,
    key: Key,
    binding: Vec<u8>,
}

/// The mechanism of a token that is bound to this, or to nothing.
pub(in crate::xmpp) fn token_mechanism(of: Option<BindingType>) -> &'static str {
    match of {
        Some(BindingType::Exporter) => "HT-SHA-256-EXPR",
        Some(BindingType::ServerEndPoint) => "HT-SHA-256-ENDP",
        None => "HT-SHA-256-NONE",
    }
}

impl HashedToken {
    pub(super) fn new(user: &str, token: &str, binding: Option<ChannelBinding>) -> Self {
        let key = Key::new(HMAC_SHA256, token.as_bytes());
        let binding = binding.map(|binding| binding.data).unwrap_or_default();
        let hash = sign(&key, &said_by(b"Initiator", &binding));
        Self { first: [user.as_bytes(), b"\0", hash.as_ref()].concat(), key, binding }
    }

    /// Our only message.
    pub(super) fn first(&self) -> Vec<u8> {
        self.first.clone()
    }

    /// Whether the server's only message shows that it knows the token, at the other end of this connection.
    pub(super) fn is_proof(&self, hash: &[u8]) -> bool {
        verify(&self.key, &said_by(b"Responder", &self.binding), hash).is_ok()
    }
}

fn said_by(who: &[u8], binding: &[u8]) -> Vec<u8> {
    [who, binding].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_show_that_they_know_the_token_and_neither_can_repeat_the_others_word() {
        let ours = HashedToken::new("alice", "token", None);
        let key = Key::new(HMAC_SHA256, b"token");
        let first = ours.first();
        assert_eq!(first, [&b"alice\0"[..], sign(&key, b"Initiator").as_ref()].concat());
        assert!(ours.is_proof(sign(&key, b"Responder").as_ref()));
        assert!(!ours.is_proof(&first[6..]));
        assert!(!ours.is_proof(b""));
        assert!(!ours.is_proof(sign(&Key::new(HMAC_SHA256, b"other"), b"Responder").as_ref()));
    }

    /// Computed with Python's `hmac`: HMAC-SHA-256 with the key `token`, of `Initiator` or `Responder` and the bytes 0 to 31.
    #[test]
    fn on_another_connection_the_word_of_neither_end_is_worth_anything() {
        const OURS: [u8; 32] = [
            0x49, 0x07, 0xe2, 0xac, 0xaa, 0x3f, 0x94, 0x33, 0x17, 0x60, 0xc6, 0xb1, 0xb3, 0x28, 0xbe, 0xec,
            0x51, 0x96, 0x91, 0x58, 0x2e, 0x46, 0x92, 0x0a, 0x1b, 0x8b, 0xa1, 0x9b, 0x0c, 0x9c, 0x07, 0x18,
        ];
        const THEIRS: [u8; 32] = [
            0x6c, 0x8f, 0x7e, 0x47, 0x1e, 0x62, 0x92, 0xf1, 0x89, 0x6f, 0x6e, 0x26, 0x69, 0xef, 0x73, 0x78,
            0x97, 0x98, 0xd0, 0x55, 0x48, 0x9b, 0x25, 0xb4, 0x1e, 0xa0, 0x7e, 0x50, 0xe1, 0x23, 0x35, 0x30,
        ];
        let bound_to = |data: Vec<u8>| {
            HashedToken::new("alice", "token", Some(ChannelBinding { of: BindingType::Exporter, data }))
        };
        let ours = bound_to((0..32).collect());
        assert_eq!(ours.first(), [&b"alice\0"[..], &OURS].concat());
        assert!(ours.is_proof(&THEIRS));
        let elsewhere = bound_to((1..33).collect());
        assert_ne!(elsewhere.first(), ours.first());
        assert!(!elsewhere.is_proof(&THEIRS));
        assert!(!HashedToken::new("alice", "token", None).is_proof(&THEIRS));
    }
}
