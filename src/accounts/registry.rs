//! Registry of the accounts that were registered, in the state directory.

use std::sync::Arc;
use std::time::SystemTime;

use safelog::sensitive;
use secrecy::{ExposeSecret as _, SecretString};

use crate::state::StateDir;
use crate::state::registration::{Account, Password, Registration};
use crate::xmpp::registration::{Known, NewAccount, Refusal, Registry};

/// See the [module](self).
pub(crate) struct Registrations {
    state: Arc<StateDir>,
}

impl Registrations {
    pub(crate) fn new(state: Arc<StateDir>) -> Self {
        Self { state }
    }

    fn keep(&self, domain: &str, registration: Registration) -> Result<(), Refusal> {
        self.state.keep_registration(domain, Some(registration)).map_err(|error| {
            tracing::warn!("what became of a registration cannot be kept: {error}");
            Refusal::NotKept
        })
    }
}

impl Registry for Registrations {
    fn recall(&self, domain: &str) -> Known {
        match self.state.registration(domain) {
            Some(Registration::Asked(account)) => Known::Asked(new_account(&account)),
            Some(Registration::Made(account)) => Known::Made(new_account(&account)),
            Some(Registration::Refused { why, until }) => {
                refusal(&why, until).map_or(Known::Nothing, Known::Refused)
            }
            None => Known::Nothing,
        }
    }

    fn ask(&self, domain: &str, account: &NewAccount) -> Result<(), Refusal> {
        let password = Password::new(account.password.expose_secret());
        self.keep(domain, Registration::Asked(Account { user: account.user.clone(), password }))
    }

    fn made(&self, domain: &str) {
        if let Some(Registration::Asked(account)) = self.state.registration(domain) {
            let jid = format!("{}@{domain}", account.user);
            tracing::info!(
                "an account was registered, which `hexchat-pt forget` removes again: {}",
                sensitive(jid)
            );
            // It is kept as one that was asked for, which will turn out to be there.
            let _ = self.keep(domain, Registration::Made(account));
        }
    }

    fn refused(&self, domain: &str, refusal: Refusal) {
        let until = now() + refusal.rest().unwrap_or_default().as_secs();
        // If that fails, the server may be asked again after the next start.
        let _ = self.keep(domain, Registration::Refused { why: refusal.name().to_owned(), until });
    }
}

fn new_account(account: &Account) -> NewAccount {
    NewAccount { user: account.user.clone(), password: SecretString::from(account.password.expose()) }
}

/// The refusal, while it holds. If the clock was set back, it holds no longer than from now on.
fn refusal(why: &str, until: u64) -> Option<Refusal> {
    let refusal = Refusal::named(why)?;
    let rest = refusal.rest().unwrap_or_default().as_secs();
    (1..=rest).contains(&until.saturating_sub(now())).then_some(refusal)
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;
    use crate::state::StateError;

    const DOMAIN: &str = "chat.example";

    fn open(directory: &tempfile::TempDir) -> Registrations {
        Registrations::new(Arc::new(StateDir::open(directory.path()).unwrap()))
    }

    fn account() -> NewAccount {
        NewAccount { user: "marilan84".to_owned(), password: "secret".into() }
    }

    #[test]
    fn what_is_asked_for_is_on_the_disk_before_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        open(&directory).ask(DOMAIN, &account()).unwrap();
        let after_a_crash = open(&directory);
        let Known::Asked(kept) = after_a_crash.recall(DOMAIN) else { unreachable!("it was asked for") };
        assert_eq!((kept.user.as_str(), kept.password.expose_secret()), ("marilan84", "secret"));
        assert!(matches!(after_a_crash.recall("other.example"), Known::Nothing));
        after_a_crash.made(DOMAIN);
        drop(after_a_crash);
        assert!(matches!(open(&directory).recall(DOMAIN), Known::Made(kept) if kept.user == "marilan84"));
    }

    #[test]
    fn a_refusal_holds_for_hours_and_over_restarts_and_then_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        open(&directory).refused(DOMAIN, Refusal::TooMany);
        assert!(matches!(open(&directory).recall(DOMAIN), Known::Refused(Refusal::TooMany)));
        let hours = Refusal::TooMany.rest().unwrap().as_secs();
        for (until, holds) in
            [(now(), false), (now() + hours, true), (now() + hours + 100, false), (0, false)]
        {
            assert_eq!(refusal("too-many", until).is_some(), holds, "until {until}");
        }
        assert_eq!(refusal("of a later version", now() + 1), None);
    }

    #[test]
    fn what_cannot_be_kept_is_not_asked_for() {
        let nowhere = Registrations::new(Arc::new(StateDir::ephemeral(StateError::Nowhere)));
        assert_eq!(nowhere.ask(DOMAIN, &account()), Err(Refusal::NotKept));
        assert!(matches!(nowhere.recall(DOMAIN), Known::Nothing));
    }

    #[test]
    fn nothing_shows_a_password() {
        let directory = tempfile::tempdir().unwrap();
        let registrations = open(&directory);
        registrations.ask(DOMAIN, &account()).unwrap();
        let shown =
            format!("{:?} {:?}", registrations.recall(DOMAIN), registrations.state.registration(DOMAIN));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
