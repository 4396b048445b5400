//! State file: its format, and its replacement as a whole.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use xmpp_parsers::jid::{BareJid, ResourcePart};

use super::error::Obstacle;
use super::registration::Registration;
use super::{QuotaUsed, StateError, hint, resource};
use crate::os;

/// The format that this program writes. A field more does not change it; a field that means something else does.
const VERSION: u64 = 1;

/// The longest file that is read: 16 MiB, twice the longest replay log.
const MAX_FILE: u64 = 16 << 20;

/// Hints that are kept at most: 32, more than a user has accounts. Of more, any other makes room: a hint is no loss.
const MOST_HINTS: usize = 32;

/// Quotas that are kept at most: 256, two for twice the accounts of a configuration file.
const MOST_QUOTAS: usize = 256;

/// A day, in seconds.
const DAY: u64 = 24 * 3600;

/// A secret in the file, which has it in base64url without padding.
type Secret = Zeroizing<[u8; 32]>;

/// Everything in the state file.
#[derive(Default)]
pub(super) struct Contents {
    /// Resources by account, as earlier versions made them at random. None is added: see [`resource`].
    listed: BTreeMap<BareJid, ResourcePart>,
    /// The key that all other resources are derived with.
    resource_secret: Option<Secret>,
    /// A bridge's secret key.
    identity: Option<Secret>,
    /// By place: a domain, and behind it a pin, or "plaintext" for a server without TLS.
    registrations: BTreeMap<String, Registration>,
    /// What worked last, by what the secret makes of the domain.
    hints: BTreeMap<String, String>,
    /// What accounts have used of what they may send and upload in a day, by what the secret makes of their names.
    quotas: BTreeMap<String, QuotaUsed>,
    /// What a later version of this program keeps here.
    other: BTreeMap<String, serde_json::Value>,
    unsaved: bool,
}

impl fmt::Debug for Contents {
    /// How much there is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").field("listed", &self.listed.len()).finish_non_exhaustive()
    }
}

/// The JSON object.
#[derive(Serialize, Deserialize)]
struct Format {
    version: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    resources: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource_secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    registrations: BTreeMap<String, Registration>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    hints: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    quotas: BTreeMap<String, QuotaUsed>,
    #[serde(flatten)]
    other: BTreeMap<String, serde_json::Value>,
}

/// All that must be understood before the rest can be.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl Contents {
    /// Reads the file; nothing when there is none.
    pub(super) fn read(path: &Path) -> Result<Self, StateError> {
        match read_bounded(path) {
            Ok(bytes) => Self::from_json(&bytes, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(StateError::of_file("reading the state file", path.to_owned(), error)),
        }
    }

    fn from_json(bytes: &[u8], path: &Path) -> Result<Self, StateError> {
        let corrupt = |line, column| StateError::Corrupt { path: path.to_owned(), line, column };
        // The parser's own text could repeat what it read.
        let unreadable = |error: serde_json::Error| corrupt(error.line(), error.column());
        let Version { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if version > VERSION {
            return Err(StateError::TooNew(path.to_owned()));
        }
        let format: Format = serde_json::from_slice(bytes).map_err(unreadable)?;
        let damaged = || corrupt(0, 0);
        let listed = format.resources.iter().map(parse_resource).collect::<Option<_>>();
        let secret =
            |text: Option<String>| text.map(|text| parse_secret(&text).ok_or_else(damaged)).transpose();
        Ok(Self {
            listed: listed.ok_or_else(damaged)?,
            resource_secret: secret(format.resource_secret)?,
            identity: secret(format.identity)?,
            registrations: format.registrations,
            hints: format.hints,
            quotas: format.quotas,
            other: format.other,
            unsaved: false,
        })
    }

    /// The text of the file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let text = |(account, resource): (&BareJid, &ResourcePart)| {
            (account.as_str().to_owned(), resource.as_str().to_owned())
        };
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        let format = Format {
            version: VERSION,
            resources: self.listed.iter().map(text).collect(),
            resource_secret: secret(&self.resource_secret),
            identity: secret(&self.identity),
            registrations: self.registrations.clone(),
            hints: self.hints.clone(),
            quotas: self.quotas.clone(),
            other: self.other.clone(),
        };
        #[expect(clippy::expect_used, reason = "maps with text as keys always have a JSON form")]
        let mut json = serde_json::to_vec_pretty(&format).expect("a JSON object");
        json.push(b'\n');
        json
    }

    /// The resource of an account: the one that is listed, else the one that the secret gives it, which `make` makes at
    /// first.
    pub(super) fn resource(&mut self, account: &BareJid, make: impl FnOnce() -> Secret) -> ResourcePart {
        if let Some(listed) = self.listed.get(account) {
            return listed.clone();
        }
        self.unsaved |= self.resource_secret.is_none();
        resource::derive(self.resource_secret.get_or_insert_with(make), account)
    }

    /// Leaves the listed accounts out of the next file, unless this is a bridge's: its bridge lines name them.
    pub(super) fn forget_accounts_of_client(&mut self) {
        if self.identity.is_none() && !self.listed.is_empty() {
            self.listed.clear();
            self.unsaved = true;
        }
    }

    /// What became of the registration at this place.
    pub(super) fn registration(&self, place: &str) -> Option<&Registration> {
        self.registrations.get(place)
    }

    pub(super) fn set_registration(&mut self, place: &str, registration: Option<Registration>) {
        if self.registrations.get(place) == registration.as_ref() {
            return;
        }
        match registration {
            Some(new) => drop(self.registrations.insert(place.to_owned(), new)),
            None => drop(self.registrations.remove(place)),
        }
        self.unsaved = true;
    }

    /// What worked last at this domain.
    pub(super) fn hint(&self, domain: &str) -> Option<&str> {
        let name = hint::name(self.resource_secret.as_deref()?, "hint", domain);
        self.hints.get(&name).map(String::as_str)
    }

    pub(super) fn set_hint(&mut self, domain: &str, word: Option<&str>, make: impl FnOnce() -> Secret) {
        if self.hint(domain) == word {
            return;
        }
        let name = hint::name(self.resource_secret.get_or_insert_with(make), "hint", domain);
        self.hints.remove(&name);
        if let Some(word) = word {
            while self.hints.len() >= MOST_HINTS {
                self.hints.pop_first();
            }
            self.hints.insert(name, word.to_owned());
        }
        self.unsaved = true;
    }

    /// What the account had used of what it may send in a day.
    pub(super) fn quota_used(&self, account: &BareJid) -> Option<QuotaUsed> {
        self.used("quota", account)
    }

    /// What it had uploaded of what it may upload in a day.
    pub(super) fn uploaded(&self, account: &BareJid) -> Option<QuotaUsed> {
        self.used("uploads", account)
    }

    fn used(&self, of: &str, account: &BareJid) -> Option<QuotaUsed> {
        let name = hint::name(self.resource_secret.as_deref()?, of, account.as_str());
        self.quotas.get(&name).copied()
    }

    /// Keeps that, and nothing of accounts that used theirs a day earlier.
    pub(super) fn set_quota_used(
        &mut self,
        account: &BareJid,
        used: QuotaUsed,
        make: impl FnOnce() -> Secret,
    ) {
        self.set_used(("quota", account), used, make);
    }

    /// The same of uploads.
    pub(super) fn set_uploaded(&mut self, account: &BareJid, used: QuotaUsed, make: impl FnOnce() -> Secret) {
        self.set_used(("uploads", account), used, make);
    }

    fn set_used(&mut self, (of, account): (&str, &BareJid), used: QuotaUsed, make: impl FnOnce() -> Secret) {
        let name = hint::name(self.resource_secret.get_or_insert_with(make), of, account.as_str());
        self.quotas.retain(|_, earlier| earlier.at + DAY > used.at);
        while self.quotas.len() >= MOST_QUOTAS {
            self.quotas.pop_first();
        }
        self.quotas.insert(name, used);
        self.unsaved = true;
    }

    /// The secret key of the bridge, a new one at first.
    pub(super) fn has_identity(&self) -> bool {
        self.identity.is_some()
    }

    pub(super) fn identity_or_insert_with(&mut self, make: impl FnOnce() -> Secret) -> Secret {
        self.unsaved |= self.identity.is_none();
        self.identity.get_or_insert_with(make).clone()
    }

    /// Another secret key, where there is one, and another key to derive resources with. What is kept under names that the old one made is
    /// no longer found, and goes.
    pub(super) fn renew_identity(&mut self, make: impl Fn() -> Secret) -> bool {
        if self.identity.is_none() {
            return false;
        }
        (self.identity, self.resource_secret) = (Some(make()), Some(make()));
        self.listed.clear();
        self.hints.clear();
        self.quotas.clear();
        self.unsaved = true;
        true
    }

    /// Whether the file does not have the last change.
    pub(super) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    pub(super) fn mark_saved(&mut self) {
        self.unsaved = false;
    }
}

fn parse_resource((account, resource): (&String, &String)) -> Option<(BareJid, ResourcePart)> {
    Some((BareJid::new(account).ok()?, ResourcePart::new(resource).ok()?.into_owned()))
}

fn parse_secret(text: &str) -> Option<Secret> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
    <[u8; 32]>::try_from(&bytes[..]).ok().map(Zeroizing::new)
}

/// Opens a file of the owner's alone, and nothing else: neither a pipe nor a device.
pub(super) fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    match os::open_private(options, path) {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(io::Error::other(Obstacle::NotRegular)),
        Err(error) => Err(Obstacle::at(path, &error).map_or(error, io::Error::other)),
    }
}

/// A whole file, unless it is longer than any that this program writes.
pub(super) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = open_regular(OpenOptions::new().read(true), path)?;
    match file.take(MAX_FILE + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > MAX_FILE => Err(io::ErrorKind::FileTooLarge.into()),
        Ok(_) => Ok(bytes),
        Err(error) => Err(error),
    }
}

/// Puts a file of mode 0600 in the place of `name`, whole and on the disk, or leaves the old one.
pub(super) fn write_atomically(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), StateError> {
    let path = directory.join(name);
    let temporary = directory.join(format!("{name}.tmp"));
    write_new(&temporary, bytes).map_err(|error| StateError::of_file("writing", temporary.clone(), error))?;
    let replaced = fs::rename(&temporary, &path).and_then(|()| os::sync_dir(directory));
    replaced.map_err(|error| StateError::of_file("writing", path, error))
}

/// Writes a file that was not there; one that a crash left behind is removed first.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = os::open_private(OpenOptions::new().write(true).create_new(true), path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
