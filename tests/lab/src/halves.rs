//! What stands in the torrc of a bridge and of a client behind hexchat-pt.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::server::{ChatServer, DOMAIN};
use crate::tor::TorNetwork;

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
        let section = self.chat.account_section(user, self.chat.address());
        let config = self.write_config(user, &format!("{section}\n[bridge]\nclassic = true\n"))?;
        Ok(format!("ExtORPort auto\nServerTransportPlugin hexchat exec {}", self.command(&config)))
    }

    /// The lines of a client that reaches the bridge with this fingerprint at the account of `bridge`, through `login`.
    ///
    /// # Errors
    ///
    /// When its configuration file cannot be written.
    pub fn client(&self, fingerprint: &str, bridge: &str, login: &str) -> Result<String> {
        let config = self.write_config(
            "client",
            &format!("[client]\nca_file = \"{}\"\n", self.chat.ca_file().display()),
        )?;
        Ok(format!(
            "ClientTransportPlugin hexchat exec {}\n\
             Bridge hexchat 192.0.2.3:1 {fingerprint} jid={} login={login} server={}",
            self.command(&config),
            self.chat.jid(bridge),
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
