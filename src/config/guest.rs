//! `[guest]`: what an account may cost a server that is somebody else's.

use super::document::Section;
use super::error::{ConfigError, Problem};
use super::{DailyFiles, Server};

/// By stanzas 250 MB a day unless the user says otherwise: less than an ejabberd as Debian configures it lets a connection send in a day
/// (3 kB/s, 259 MB).
const DAILY: u64 = 250_000_000;

/// At least 1 MB: with less Tor does not even begin.
const LEAST: u64 = 1_000_000;

/// At most 1 PB, which is no bound at all.
const MOST: u64 = 1_000_000_000_000_000;

pub(super) const KEYS: &[&str] = &["daily_stanza_bytes", "daily_file_bytes"];

/// What accounts may cost other people's servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guest {
    daily: u64,
    files: DailyFiles,
}

impl Default for Guest {
    fn default() -> Self {
        Self { daily: DAILY, files: DailyFiles::AsServerSays }
    }
}

impl Guest {
    /// What the file says.
    pub(super) fn read(root: &Section<'_>) -> Result<Self, ConfigError> {
        let mut guest = Self::default();
        let Some(section) = root.table("guest", "[guest]", KEYS)? else { return Ok(guest) };
        if let Some(bytes) = read_daily(&section, "daily_stanza_bytes")? {
            guest.daily = bytes;
        }
        if let Some(bytes) = read_daily(&section, "daily_file_bytes")? {
            guest.files = DailyFiles::Bytes(bytes);
        }
        Ok(guest)
    }

    /// What an account may send by stanzas in a day, in bytes; none is no bound. A server at an address of this machine is one's own.
    pub(super) fn daily_bytes(self, is_mine: bool, server: Option<&Server>) -> Option<u64> {
        (!is_own(is_mine, server)).then_some(self.daily)
    }

    /// What it may upload in a day, likewise.
    pub(super) fn daily_files(self, is_mine: bool, server: Option<&Server>) -> DailyFiles {
        if is_own(is_mine, server) { DailyFiles::Unbounded } else { self.files }
    }
}

fn is_own(is_mine: bool, server: Option<&Server>) -> bool {
    is_mine || server.is_some_and(Server::is_loopback)
}

fn read_daily(section: &Section<'_>, key: &str) -> Result<Option<u64>, ConfigError> {
    let Some(number) = section.number(key)? else { return Ok(None) };
    if !(LEAST..=MOST).contains(&number.value) {
        return Err(section.error(number.location, key, Problem::OutOfRange { min: LEAST, max: MOST }));
    }
    Ok(Some(number.value))
}
