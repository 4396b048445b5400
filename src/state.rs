//! State directory: what is kept between runs, for one process at a time.
//!
//! [`StateDir::open`] locks the directory and reads `hexchat_state.json`; every change is written at once, to a new
//! file that then takes the old one's place, so that a crash leaves either the old state or the new one. What a bridge
//! has accepted of late is kept beside it in `hexchat_handshakes.txt`, which only grows by a line at a time.
//!
//! A client needs no state to work: [`StateDir::open_or_ephemeral`] goes on in memory when the directory cannot be
//! used, beginning with what is in it if it can be read and not written, and keeps the [reason](StateDir::ephemeral_because)
//! for the log.

mod error;
mod file;
mod handshakes;
mod hint;
pub mod registration;
mod resource;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use xmpp_parsers::jid::{BareJid, ResourcePart};

pub use self::error::StateError;
use self::file::{Contents, open_regular, write_atomically};
use self::handshakes::Handshakes;
use self::registration::Registration;
use crate::os;
pub use crate::replay_log::Verdict;

/// The file with everything that only this program reads.
const STATE_FILE: &str = "hexchat_state.json";

/// The file with a bridge's own bridge line, for people.
pub const BRIDGE_LINE_FILE: &str = "hexchat_bridgeline.txt";

/// An empty file that the process which uses the directory holds locked.
const LOCK_FILE: &str = "hexchat_state.lock";

/// The state of this process, kept in a directory or in memory only.
#[derive(Debug)]
pub struct StateDir {
    home: Home,
    contents: Mutex<Contents>,
    handshakes: Mutex<Handshakes>,
}

/// What an account had used of what it may send or upload in a day, at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaUsed {
    /// In bytes: of stanzas on the wire, of files as they are.
    pub bytes: u64,
    /// In seconds since 1970.
    pub at: u64,
}

#[derive(Debug)]
enum Home {
    Directory {
        path: PathBuf,
        /// Locked as long as it is open.
        _lock: File,
    },
    Memory {
        reason: StateError,
    },
}

impl StateDir {
    /// Takes possession of a directory, which is made if it is not there and closed to other users if it was open.
    ///
    /// # Errors
    /// [`StateError::Locked`] while another process uses it, which can pass; everything else needs somebody to act.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        make_private(path)?;
        let lock = lock(path)?;
        let contents = Contents::read(&path.join(STATE_FILE))?;
        let handshakes = Handshakes::read(path)?;
        let home = Home::Directory { path: path.to_owned(), _lock: lock };
        Ok(Self { home, contents: Mutex::new(contents), handshakes: Mutex::new(handshakes) })
    }

    /// As [`StateDir::open`], but in memory when that fails: for a client, which needs nothing from its last run. What is in a directory
    /// that can be read and not written is there all the same.
    ///
    /// Whoever finds a client's state must not learn its accounts from it. The list of them that earlier versions kept
    /// is left out of the next file, unless the directory is also a bridge's.
    #[must_use]
    pub fn open_or_ephemeral(path: Option<&Path>) -> Self {
        let opened = path.ok_or(StateError::Nowhere).and_then(Self::open);
        let state = opened.unwrap_or_else(|reason| match path {
            Some(path) if reason.is_about_writing() => Self::unwritable(path, reason),
            _ => Self::ephemeral(reason),
        });
        state.contents().forget_accounts_of_client();
        state
    }

    /// What is in a directory that cannot be written, for this reason, with changes that end with the process.
    fn unwritable(path: &Path, reason: StateError) -> Self {
        let read = check_not_in_use(path).and_then(|()| Contents::read(&path.join(STATE_FILE)));
        match read {
            Ok(contents) => Self { contents: Mutex::new(contents), ..Self::ephemeral(reason) },
            Err(reason) => Self::ephemeral(reason),
        }
    }

    /// A state that ends with the process.
    #[must_use]
    pub fn ephemeral(reason: StateError) -> Self {
        Self { home: Home::Memory { reason }, contents: Mutex::default(), handshakes: Mutex::default() }
    }

    /// Why nothing is kept; `None` when something is.
    #[must_use]
    pub fn ephemeral_because(&self) -> Option<&StateError> {
        match &self.home {
            Home::Directory { .. } => None,
            Home::Memory { reason } => Some(reason),
        }
    }

    /// The directory, unless what changes is in memory only.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.home {
            Home::Directory { path, .. } => Some(path),
            Home::Memory { .. } => None,
        }
    }

    /// The resource of an account that was configured without one, always the same: derived from the bare JID and a
    /// secret that is made once, at random, and kept. Where an earlier version has listed another one, that one stays.
    ///
    /// # Errors
    /// When a new secret cannot be written to the directory. The same one is tried again at the next call, and gives
    /// the answers as long as the process lives.
    pub fn resource_for(&self, account: &BareJid) -> Result<ResourcePart, StateError> {
        self.change(|contents| contents.resource(account, random_secret))
    }

    /// What became of the registration at this place, a domain or a domain and a pin.
    pub fn registration(&self, place: &str) -> Option<Registration> {
        self.contents().registration(place).cloned()
    }

    /// Keeps what becomes of the registration at this place, or forgets it. It is on the disk when this returns, unless this state is
    /// [ephemeral](Self::ephemeral_because).
    ///
    /// # Errors
    /// When it cannot be written: an account that is gone at the next start would be registered anew, again and again.
    pub fn keep_registration(
        &self,
        place: &str,
        registration: Option<Registration>,
    ) -> Result<(), StateError> {
        self.change(|contents| contents.set_registration(place, registration))
    }

    /// What worked last at this domain, in one word.
    pub fn hint(&self, domain: &str) -> Option<String> {
        self.contents().hint(domain).map(str::to_owned)
    }

    /// Keeps what has worked at this domain, in one word, or forgets it. The file does not name the domain.
    ///
    /// # Errors
    /// When it cannot be written to the directory.
    pub fn keep_hint(&self, domain: &str, word: Option<&str>) -> Result<(), StateError> {
        self.change(|contents| contents.set_hint(domain, word, random_secret))
    }

    /// What an account had used of what it may send in a day.
    pub fn quota_used(&self, account: &BareJid) -> Option<QuotaUsed> {
        self.contents().quota_used(account)
    }

    /// Keeps that. The file does not name the account.
    ///
    /// # Errors
    /// When it cannot be written to the directory.
    pub fn keep_quota_used(&self, account: &BareJid, used: QuotaUsed) -> Result<(), StateError> {
        self.change(|contents| contents.set_quota_used(account, used, random_secret))
    }

    /// What an account had uploaded of what it may in a day.
    pub fn uploaded(&self, account: &BareJid) -> Option<QuotaUsed> {
        self.contents().uploaded(account)
    }

    /// Keeps that. The file does not name the account.
    ///
    /// # Errors
    /// When it cannot be written to the directory.
    pub fn keep_uploaded(&self, account: &BareJid, used: QuotaUsed) -> Result<(), StateError> {
        self.change(|contents| contents.set_uploaded(account, used, random_secret))
    }

    /// Whether the secret key of a bridge was made already.
    #[must_use]
    pub fn has_identity(&self) -> bool {
        self.contents().has_identity()
    }

    /// The secret key of a bridge (X25519): made once, at random, and kept.
    ///
    /// # Errors
    /// When there is no directory, or a new key cannot be written to it: a bridge line with a key that is gone at the
    /// next start would be of no use.
    pub fn identity(&self) -> Result<Zeroizing<[u8; 32]>, StateError> {
        self.path().ok_or(StateError::NotKept)?;
        self.change(|contents| contents.identity_or_insert_with(random_secret))
    }

    /// Makes another secret key of a bridge, and lets accounts have other resources, so that what leads to the old ones leads nowhere any
    /// more. The file with a bridge line that names them is removed. Tells whether there was a key.
    ///
    /// # Errors
    /// When there is no directory, the new ones cannot be kept, or the line cannot be removed.
    pub fn renew_identity(&self) -> Result<bool, StateError> {
        let directory = self.path().ok_or(StateError::NotKept)?;
        if !self.change(|contents| contents.renew_identity(random_secret))? {
            return Ok(false);
        }
        let line = directory.join(BRIDGE_LINE_FILE);
        match fs::remove_file(&line) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StateError::of_file("removing the old bridge line", line, error))
            }
            _ => Ok(true),
        }
    }

    /// Takes a handshake in: when this returns [`Verdict::New`], it is on the disk, and will be found
    /// whatever happens to this process or machine. Waits for the disk.
    ///
    /// `minute` is the one that the handshake names, at most ten from `now_minute`; both count from the Unix epoch.
    ///
    /// # Errors
    /// When it cannot be written. The handshake must be refused then, and will be found as a
    /// [replay](Verdict::Replay) if it comes again.
    pub fn remember_handshake(
        &self,
        sid: [u8; 16],
        minute: u64,
        now_minute: u64,
    ) -> Result<Verdict, StateError> {
        let directory = self.path().ok_or(StateError::NotKept)?;
        self.handshakes().remember(directory, (minute, sid), now_minute)
    }

    /// For how many minutes nobody who has the right time can be let in, because handshakes of later minutes than
    /// `now_minute` were forgotten: the clock was far ahead once.
    #[must_use]
    pub fn minutes_locked(&self, now_minute: u64) -> Option<u64> {
        self.handshakes().minutes_locked(now_minute)
    }

    /// Writes a file for people beside the state, atomically and for the owner alone; nothing when in memory.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn write_file(&self, name: &str, text: &[u8]) -> Result<(), StateError> {
        match &self.home {
            Home::Directory { path, .. } => write_atomically(path, name, text),
            Home::Memory { .. } => Ok(()),
        }
    }

    /// Changes the state, and writes it if that is needed.
    #[expect(
        clippy::significant_drop_tightening,
        reason = "the file must be written in the order of the changes"
    )]
    fn change<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> Result<T, StateError> {
        // Held until the file is written, so that two writers cannot overtake each other.
        let mut contents = self.contents();
        let value = change(&mut contents);
        if contents.is_unsaved() {
            self.save(&contents)?;
            contents.mark_saved();
        }
        Ok(value)
    }

    fn save(&self, contents: &Contents) -> Result<(), StateError> {
        self.write_file(STATE_FILE, &contents.to_json())
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // A panic elsewhere cannot leave it half changed: each change is one insertion.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handshakes(&self) -> MutexGuard<'_, Handshakes> {
        // As above; and a file that was half written is written anew.
        self.handshakes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the state is when nobody says otherwise: `$XDG_STATE_HOME/hexchat-pt`, else `~/.local/state/hexchat-pt`.
///
/// `lookup` reads an environment variable. As the XDG specification asks, relative paths are ignored.
pub fn default_dir(lookup: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("hexchat-pt"))
}

/// A directory of our own with mode 0700.
fn make_private(path: &Path) -> Result<(), StateError> {
    let failed = |action| move |error| StateError::Io { action, path: path.to_owned(), error };
    os::create_private_dir(path).map_err(|error| StateError::of_making(path.to_owned(), error))?;
    let metadata = fs::metadata(path).map_err(failed("inspecting the state directory"))?;
    if os::is_shared(&metadata) || path.parent().is_none() {
        return Err(StateError::Shared(path.to_owned()));
    }
    // Root could close it to its owner, and would then keep secrets where the owner can open it again.
    if os::is_foreign(&metadata) {
        return Err(StateError::Foreign(path.to_owned()));
    }
    os::close_dir_to_others(path, &metadata).map_err(failed("closing the state directory to other users"))
}

/// That nobody else uses a directory which cannot be written, as far as that can be told.
fn check_not_in_use(directory: &Path) -> Result<(), StateError> {
    let lock = open_regular(OpenOptions::new().read(true), &directory.join(LOCK_FILE));
    match lock.map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => Err(StateError::Locked(directory.to_owned())),
        _ => Ok(()),
    }
}

/// Locks a directory for as long as the returned file is open; the system unlocks it when the process ends.
fn lock(directory: &Path) -> Result<File, StateError> {
    let path = directory.join(LOCK_FILE);
    let failed = |action| {
        let path = path.clone();
        move |error| StateError::of_file(action, path, error)
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = open_regular(&mut options, &path).map_err(failed("opening the lock file"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::Locked(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed("locking")(error)),
    }
}

fn random_secret() -> Zeroizing<[u8; 32]> {
    Zeroizing::new(rand::random())
}

#[cfg(test)]
mod tests;
