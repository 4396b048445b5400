//! SASL (RFC 6120 section 6): which mechanisms we take part in, and how far we trust whoever takes part with us.

mod hashed_token;

use std::collections::BTreeSet;

use sasl::client::Mechanism;
use sasl::client::mechanisms::{Anonymous, Scram};
use sasl::common::scram::{Sha1, Sha256};
use sasl::common::{ChannelBinding, Credentials};
use secrecy::ExposeSecret;
use xmpp_parsers::jid::Jid;

use self::hashed_token::HashedToken;
use super::error::{AccountError, Step};
use crate::config::Credential;

const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
const SCRAM_SHA_1: &str = "SCRAM-SHA-1";
const ANONYMOUS: &str = "ANONYMOUS";
/// A token in place of the password, without channel binding, which stock servers cannot check (XEP-0484).
pub(super) const HT_SHA_256_NONE: &str = "HT-SHA-256-NONE";

/// Best first. The `-PLUS` forms are left out: within TLS to a verified server they add little, and servers differ in what
/// they bind to. PLAIN is, so that no server, however it was got at, reads a password.
const WITH_PASSWORD: [&str; 2] = [SCRAM_SHA_256, SCRAM_SHA_1];
const WITHOUT: [&str; 1] = [ANONYMOUS];

/// How often a server has to have us hash the password, at least (RFC 5802 section 5.1, RFC 7677 section 4). Whoever asks
/// for less, with a certificate that he should not have, can try passwords on our answer at little cost.
const LEAST_ITERATIONS: u32 = 4096;
/// How often a server may have us hash the password, at most. Servers ask for some thousands, a few for some hundreds of thousands;
/// more would only keep us busy.
const MOST_ITERATIONS: u32 = 1_000_000;

/// One login, from our first word to the server's last.
pub(super) struct Exchange {
    name: &'static str,
    mechanism: Box<dyn Mechanism + Send>,
    /// What we said first.
    first: Vec<u8>,
    proof: Proof,
}

/// Whether the server has shown that it knows the password, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// There is no password.
    Needless,
    /// It has not even asked for ours.
    Missing,
    /// It has ours, and owes us its own.
    Due,
    /// It has.
    Given,
}

impl Exchange {
    /// By this mechanism, which is one that [`choose`] gave.
    pub(super) fn new(jid: &Jid, credential: &Credential, name: &'static str) -> Result<Self, AccountError> {
        let credentials = credentials(jid, credential);
        let mechanism: Result<Box<dyn Mechanism + Send>, _> = match name {
            SCRAM_SHA_256 => Scram::<Sha256>::from_credentials(credentials).map(|scram| Box::new(scram) as _),
            SCRAM_SHA_1 => Scram::<Sha1>::from_credentials(credentials).map(|scram| Box::new(scram) as _),
            _ => Ok(Box::new(Anonymous::new())),
        };
        let proof = if name == ANONYMOUS { Proof::Needless } else { Proof::Missing };
        Ok(Self::begin(name, mechanism.map_err(|_| AccountError::NoMechanism)?, proof))
    }

    /// By a token that stands for the password. Our first word is our last.
    pub(super) fn with_token(jid: &Jid, token: &str) -> Self {
        let user = jid.node().map(|node| node.as_str()).unwrap_or_default();
        Self::begin(HT_SHA_256_NONE, Box::new(HashedToken::new(user, token)), Proof::Due)
    }

    fn begin(name: &'static str, mut mechanism: Box<dyn Mechanism + Send>, proof: Proof) -> Self {
        let first = mechanism.initial();
        Self { name, mechanism, first, proof }
    }

    /// Its mechanism.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// What we say first.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// Whether we have said all that we have to say.
    pub(super) fn has_said_all(&self) -> bool {
        matches!(self.proof, Proof::Needless | Proof::Due | Proof::Given)
    }

    /// Our response to a challenge. Hashing takes a while, and is to be done where nothing else has to wait for it.
    pub(super) fn respond(mut self, challenge: &[u8]) -> Result<(Self, Vec<u8>), AccountError> {
        match self.proof {
            Proof::Missing => {
                check_demands(challenge)?;
                if !is_for(&self.first, challenge) {
                    return Err(AccountError::Protocol(Step::Login));
                }
                self.proof = Proof::Due;
                let response = self.mechanism.response(challenge);
                response.map(|response| (self, response)).map_err(|_| AccountError::Protocol(Step::Login))
            }
            Proof::Due => {
                self.verify(challenge)?;
                Ok((self, Vec::new()))
            }
            Proof::Needless | Proof::Given => Err(AccountError::Protocol(Step::Login)),
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

    fn verify(&mut self, signature: &[u8]) -> Result<(), AccountError> {
        self.proof = Proof::Given;
        self.mechanism.success(signature).map_err(|_| AccountError::Unproven)
    }
}

/// The best mechanism of those that are offered and that we accept.
pub(super) fn choose(credential: &Credential, offered: &BTreeSet<String>) -> Option<&'static str> {
    let known: &[&str] = match credential {
        Credential::Password(_) => &WITH_PASSWORD,
        Credential::Anonymous => &WITHOUT,
        // Nobody logs in so: an account that is new has a password by then, and a component does not log in by SASL.
        Credential::New | Credential::Component(_) => &[],
    };
    known.iter().copied().find(|name| offered.contains(*name))
}

/// How good a mechanism is: the less, the better.
pub(super) fn rank(name: &str) -> usize {
    WITH_PASSWORD.iter().position(|known| *known == name).unwrap_or(WITH_PASSWORD.len())
}

/// Whether we do what a server's first message demands.
///
/// # Errors
///
/// It asks for too little effort, or for too much, or for something that we do not know: "m=" means that who does not know
/// what follows must not go on.
fn check_demands(challenge: &[u8]) -> Result<(), AccountError> {
    if fields(challenge, "m=").next().is_some() {
        return Err(AccountError::UnknownDemand);
    }
    match only(challenge, "i=").and_then(|count| count.parse().ok()) {
        Some(1..LEAST_ITERATIONS) => Err(AccountError::TooFewIterations),
        Some(LEAST_ITERATIONS..=MOST_ITERATIONS) => Ok(()),
        _ => Err(AccountError::Protocol(Step::Login)),
    }
}

/// Whether a server's first message answers ours, and not somebody else's (RFC 5802 section 5.1): its nonce is ours and
/// something more.
fn is_for(first: &[u8], challenge: &[u8]) -> bool {
    let nonces = (only(first, "r="), only(challenge, "r="));
    let (Some(ours), Some(both)) = nonces else { return false };
    both.strip_prefix(ours).is_some_and(|theirs| !theirs.is_empty())
}

/// The value of the one field of this name. Of two, the library may use the other one than we looked at.
fn only<'a>(message: &'a [u8], name: &str) -> Option<&'a str> {
    let mut fields = fields(message, name);
    fields.next().filter(|_| fields.next().is_none())
}

/// The values of the fields of this name; none in what is no text.
fn fields<'a>(message: &'a [u8], name: &str) -> impl Iterator<Item = &'a str> {
    str::from_utf8(message).unwrap_or_default().split(',').filter_map(move |field| field.strip_prefix(name))
}

/// What the mechanisms log in with.
fn credentials(jid: &Jid, credential: &Credential) -> Credentials {
    let (user, password) = match credential {
        Credential::Password(password) => {
            (jid.node().map(|node| node.as_str()).unwrap_or_default(), password.expose_secret())
        }
        Credential::Anonymous | Credential::New | Credential::Component(_) => ("", ""),
    };
    Credentials::default()
        .with_username(scram_name(user))
        .with_password(password)
        .with_channel_binding(ChannelBinding::None)
}

/// RFC 5802 section 5.1: `,` and `=` would end the field.
fn scram_name(user: &str) -> String {
    user.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(credential: &Credential, offered: &[&str]) -> Option<&'static str> {
        choose(credential, &offered.iter().map(ToString::to_string).collect())
    }

    fn password() -> Credential {
        Credential::Password("secret".into())
    }

    #[test]
    fn plain_is_never_accepted() {
        assert_eq!(chosen(&password(), &["PLAIN"]), None);
        assert_eq!(chosen(&password(), &["PLAIN", "SCRAM-SHA-1"]), Some(SCRAM_SHA_1));
    }

    #[test]
    fn the_better_mechanism_is_chosen_and_none_with_channel_binding() {
        let offered = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"];
        assert_eq!(chosen(&password(), &offered), Some(SCRAM_SHA_256));
        assert_eq!(chosen(&password(), &["SCRAM-SHA-256-PLUS"]), None);
    }

    #[test]
    fn anonymous_only_when_asked_for() {
        assert_eq!(chosen(&password(), &["ANONYMOUS"]), None);
        assert_eq!(chosen(&Credential::Anonymous, &["ANONYMOUS", "SCRAM-SHA-1"]), Some(ANONYMOUS));
        assert_eq!(chosen(&Credential::Anonymous, &["SCRAM-SHA-1"]), None);
    }

    #[test]
    fn a_user_name_cannot_end_its_field() {
        assert_eq!(scram_name("a=b,c"), "a=3Db=2Cc");
    }

    #[test]
    fn a_server_can_ask_for_some_effort_and_neither_for_any_nor_for_hardly_any() {
        let nonsense = Err(AccountError::Protocol(Step::Login));
        let too_few = Err(AccountError::TooFewIterations);
        for (challenge, outcome) in [
            ("r=x,s=QQ==,i=4096", Ok(())),
            ("r=x,s=QQ==,i=1000000", Ok(())),
            ("r=x,s=QQ==,i=1000001", nonsense.clone()),
            ("r=x,s=QQ==,i=4294967295", nonsense.clone()),
            ("r=x,s=QQ==,i=4096,i=4294967295", nonsense.clone()),
            ("r=x,s=QQ==,i=4294967295,i=4096", nonsense.clone()),
            ("r=x,s=QQ==,i=4095", too_few.clone()),
            ("r=x,s=QQ==,i=1", too_few),
            ("r=x,s=QQ==,i=0", nonsense.clone()),
            ("r=x,s=QQ==,i=-1", nonsense.clone()),
            ("r=x,s=QQ==", nonsense.clone()),
        ] {
            assert_eq!(check_demands(challenge.as_bytes()), outcome, "{challenge}");
        }
        assert_eq!(check_demands(b"r=\xff,i=4096"), nonsense);
    }

    #[test]
    fn a_demand_that_we_do_not_know_ends_the_login_wherever_it_stands() {
        for challenge in ["m=x,r=x,s=QQ==,i=4096", "r=x,m=,s=QQ==,i=4096", "r=x,s=QQ==,i=4096,m=x"] {
            assert_eq!(check_demands(challenge.as_bytes()), Err(AccountError::UnknownDemand), "{challenge}");
        }
    }

    #[test]
    fn an_answer_has_our_nonce_and_more() {
        for (challenge, is_ours) in [
            ("r=abcd,i=1", true),
            ("r=abc,i=1", false),
            ("r=ab,i=1", false),
            ("r=xabc,i=1", false),
            ("i=1", false),
            ("r=abcd,r=xyz", false),
        ] {
            assert_eq!(is_for(b"n,,n=user,r=abc", challenge.as_bytes()), is_ours, "{challenge}");
        }
    }
}
