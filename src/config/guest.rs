//! `[guest]`: what an account may cost a server that is somebody else's.

use super::Server;
use super::document::Section;
use super::error::{ConfigError, Problem};

/// By stanzas 250 MB a day unless the user says otherwise: less than an ejabberd as Debian configures it lets a connection send in a day
/// (3 kB/s, 259 MB).
const DAILY: u64 = 250_000_000;

/// At least 1 MB: with less Tor does not even begin.
const LEAST: u64 = 1_000_000;

/// At most 1 PB, which is no bound at all.
const MOST: u64 = 1_000_000_000_000_000;

pub(super) const KEYS: &[&str] = &["daily_stanza_bytes"];

/// What accounts may cost other people's servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guest {
    daily: u64,
}

impl Default for Guest {
    fn default() -> Self {
        Self { daily: DAILY }
    }
}

impl Guest {
    /// What the file says.
    pub(super) fn read(root: &Section<'_>) -> Result<Self, ConfigError> {
        let Some(section) = root.table("guest", "[guest]", KEYS)? else { return Ok(Self::default()) };
        let Some(number) = section.number("daily_stanza_bytes")? else { return Ok(Self::default()) };
        if !(LEAST..=MOST).contains(&number.value) {
            let problem = Problem::OutOfRange { min: LEAST, max: MOST };
            return Err(section.error(number.location, "daily_stanza_bytes", problem));
        }
        Ok(Self { daily: number.value })
    }

    /// What an account may send by stanzas in a day, in bytes; none is no bound. A server at an address of this machine is one's own.
    pub(super) fn daily_bytes(self, is_mine: bool, server: Option<&Server>) -> Option<u64> {
        let is_mine = is_mine || server.is_some_and(Server::is_loopback);
        (!is_mine).then_some(self.daily)
    }
}
