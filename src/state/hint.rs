//! Names of what is kept of domains and accounts, under a secret of the state, so that the file names none.
//!
//! Who has the file has the secret, too, and can ask whether a domain that he guesses is in it. He cannot read a list of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// Bytes of the MAC that are kept: 9, as of a resource, so that no two of a few domains have the same.
const BYTES: usize = 9;

/// How what is kept of `whom` as this `kind` is named. No account's resource is made of the same bytes: no JID has a NUL in it.
pub(super) fn name(secret: &[u8; 32], kind: &str, whom: &str) -> String {
    let text = format!("{kind}\0{whom}");
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    URL_SAFE_NO_PAD.encode(&mac.as_ref()[..BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_two_kinds_and_two_domains_have_nothing_in_common() {
        let names = [(1, "hint", "a"), (2, "hint", "a"), (1, "hint", "b"), (1, "quota", "a")]
            .map(|(secret, kind, domain)| name(&[secret; 32], kind, &format!("{domain}.example")));
        assert!(names.iter().all(|name| name.len() == 12));
        assert!(names[1..].iter().all(|other| *other != names[0]), "{names:?}");
    }
}
