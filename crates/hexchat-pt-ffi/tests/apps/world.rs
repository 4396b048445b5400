//! World: a chat server, a bridge, and somebody behind it who sends everything back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use hexchat_lab::process::{Process, Spawn};
use hexchat_lab::{ChatServer, EchoServer, Kind, Rate};
use tempfile::TempDir;

use crate::PATIENCE;
use crate::library::executable;

/// Apps here start more often than a person's: each round is a handshake of the same account, of which a bridge takes 20 in a minute.
const MANY_HANDSHAKES: &str = "handshakes_per_minute_per_jid = 10000\nhandshakes_per_minute = 10000\n";

pub(crate) struct World {
    chat: ChatServer,
    // Before the folder, so that it has ended when its files go.
    _bridge: Process,
    echo: EchoServer,
    folder: TempDir,
}

impl World {
    pub(crate) fn start() -> Self {
        let chat = ChatServer::start(Kind::Prosody, Rate::Unlimited, &["bridge", "alice"]).unwrap();
        let (echo, folder) = (EchoServer::start().unwrap(), TempDir::new().unwrap());
        let config = folder.path().join("bridge.toml");
        let account = chat.account_section("bridge", chat.address());
        write_private(&config, &format!("{account}\n[limits]\n{MANY_HANDSHAKES}"));
        let bridge = Spawn::new("serve", executable())
            .args(["serve", "--secure", "--allow", &echo.address().to_string(), "--config"])
            .arg(config)
            .arg("--state")
            .arg(folder.path().join("bridge"))
            .start()
            .unwrap();
        bridge.wait_for_line(|line| line.starts_with("READY "), PATIENCE).unwrap();
        Self { chat, _bridge: bridge, echo, folder }
    }

    /// A folder for what an app keeps, which makes it.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    /// The configuration of an app's transport, as a file.
    pub(crate) fn config(&self) -> PathBuf {
        let config = self.folder.path().join("app.toml");
        write_private(&config, &self.chat.account_section("alice", self.chat.address()));
        config
    }

    /// The arguments of the bridge's line, as tor sends them.
    pub(crate) fn arguments(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("bridge/hexchat_bridgeline.txt")).unwrap();
        let line = text.lines().find(|line| line.starts_with("Bridge ")).unwrap();
        line.split(' ').filter(|word| word.contains('=')).collect::<Vec<_>>().join(";")
    }

    /// The port of who sends everything back.
    pub(crate) fn target(&self) -> String {
        self.echo.address().port().to_string()
    }

    /// What an app's transport has logged, in which no secret may be.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.state_dir().join("hexchat-pt.log")).unwrap();
        for secret in ["alice", &ChatServer::password("alice"), "bridge@"] {
            assert!(!log.contains(secret), "{log}");
        }
        log
    }
}

/// Writes a file that only its owner can read.
fn write_private(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
