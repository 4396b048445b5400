//! Forgetting an account that was registered: at its server, and then here.

use std::time::Duration;

use secrecy::SecretString;
use xmpp_parsers::jid::{BareJid, Jid};

use crate::config::{AccountConfig, Credential, Limits};
use crate::state::registration::{Account, Registration};
use crate::state::{StateDir, StateError};
use crate::xmpp::Dialer;
use crate::xmpp::registration::Place;
use crate::xmpp::removal::{Objection, RemovalError, remove};

/// How long a server may take to remove an account: 30 seconds, in which a person is to learn what is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgotten {
    /// An account that its server has removed.
    Removed,
    /// Our copy of an account, alone: its server was not asked.
    Copy,
    /// That the server has refused to register one.
    Refusal,
}

/// Where an account is to be forgotten.
pub(crate) enum Scope {
    /// At its server, which is reached so, and then here.
    ServerToo(Dialer),
    /// Here alone: no server is asked.
    HereAlone,
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
    /// Its server may still have it. It is kept here, so that this can be tried again: we have the only copy of its password.
    #[error(
        "the account is kept, because {}; {} with --local, which removes our copy of it alone, and with that its password",
        .0, advice(.0)
    )]
    Removal(RemovalError),
    /// The state cannot be written. The server has removed the account, if it was asked.
    #[error(
        "what was registered could not be forgotten here: {}; {}; when that is mended, run this with --local",
        .0, .0.advice_on_forgetting()
    )]
    State(StateError),
}

/// What helps where an account is kept, before what always does.
fn advice(error: &RemovalError) -> &'static str {
    match error {
        RemovalError::Refused(Objection::Forbidden, _) => {
            "ask whoever runs the server to remove the account, or try again"
        }
        RemovalError::ProbablyGone => "try again tomorrow, and if it is not let in then either,",
        _ => "try again later, or",
    }
}

/// Forgets what was registered as `jid`, or, for `new@domain`, at that domain. `at` says how to reach the server, for an account there,
/// and whom to believe to be it: what was registered with another pin stays. Where it is forgotten [here alone](Scope::HereAlone),
/// nobody is called.
///
/// # Errors
///
/// What was registered is kept.
pub(crate) async fn forget(
    jid: &BareJid,
    at: AccountConfig,
    state: &StateDir,
    limits: &Limits,
    scope: Scope,
) -> Result<Forgotten, ForgetError> {
    let place = Place::of(&at).key();
    let registration =
        state.registration(&place).filter(|kept| is_meant(kept, jid)).ok_or(ForgetError::Unknown)?;
    let forgotten = match (registration.account(), scope) {
        (None, _) => Forgotten::Refusal,
        (Some(_), Scope::HereAlone) => Forgotten::Copy,
        (Some(account), Scope::ServerToo(dialer)) => {
            let removed = remove(log_in_as(account, jid, at)?, dialer, limits, PATIENCE).await;
            removed.map_err(ForgetError::Removal)?;
            Forgotten::Removed
        }
    };
    let kept = state.keep_hint(&host_of(jid), None).and_then(|()| state.keep_registration(&place, None));
    kept.map_err(ForgetError::State)?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;
    use crate::config::Config;
    use crate::state::registration::Password;
    use crate::xmpp::{AccountError, Words};

    /// A server that nobody reaches.
    fn nowhere() -> Scope {
        Scope::ServerToo(Dialer::through(|_, _| Box::pin(async { Err(AccountError::Refused) })))
    }

    /// A state with an account at a domain, and how that would be reached.
    fn with_account(directory: &tempfile::TempDir) -> (StateDir, BareJid, AccountConfig) {
        let state = StateDir::open(directory.path()).unwrap();
        let jid: BareJid = "new@127.0.0.1".parse().unwrap();
        let arguments = [("login", "new@127.0.0.1"), ("server", "127.0.0.1:1"), ("tls", "starttls")];
        let at = Config::default().new_account_at(jid.domain(), arguments).unwrap();
        let account = Account { user: "marilan84".to_owned(), password: Password::new("secret") };
        state.keep_registration(&Place::of(&at).key(), Some(Registration::Made(account))).unwrap();
        (state, jid, at)
    }

    #[tokio::test]
    async fn an_account_whose_server_is_gone_is_kept_until_our_copy_alone_is_to_go() {
        let directory = tempfile::tempdir().unwrap();
        let (state, jid, at) = with_account(&directory);
        let limits = Limits::default();
        let error = forget(&jid, at.clone(), &state, &limits, nowhere()).await.unwrap_err();
        let text = format!("{:#}", anyhow::Error::from(error));
        assert_eq!(
            text,
            "the account is kept, because its server has not removed it: dialling the chat server: connection refused; check that \
             the chat server runs, and `server` with its port (where neither that nor the domain's SRV records name one, it is 5222, or \
             5223 for `tls = \"direct\"`); try again later, or with --local, which removes our copy of it alone, and with that \
             its password"
        );
        assert!(state.registration(&Place::of(&at).key()).is_some());
        let forgotten = forget(&jid, at.clone(), &state, &limits, Scope::HereAlone).await;
        assert!(matches!(forgotten, Ok(Forgotten::Copy)), "{forgotten:?}");
        assert!(state.registration(&Place::of(&at).key()).is_none());
    }

    #[test]
    fn who_is_told_that_an_account_is_kept_is_told_what_helps_with_that_fault() {
        let text = |error| ForgetError::Removal(error).to_string();
        let refused = |objection| text(RemovalError::Refused(objection, Words::default()));
        assert_eq!(
            refused(Objection::Forbidden),
            "the account is kept, because its server has not removed it: the chat server does not let the account remove itself; ask \
             whoever runs the server to remove the account, or try again with --local, which removes our copy of it alone, and with that \
             its password"
        );
        assert!(refused(Objection::Fault).contains(" at the moment; try again later, or with --local"));
        let probably = text(RemovalError::ProbablyGone);
        assert!(
            probably.contains("is probably gone there, unless") && probably.contains("; try again tomorrow"),
            "{probably}"
        );
        let silent = text(RemovalError::Unanswered);
        assert!(silent.contains("does not answer the request; try again later"), "{silent}");
    }

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[tokio::test]
    async fn how_a_domain_was_reached_is_forgotten_whatever_it_is_written_in() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        let jid: BareJid = "new@münchen.example".parse().unwrap();
        let at = Config::default().new_account_at(jid.domain(), [("login", "new@münchen.example")]).unwrap();
        state.keep_hint("xn--mnchen-3ya.example", Some("direct")).unwrap();
        let refused = Registration::Refused { why: "closed".to_owned(), until: 1, page: None };
        state.keep_registration(&Place::of(&at).key(), Some(refused)).unwrap();
        let forgotten = forget(&jid, at, &state, &Limits::default(), nowhere()).await;
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
            let refused = Registration::Refused { why: "closed".to_owned(), until: 1, page: None };
            state.keep_registration(&Place::of(at).key(), Some(refused)).unwrap();
        }
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
