//! Forgetting an account that was registered: at its server, and then here.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout;
use xmpp_parsers::jid::{BareJid, Jid};

use crate::config::{AccountConfig, Credential, Limits};
use crate::state::registration::{Account, Registration};
use crate::state::{StateDir, StateError};
use crate::xmpp::Dialer;
use crate::xmpp::registration::Place;
use crate::xmpp::removal::{RemovalError, Removed, remove};

/// How long a server may take to remove an account: 30 seconds, in which a person is to learn what is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgotten {
    /// An account that its server has removed.
    Removed,
    /// An account that its server does not know any more, or never has.
    WasGone,
    /// That the server has refused to register one.
    Refusal,
}

/// Why something is still kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForgetError {
    /// It was never registered here.
    #[error(
        "no such account was registered with this state directory; one that a bridge line with a pin has registered needs that line: \
         --bridge-line-file"
    )]
    Unknown,
    /// Its server may still have it. It is kept here, so that this can be tried again.
    #[error("the account is kept, because its server could not be asked to remove it: {0}")]
    Removal(#[from] RemovalError),
    /// The server is silent. As above.
    #[error("the account is kept, because its server did not remove it in time; try again")]
    TimedOut,
    /// The state cannot be written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Forgets what was registered as `jid`, or, for `new@domain`, at that domain. `at` says how to reach the server, for an account there,
/// and whom to believe to be it: what was registered with another pin stays.
///
/// # Errors
///
/// What was registered is kept.
pub(crate) async fn forget(
    jid: &BareJid,
    at: AccountConfig,
    state: &StateDir,
    limits: &Limits,
    dialer: Dialer,
) -> Result<Forgotten, ForgetError> {
    let place = Place::of(&at).key();
    let registration =
        state.registration(&place).filter(|kept| is_meant(kept, jid)).ok_or(ForgetError::Unknown)?;
    let forgotten = match registration.account() {
        None => Forgotten::Refusal,
        Some(account) => {
            let config = log_in_as(account, jid, at)?;
            match timeout(PATIENCE, remove(config, dialer, limits)).await {
                Ok(removed) => outcome(removed?),
                Err(_) => return Err(ForgetError::TimedOut),
            }
        }
    };
    state.keep_hint(&host_of(jid), None)?;
    state.keep_registration(&place, None)?;
    Ok(forgotten)
}

/// The domain in ASCII, by which hints are kept. For one that has no such form there is none.
fn host_of(jid: &BareJid) -> String {
    idna::domain_to_ascii(jid.domain().as_str()).unwrap_or_default()
}

/// `new@domain` is whatever account was registered there.
fn is_meant(kept: &Registration, jid: &BareJid) -> bool {
    let user = jid.node().map(|user| user.as_str());
    user == Some("new") || user.is_some() && user == kept.account().map(|account| account.user.as_str())
}

fn log_in_as(account: &Account, jid: &BareJid, at: AccountConfig) -> Result<AccountConfig, ForgetError> {
    let jid = Jid::new(&format!("{}@{}", account.user, jid.domain())).map_err(|_| ForgetError::Unknown)?;
    let credential = Credential::Password(SecretString::from(account.password.expose()));
    Ok(AccountConfig { jid, credential, ..at })
}

fn outcome(removed: Removed) -> Forgotten {
    match removed {
        Removed::Now => Forgotten::Removed,
        Removed::Before => Forgotten::WasGone,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;
    use crate::config::Config;
    use crate::xmpp::AccountError;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[tokio::test]
    async fn how_a_domain_was_reached_is_forgotten_whatever_it_is_written_in() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let jid: BareJid = "new@münchen.example".parse().unwrap();
        let at = Config::default().new_account_at(jid.domain(), [("login", "new@münchen.example")]).unwrap();
        state.keep_hint("xn--mnchen-3ya.example", Some("direct")).unwrap();
        let refused = Registration::Refused { why: "closed".to_owned(), until: 1 };
        state.keep_registration(&Place::of(&at).key(), Some(refused)).unwrap();
        let nowhere = Dialer::through(|_, _| Box::pin(async { Err(AccountError::Refused) }));
        let forgotten = forget(&jid, at, &state, &Limits::default(), nowhere).await;
        assert!(matches!(forgotten, Ok(Forgotten::Refusal)), "{forgotten:?}");
        assert_eq!(state.hint("xn--mnchen-3ya.example"), None);
    }

    #[tokio::test]
    async fn what_was_registered_with_another_pin_stays() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let jid: BareJid = "new@chat.example".parse().unwrap();
        let at = |pin: Option<&str>| {
            let arguments = [("login", "new@chat.example")].into_iter().chain(pin.map(|pin| ("pin", pin)));
            Config::default().new_account_at(jid.domain(), arguments).unwrap()
        };
        let (plain, pinned) = (at(None), at(Some(KEY)));
        state.keep_hint("chat.example", Some("direct")).unwrap();
        let is_kept = |at: &AccountConfig| state.registration(&Place::of(at).key()).is_some();
        for at in [&plain, &pinned] {
            let refused = Registration::Refused { why: "closed".to_owned(), until: 1 };
            state.keep_registration(&Place::of(at).key(), Some(refused)).unwrap();
        }
        let nowhere = || Dialer::through(|_, _| Box::pin(async { Err(AccountError::Refused) }));
        let limits = Limits::default();
        let forgotten = forget(&jid, pinned.clone(), &state, &limits, nowhere()).await;
        assert!(matches!(forgotten, Ok(Forgotten::Refusal)), "{forgotten:?}");
        assert_eq!((is_kept(&plain), is_kept(&pinned)), (true, false));
        assert_eq!(state.hint("chat.example"), None);
        let forgotten = forget(&jid, pinned, &state, &limits, nowhere()).await;
        assert!(matches!(forgotten, Err(ForgetError::Unknown)), "{forgotten:?}");
        assert!(is_kept(&plain));
    }
}
