//! SASL (RFC 6120 section 6): which mechanisms we take part in, and how far we trust whoever takes part with us. Pure.

mod challenge;
mod downgrade;
mod hashed_token;
mod scram;

use secrecy::{ExposeSecret as _, SecretString};

pub(super) use self::downgrade::Offered;
use self::hashed_token::HashedToken;
pub(super) use self::hashed_token::token_mechanism;
use self::scram::Scram;
pub(super) use self::scram::{Gs2, HASHES, Hash};
use super::channel_binding::ChannelBinding;
use super::error::{AccountError, Step};

/// The mechanism of those who have no account.
pub(super) const ANONYMOUS: &str = "ANONYMOUS";

/// How to log in. PLAIN is none of these ways, so that no server, however it was got at, reads a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// With a password.
    Scram(Hash, Gs2),
    /// With a token in its place, bound to this or to nothing (XEP-0484).
    Token(Option<ChannelBinding>),
    /// With nothing.
    Anonymous,
}

impl Mechanism {
    /// Its name among what a server offers.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Scram(hash, Gs2::Bound(_)) => hash.bound_mechanism(),
            Self::Scram(hash, Gs2::NotOffered | Gs2::Unsupported) => hash.mechanism(),
            Self::Token(binding) => token_mechanism(binding.as_ref().map(|binding| binding.of)),
            Self::Anonymous => ANONYMOUS,
        }
    }

    /// Whether it is bound to the connection.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self, Self::Scram(_, Gs2::Bound(_)) | Self::Token(Some(_)))
    }
}

/// One login, from our first word to the server's last.
pub(super) struct Exchange {
    part: Part,
    proof: Proof,
}

/// Our part in it.
enum Part {
    Scram(Box<Scram>),
    Token(Box<HashedToken>),
    Anonymous,
}

/// Whether the server has shown that it knows the secret, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// There is no secret.
    Needless,
    /// It has not even asked for our proof.
    Missing,
    /// It has ours, and owes us its own.
    Due,
    /// It has shown it.
    Given,
}

impl Exchange {
    /// By this mechanism, with the secret that belongs to it: the password or the token. The nonce is for this login alone.
    pub(super) fn new(mechanism: Mechanism, user: &str, secret: SecretString, nonce: &str) -> Self {
        let (part, proof) = match mechanism {
            Mechanism::Scram(hash, gs2) => {
                (Part::Scram(Box::new(Scram::new(hash, gs2, user, secret, nonce))), Proof::Missing)
            }
            Mechanism::Token(binding) => {
                (Part::Token(Box::new(HashedToken::new(user, secret.expose_secret(), binding))), Proof::Due)
            }
            Mechanism::Anonymous => (Part::Anonymous, Proof::Needless),
        };
        Self { part, proof }
    }

    /// What we say first.
    pub(super) fn first(&self) -> Vec<u8> {
        match &self.part {
            Part::Scram(scram) => scram.first(),
            Part::Token(token) => token.first(),
            Part::Anonymous => Vec::new(),
        }
    }

    /// Whether we have said all that we have to say.
    pub(super) fn has_said_all(&self) -> bool {
        matches!(self.proof, Proof::Needless | Proof::Due | Proof::Given)
    }

    /// Whether the server's hash of what it offers, in its first challenge, is that of what we have read; the hash may be required.
    pub(super) fn check_offer(
        &self,
        challenge: &[u8],
        offered: &Offered<'_>,
        is_required: bool,
    ) -> Result<(), AccountError> {
        match (&self.part, self.proof) {
            (Part::Scram(scram), Proof::Missing) => offered.check(scram.hash(), challenge, is_required),
            _ => Ok(()),
        }
    }

    /// Our response to a challenge. Hashing takes a while, and is to be done where nothing else has to wait for it.
    pub(super) fn respond(mut self, challenge: &[u8]) -> Result<(Self, Vec<u8>), AccountError> {
        match (&mut self.part, self.proof) {
            (Part::Scram(scram), Proof::Missing) => {
                let response = scram.respond(challenge)?;
                self.proof = Proof::Due;
                Ok((self, response))
            }
            (_, Proof::Due) => {
                self.verify(challenge)?;
                Ok((self, Vec::new()))
            }
            _ => Err(AccountError::Protocol(Step::Login)),
        }
    }

    /// The server says that we are logged in. Whoever does not know the password can say so, too.
    pub(super) fn succeed(mut self, data: &[u8]) -> Result<(), AccountError> {
        match self.proof {
            Proof::Needless | Proof::Given => Ok(()),
            Proof::Due => self.verify(data),
            Proof::Missing => Err(AccountError::Unproven),
        }
    }

    fn verify(&mut self, last: &[u8]) -> Result<(), AccountError> {
        let is_proof = match &self.part {
            Part::Scram(scram) => scram.is_proof(last),
            Part::Token(token) => token.is_proof(last),
            Part::Anonymous => false,
        };
        self.proof = Proof::Given;
        if is_proof { Ok(()) } else { Err(AccountError::Unproven) }
    }
}
