//! Names of hints: domains, under a secret of the state, so that the file names none.
//!
//! Who has the file has the secret, too, and can ask whether a domain that he guesses is in it. He cannot read a list of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// Bytes of the MAC that are kept: 9, as of a resource, so that no two of a few domains have the same.
const BYTES: usize = 9;

/// How the hint for `domain` is named. No account's resource is made of the same bytes: no JID has a NUL in it.
pub(super) fn name(secret: &[u8; 32], domain: &str) -> String {
    let text = format!("hint\0{domain}");
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    URL_SAFE_NO_PAD.encode(&mac.as_ref()[..BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_and_two_domains_have_nothing_in_common() {
        let names = [name(&[1; 32], "a.example"), name(&[2; 32], "a.example"), name(&[1; 32], "b.example")];
        assert!(names.iter().all(|name| name.len() == 12));
        assert!(names[0] != names[1] && names[0] != names[2], "{names:?}");
    }
}
