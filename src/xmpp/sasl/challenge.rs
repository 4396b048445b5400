//! Challenge of SCRAM: the server's first message, and how much we do for it (RFC 5802 section 5.1). Pure.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::xmpp::error::{AccountError, Step};

/// How often a server has to have us hash the password, at least (RFC 5802 section 5.1, RFC 7677 section 4). Whoever asks
/// for less, with a certificate that he should not have, can try passwords on our answer at little cost.
const LEAST_ITERATIONS: u32 = 4096;
/// How often a server may have us hash the password, at most. Servers ask for some thousands, a few for some hundreds of thousands;
/// more would only keep us busy.
const MOST_ITERATIONS: u32 = 1_000_000;

/// A challenge.
#[derive(Debug)]
pub(super) struct Challenge<'a> {
    /// All of it.
    pub(super) text: &'a str,
    /// Our nonce, and the server's behind it.
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: NonZeroU32,
}

impl<'a> Challenge<'a> {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// It makes no sense, or asks for too little effort, or for too much, or for something that we do not know: "m=" means that who does
    /// not know what follows must not go on.
    pub(super) fn read(challenge: &'a [u8]) -> Result<Self, AccountError> {
        let nonsense = || AccountError::Protocol(Step::Login);
        let text = str::from_utf8(challenge).map_err(|_| nonsense())?;
        if fields(challenge, "m=").next().is_some() {
            return Err(AccountError::UnknownDemand);
        }
        let iterations = match only(challenge, "i=").and_then(|count| count.parse().ok()) {
            Some(1..LEAST_ITERATIONS) => return Err(AccountError::TooFewIterations),
            Some(count @ LEAST_ITERATIONS..=MOST_ITERATIONS) => NonZeroU32::new(count),
            _ => None,
        };
        Ok(Self {
            text,
            nonce: only(challenge, "r=").ok_or_else(nonsense)?,
            salt: only(challenge, "s=").and_then(|salt| BASE64.decode(salt).ok()).ok_or_else(nonsense)?,
            iterations: iterations.ok_or_else(nonsense)?,
        })
    }

    /// Whether it answers a message of ours with this nonce, and not somebody else's: its nonce is that and something more.
    pub(super) fn is_for(&self, nonce: &str) -> bool {
        self.nonce.strip_prefix(nonce).is_some_and(|theirs| !theirs.is_empty())
    }
}

/// The value of the one field of this name. Of two, others may use the one that we would not.
pub(super) fn only<'a>(message: &'a [u8], name: &str) -> Option<&'a str> {
    let mut fields = fields(message, name);
    fields.next().filter(|_| fields.next().is_none())
}

/// The values of the fields of this name; none in what is no text.
pub(super) fn fields<'a>(message: &'a [u8], name: &str) -> impl Iterator<Item = &'a str> {
    str::from_utf8(message).unwrap_or_default().split(',').filter_map(move |field| field.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn fault(challenge: &[u8]) -> Option<AccountError> {
        Challenge::read(challenge).err()
    }

    #[test]
    fn a_server_can_ask_for_some_effort_and_neither_for_any_nor_for_hardly_any() {
        let nonsense = Some(AccountError::Protocol(Step::Login));
        let too_few = Some(AccountError::TooFewIterations);
        for (challenge, outcome) in [
            ("r=x,s=QQ==,i=4096", None),
            ("r=x,s=QQ==,i=1000000", None),
            ("r=x,s=QQ==,i=1000001", nonsense.clone()),
            ("r=x,s=QQ==,i=4294967295", nonsense.clone()),
            ("r=x,s=QQ==,i=4096,i=4294967295", nonsense.clone()),
            ("r=x,s=QQ==,i=4294967295,i=4096", nonsense.clone()),
            ("r=x,s=QQ==,i=4095", too_few.clone()),
            ("r=x,s=QQ==,i=1", too_few),
            ("r=x,s=QQ==,i=0", nonsense.clone()),
            ("r=x,s=QQ==,i=-1", nonsense.clone()),
            ("r=x,s=QQ==", nonsense.clone()),
            ("r=x,s=?,i=4096", nonsense.clone()),
            ("s=QQ==,i=4096", nonsense.clone()),
        ] {
            assert_eq!(fault(challenge.as_bytes()), outcome, "{challenge}");
        }
        assert_eq!(fault(b"r=\xff,s=QQ==,i=4096"), nonsense);
    }

    #[test]
    fn a_demand_that_we_do_not_know_ends_the_login_wherever_it_stands() {
        for challenge in ["m=x,r=x,s=QQ==,i=4096", "r=x,m=,s=QQ==,i=4096", "r=x,s=QQ==,i=4096,m=x"] {
            assert_eq!(fault(challenge.as_bytes()), Some(AccountError::UnknownDemand), "{challenge}");
        }
    }

    #[test]
    fn an_answer_has_our_nonce_and_more() {
        for (nonce, is_ours) in [("abcd", true), ("abc", false), ("ab", false), ("xabc", false)] {
            let text = format!("r={nonce},s=QQ==,i=4096");
            assert_eq!(Challenge::read(text.as_bytes()).unwrap().is_for("abc"), is_ours, "{nonce}");
        }
        assert!(fault(b"r=abcd,r=xyz,s=QQ==,i=4096").is_some());
    }
}
