//! Half: one of the two processes, `forward` or `serve`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::executable;
use hexchat_lab::process::{Process, Spawn};
use std::io::Write as _;
use tempfile::TempDir;

use super::PATIENCE;

/// What stands in the configuration files of these tests and must never appear in a log: every password contains the
/// first, every JID one of the others.
const SECRETS: [&str; 6] = ["secret-of-", "alice@", "alice2@", "bob@", "bob2@", "nobody@"];

/// `forward` or `serve`, with a folder of its own. When it is dropped, its log is searched for secrets.
pub(crate) struct Half {
    // Before the folder, so that it has ended when its files go.
    process: Process,
    _folder: TempDir,
}

impl Half {
    /// Starts `hexchat-pt` with this command and configuration.
    pub(crate) fn start(command: &str, config: &str, args: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("hexchat-half-").tempdir().unwrap();
        let state = folder.path().join("state");
        Self::start_in(folder, &state, command, config, args)
    }

    /// The same, with a state directory that outlives it.
    pub(crate) fn start_at(state: &Path, command: &str, config: &str, args: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("hexchat-half-").tempdir().unwrap();
        Self::start_in(folder, state, command, config, args)
    }

    /// The same, with a proxy by which all its connections go.
    pub(crate) fn start_through(proxy: &str, command: &str, config: &str, args: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("hexchat-half-").tempdir().unwrap();
        let state = folder.path().join("state");
        let process = Self::spawn(&folder, &state, command, config, args).env("TOR_PT_PROXY", proxy);
        Self { process: process.start().unwrap(), _folder: folder }
    }

    /// The same, after a script that has mounted something at that directory (`$0`), which only it sees.
    pub(crate) fn start_after(
        script: &str,
        state: &Path,
        command: &str,
        config: &str,
        args: &[&str],
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("hexchat-half-").tempdir().unwrap();
        let process = Self::spawn(&folder, state, command, config, args).after_mounting(script, state);
        Self { process: process.start().unwrap(), _folder: folder }
    }

    fn start_in(folder: TempDir, state: &Path, command: &str, config: &str, args: &[&str]) -> Self {
        let process = Self::spawn(&folder, state, command, config, args).start().unwrap();
        Self { process, _folder: folder }
    }

    fn spawn(folder: &TempDir, state: &Path, command: &str, config: &str, args: &[&str]) -> Spawn {
        Spawn::new(command, executable(env!("CARGO_BIN_EXE_hexchat-pt")))
            .arg(command)
            .arg("--config")
            .arg(write_private(folder.path(), "hexchat.toml", config))
            .arg("--state")
            .arg(state)
            .args(args)
    }

    /// `serve` with these targets allowed, once its accounts are online.
    pub(crate) fn serve(config: &str, allowed: &[SocketAddr]) -> Self {
        let half = Self::serve_offline(config, allowed);
        half.says("READY ", PATIENCE);
        half
    }

    /// `serve` whose accounts need not come online.
    pub(crate) fn serve_offline(config: &str, allowed: &[SocketAddr]) -> Self {
        let args: Vec<_> = allowed.iter().flat_map(|target| ["--allow".into(), target.to_string()]).collect();
        Self::start("serve", config, &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// `forward` to the account `to`, and on to `target`.
    pub(crate) fn forward(config: &str, to: &str, target: SocketAddr) -> Self {
        let target = target.to_string();
        Self::start("forward", config, &["--listen", "127.0.0.1:0", "--to", to, "--target", &target])
    }

    /// Where `forward` takes connections.
    pub(crate) fn entrance(&self) -> SocketAddr {
        let line = self.says("LISTENING ", PATIENCE);
        line.strip_prefix("LISTENING ").unwrap().parse().unwrap()
    }

    /// The line with these words, once it is written.
    pub(crate) fn says(&self, words: &str, within: Duration) -> String {
        match self.process.wait_for_line(|line| line.contains(words), within) {
            Ok(line) => line,
            Err(error) => panic!("{words:?} was expected: {error:#}"),
        }
    }

    /// How many lines have these words.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.process.lines().iter().filter(|line| line.contains(words)).count()
    }

    /// What it has written for a person, so far.
    pub(crate) fn log(&self) -> Vec<String> {
        let for_programs = |line: &String| line.starts_with("READY ") || line.starts_with("LISTENING ");
        self.process.lines().into_iter().filter(|line| !for_programs(line)).collect()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its exit status, once it has ended by itself.
    pub(crate) fn exit_status(&mut self, within: Duration) -> i32 {
        self.process.wait(within).unwrap().code().expect("an exit status")
    }

    /// How many files and sockets it has open.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.pid())).unwrap().count()
    }

    /// Waits until it has no more than so many open.
    pub(crate) fn closes_all_but(&self, most: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.open_files() > most {
            assert!(Instant::now() < deadline, "{} open instead of {most}", self.open_files());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn assert_discreet(&self) {
        for line in self.log() {
            for secret in SECRETS {
                assert!(!line.contains(secret), "a log shows {secret:?}: {line}");
            }
        }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.assert_discreet();
        } else {
            for line in self.process.lines() {
                println!("{}: {line}", self.process.pid());
            }
        }
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    path
}
