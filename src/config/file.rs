//! The configuration file: its sections, and what each key means.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use xmpp_parsers::jid::Jid;

use super::arguments::{Arguments, how_to_connect};
use super::document::{Document, Given, Section};
use super::error::{ConfigError, Location, Problem, Warning};
use super::guest::Guest;
use super::input::{Text, check_certificates, read_text};
use super::key::{CertificatePin, PresharedKey};
use super::keys::{ACCOUNT, ARGUMENTS, BRIDGE, CLIENT, COMPONENT, METRICS, SECTIONS, TRACE};
use super::lanes::Lanes;
use super::limits::Limits;
use super::value::{parse_jid, parse_server, parse_tls};
use super::{AccountConfig, BridgeSettings, Config, Credential, component, sessions};

/// The longest configuration file: 1 MiB, many times one with all settings and accounts.
const MAX_FILE: usize = 1 << 20;

/// The longest password file: 4 KiB, for its one line.
const MAX_PASSWORD: usize = 4096;

/// The most `[[account]]` sections: 64, twice the accounts of the largest bridge in `doc/scaling.md`.
const MAX_ACCOUNTS: usize = 64;

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When the file cannot be read or says something that can never work; see [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let Text { text, world_readable } = read_text(path, MAX_FILE)
            .map_err(|problem| ConfigError::new(Location::WholeFile(Arc::from(path)), "", problem))?;
        let (mut config, holds_secrets) = read(&text, path)?;
        if world_readable && holds_secrets {
            config.warnings.push(Warning::Exposed(path.to_owned()));
        }
        Ok(config)
    }

    /// Reads the text of a configuration file. `path` appears in errors, and relative paths in the text start at its
    /// directory.
    ///
    /// # Errors
    /// As [`Config::load`]; also when a `password_file` or `ca_file` cannot be read.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        read(text, path).map(|(config, _)| config)
    }
}

/// Also tells whether the text itself, and not only a `password_file`, holds something to hide.
fn read(text: &str, path: &Path) -> Result<(Config, bool), ConfigError> {
    let document = Document { path: Arc::from(path), text: text.strip_prefix('\u{feff}').unwrap_or(text) };
    let table = document.parse()?;
    let root = document.root(&table, &SECTIONS.map(|(name, _)| name))?;
    let mut config = Config::default();
    let guest = Guest::read(&root)?;
    let holds_passwords = read_accounts(&root, path, guest, &mut config)?;
    read_settings(&root, path, &mut config)?;
    config.client.guest = guest;
    let holds_secrets = holds_passwords
        || config.client.holds_secrets()
        || config.bridge.psk.is_some()
        || config.lanes.holds_secrets();
    Ok((config, holds_secrets))
}

/// Every `[[account]]`. Also tells whether a password was among them.
fn read_accounts(
    root: &Section<'_>,
    path: &Path,
    guest: Guest,
    config: &mut Config,
) -> Result<bool, ConfigError> {
    let mut holds_passwords = false;
    for section in root.tables("account", "[[account]]", ACCOUNT)? {
        let account = read_account(&section, directory_of(path), guest, &mut config.warnings)?;
        add_account(&mut config.accounts, account.value)
            .map_err(|problem| section.error(account.location, "jid", problem))?;
        holds_passwords |= section.keys().any(|key| key == "password");
    }
    if let Some(section) = root.table("component", "[component]", COMPONENT)? {
        let component = component::read(&section, directory_of(path), &mut config.warnings)?;
        add_account(&mut config.accounts, component.value)
            .map_err(|problem| section.error(component.location, "domain", problem))?;
        holds_passwords |= section.keys().any(|key| key == "secret");
    }
    Ok(holds_passwords)
}

/// The sections of which there is one.
fn read_settings(root: &Section<'_>, path: &Path, config: &mut Config) -> Result<(), ConfigError> {
    if let Some(section) = root.table("client", "[client]", CLIENT)? {
        config.client = read_client(&section, directory_of(path))?;
    }
    if let Some(section) = root.table("bridge", "[bridge]", BRIDGE)? {
        config.bridge = read_bridge(&section)?;
    }
    config.lanes = Lanes::read(root)?;
    let limits = Limits::BOUNDS.iter().map(|bound| bound.name).collect::<Vec<_>>();
    if let Some(section) = root.table("limits", "[limits]", &limits)? {
        config.limits = read_limits(&section)?;
    }
    if let Some(section) = root.table("metrics", "[metrics]", METRICS)? {
        config.metrics = section.parsed("listen", parse_metrics)?.map(|given| given.value);
    }
    if let Some(section) = root.table("trace", "[trace]", TRACE)? {
        config.trace = read_path(&section, "file", directory_of(path))?.map(|given| given.value);
    }
    Ok(())
}

/// Nobody but this machine may ask for metrics.
fn parse_metrics(text: &str) -> Result<SocketAddr, Problem> {
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
    address.ok_or(Problem::Invalid("a loopback address with a port, such as \"127.0.0.1:9464\""))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// An account, at the location of its JID.
fn read_account(
    section: &Section<'_>,
    directory: &Path,
    guest: Guest,
    warnings: &mut Vec<Warning>,
) -> Result<Given<AccountConfig>, ConfigError> {
    let jid = section
        .parsed("jid", parse_jid)?
        .ok_or_else(|| section.missing("jid", "add jid = \"user@chat.example\""))?;
    let password = read_secret(section, ("password", "password_file"), directory, warnings)?;
    let credential = credential_for(section, &jid, password)?;
    let server = section.parsed("server", parse_server)?;
    let tls = section.parsed("tls", parse_tls)?;
    let mode = how_to_connect(tls.as_ref(), server.as_ref())
        .map_err(|(location, key, problem)| section.error(location, key, problem))?;
    let ca_file = read_ca_file(section, directory)?.map(|given| given.value);
    let pin = section.parsed("pin", CertificatePin::parse)?.map(|given| given.value);
    let server = server.map(|given| given.value);
    let roster = section.flag("roster")?.is_some_and(|given| given.value);
    let sessions = sessions::read(section)?;
    let is_mine = is_mine(section)?;
    let daily_bytes = guest.daily_bytes(is_mine, server.as_ref());
    let daily_files = guest.daily_files(is_mine, server.as_ref());
    let (jid, location) = (jid.value, jid.location);
    let account = AccountConfig {
        jid,
        credential,
        server,
        tls: mode,
        pin,
        ca_file,
        roster,
        sessions,
        daily_bytes,
        daily_files,
    };
    Ok(Given { value: account, location })
}

/// Whether the server is the user's own.
fn is_mine(section: &Section<'_>) -> Result<bool, ConfigError> {
    Ok(section.flag("mine")?.is_some_and(|given| given.value))
}

/// The secret that the section holds under the first of these keys, or points to under the second.
pub(super) fn read_secret(
    section: &Section<'_>,
    (key, file_key): (&str, &str),
    directory: &Path,
    warnings: &mut Vec<Warning>,
) -> Result<Option<SecretString>, ConfigError> {
    let password = section.parsed(key, checked_password)?;
    let Some(file) = read_path(section, file_key, directory)? else {
        return Ok(password.map(|given| given.value));
    };
    if password.is_some() {
        let problem = Problem::Conflict("the secret itself is given as well; keep one of them");
        return Err(section.error(file.location, file_key, problem));
    }
    let read = read_text(&file.value, MAX_PASSWORD).and_then(|read| {
        let line = read.text.strip_suffix('\n').unwrap_or(&read.text);
        Ok((checked_password(line.strip_suffix('\r').unwrap_or(line))?, read.world_readable))
    });
    let (password, exposed) = read.map_err(|problem| section.error(file.location, file_key, problem))?;
    if exposed {
        warnings.push(Warning::Exposed(file.value));
    }
    Ok(Some(password))
}

/// A password that SASL can carry (RFC 4013 has no control characters).
fn checked_password(text: &str) -> Result<SecretString, Problem> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Problem::Invalid("a password: one line that is not empty, without control characters"));
    }
    Ok(SecretString::from(text))
}

/// A user has a password, and a domain alone has none.
fn credential_for(
    section: &Section<'_>,
    jid: &Given<Jid>,
    password: Option<SecretString>,
) -> Result<Credential, ConfigError> {
    let error = |problem| section.error(jid.location.clone(), "jid", problem);
    match (jid.value.node(), password) {
        (Some(_), Some(password)) => Ok(Credential::Password(password)),
        (None, None) if jid.value.is_bare() => Ok(Credential::Anonymous),
        (None, None) => Err(error(Problem::Invalid("a domain alone, to log in anonymously"))),
        (Some(_), None) => Err(section.missing("password", "add password = \"…\" or password_file = \"…\"")),
        (None, Some(_)) => Err(error(Problem::Invalid("user@domain, because there is a password"))),
    }
}

/// Adds an account that is not there yet; two logins under one JID would throw each other out.
fn add_account(accounts: &mut Vec<AccountConfig>, account: AccountConfig) -> Result<(), Problem> {
    if accounts.iter().any(|earlier| earlier.jid == account.jid) {
        return Err(Problem::Repeated);
    }
    if accounts.len() == MAX_ACCOUNTS {
        return Err(Problem::TooMany { max: MAX_ACCOUNTS });
    }
    accounts.push(account);
    Ok(())
}

fn read_client(section: &Section<'_>, directory: &Path) -> Result<Arguments, ConfigError> {
    let mut arguments = Arguments::default();
    for name in ARGUMENTS {
        if let Some(text) = section.parsed(name, |text| Ok(Zeroizing::new(text.to_owned())))? {
            let set = arguments.set(name, &text.value, &text.location);
            set.map_err(|problem| section.error(text.location, name, problem))?;
        }
    }
    arguments.ca_file = read_ca_file(section, directory)?;
    arguments.roster = section.flag("roster")?.is_some_and(|given| given.value);
    arguments.sessions = sessions::read(section)?;
    arguments.is_mine = is_mine(section)?;
    arguments.check_mode().map_err(|(location, key, problem)| section.error(location, key, problem))?;
    Ok(arguments)
}

/// Looks into the file at once: without it no login that needs it can ever succeed.
pub(super) fn read_ca_file(
    section: &Section<'_>,
    directory: &Path,
) -> Result<Option<Given<PathBuf>>, ConfigError> {
    let Some(file) = read_path(section, "ca_file", directory)? else { return Ok(None) };
    check_certificates(&file.value)
        .map_err(|problem| section.error(file.location.clone(), "ca_file", problem))?;
    Ok(Some(file))
}

fn read_bridge(section: &Section<'_>) -> Result<BridgeSettings, ConfigError> {
    Ok(BridgeSettings {
        classic: section.flag("classic")?.is_some_and(|given| given.value),
        psk: section.parsed("psk", PresharedKey::parse)?.map(|given| given.value),
    })
}

fn read_limits(section: &Section<'_>) -> Result<Limits, ConfigError> {
    let mut limits = Limits::default();
    for name in section.keys() {
        if let Some(number) = section.number(name)? {
            let set = limits.set(name, number.value);
            set.map_err(|problem| section.error(number.location, name, problem))?;
        }
    }
    Ok(limits)
}

/// A path; a relative one starts at the directory of the configuration file.
fn read_path(
    section: &Section<'_>,
    key: &str,
    directory: &Path,
) -> Result<Option<Given<PathBuf>>, ConfigError> {
    section.parsed(key, |text| {
        let usable = !text.is_empty() && !text.contains('\0');
        if usable { Ok(directory.join(text)) } else { Err(Problem::Invalid("the path of a file")) }
    })
}
