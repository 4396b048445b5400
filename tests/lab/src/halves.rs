//! Configuration in the torrc of a bridge and of a client behind hexchat-pt.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::server::{COMPONENT_SECRET, ChatServer, DOMAIN};
use crate::tor::{Tor, TorNetwork};

/// A network, a chat server, and the executable between them.
#[derive(Clone, Copy, Debug)]
pub struct Halves<'a> {
    /// Files are written into its folder.
    pub network: &'a TorNetwork,
    /// Where both halves log in.
    pub chat: &'a ChatServer,
    /// hexchat-pt.
    pub executable: &'a Path,
}

impl Halves<'_> {
    /// The lines of a bridge that is reached at the account of `user`.
    ///
    /// # Errors
    ///
    /// When its configuration file cannot be written.
    pub fn bridge(&self, user: &str) -> Result<String> {
        self.bridge_with(user, "")
    }

    /// The same for a bridge that classic clients may reach, too.
    ///
    /// # Errors
    ///
    /// When its configuration file cannot be written.
    pub fn classic_bridge(&self, user: &str) -> Result<String> {
        self.bridge_with(user, "[bridge]\nclassic = true\n")
    }

    /// The lines of a bridge that owns this domain.
    ///
    /// # Errors
    ///
    /// When its configuration file cannot be written.
    pub fn component_bridge(&self, domain: &str) -> Result<String> {
        let server = self.chat.component_address();
        self.bridge_configured(
            domain,
            &format!(
                "[component]\ndomain = \"{domain}\"\nsecret = \"{COMPONENT_SECRET}\"\nserver = \"{server}\"\n"
            ),
        )
    }

    fn bridge_with(&self, user: &str, more: &str) -> Result<String> {
        let section = self.chat.account_section(user, self.chat.address());
        self.bridge_configured(user, &format!("{section}\n{more}"))
    }

    fn bridge_configured(&self, name: &str, config: &str) -> Result<String> {
        let config = self.write_config(name, config)?;
        Ok(format!("ExtORPort auto\nServerTransportPlugin hexchat exec {}", self.command(&config)))
    }

    /// The lines of a client that reaches `bridge`, by the bridge line that it hands out, through `login`.
    ///
    /// # Errors
    ///
    /// When the bridge has written none, and when the configuration file cannot be written.
    pub fn client(&self, bridge: &Tor, login: &str) -> Result<String> {
        self.client_with_lanes(bridge, login, "")
    }

    /// The same with this in the section `[lanes]` of its configuration.
    ///
    /// # Errors
    ///
    /// When the bridge has written none, and when the configuration file cannot be written.
    pub fn client_with_lanes(&self, bridge: &Tor, login: &str, lanes: &str) -> Result<String> {
        let file = bridge.data().join("pt_state/hexchat_bridgeline.txt");
        let text = fs::read_to_string(file).context("reading the bridge line")?;
        let line =
            text.lines().find(|line| line.starts_with("Bridge ")).context("there is no bridge line")?;
        self.client_with(&line.replace("<FINGERPRINT>", &bridge.fingerprint()?), login, lanes)
    }

    /// The lines of a client that reaches the bridge with this fingerprint by the classic protocol, at the account of
    /// `bridge`.
    ///
    /// # Errors
    ///
    /// When its configuration file cannot be written.
    pub fn classic_client(&self, fingerprint: &str, bridge: &str, login: &str) -> Result<String> {
        let jid = self.chat.jid(bridge);
        self.client_with(
            &format!("Bridge hexchat 192.0.2.3:1 {fingerprint} jid={jid} mode=classic"),
            login,
            "",
        )
    }

    fn client_with(&self, line: &str, login: &str, lanes: &str) -> Result<String> {
        let ca_file = self.chat.ca_file().display();
        let config =
            self.write_config("client", &format!("[client]\nca_file = \"{ca_file}\"\n[lanes]\n{lanes}"))?;
        Ok(format!(
            "ClientTransportPlugin hexchat exec {}\n{line} login={login} server={}",
            self.command(&config),
            self.chat.address()
        ))
    }

    /// A user's login, as a bridge line has it.
    pub fn login(user: &str, password: &str) -> String {
        format!("{user}@{DOMAIN}:{password}")
    }

    /// Writes a configuration file that only its owner can read.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn write_config(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.config_file(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).context("protecting a file")?;
        Ok(path)
    }

    /// Where the configuration file of this name is: `client`, or the bridge's user. Each chat server has its own, so
    /// that several may share a network.
    pub fn config_file(&self, name: &str) -> PathBuf {
        self.network.folder().join(format!("{name}-{}.toml", self.chat.address().port()))
    }

    /// What follows `exec`.
    pub fn command(&self, config: &Path) -> String {
        format!("{} --config {}", self.executable.display(), config.display())
    }
}
