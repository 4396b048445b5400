//! Downgrade protection: whether the server has offered what we have read of it (XEP-0474). Pure.
//!
//! Its hash of that stands in its challenge, and the proofs of SCRAM go over the challenge. So who changes either without knowing the
//! password is found out by one of the two ends.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::challenge::fields;
use super::scram::Hash;
use crate::xmpp::error::AccountError;

/// Between two of a list, and between the two lists: no XML has them.
const NEXT: &str = "\u{1e}";
const BETWEEN: &str = "\u{1f}";

/// What we have read of it.
pub(in crate::xmpp) struct Offered<'a> {
    /// The mechanisms of the profile that we use.
    pub(in crate::xmpp) mechanisms: &'a BTreeSet<String>,
    /// The types of channel binding, where there is a list of them (XEP-0440).
    pub(in crate::xmpp) binding_types: Option<&'a BTreeSet<String>>,
}

impl Offered<'_> {
    /// Looks for the server's hash in a challenge.
    ///
    /// # Errors
    ///
    /// It is of something else; or there is none, and we go on only with one.
    pub(super) fn check(&self, hash: Hash, challenge: &[u8], is_required: bool) -> Result<(), AccountError> {
        let mut theirs = fields(challenge, "h=");
        let is_right = match (theirs.next(), theirs.next()) {
            (None, _) => !is_required,
            (Some(theirs), None) => theirs == BASE64.encode(hash.of(self.text().as_bytes())),
            (Some(_), Some(_)) => false,
        };
        if is_right { Ok(()) } else { Err(AccountError::Downgraded) }
    }

    /// What is hashed (section 4.1).
    fn text(&self) -> String {
        let joined = |list: &BTreeSet<String>| list.iter().map(String::as_str).collect::<Vec<_>>().join(NEXT);
        let types = self.binding_types.map(|types| BETWEEN.to_owned() + &joined(types));
        joined(self.mechanisms) + &types.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(ToOwned::to_owned).into()
    }

    /// What is offered in the example of XEP-0474 section 4.3.
    fn of_the_example() -> (BTreeSet<String>, BTreeSet<String>) {
        (list(["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"]), list(["tls-server-end-point", "tls-exporter"]))
    }

    /// The first hash is that of the example; the others were computed with Python's `hashlib`, of the texts that the XEP describes.
    #[test]
    fn the_hash_of_what_was_offered_is_the_published_one() {
        let (mechanisms, types) = of_the_example();
        for (hash, types, expected) in [
            (Hash::Sha1, Some(&types), "h=G6k/rBLDqgOhRRaCuuatSDFkJ08="),
            (Hash::Sha256, Some(&types), "h=H6VEQ+6wl/eYKuTjJn4D9/e9GTn1AcYGw/oiSJ3Yhy0="),
            (Hash::Sha1, None, "h=g00gt4Qd0gJ3EvnclTnY0KEYfRg="),
        ] {
            let offered = Offered { mechanisms: &mechanisms, binding_types: types };
            let challenge = format!("r=x,s=QQ==,i=4096,{expected}");
            assert_eq!(offered.check(hash, challenge.as_bytes(), true), Ok(()), "{expected}");
        }
    }

    #[test]
    fn whatever_was_taken_out_or_put_in_on_the_way_is_noticed() {
        let (_, types) = of_the_example();
        let challenge = b"r=x,s=QQ==,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=";
        let all = list(["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"]);
        for (mechanisms, types) in [
            (list(["SCRAM-SHA-1"]), Some(types.clone())),
            (list(["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "PLAIN"]), Some(types.clone())),
            (all.clone(), Some(list(["tls-exporter"]))),
            (all.clone(), Some(list(["unknown"]))),
            (all.clone(), Some(list([]))),
            (all, None),
            (list(["SCRAM-SHA-1"]), None),
        ] {
            let offered = Offered { mechanisms: &mechanisms, binding_types: types.as_ref() };
            assert_eq!(offered.check(Hash::Sha1, challenge, false), Err(AccountError::Downgraded));
        }
    }

    #[test]
    fn a_server_that_says_nothing_of_it_is_taken_at_its_word_unless_its_word_is_needed() {
        let (mechanisms, types) = of_the_example();
        let offered = Offered { mechanisms: &mechanisms, binding_types: Some(&types) };
        let silent = b"r=x,s=QQ==,i=4096";
        assert_eq!(offered.check(Hash::Sha1, silent, false), Ok(()));
        assert_eq!(offered.check(Hash::Sha1, silent, true), Err(AccountError::Downgraded));
        let twice = b"h=G6k/rBLDqgOhRRaCuuatSDFkJ08=,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=";
        assert_eq!(offered.check(Hash::Sha1, twice, false), Err(AccountError::Downgraded));
    }
}
