//! Forgetting an account that was registered: at its server, and then here.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout;
use xmpp_parsers::jid::{BareJid, Jid};

use crate::config::{AccountConfig, Credential, Limits};
use crate::state::registration::{Account, Registration};
use crate::state::{StateDir, StateError};
use crate::xmpp::Dialer;
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
    #[error("no such account was registered with this state directory")]
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

/// Forgets what was registered as `jid`, or, for `new@domain`, at that domain. `at` says how to reach the server, for an account there.
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
    let domain = jid.domain().as_str();
    let registration =
        state.registration(domain).filter(|kept| is_meant(kept, jid)).ok_or(ForgetError::Unknown)?;
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
    state.keep_registration(domain, None)?;
    Ok(forgotten)
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
