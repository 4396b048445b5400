//! Which SASL mechanisms we take part in, and with what.

use std::collections::BTreeSet;

use sasl::common::{ChannelBinding, Credentials};
use secrecy::ExposeSecret;
use xmpp_parsers::jid::Jid;

use super::error::AccountError;
use crate::config::Credential;

/// Best first. The `-PLUS` forms are left out: with a channel binding that only the server's name for it fails, the
/// SASL library falls back to PLAIN, and within TLS to a verified server they add little.
const WITH_PASSWORD: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-1"];
const WITHOUT: [&str; 1] = ["ANONYMOUS"];

/// Of what the server offers, what we accept. Never PLAIN, so that no server, however it was got at, reads a password.
pub(super) fn acceptable(
    credential: &Credential,
    offered: &BTreeSet<String>,
) -> Result<BTreeSet<String>, AccountError> {
    let known: &[&str] = match credential {
        Credential::Password(_) => &WITH_PASSWORD,
        Credential::Anonymous => &WITHOUT,
    };
    let accepted: BTreeSet<String> =
        known.iter().filter(|name| offered.contains(**name)).map(ToString::to_string).collect();
    if accepted.is_empty() { Err(AccountError::NoMechanism) } else { Ok(accepted) }
}

/// What the mechanisms log in with.
pub(super) fn credentials(jid: &Jid, credential: &Credential) -> Credentials {
    let (user, password) = match credential {
        Credential::Password(password) => {
            (jid.node().map(|node| node.as_str()).unwrap_or_default(), password.expose_secret())
        }
        // The library makes the SCRAM mechanisms before it looks whether one is wanted, and they insist on both.
        Credential::Anonymous => ("", ""),
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

    fn choose(credential: &Credential, offered: &[&str]) -> Result<Vec<String>, AccountError> {
        let offered = offered.iter().map(ToString::to_string).collect();
        acceptable(credential, &offered).map(|accepted| accepted.into_iter().collect())
    }

    fn password() -> Credential {
        Credential::Password("secret".into())
    }

    #[test]
    fn plain_is_never_accepted() {
        assert_eq!(choose(&password(), &["PLAIN"]), Err(AccountError::NoMechanism));
        assert_eq!(choose(&password(), &["PLAIN", "SCRAM-SHA-1"]), Ok(vec!["SCRAM-SHA-1".into()]));
    }

    #[test]
    fn channel_binding_is_not_attempted() {
        let offered = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"];
        assert_eq!(choose(&password(), &offered), Ok(vec!["SCRAM-SHA-1".into(), "SCRAM-SHA-256".into()]));
    }

    #[test]
    fn anonymous_only_when_asked_for() {
        assert_eq!(choose(&password(), &["ANONYMOUS"]), Err(AccountError::NoMechanism));
        assert_eq!(
            choose(&Credential::Anonymous, &["ANONYMOUS", "SCRAM-SHA-1"]),
            Ok(vec!["ANONYMOUS".into()])
        );
        assert_eq!(choose(&Credential::Anonymous, &["SCRAM-SHA-1"]), Err(AccountError::NoMechanism));
    }

    #[test]
    fn a_user_name_cannot_end_its_field() {
        assert_eq!(scram_name("a=b,c"), "a=3Db=2Cc");
    }
}
