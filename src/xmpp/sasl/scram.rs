//! SCRAM: a login by a password that neither end says (RFC 5802, RFC 7677). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use super::challenge::{Challenge, only};
use crate::xmpp::channel_binding::ChannelBinding;
use crate::xmpp::error::{AccountError, Step};

/// The hash function of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::xmpp) enum Hash {
    Sha256,
    Sha1,
}

/// Best first.
pub(in crate::xmpp) const HASHES: [Hash; 2] = [Hash::Sha256, Hash::Sha1];

/// What we say of channel binding, in a header of GS2 (RFC 5802 section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::xmpp) enum Gs2 {
    /// The login is bound to this.
    Bound(ChannelBinding),
    /// We could bind, and the server has not offered it. One that has takes this for an attack.
    NotOffered,
    /// We cannot bind.
    Unsupported,
}

/// One login, from our first message to the server's last.
pub(super) struct Scram {
    hash: Hash,
    gs2: Gs2,
    password: SecretString,
    nonce: String,
    /// Our first message, without its header.
    first: String,
    /// What the server owes us.
    signature: Option<hmac::Tag>,
}

impl Hash {
    /// The mechanism without channel binding.
    pub(in crate::xmpp) fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha1 => "SCRAM-SHA-1",
        }
    }

    /// The mechanism with it.
    pub(in crate::xmpp) fn bound_mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256-PLUS",
            Self::Sha1 => "SCRAM-SHA-1-PLUS",
        }
    }

    /// The hash of something.
    pub(super) fn of(self, data: &[u8]) -> digest::Digest {
        digest::digest(self.hmac().digest_algorithm(), data)
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
        }
    }

    /// `SaltedPassword`, as a key.
    fn salted(self, password: &SecretString, challenge: &Challenge<'_>) -> hmac::Key {
        let mut salted = Zeroizing::new(vec![0; self.hmac().digest_algorithm().output_len()]);
        let password = password.expose_secret().as_bytes();
        pbkdf2::derive(self.pbkdf2(), challenge.iterations, &challenge.salt, password, &mut salted);
        hmac::Key::new(self.hmac(), &salted)
    }

    /// `HMAC(key, message)`.
    fn sign(self, key: &[u8], message: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(self.hmac(), key), message)
    }
}

impl Gs2 {
    fn header(&self) -> String {
        match self {
            Self::Bound(binding) => format!("p={},,", binding.of.name()),
            Self::NotOffered => "y,,".to_owned(),
            Self::Unsupported => "n,,".to_owned(),
        }
    }

    /// `c=`: the header again, and what the login is bound to.
    fn input(&self) -> String {
        let data = match self {
            Self::Bound(binding) => binding.data.as_slice(),
            Self::NotOffered | Self::Unsupported => &[],
        };
        BASE64.encode([self.header().as_bytes(), data].concat())
    }
}

impl Scram {
    /// Of this user. The nonce is text that nobody can guess and that was never used.
    pub(super) fn new(hash: Hash, gs2: Gs2, user: &str, password: SecretString, nonce: &str) -> Self {
        let first = format!("n={},r={nonce}", escaped(user));
        Self { hash, gs2, password, nonce: nonce.to_owned(), first, signature: None }
    }

    pub(super) fn hash(&self) -> Hash {
        self.hash
    }

    /// Our first message.
    pub(super) fn first(&self) -> Vec<u8> {
        (self.gs2.header() + &self.first).into_bytes()
    }

    /// Our second message, which answers the server's first.
    pub(super) fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, AccountError> {
        let challenge = Challenge::read(challenge)?;
        if !challenge.is_for(&self.nonce) {
            return Err(AccountError::Protocol(Step::Login));
        }
        let without_proof = format!("c={},r={}", self.gs2.input(), challenge.nonce);
        let message = format!("{},{},{without_proof}", self.first, challenge.text);
        let (proof, signature) = self.prove(&challenge, message.as_bytes());
        self.signature = Some(signature);
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)).into_bytes())
    }

    /// `ClientProof` and `ServerSignature` of `AuthMessage` (RFC 5802 section 3).
    fn prove(&self, challenge: &Challenge<'_>, message: &[u8]) -> (Vec<u8>, hmac::Tag) {
        let salted = self.hash.salted(&self.password, challenge);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = self.hash.of(client_key.as_ref());
        let client_signature = self.hash.sign(stored_key.as_ref(), message);
        let proof =
            client_key.as_ref().iter().zip(client_signature.as_ref()).map(|(key, signature)| key ^ signature);
        let server_key = hmac::sign(&salted, b"Server Key");
        (proof.collect(), self.hash.sign(server_key.as_ref(), message))
    }

    /// Whether the server's last message shows that it knows the password.
    pub(super) fn is_proof(&self, last: &[u8]) -> bool {
        let theirs = only(last, "v=").and_then(|signature| BASE64.decode(signature).ok());
        let (Some(ours), Some(theirs)) = (&self.signature, theirs) else { return false };
        ours.as_ref().ct_eq(&theirs).into()
    }
}

/// RFC 5802 section 5.1: `,` and `=` would end the field.
fn escaped(user: &str) -> String {
    user.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::xmpp::channel_binding::BindingType;
    use proptest::prelude::*;

    fn bound(of: BindingType, data: &[u8]) -> Gs2 {
        Gs2::Bound(ChannelBinding { of, data: data.to_vec() })
    }

    /// A login of `user` with the password of the RFCs, up to our second message.
    fn login(hash: Hash, gs2: Gs2, challenge: &str) -> (Scram, String) {
        let nonce = match hash {
            Hash::Sha256 => "rOprNGfwEbeRWgbNEkqO",
            Hash::Sha1 => "fyko+d2lbbFgONRv9qkxdawL",
        };
        with_nonce(hash, gs2, nonce, challenge)
    }

    fn with_nonce(hash: Hash, gs2: Gs2, nonce: &str, challenge: &str) -> (Scram, String) {
        let mut scram = Scram::new(hash, gs2, "user", "pencil".into(), nonce);
        let response = scram.respond(challenge.as_bytes()).unwrap();
        (scram, String::from_utf8(response).unwrap())
    }

    const CHALLENGE_SHA_1: &str = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    const CHALLENGE_SHA_256: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn the_examples_of_rfc_5802_and_rfc_7677_are_computed() {
        for (hash, challenge, proof, signature) in [
            (Hash::Sha1, CHALLENGE_SHA_1, "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="),
            (
                Hash::Sha256,
                CHALLENGE_SHA_256,
                "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ] {
            let (scram, response) = login(hash, Gs2::Unsupported, challenge);
            assert!(scram.first().starts_with(b"n,,n=user,r="));
            assert!(response.starts_with("c=biws,r="), "{response}");
            assert!(response.ends_with(&format!(",p={proof}")), "{response}");
            assert!(scram.is_proof(signature.as_bytes()));
        }
    }

    /// The example of XEP-0515 section 4.3, which is SCRAM-SHA-1-PLUS with the hash of XEP-0474 and an attribute that we do not know.
    #[test]
    fn the_example_of_xep_0515_is_computed() {
        let nonce = "12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6";
        let both = format!("{nonce}a09117a6-ac50-4f2f-93f1-93799c2bddf6");
        let challenge = format!("r={both},s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=,t=0304");
        let gs2 = bound(BindingType::Exporter, b"THIS IS FAKE CB DATA");
        let (scram, response) = with_nonce(Hash::Sha1, gs2, nonce, &challenge);
        assert_eq!(scram.first(), format!("p=tls-exporter,,n=user,r={nonce}").as_bytes());
        let expected = format!(
            "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,r={both},p=KHUfN8dSy1K95crT4D5y1ItLJfs="
        );
        assert_eq!(response, expected);
        assert!(scram.is_proof(b"v=3w34ZIMVRkx2f2Ozb3/ecRPVdv4="));
    }

    /// Computed with Python's `hashlib.pbkdf2_hmac` and `hmac`, by the formulas of RFC 5802 section 3, from the examples of the RFCs with
    /// another header: bound to the bytes 0 to 31, bound to SHA-256 of `certificate`, and not offered.
    #[test]
    fn every_header_gives_the_proof_that_another_implementation_computes() {
        let exporter = || bound(BindingType::Exporter, &(0..32).collect::<Vec<u8>>());
        let hash = digest::digest(&digest::SHA256, b"certificate");
        let end_point = || bound(BindingType::ServerEndPoint, hash.as_ref());
        for (hash, gs2, proof, signature) in [
            (Hash::Sha1, exporter(), "i0z2xFi+ITaJvbLXpcWyruGx26U=", "YgmPUhdXTCPY9I7+PKzEdnp1cdo="),
            (
                Hash::Sha256,
                exporter(),
                "QC6CS20quADQRb3mT99YUH+n3VJxUvzuK0K0E1Vrs2M=",
                "2GiAgapEppLVlUXbxUDksL3VgYHzuqiK5tR4mhJGgvs=",
            ),
            (Hash::Sha1, end_point(), "itNKW6AWt32387Nbh9ejPjfgtl0=", "7NzX8edR1CrwQa9fbCIwXrkJ3qk="),
            (
                Hash::Sha256,
                end_point(),
                "PDYoWyjL2USDf7LnQ7piOwt3OVcEPRbXsEvXHNKDU04=",
                "WQt6/B0lyhcS0jEpTrs9PZzMa+An2Woiy3ZQ75nvla0=",
            ),
            (Hash::Sha1, Gs2::NotOffered, "BjZF5dV+EkD3YCb3pH3IP8riMGw=", "dsprQ5R2AGYt1kn4bQRwTAE0PTU="),
            (
                Hash::Sha256,
                Gs2::NotOffered,
                "FoqiHTtQEDE8lz1CdaEe3tK4mS+iMDTl77SPyDS53DY=",
                "dI4KpiQJwBr1+V+K6U1dA6l6I4I9DUNXWND4pcpRU3U=",
            ),
        ] {
            let challenge = if hash == Hash::Sha1 { CHALLENGE_SHA_1 } else { CHALLENGE_SHA_256 };
            let (scram, response) = login(hash, gs2.clone(), challenge);
            assert!(response.ends_with(&format!(",p={proof}")), "{gs2:?}: {response}");
            assert!(scram.is_proof(format!("v={signature}").as_bytes()), "{gs2:?}");
        }
    }

    #[test]
    fn only_the_signature_of_this_login_is_a_proof_and_none_is_before_it() {
        let (scram, _) = login(Hash::Sha1, Gs2::Unsupported, CHALLENGE_SHA_1);
        for other in ["", "v=", "v=AAAA", "v=dsprQ5R2AGYt1kn4bQRwTAE0PTU=", "e=other-error", "v=?"] {
            assert!(!scram.is_proof(other.as_bytes()), "{other}");
        }
        let fresh = Scram::new(Hash::Sha1, Gs2::Unsupported, "user", "pencil".into(), "nonce");
        assert!(!fresh.is_proof(b"v="));
    }

    #[test]
    fn a_user_name_cannot_end_its_field() {
        assert_eq!(escaped("a=b,c"), "a=3Db=2Cc");
    }

    /// The server's part, with its own view of the connection: whether it accepts (RFC 5802 sections 3 and 5).
    fn accepts(expected: &Gs2, challenge: &str, response: &str) -> bool {
        let (without_proof, proof) = response.rsplit_once(",p=").unwrap();
        let salted = Hash::Sha256.salted(&"pencil".into(), &Challenge::read(challenge.as_bytes()).unwrap());
        let stored_key = Hash::Sha256.of(hmac::sign(&salted, b"Client Key").as_ref());
        let message = format!("n=user,r=rOprNGfwEbeRWgbNEkqO,{challenge},{without_proof}");
        let signature = Hash::Sha256.sign(stored_key.as_ref(), message.as_bytes());
        let proof = BASE64.decode(proof).unwrap();
        let key: Vec<u8> = proof.iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let is_proven = Hash::Sha256.of(&key).as_ref() == stored_key.as_ref();
        is_proven && without_proof.starts_with(&format!("c={},", expected.input()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// Somebody in between has two connections. Whatever the names of both are, the server refuses what was bound to another one
        /// than its own, also when `c=` is written anew on the way, for the proof goes over that as well.
        #[test]
        fn a_login_that_is_bound_to_another_connection_is_refused(
            ours in prop::collection::vec(any::<u8>(), 32),
            change in (0..32usize, 1..=255u8),
        ) {
            let mut altered = ours.clone();
            altered[change.0] ^= change.1;
            let (ours, theirs) = (bound(BindingType::Exporter, &ours), bound(BindingType::Exporter, &altered));
            let (_, response) = login(Hash::Sha256, ours.clone(), CHALLENGE_SHA_256);
            prop_assert!(accepts(&ours, CHALLENGE_SHA_256, &response));
            prop_assert!(!accepts(&theirs, CHALLENGE_SHA_256, &response));
            let rewritten = response.replace(&ours.input(), &theirs.input());
            prop_assert!(!accepts(&theirs, CHALLENGE_SHA_256, &rewritten));
        }
    }
}
