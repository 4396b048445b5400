//! The arguments of a bridge line, alone and laid over the `[client]` section.

use std::fmt;
use std::path::PathBuf;

use xmpp_parsers::jid::{DomainRef, Jid};

use super::document::Given;
use super::error::{ConfigError, Location, Problem, Warning, shown_key};
use super::guest::Guest;
use super::key::{CertificatePin, PresharedKey, PublicKey};
use super::keys::ARGUMENTS;
use super::login::{Login, ServerConfig, parse_login};
use super::plain::Spelling;
use super::similar::{Hint, similar};
use super::value::{Mode, parse_mode, parse_peers, parse_server, parse_tls, tls_mode};
use super::{AccountConfig, Config, Credential, Server, TlsMode, plain};

/// The longest value of an argument: 8 KiB. Tor carries 510 bytes for all together; a file may hold more.
const MAX_VALUE: usize = 8192;

/// What `server` must be where it is spelled plainly.
const PLAIN_SERVER: &str = "host:port (an IPv6 address between +5B and +5D), or wss://host/path";

/// How to speak to a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The protocol document's: no encryption between the two ends.
    Classic,
    /// End-to-end encrypted.
    Secure {
        /// The bridge proves that it holds the secret half.
        key: PublicKey,
        /// The client proves that it was let in.
        psk: Option<PresharedKey>,
    },
}

/// One bridge, with all that is needed to reach it.
#[derive(Clone, PartialEq, Eq)]
pub struct BridgeConfig {
    /// Where the bridge is reached, at least one; all full for [`Protocol::Secure`].
    pub peers: Vec<Jid>,
    /// How to speak to it.
    pub protocol: Protocol,
    /// The logins to reach it from, at least one, no two equal.
    pub accounts: Vec<AccountConfig>,
    /// Whether these logins are the bridge line's, and not the file's.
    pub brings_logins: bool,
    /// Where they are written.
    pub logins_in: LoginsIn,
}

/// Where the logins for a bridge are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoginsIn {
    /// The sections of the configuration file that are for accounts.
    #[default]
    Sections,
    /// Its `[client]` section.
    Client,
    /// The bridge line.
    Line,
}

/// Arguments that were given, each with its location; all are valid by themselves.
#[derive(Clone, Default)]
pub struct Arguments {
    jid: Option<Given<Vec<Jid>>>,
    key: Option<Given<PublicKey>>,
    psk: Option<Given<PresharedKey>>,
    login: Option<Given<Vec<Login>>>,
    server: Option<Given<Server>>,
    tls: Option<Given<TlsMode>>,
    pin: Option<Given<CertificatePin>>,
    mode: Option<Given<Mode>>,
    /// How errors spell what is missing: plainly where a value is.
    spelling: Spelling,
    /// From the file only.
    pub(super) ca_file: Option<Given<PathBuf>>,
    /// Likewise.
    pub(super) roster: bool,
    /// Likewise.
    pub(super) sessions: Option<u8>,
    /// Likewise.
    pub(super) is_mine: bool,
    /// Likewise.
    pub(super) guest: Guest,
}

/// What is wrong with which argument, given where.
pub(super) type Fault = (Location, &'static str, Problem);

impl BridgeConfig {
    /// Lays the arguments of one bridge line, in their order, over the file's `[client]` section.
    ///
    /// Also returns what the user should be told; every warning is about this bridge line alone.
    ///
    /// # Errors
    /// When a value is not valid, when arguments are repeated or contradict each other, and when no bridge or no
    /// account remains. Trying again cannot help.
    pub fn resolve<K, V>(
        arguments: impl IntoIterator<Item = (K, V)>,
        config: &Config,
    ) -> Result<(Self, Vec<Warning>), ConfigError>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let (line, mut warnings) = Arguments::from_bridge_line(arguments)?;
        warnings.extend(line.unapplied(config));
        warnings.extend(line.pins_a_password().then_some(Warning::PinBesidePassword));
        let brings_logins = line.brings_logins(config);
        let logins_in = line.logins_in(config);
        let bridge =
            BridgeConfig { brings_logins, logins_in, ..line.over(&config.client).into_bridge(config)? };
        if bridge.protocol == Protocol::Classic {
            warnings.push(Warning::Classic);
        }
        Ok((bridge, warnings))
    }
}

impl Config {
    /// How a new account at `domain` would log in by a bridge line with these arguments, whatever bridge that is for.
    ///
    /// # Errors
    /// As [`BridgeConfig::resolve`], as far as logins are concerned.
    pub fn new_account_at<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        domain: &DomainRef,
        arguments: impl IntoIterator<Item = (K, V)>,
    ) -> Result<AccountConfig, ConfigError> {
        let (line, _) = Arguments::from_bridge_line(arguments)?;
        let at = line.over(&self.client);
        let at = at.route().map_err(|(location, key, problem)| ConfigError::new(location, key, problem))?;
        Ok(Login::new_account(domain).at(at))
    }
}

impl Arguments {
    fn from_bridge_line<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut arguments = Self::default();
        let mut warnings = Vec::new();
        for (key, value) in pairs {
            let key = String::from_utf8_lossy(key.as_ref());
            if ARGUMENTS.contains(&key.as_ref()) {
                let set = arguments.set_bytes(&key, value.as_ref());
                set.map_err(|problem| ConfigError::new(Location::BridgeLine, key.as_ref(), problem))?;
            } else {
                warnings.push(Warning::UnknownArgument {
                    shown: shown_key(&key),
                    meant: similar(&key, &ARGUMENTS),
                });
            }
        }
        Ok((arguments, warnings))
    }

    fn set_bytes(&mut self, name: &str, value: &[u8]) -> Result<(), Problem> {
        let value = std::str::from_utf8(value).map_err(|_| Problem::NotUtf8)?;
        self.set(name, value, &Location::BridgeLine)
    }

    /// Takes one value; the second one of a name is refused.
    pub(super) fn set(&mut self, name: &str, value: &str, location: &Location) -> Result<(), Problem> {
        if value.len() > MAX_VALUE {
            return Err(Problem::TooLong { max: MAX_VALUE });
        }
        if Spelling::of(value) == Spelling::Plain {
            self.spelling = Spelling::Plain;
        }
        // Lists are taken apart before they are read, whichever way they are spelled.
        let is_list = matches!(name, "jid" | "login");
        let plain = if is_list { None } else { plain::value(value).map_err(Problem::Invalid)? };
        let value = plain.as_ref().map_or(value, |value| value.as_str());
        match name {
            "jid" => fill(&mut self.jid, parse_peers(value), location),
            "key" => fill(&mut self.key, PublicKey::parse(value), location),
            "psk" => fill(&mut self.psk, PresharedKey::parse(value), location),
            "login" => fill(&mut self.login, parse_login(value), location),
            "server" => {
                let is_plain = plain.is_some();
                let server = parse_server(value)
                    .map_err(|fault| if is_plain { Problem::Invalid(PLAIN_SERVER) } else { fault });
                fill(&mut self.server, server, location)
            }
            "tls" => fill(&mut self.tls, parse_tls(value), location),
            "pin" => fill(&mut self.pin, CertificatePin::parse(value), location),
            "mode" => fill(&mut self.mode, parse_mode(value), location),
            _ => Err(Problem::UnknownKey(Hint::None)),
        }
    }

    /// Whether something in here must not be read by others.
    pub(super) fn holds_secrets(&self) -> bool {
        self.psk.is_some() || self.login.is_some()
    }

    /// A key asks for the secure protocol, and must not be given up quietly.
    pub(super) fn check_mode(&self) -> Result<(), Fault> {
        const PROBLEM: Problem =
            Problem::Conflict("classic excludes key, which asks for the secure protocol");
        match &self.mode {
            Some(mode) if mode.value == Mode::Classic && self.key.is_some() => {
                Err((mode.location.clone(), "mode", PROBLEM))
            }
            _ => Ok(()),
        }
    }

    /// Each value of `self`, and those of `defaults` where there is none. A pin is for the logins that stand beside it: with one, the
    /// author of a bridge line could have others log in at a server that is not theirs.
    fn over(self, defaults: &Self) -> Self {
        let pin = self.pin.filter(|_| self.login.is_some());
        Self {
            pin: pin.or_else(|| defaults.pin.clone()),
            jid: self.jid.or_else(|| defaults.jid.clone()),
            key: self.key.or_else(|| defaults.key.clone()),
            psk: self.psk.or_else(|| defaults.psk.clone()),
            login: self.login.or_else(|| defaults.login.clone()),
            server: self.server.or_else(|| defaults.server.clone()),
            tls: self.tls.or_else(|| defaults.tls.clone()),
            mode: self.mode.or_else(|| defaults.mode.clone()),
            spelling: self.spelling,
            ca_file: self.ca_file.or_else(|| defaults.ca_file.clone()),
            roster: self.roster || defaults.roster,
            sessions: self.sessions.or(defaults.sessions),
            is_mine: defaults.is_mine,
            guest: defaults.guest,
        }
    }

    /// Whether there are logins that the file does not know: others, or at another server.
    fn brings_logins(&self, config: &Config) -> bool {
        let changes_those_of_file = self.server.is_some() || self.tls.is_some();
        self.login.is_some() || config.client.login.is_some() && changes_those_of_file
    }

    /// Where the logins are written.
    fn logins_in(&self, config: &Config) -> LoginsIn {
        match (&self.login, &config.client.login) {
            (Some(_), _) => LoginsIn::Line,
            (None, Some(_)) => LoginsIn::Client,
            (None, None) => LoginsIn::Sections,
        }
    }

    /// Whether there is a pin of the line's beside a login with a password, which may be a user's own.
    fn pins_a_password(&self) -> bool {
        let has_password = |login: &Login| matches!(login.credential, Credential::Password(_));
        self.pin.is_some() && self.login.as_ref().is_some_and(|logins| logins.value.iter().any(has_password))
    }

    /// How to connect was said, but not as whom: the file's accounts say both for themselves, and a pin its logins alone.
    fn unapplied(&self, config: &Config) -> Vec<Warning> {
        if self.login.is_some() {
            return Vec::new();
        }
        let is_known_as_whom = config.client.login.is_some();
        let given = [
            ("server", self.server.is_some() && !is_known_as_whom),
            ("tls", self.tls.is_some() && !is_known_as_whom),
            ("pin", self.pin.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| Warning::NotApplied(name)).collect()
    }

    fn into_bridge(self, config: &Config) -> Result<BridgeConfig, ConfigError> {
        let resolved = self.peers().and_then(|peers| {
            let accounts = self.accounts(config)?;
            let protocol = self.protocol()?;
            check_peers(peers, &protocol)?;
            let logins_in = LoginsIn::default();
            Ok(BridgeConfig {
                peers: peers.value.clone(),
                protocol,
                accounts,
                brings_logins: false,
                logins_in,
            })
        });
        resolved.map_err(|(location, key, problem)| ConfigError::new(location, key, problem))
    }

    fn protocol(&self) -> Result<Protocol, Fault> {
        self.check_mode()?;
        match (&self.key, &self.psk, &self.mode) {
            (Some(key), psk, _) => {
                Ok(Protocol::Secure { key: key.value, psk: psk.as_ref().map(|psk| psk.value.clone()) })
            }
            (None, Some(psk), _) => {
                Err((psk.location.clone(), "psk", Problem::Conflict("psk is of no use without key")))
            }
            (None, None, Some(Given { value: Mode::Secure, location })) => {
                let problem = Problem::Missing(
                    "mode is secure; copy the whole line again, with key= as the bridge's operator gave it",
                );
                Err((location.clone(), "key", problem))
            }
            (None, None, Some(Given { value: Mode::Classic, .. })) => Ok(Protocol::Classic),
            // Perhaps the key was lost on the way: what was meant to be encrypted must not go in the clear.
            (None, None, None) => {
                let advice = "copy the whole line again, with key= as the bridge's operator gave it, or add mode=classic for a \
                              bridge of the classic protocol, where the chat servers can read and change everything";
                Err((Location::BridgeLine, "key", Problem::Missing(advice)))
            }
        }
    }

    fn peers(&self) -> Result<&Given<Vec<Jid>>, Fault> {
        let advice = self.spelling.choose(
            "add jid=bridge@chat.example/resource to the bridge line, or jid to [client] in the file",
            "add jid=:bridge:chat.example/resource to the bridge line, or jid to [client] in the file",
        );
        self.jid.as_ref().ok_or((Location::BridgeLine, "jid", Problem::Missing(advice)))
    }

    /// Whether it says which protocol is to be spoken.
    pub(crate) fn names_a_protocol(&self) -> bool {
        self.key.is_some() || self.mode.is_some()
    }

    /// Whether it names a bridge, or some of what belongs to one.
    pub(crate) fn names_a_bridge(&self) -> bool {
        self.jid.is_some() || self.names_a_protocol()
    }

    fn accounts(&self, config: &Config) -> Result<Vec<AccountConfig>, Fault> {
        match &self.login {
            Some(logins) => self.logins(&logins.value),
            None if config.accounts.is_empty() => {
                let advice = self.spelling.choose(
                    "add login=user@chat.example:password to the bridge line, or an [[account]] to the file",
                    "add login=:user:chat.example:password to the bridge line, or an [[account]] to the file",
                );
                Err((Location::BridgeLine, "login", Problem::Missing(advice)))
            }
            None => Ok(config.accounts.clone()),
        }
    }

    fn logins(&self, logins: &[Login]) -> Result<Vec<AccountConfig>, Fault> {
        let at = self.route()?;
        Ok(logins.iter().map(|login| login.clone().at(at.clone())).collect())
    }

    /// How logins reach their servers.
    fn route(&self) -> Result<ServerConfig, Fault> {
        let server = self.server.as_ref().map(|given| given.value.clone());
        let daily_bytes = self.guest.daily_bytes(self.is_mine, server.as_ref());
        let daily_files = self.guest.daily_files(self.is_mine, server.as_ref());
        Ok(ServerConfig {
            server,
            tls: how_to_connect(self.tls.as_ref(), self.server.as_ref())?,
            pin: self.pin.as_ref().map(|given| given.value),
            ca_file: self.ca_file.as_ref().map(|given| given.value.clone()),
            roster: self.roster,
            sessions: self.sessions,
            daily_bytes,
            daily_files,
        })
    }
}

/// How to connect; an error is about `tls` where that is given.
pub(super) fn how_to_connect(
    tls: Option<&Given<TlsMode>>,
    server: Option<&Given<Server>>,
) -> Result<Option<TlsMode>, Fault> {
    let at = tls.map(|given| (&given.location, "tls"));
    let at = at.or(server.map(|given| (&given.location, "server")));
    let mode = tls_mode(tls.map(|given| given.value), server.map(|given| &given.value));
    mode.map_err(|problem| {
        let (location, key) = at.unwrap_or((&Location::BridgeLine, "tls"));
        (location.clone(), key, problem)
    })
}

/// The secure protocol knows its peers by their full JIDs.
fn check_peers(peers: &Given<Vec<Jid>>, protocol: &Protocol) -> Result<(), Fault> {
    match (protocol, peers.value.iter().position(Jid::is_bare)) {
        (Protocol::Secure { .. }, Some(index)) => {
            let expected = "a full JID, with the bridge's /resource, because there is a key";
            Err((peers.location.clone(), "jid", Problem::InvalidItem { item: index + 1, expected }))
        }
        _ => Ok(()),
    }
}

fn fill<T>(
    slot: &mut Option<Given<T>>,
    value: Result<T, Problem>,
    location: &Location,
) -> Result<(), Problem> {
    if slot.is_some() {
        return Err(Problem::Repeated);
    }
    *slot = Some(Given { value: value?, location: location.clone() });
    Ok(())
}

impl fmt::Debug for BridgeConfig {
    /// Neither JIDs nor keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BridgeConfig")
            .field("peers", &self.peers.len())
            .field("protocol", &self.protocol)
            .field("accounts", &self.accounts)
            .finish()
    }
}

impl fmt::Debug for Arguments {
    /// Nothing: most of it identifies a user or a bridge.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arguments").finish_non_exhaustive()
    }
}
