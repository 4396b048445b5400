//! Resources of accounts: derived from the bare JID under a secret of the state, so that no list has to name accounts.
//!
//! A resource is the first 9 bytes of HMAC-SHA256 (RFC 2104) of the bare JID, in base64url. That makes the 12 characters
//! that Prosody gives a client which asks for no resource. Without the secret nobody can compute the resource of an
//! account, or tell that two resources belong to one state.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use xmpp_parsers::jid::{BareJid, ResourcePart};

/// Bytes of the MAC that a resource shows: 9, which are 12 characters without padding, and 72 bits that nobody guesses.
const RESOURCE_BYTES: usize = 9;

/// The resource of `account` in the state that has this secret.
pub(super) fn derive(secret: &[u8; 32], account: &BareJid) -> ResourcePart {
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), account.as_str().as_bytes());
    let text = URL_SAFE_NO_PAD.encode(&mac.as_ref()[..RESOURCE_BYTES]);
    #[expect(clippy::expect_used, reason = "base64url is ASCII that no profile changes")]
    ResourcePart::from_str(&text).expect("a resource")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use proptest::prelude::*;

    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::new(text).unwrap()
    }

    /// A bridge line names the resource for years: another way to derive it would make the line worthless. The value
    /// was computed with Python's `hmac`.
    #[test]
    fn the_resource_of_an_account_is_the_same_in_every_version() {
        assert_eq!(derive(&[7; 32], &jid("alice@chat.example")).as_str(), "GviSWHgP98aK");
    }

    #[test]
    fn two_secrets_and_two_accounts_have_nothing_in_common() {
        let resources = [
            derive(&[1; 32], &jid("a@x.example")),
            derive(&[2; 32], &jid("a@x.example")),
            derive(&[1; 32], &jid("b@x.example")),
        ];
        assert_ne!(resources[0], resources[1]);
        assert_ne!(resources[0], resources[2]);
    }

    #[test]
    fn spellings_that_a_server_takes_for_one_account_have_one_resource() {
        assert_eq!(
            derive(&[1; 32], &jid("Alice@Chat.Example")),
            derive(&[1; 32], &jid("alice@chat.example"))
        );
    }

    proptest! {
        #[test]
        fn a_resource_is_twelve_characters_of_base64url(secret in any::<[u8; 32]>(), user in "[a-z0-9]{1,20}") {
            let resource = derive(&secret, &jid(&format!("{user}@x.example")));
            let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            prop_assert_eq!(resource.as_str().len(), 12);
            prop_assert!(resource.as_str().bytes().all(is_base64url));
        }
    }
}
