//! `sessions`: how many logins there may be of one account at a time.

use super::document::Section;
use super::error::{ConfigError, Problem};
use super::{AccountConfig, Credential};

/// The most that can be asked for: 8, two fewer than a stock ejabberd lets an account have.
const MOST: u8 = 8;

/// 2 where nobody has said how many, as soon as much waits: a page takes half as long.
const USUAL: u8 = 2;

/// Up to 4 where nobody has said how many and much goes on waiting: a server that allows fewer is not known, and each is one more connection
/// that somebody can count.
const MOST_UNASKED: u8 = 4;

/// How many logins there may be of one account at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// As soon as much waits.
    pub usual: u8,
    /// Where much goes on waiting.
    pub most: u8,
}

impl Sessions {
    const fn up_to(most: u8) -> Self {
        Self { usual: most, most }
    }
}

impl AccountConfig {
    /// How many logins there may be: as many as the user has said, and no more. Without a name that stays, each would be another account;
    /// and a component is one.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        const UNASKED: Sessions = Sessions { usual: USUAL, most: MOST_UNASKED };
        match self.credential {
            Credential::Password(_) | Credential::New => self.sessions.map_or(UNASKED, Sessions::up_to),
            Credential::Anonymous | Credential::Component(_) => Sessions::up_to(1),
        }
    }
}

/// What a section says of it.
pub(super) fn read(section: &Section<'_>) -> Result<Option<u8>, ConfigError> {
    let Some(number) = section.number("sessions")? else { return Ok(None) };
    let sessions = u8::try_from(number.value).ok().filter(|sessions| (1..=MOST).contains(sessions));
    let problem = Problem::OutOfRange { min: 1, max: MOST.into() };
    sessions.map(Some).ok_or_else(|| section.error(number.location, "sessions", problem))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::config::{Login, ServerConfig};

    fn sessions(credential: Credential, sessions: Option<u8>) -> Sessions {
        let jid = "alice@chat.example".parse().unwrap();
        Login { jid, credential }.at(ServerConfig { sessions, ..ServerConfig::default() }).sessions()
    }

    fn password() -> Credential {
        Credential::Password("secret".to_owned().into())
    }

    #[test]
    fn an_account_has_two_logins_and_up_to_four_unless_the_user_says_how_many() {
        assert_eq!(sessions(password(), None), Sessions { usual: 2, most: 4 });
        assert_eq!(sessions(Credential::New, None), Sessions { usual: 2, most: 4 });
        for number in 1..=MOST {
            assert_eq!(sessions(password(), Some(number)), Sessions { usual: number, most: number });
        }
    }

    #[test]
    fn an_anonymous_login_has_no_further_one_whatever_the_user_says() {
        for asked in [None, Some(4)] {
            assert_eq!(sessions(Credential::Anonymous, asked), Sessions { usual: 1, most: 1 });
        }
    }
}
