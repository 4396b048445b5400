//! `sessions`: how many logins there may be of one account at a time.

use super::document::Section;
use super::error::{ConfigError, Problem};
use super::{AccountConfig, Credential};

/// The most that can be asked for: 8, two fewer than a stock ejabberd lets an account have.
const MOST: u8 = 8;

impl AccountConfig {
    /// How many logins there may be at the most: 1 where nobody has said how many, as each is one more connection that somebody can count.
    /// Without a name that stays, each would be another account; and a component is one.
    #[must_use]
    pub fn most_sessions(&self) -> u8 {
        match self.credential {
            Credential::Password(_) | Credential::New => self.sessions.unwrap_or(1),
            Credential::Anonymous | Credential::Component(_) => 1,
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
