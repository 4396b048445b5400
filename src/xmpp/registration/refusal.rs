//! Refusal of a registration (XEP-0077): why there is no account, and what can help. Pure.

use std::time::Duration;

/// Why no account was registered.
///
/// Nothing that the server has written is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It asks for what only a person can see or hear (XEP-0158).
    #[error("the server asks for a CAPTCHA")]
    Captcha,
    /// It asks for more than a name and a password, or for something else.
    #[error("the server does not ask for a user name and a password alone")]
    Form,
    /// It takes us for somebody who has an account, whose password another answer would change.
    #[error("the server says that whoever asks it from here has an account already")]
    Registered,
    /// It has accounts made on a web page.
    #[error("the server registers accounts only on its web page")]
    Web,
    /// It registers none, or not for us.
    #[error("the server is not open for registration")]
    Closed,
    /// There were too many of late, of accounts or of requests, from here or in all.
    #[error("the server has registered too many accounts of late, or has heard too much from here")]
    TooMany,
    /// Names that we made up are taken.
    #[error("the names that were tried are taken")]
    NamesTaken,
    /// It has the name that was asked for, and does not let us in by the password.
    #[error("the server has an account of the name that was asked for, and does not let us in")]
    Unapproved,
    /// It was asked more than once, and there is no account to log in to.
    #[error("the server was asked for an account more than once, and there is none to log in to")]
    Unsettled,
    /// It does not want the name or the password that we made up, or wants to know more than it says.
    #[error(
        "the server does not accept it, by a rule for names or passwords, or because it wants to know more than it asks for"
    )]
    Rules,
    /// It has a fault.
    #[error("the server has a fault, and registers no account at the moment")]
    Fault,
    /// What was registered here is not let in any more.
    #[error("the server does not let in the account that was registered before")]
    Gone,
}

/// After a refusal the server is left alone for a day: what it asks for it will ask for again.
const AFTER_REFUSAL: Duration = Duration::from_secs(24 * 3600);

/// After one that passes by itself, for 3 hours: stock ejabberd lets one address register one account in 10 minutes, and others
/// count in hours.
const AFTER_TOO_MANY: Duration = Duration::from_secs(3 * 3600);

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Captcha,
        Self::Form,
        Self::Registered,
        Self::Web,
        Self::Closed,
        Self::TooMany,
        Self::NamesTaken,
        Self::Unapproved,
        Self::Unsettled,
        Self::Rules,
        Self::Fault,
        Self::Gone,
    ];

    /// How it is written down.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Captcha => "captcha",
            Self::Form => "form",
            Self::Registered => "registered",
            Self::Web => "web",
            Self::Closed => "closed",
            Self::TooMany => "too-many",
            Self::NamesTaken => "names-taken",
            Self::Unapproved => "unapproved",
            Self::Unsettled => "unsettled",
            Self::Rules => "rules",
            Self::Fault => "fault",
            Self::Gone => "gone",
        }
    }

    /// The refusal that is written down so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.name() == name)
    }

    /// For how long the server is not asked again; none where it was not the server's.
    #[must_use]
    pub fn rest(self) -> Option<Duration> {
        match self {
            Self::Captcha
            | Self::Form
            | Self::Registered
            | Self::Web
            | Self::Closed
            | Self::Rules
            | Self::Unapproved => Some(AFTER_REFUSAL),
            Self::TooMany | Self::NamesTaken | Self::Unsettled | Self::Fault => Some(AFTER_TOO_MANY),
            Self::Gone => None,
        }
    }

    /// Whether what was asked for may still turn out to be ours.
    #[must_use]
    pub fn leaves_the_account(self) -> bool {
        self == Self::Unapproved
    }

    /// What can help, as a clause behind the text.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Captcha | Self::Form | Self::Rules => {
                "register there with a chat app and put login=user@domain:password (or, in the plain spelling, \
                 login=:user:domain:password) into the bridge line, or try another server; asking again in a day"
            }
            Self::Web => {
                "register on that page and put login=user@domain:password (or, in the plain spelling, \
                 login=:user:domain:password) into the bridge line, or try another server; asking again in a day"
            }
            Self::Closed | Self::Registered => {
                "put login=user@domain:password (or, in the plain spelling, login=:user:domain:password) of an account that you \
                 have into the bridge line, or try another server; asking again in a day"
            }
            Self::TooMany | Self::NamesTaken | Self::Unsettled => {
                "wait, or try another server; asking again in three hours"
            }
            Self::Unapproved => {
                "whoever runs it may have to approve the account first, or somebody else has the name: wait, or try another server; \
                 asking again in a day"
            }
            Self::Fault => {
                "if it stays, tell whoever runs the server, or try another one; asking again in three hours"
            }
            Self::Gone => {
                "it may have a fault that passes, or have deleted it: start this program again, and if that does not help, run \
                 `hexchat-pt forget --local new@` with its domain, and another one is registered; not trying again"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name_and_waits_are_of_hours() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::named(refusal.name()), Some(refusal));
            assert!(refusal.rest().is_none_or(|rest| rest >= Duration::from_secs(3600)));
        }
        assert_eq!(Refusal::named("other"), None);
    }

    #[test]
    fn each_says_what_to_do() {
        for refusal in Refusal::ALL {
            let (text, advice) = (refusal.to_string(), refusal.advice());
            assert!(!text.contains('.') && advice.len() > 20, "{text}; {advice}");
        }
    }
}
