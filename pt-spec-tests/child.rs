//! A child as Tor starts one.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hexchat_lab::executable;
use hexchat_lab::process::{Process, Spawn};
use tempfile::TempDir;

use crate::parents::{self, Asked};

/// A child that says nothing for this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Arti kills a child that takes longer to end.
pub(crate) const EXIT_LIMIT: Duration = Duration::from_secs(5);

/// What stands before the name of the configuration file.
const CONFIG: &[u8] = b"--config=";

/// The environment of a launch.
pub(crate) struct Launch {
    variables: Vec<(&'static str, OsString)>,
    /// What comes before the executable on its command line.
    wrapper: Vec<String>,
    args: Vec<OsString>,
    stdin: bool,
    folder: Option<PathBuf>,
    state: TempDir,
}

/// A running child and its state folder.
pub(crate) struct Child {
    pub(crate) process: Watched,
    pub(crate) state: TempDir,
}

/// A process whose standard output both parents must be able to read to its end: when it goes, they do.
pub(crate) struct Watched {
    process: Process,
    asked: Asked,
}

impl Launch {
    /// What every launch has.
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let launch = Self {
            variables: Vec::new(),
            wrapper: Vec::new(),
            args: Vec::new(),
            stdin: true,
            folder: None,
            state,
        };
        let state = launch.state().join("pt_state");
        launch
            .set("TOR_PT_MANAGED_TRANSPORT_VER", "1")
            .set("TOR_PT_STATE_LOCATION", state)
            .set("TOR_PT_EXIT_ON_STDIN_CLOSE", "1")
    }

    /// A client's launch.
    pub(crate) fn client() -> Self {
        Self::new().set("TOR_PT_CLIENT_TRANSPORTS", "hexchat")
    }

    /// A bridge's launch, with a configuration that can work.
    pub(crate) fn server() -> Self {
        Self::new()
            .set("TOR_PT_SERVER_TRANSPORTS", "hexchat")
            .set("TOR_PT_SERVER_BINDADDR", "hexchat-127.0.0.1:0")
            .set("TOR_PT_ORPORT", "127.0.0.1:9")
            .config(&format!("{}[bridge]\nclassic = true\n", account(1)))
    }

    /// Both kinds.
    pub(crate) fn both() -> [Self; 2] {
        [Self::client(), Self::server()]
    }

    /// Sets a variable, in place of an earlier value.
    pub(crate) fn set(self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        let mut launch = self.without(name);
        launch.variables.push((name, value.as_ref().to_owned()));
        launch
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(other, _)| *other != name);
        self
    }

    /// Starts with this configuration file.
    pub(crate) fn config(self, text: &str) -> Self {
        self.config_at("given.toml", text)
    }

    /// The same, in a file of this name.
    pub(crate) fn config_at(mut self, name: impl AsRef<OsStr>, text: &str) -> Self {
        let path = self.file(name.as_ref(), text);
        // In place of an earlier one.
        self.args.retain(|arg| !arg.as_encoded_bytes().starts_with(CONFIG));
        let given: OsString = [OsStr::from_bytes(CONFIG), path.as_os_str()].into_iter().collect();
        self.args(&[given])
    }

    /// Writes a file for nobody else, outside the state folder.
    pub(crate) fn file(&self, name: impl AsRef<OsStr>, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.state.path().join(name.as_ref());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Adds options to its command line.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: &[A]) -> Self {
        self.args.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Starts it by a command that becomes what follows it.
    pub(crate) fn wrapped(mut self, command: Vec<String>) -> Self {
        self.wrapper = command;
        self
    }

    /// Starts it by a shell script, which finds what to start in `"$@"`.
    pub(crate) fn through(self, script: &str) -> Self {
        self.wrapped(["sh", "-c", script, "sh"].map(str::to_owned).into())
    }

    /// Starts it where nothing can be written into the state folder, not even by root.
    pub(crate) fn with_read_only_state(self) -> Self {
        let path = self.state().join("pt_state");
        std::fs::create_dir(&path).unwrap();
        let script = "mount -t tmpfs -o ro,mode=0700 none \"$0\" && exec \"$@\"";
        let wrapper = ["unshare", "--mount", "--", "sh", "-c", script, &path.display().to_string()];
        self.wrapped(wrapper.map(str::to_owned).into())
    }

    /// Starts it in this folder.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Gives it `/dev/null` as standard input instead of a pipe.
    pub(crate) fn without_stdin(mut self) -> Self {
        self.stdin = false;
        self
    }

    /// A folder of its own; the state folder is `pt_state` in it.
    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    /// What the parents know of it.
    pub(crate) fn asked(&self) -> Asked {
        let find = |name: &str| self.variables.iter().find(|(other, _)| *other == name);
        Asked::from_env(|name| find(name).map(|(_, value)| value.as_os_str()))
    }

    /// Starts it.
    pub(crate) fn start(self) -> Child {
        let asked = self.asked();
        let mut command: Vec<OsString> = self.wrapper.into_iter().map(OsString::from).collect();
        command.push(executable(env!("CARGO_BIN_EXE_hexchat-pt")).into());
        command.extend(self.args);
        let mut spawn = Spawn::new("hexchat-pt", &command[0]).args(&command[1..]).clean_env();
        for (name, value) in &self.variables {
            spawn = spawn.env(name, value);
        }
        if self.stdin {
            spawn = spawn.stdin();
        }
        if let Some(folder) = &self.folder {
            spawn = spawn.folder(folder);
        }
        Child { process: Watched { process: spawn.start().unwrap(), asked }, state: self.state }
    }
}

impl Child {
    /// Everything up to the line that ends the launch, or up to the end of the output.
    pub(crate) fn greeting(&self) -> Vec<String> {
        // The output may end without such a line.
        let _ = self.process.wait_for_line(|line| line.ends_with("METHODS DONE"), PATIENCE);
        self.process.lines()
    }

    /// The line with this beginning.
    pub(crate) fn says(&self, beginning: &str) -> String {
        self.process.wait_for_line(|line| line.starts_with(beginning), PATIENCE).unwrap()
    }

    /// What it has said to Tor so far, line by line.
    pub(crate) fn stdout(&self) -> Vec<String> {
        String::from_utf8(self.process.stdout()).unwrap().lines().map(str::to_owned).collect()
    }

    /// Where a client offers SOCKS5.
    pub(crate) fn socks(&self) -> SocketAddr {
        let line = self.says("CMETHOD ");
        line.strip_prefix("CMETHOD hexchat socks5 ").unwrap().parse().unwrap()
    }

    /// Its exit status, once it has ended by itself.
    pub(crate) fn status(&mut self) -> i32 {
        let status = self.process.wait(PATIENCE).unwrap().code().unwrap();
        self.process.wait_for_end_of_output(PATIENCE).unwrap();
        status
    }

    /// The end of a child whose launch can never work: it says so, stays, and ends with standard input.
    pub(crate) fn stays_with(mut self, error: &str) -> String {
        let lines = self.greeting();
        let found = lines.iter().find(|line| line.starts_with(error)).unwrap_or_else(|| panic!("{lines:?}"));
        assert!(lines.last().unwrap().ends_with("METHODS DONE"), "{lines:?}");
        assert!(self.process.is_running());
        self.process.close_stdin();
        assert_eq!(self.process.wait(EXIT_LIMIT).unwrap().code(), Some(0));
        found.clone()
    }
}

impl Deref for Watched {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Watched {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.process.stop();
        let ended = self.process.wait_for_end_of_output(PATIENCE);
        let read = parents::read_all(&self.asked, &self.process.stdout());
        // A second panic would only hide the first one.
        if !std::thread::panicking() {
            ended.unwrap();
            read.unwrap();
        }
    }
}

/// An account at a server on this port of this machine.
pub(crate) fn account(port: u16) -> String {
    format!("[[account]]\njid = \"b@chat.example\"\npassword = \"x\"\nserver = \"127.0.0.1:{port}\"\n")
}

/// The lines of a greeting without those that only inform.
pub(crate) fn protocol(lines: &[String]) -> Vec<&str> {
    let informs = |line: &&str| line.starts_with("LOG ") || line.starts_with("STATUS ");
    lines.iter().map(String::as_str).filter(|line| !informs(line)).collect()
}
