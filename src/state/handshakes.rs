//! Replay log on the disk: the handshakes that were accepted of late, so that a second one with the same id is found also after
//! a restart.
//!
//! It changes with every handshake and is of no use after 20 minutes, so that it has a file of its own: a line for each,
//! on the disk before anybody is answered. The file is written anew, without what is past, when most of it is.
//!
//! [`ReplayLog`] decides what is past. Up to which minute it has forgotten handshakes is in the file, too: as a line with that minute and an
//! id of all zeros, which no handshake has.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::StateError;
use super::file::{read_bounded, write_atomically};
use crate::replay_log::{self, ReplayLog, Verdict};

/// The file, in the state directory: a line that names the format, then lines of a minute and an id.
pub(super) const HANDSHAKES_FILE: &str = "hexchat_handshakes.txt";

const FORMAT: &str = "hexchat-pt handshakes 1";

/// The most handshakes that are remembered: 100,000, eight times what 600 a minute make in 20 minutes.
const MAX_HANDSHAKES: usize = 100_000;

/// Outdated lines, beyond as many as are valid, with which the file is written anew: 128 are not worth it.
const MIN_GARBAGE: usize = 128;

type Handshake = replay_log::Handshake<[u8; 16]>;

/// Stands for the handshakes of its minute and earlier ones that were forgotten.
const FORGOTTEN: [u8; 16] = [0; 16];

/// All of them, and the file.
#[derive(Default)]
pub(super) struct Handshakes {
    log: ReplayLog<[u8; 16]>,
    file: LogFile,
}

/// The file, as far as this process has written it.
#[derive(Default)]
enum LogFile {
    /// It may end in half a line, or may not be there.
    #[default]
    Unknown,
    /// It has this many lines, all whole.
    Open { file: File, lines: usize },
}

impl fmt::Debug for Handshakes {
    /// How many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes").field("known", &self.log.len()).finish_non_exhaustive()
    }
}

impl Handshakes {
    /// Reads the file; nothing when there is none.
    pub(super) fn read(directory: &Path) -> Result<Self, StateError> {
        let path = directory.join(HANDSHAKES_FILE);
        match read_bounded(&path) {
            Ok(bytes) => Ok(Self::of(parse(&bytes, &path)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(StateError::of_file("reading", path, error)),
        }
    }

    fn of(known: BTreeSet<Handshake>) -> Self {
        let (forgotten, known): (BTreeSet<_>, _) = known.into_iter().partition(|(_, sid)| *sid == FORGOTTEN);
        let forgotten = forgotten.last().map(|(minute, _)| *minute);
        Self { log: ReplayLog::new(known, forgotten), file: LogFile::Unknown }
    }

    /// See [`ReplayLog::minutes_locked`].
    pub(super) fn minutes_locked(&self, now_minute: u64) -> Option<u64> {
        self.log.minutes_locked(now_minute)
    }

    /// Takes one handshake in, and says whether it was there.
    pub(super) fn remember(
        &mut self,
        directory: &Path,
        handshake: Handshake,
        now_minute: u64,
    ) -> Result<Verdict, StateError> {
        let verdict = self.log.check(now_minute, handshake);
        if verdict != Verdict::New {
            return Ok(verdict);
        }
        if self.log.len() >= MAX_HANDSHAKES {
            return Err(StateError::TooManyHandshakes);
        }
        // It stays known even if it cannot be written: it was refused, and must be refused again.
        self.log.insert(handshake);
        self.write(directory, handshake)?;
        Ok(Verdict::New)
    }

    fn write(&mut self, directory: &Path, handshake: Handshake) -> Result<(), StateError> {
        // After a fault the file may end in half a line, to which nothing must be added.
        match std::mem::take(&mut self.file) {
            LogFile::Open { mut file, lines } if lines < 2 * self.log.len() + MIN_GARBAGE => {
                let appended = file.write_all(line(handshake).as_bytes()).and_then(|()| file.sync_data());
                let path = directory.join(HANDSHAKES_FILE);
                appended.map_err(|error| StateError::of_file("writing", path, error))?;
                self.file = LogFile::Open { file, lines: lines + 1 };
            }
            _ => self.file = self.rewrite(directory)?,
        }
        Ok(())
    }

    fn rewrite(&self, directory: &Path) -> Result<LogFile, StateError> {
        let forgotten = self.log.forgotten().map(|minute| (minute, FORGOTTEN));
        let lines: String =
            forgotten.iter().chain(self.log.iter()).map(|handshake| line(*handshake)).collect();
        write_atomically(directory, HANDSHAKES_FILE, format!("{FORMAT}\n{lines}").as_bytes())?;
        let path = directory.join(HANDSHAKES_FILE);
        match OpenOptions::new().append(true).open(&path) {
            Ok(file) => Ok(LogFile::Open { file, lines: self.log.len() }),
            Err(error) => Err(StateError::of_file("opening", path, error)),
        }
    }
}

fn line((minute, sid): Handshake) -> String {
    format!("{minute} {:032x}\n", u128::from_be_bytes(sid))
}

fn parse(bytes: &[u8], path: &Path) -> Result<BTreeSet<Handshake>, StateError> {
    // What comes after the last line break was being written when the machine stopped, and nobody was answered.
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let damaged = |line| StateError::DamagedHandshakes { path: path.to_owned(), line };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| damaged(0))?;
    let mut lines = text.lines().enumerate();
    match lines.next() {
        Some((_, FORMAT)) => {}
        Some((_, other)) if other.starts_with("hexchat-pt handshakes ") => {
            return Err(StateError::TooNew(PathBuf::from(path)));
        }
        _ => return Err(damaged(1)),
    }
    lines.map(|(n, line)| parse_line(line).ok_or_else(|| damaged(n + 1))).collect()
}

fn parse_line(line: &str) -> Option<Handshake> {
    let (minute, sid) = line.split_once(' ')?;
    let is_sid = sid.len() == 32 && sid.bytes().all(|digit| digit.is_ascii_hexdigit());
    let sid = u128::from_str_radix(sid, 16).ok().filter(|_| is_sid)?;
    Some((minute.parse().ok()?, sid.to_be_bytes()))
}

#[cfg(test)]
mod tests;
