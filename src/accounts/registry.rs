//! Registry of the accounts that were registered, in the state directory.

use std::sync::Arc;
use std::time::SystemTime;

use safelog::sensitive;
use secrecy::{ExposeSecret as _, SecretString};

use crate::state::registration::{Account, Password, Registration};
use crate::state::{StateDir, StateError};
use crate::xmpp::registration::{Known, NewAccount, NotKept, Place, Refusal, Registry, WebPage};

/// See the [module](self).
pub(crate) struct Registrations {
    state: Arc<StateDir>,
}

impl Registrations {
    pub(crate) fn new(state: Arc<StateDir>) -> Self {
        Self { state }
    }

    fn kept(&self, place: &Place) -> Option<Registration> {
        self.state.registration(&place.key())
    }

    fn keep(&self, place: &Place, registration: Option<Registration>) -> Result<(), StateError> {
        self.state.keep_registration(&place.key(), registration)
    }

    /// Keeps what this run can do without on disk: if it cannot be written, only the next run does not know it.
    fn keep_if_possible(&self, place: &Place, registration: Registration) {
        if let Err(error) = self.keep(place, Some(registration)) {
            tracing::warn!(
                "what became of a registration is not kept for the next run: {}",
                error.with_advice()
            );
        }
    }

    /// Whether a refusal holds that was to hold until then. If the clock was set back, it holds from now on, and `anew` is kept.
    fn holds(
        &self,
        place: &Place,
        refusal: Refusal,
        until: u64,
        anew: impl FnOnce(u64) -> Registration,
    ) -> bool {
        let rest = rest(refusal);
        let left = until.saturating_sub(now());
        if left > rest {
            self.keep_if_possible(place, anew(now() + rest));
        }
        left > 0
    }
}

impl Registry for Registrations {
    fn recall(&self, place: &Place) -> Known {
        match self.kept(place) {
            Some(Registration::Asked { account, times, until }) => {
                let anew = |until| Registration::Asked { account: account.clone(), times, until };
                if self.holds(place, Refusal::Unapproved, until, anew) {
                    Known::Refused(Refusal::Unapproved, None)
                } else {
                    Known::Asked { account: new_account(&account), times }
                }
            }
            Some(Registration::Made(account)) => Known::Made(new_account(&account)),
            Some(Registration::Refused { why, until, page }) => {
                let anew = |until| Registration::Refused { why: why.clone(), until, page: page.clone() };
                let refusal = Refusal::named(&why).filter(|refusal| self.holds(place, *refusal, until, anew));
                let page = page.as_deref().and_then(WebPage::new);
                refusal.map_or(Known::Nothing, |refusal| Known::Refused(refusal, page))
            }
            None => Known::Nothing,
        }
    }

    fn check(&self) -> Result<(), NotKept> {
        let fault = self.state.ephemeral_because();
        fault.map_or(Ok(()), |fault| Err(NotKept { why: fault.with_advice(), can_pass: false }))
    }

    fn ask(&self, place: &Place, account: &NewAccount) -> Result<(), NotKept> {
        self.check()?;
        let before = self.kept(place);
        let times = match &before {
            Some(Registration::Asked { times, .. }) => *times,
            _ => 0,
        };
        let password = Password::new(account.password.expose_secret());
        let account = Account { user: account.user.clone(), password };
        self.keep(place, Some(Registration::asked(account, times.saturating_add(1)))).map_err(|error| {
            // It is not asked for, and so is not known in this run either.
            let _ = self.keep(place, before);
            NotKept { why: error.with_advice(), can_pass: true }
        })
    }

    fn made(&self, place: &Place, account: &NewAccount) {
        if let Some(Registration::Asked { account: kept, .. }) = self.kept(place)
            && kept.user == account.user
        {
            let jid = format!("{}@{}", kept.user, place.domain());
            tracing::info!(
                "an account was registered, which `hexchat-pt forget` removes again: {}",
                sensitive(jid)
            );
            // Otherwise it is kept as one that was asked for, which will turn out to be there.
            self.keep_if_possible(place, Registration::Made(kept));
        }
    }

    fn refused(&self, place: &Place, asked: Option<&NewAccount>, refusal: Refusal, page: Option<&WebPage>) {
        let until = now() + rest(refusal);
        let page = page.map(|page| page.url().to_owned());
        let refused = Registration::Refused { why: refusal.name().to_owned(), until, page };
        let registration = match (self.kept(place), asked) {
            (Some(Registration::Asked { account, times, .. }), Some(asked)) if account.user == asked.user => {
                let is_left = refusal.leaves_the_account();
                if is_left { Registration::Asked { account, times, until } } else { refused }
            }
            (None | Some(Registration::Refused { .. }), None) => refused,
            _ => return,
        };
        self.keep_if_possible(place, registration);
    }
}

fn new_account(account: &Account) -> NewAccount {
    NewAccount { user: account.user.clone(), password: SecretString::from(account.password.expose()) }
}

/// For how many seconds.
fn rest(refusal: Refusal) -> u64 {
    refusal.rest().unwrap_or_default().as_secs()
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;
    use crate::config::Config;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn open(directory: &tempfile::TempDir) -> Registrations {
        Registrations::new(Arc::new(StateDir::open(directory.path()).unwrap()))
    }

    fn place_of(login: &str, pin: Option<&str>) -> Place {
        let arguments = [("login", login)].into_iter().chain(pin.map(|pin| ("pin", pin)));
        let domain: xmpp_parsers::jid::BareJid = login.parse().unwrap();
        Place::of(&Config::default().new_account_at(domain.domain(), arguments).unwrap())
    }

    fn place() -> Place {
        place_of("new@chat.example", None)
    }

    fn account_of(user: &str) -> NewAccount {
        NewAccount { user: user.to_owned(), password: "secret".into() }
    }

    fn account() -> NewAccount {
        account_of("marilan84")
    }

    #[test]
    fn what_is_asked_for_is_on_the_disk_before_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        open(&directory).ask(&place(), &account()).unwrap();
        let after_a_crash = open(&directory);
        let Known::Asked { account: kept, times: 1 } = after_a_crash.recall(&place()) else {
            unreachable!("it was asked for")
        };
        assert_eq!((kept.user.as_str(), kept.password.expose_secret()), ("marilan84", "secret"));
        assert!(matches!(after_a_crash.recall(&place_of("new@other.example", None)), Known::Nothing));
        after_a_crash.ask(&place(), &account()).unwrap();
        assert!(
            matches!(after_a_crash.recall(&place()), Known::Asked { times: 2, .. }),
            "it was not counted"
        );
        after_a_crash.made(&place(), &account());
        drop(after_a_crash);
        assert!(matches!(open(&directory).recall(&place()), Known::Made(kept) if kept.user == "marilan84"));
    }

    /// Whoever has the key of a pin is believed by the line that has the pin, and by no other.
    #[test]
    fn who_is_believed_by_a_pin_neither_sees_nor_changes_what_was_registered_without_it() {
        let directory = tempfile::tempdir().unwrap();
        let (registrations, pinned) = (open(&directory), place_of("new@chat.example", Some(KEY)));
        registrations.ask(&place(), &account()).unwrap();
        registrations.made(&place(), &account());
        assert!(matches!(registrations.recall(&pinned), Known::Nothing), "it sees the account");
        registrations.refused(&pinned, None, Refusal::Closed, None);
        registrations.ask(&pinned, &account_of("tobesi07")).unwrap();
        registrations.refused(&pinned, Some(&account_of("tobesi07")), Refusal::Closed, None);
        assert!(matches!(registrations.recall(&pinned), Known::Refused(Refusal::Closed, None)));
        assert!(matches!(registrations.recall(&place()), Known::Made(kept) if kept.user == "marilan84"));
        assert!(
            registrations.state.registration("chat.example").is_some(),
            "a state without pins is read so"
        );
    }

    /// Any program can listen there, and a bridge line of anybody's can lead to it.
    #[test]
    fn who_listens_on_this_machine_without_tls_is_not_told_of_what_was_registered_with_a_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let registrations = open(&directory);
        registrations.ask(&place(), &account()).unwrap();
        registrations.made(&place(), &account());
        let arguments = [("login", "new@chat.example"), ("server", "127.0.0.1:5222"), ("tls", "none")];
        let domain: xmpp_parsers::jid::BareJid = "new@chat.example".parse().unwrap();
        let here = Place::of(&Config::default().new_account_at(domain.domain(), arguments).unwrap());
        assert!(matches!(registrations.recall(&here), Known::Nothing));
        registrations.refused(&here, None, Refusal::Closed, None);
        assert!(matches!(registrations.recall(&place()), Known::Made(_)));
    }

    #[test]
    fn an_answer_about_one_account_says_nothing_of_another() {
        let directory = tempfile::tempdir().unwrap();
        let (registrations, other) = (open(&directory), account_of("tobesi07"));
        registrations.ask(&place(), &account()).unwrap();
        registrations.made(&place(), &other);
        registrations.refused(&place(), Some(&other), Refusal::Closed, None);
        registrations.refused(&place(), None, Refusal::Closed, None);
        assert!(matches!(registrations.recall(&place()), Known::Asked { .. }));
        registrations.made(&place(), &account());
        registrations.refused(&place(), Some(&account()), Refusal::Closed, None);
        assert!(matches!(registrations.recall(&place()), Known::Made(_)));
    }

    #[test]
    fn an_account_that_may_still_be_approved_is_kept_while_its_server_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let registrations = open(&directory);
        registrations.ask(&place(), &account()).unwrap();
        registrations.refused(&place(), Some(&account()), Refusal::Unapproved, None);
        assert!(matches!(
            open_again(registrations, &directory).recall(&place()),
            Known::Refused(Refusal::Unapproved, None)
        ));
        let kept = StateDir::open(directory.path()).unwrap().registration("chat.example").unwrap();
        assert_eq!(kept.account().unwrap().user, "marilan84");
    }

    fn open_again(before: Registrations, directory: &tempfile::TempDir) -> Registrations {
        drop(before);
        open(directory)
    }

    /// Whoever starts the program again to see it must not have to wait for a day.
    #[test]
    fn the_page_that_a_server_names_is_known_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let page = WebPage::new("https://chat.example/register").unwrap();
        let registrations = open(&directory);
        registrations.refused(&place(), None, Refusal::Web, Some(&page));
        let known = open_again(registrations, &directory).recall(&place());
        assert!(matches!(known, Known::Refused(Refusal::Web, Some(kept)) if kept == page));
    }

    #[test]
    fn a_refusal_holds_for_hours_and_over_restarts_and_then_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        open(&directory).refused(&place(), None, Refusal::TooMany, None);
        let registrations = open(&directory);
        assert!(matches!(registrations.recall(&place()), Known::Refused(Refusal::TooMany, None)));
        let hours = rest(Refusal::TooMany);
        for (why, until, holds) in [
            ("too-many", now(), false),
            ("too-many", now() + hours, true),
            ("too-many", 0, false),
            ("of a later version", now() + 1, false),
        ] {
            let refused = Registration::Refused { why: why.to_owned(), until, page: None };
            registrations.keep(&place(), Some(refused)).unwrap();
            assert_eq!(
                matches!(registrations.recall(&place()), Known::Refused(..)),
                holds,
                "{why} until {until}"
            );
        }
    }

    #[test]
    fn a_clock_that_is_set_back_ends_no_refusal_and_makes_none_longer() {
        let directory = tempfile::tempdir().unwrap();
        let registrations = open(&directory);
        let hours = rest(Refusal::TooMany);
        for until in [now() + hours + 100, u64::MAX] {
            let refused = Registration::Refused { why: "too-many".to_owned(), until, page: None };
            registrations.keep(&place(), Some(refused)).unwrap();
            assert!(matches!(registrations.recall(&place()), Known::Refused(Refusal::TooMany, None)));
            let Some(Registration::Refused { until: kept, .. }) = registrations.kept(&place()) else {
                unreachable!("it was refused")
            };
            assert!(kept <= now() + hours, "it holds for {} seconds", kept - now());
        }
    }

    #[test]
    fn without_a_place_nothing_is_asked_for_and_the_fault_is_named() {
        let locked = StateError::Locked("/state".into());
        let nowhere = Registrations::new(Arc::new(StateDir::ephemeral(locked)));
        let NotKept { why, can_pass } = nowhere.check().unwrap_err();
        assert!(why.contains("in use by another process") && !can_pass, "{why}");
        assert_eq!(nowhere.ask(&place(), &account()), nowhere.check());
        assert!(matches!(nowhere.recall(&place()), Known::Nothing));
    }

    #[test]
    fn what_cannot_be_written_is_not_asked_for_and_can_be_when_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let registrations = open(&directory);
        // A directory in the place of the file: no rename can replace it, whoever asks.
        let obstacle = directory.path().join("hexchat_state.json");
        std::fs::create_dir(&obstacle).unwrap();
        let fault = registrations.ask(&place(), &account()).unwrap_err();
        assert!(fault.can_pass && fault.why.contains("hexchat_state.json"), "{fault:?}");
        assert!(matches!(registrations.recall(&place()), Known::Nothing), "it would be logged in to");
        std::fs::remove_dir(&obstacle).unwrap();
        registrations.ask(&place(), &account()).unwrap();
        assert!(matches!(registrations.recall(&place()), Known::Asked { times: 1, .. }));
    }

    #[test]
    fn what_a_server_says_counts_for_this_run_where_nothing_can_be_kept() {
        let nowhere = Registrations::new(Arc::new(StateDir::ephemeral(StateError::Nowhere)));
        nowhere.refused(&place(), None, Refusal::Closed, None);
        assert!(matches!(nowhere.recall(&place()), Known::Refused(Refusal::Closed, None)));
    }

    #[test]
    fn nothing_shows_a_password() {
        let directory = tempfile::tempdir().unwrap();
        let registrations = open(&directory);
        registrations.ask(&place(), &account()).unwrap();
        let shown = format!("{:?} {:?}", registrations.recall(&place()), registrations.kept(&place()));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
