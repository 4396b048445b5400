//! Subject: the executable, as a server without tor, with a DNS server of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hexchat_lab::process::{Process, Spawn};
use hexchat_lab::{ChatServer, DnsServer, Kind, Rate, executable};
use tempfile::TempDir;

/// In which a user is to learn what is wrong.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A Prosody with the account `bob` at `chat.example`.
pub(crate) fn chat_server() -> ChatServer {
    ChatServer::start(Kind::Prosody, Rate::Unlimited, &["bob"]).unwrap()
}

/// An account at that domain, wherever its server is.
pub(crate) fn login(server: &ChatServer, user: &str) -> String {
    let section = server.account_section(user, server.address());
    section.lines().filter(|line| !line.starts_with("server = ")).map(|line| line.to_owned() + "\n").collect()
}

/// For nobody else to read, which would be a warning.
fn write_config(folder: &Path, config: &str) {
    let path = folder.join("hexchat.toml");
    std::fs::write(&path, config).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) struct Subject {
    // Before the folder, so that it has ended when its files go.
    process: Process,
    program: PathBuf,
    folder: TempDir,
}

impl Subject {
    pub(crate) fn start(dns: &DnsServer, config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("hexchat-finding-").tempdir().unwrap();
        let program = dns.program(&executable(env!("CARGO_BIN_EXE_hexchat-pt")), folder.path()).unwrap();
        Self::run(&program, folder, config)
    }

    /// With a `resolv.conf` of these lines.
    pub(crate) fn start_with(resolv_conf: &str, config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("hexchat-finding-").tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        std::fs::write(&path, resolv_conf).unwrap();
        let executable = executable(env!("CARGO_BIN_EXE_hexchat-pt"));
        let program = hexchat_lab::dns::program_with(&path, &executable, folder.path()).unwrap();
        Self::run(&program, folder, config)
    }

    /// Behind this proxy, which is all that it can reach.
    pub(crate) fn behind(proxy: &str, config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("hexchat-finding-").tempdir().unwrap();
        write_config(folder.path(), config);
        Self::run_in(executable(env!("CARGO_BIN_EXE_hexchat-pt")), folder, Some(proxy))
    }

    fn run(program: &Path, folder: TempDir, config: &str) -> Self {
        write_config(folder.path(), config);
        Self::run_in(program.to_owned(), folder, None)
    }

    /// Ends it, and starts it again with the same state.
    pub(crate) fn restart(self) -> Self {
        let Self { process, program, folder } = self;
        drop(process);
        Self::run_in(program, folder, None)
    }

    fn run_in(program: PathBuf, folder: TempDir, proxy: Option<&str>) -> Self {
        let path = folder.path().join("hexchat.toml");
        let process = Spawn::new("serve", &program);
        let process = proxy.into_iter().fold(process, |process, uri| process.env("TOR_PT_PROXY", uri));
        let process = process
            .arg("serve")
            .arg("--config")
            .arg(path)
            .arg("--state")
            .arg(folder.path().join("state"))
            .args(["--allow", "127.0.0.1:1"])
            .start()
            .unwrap();
        Self { process, program, folder }
    }

    /// Its state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn is_online(&self) {
        self.says("READY ");
    }

    /// Writes a line with these words soon.
    pub(crate) fn says(&self, words: &str) -> String {
        match self.process.wait_for_line(|line| line.contains(words), SOON) {
            Ok(line) => line,
            Err(error) => panic!("{words:?} was expected: {error:#}"),
        }
    }

    /// The first line that it writes.
    pub(crate) fn first_line(&self) -> String {
        self.says("")
    }

    /// Writes lines with these words, so many in all.
    pub(crate) fn says_again(&self, words: &str, times: usize) {
        let seen = std::cell::Cell::new(0);
        let wanted = |line: &str| {
            seen.set(seen.get() + usize::from(line.contains(words)));
            seen.get() == times
        };
        if let Err(error) = self.process.wait_for_line(wanted, SOON) {
            panic!("{words:?} was expected {times} times: {error:#}");
        }
    }

    /// How many lines have these words.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.process.lines().iter().filter(|line| line.contains(words)).count()
    }
}
