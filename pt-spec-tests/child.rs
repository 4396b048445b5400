//! A child as Tor starts one.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hexchat_lab::process::{Process, Spawn};
use tempfile::TempDir;

/// A child that says nothing for this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The environment of a launch.
pub(crate) struct Launch {
    variables: Vec<(&'static str, String)>,
    args: Vec<String>,
    wrapper: Vec<String>,
    state: TempDir,
}

/// A running child and its state folder.
pub(crate) struct Child {
    pub(crate) process: Process,
    pub(crate) state: TempDir,
}

impl Launch {
    /// What every launch has.
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let variables = vec![
            ("TOR_PT_MANAGED_TRANSPORT_VER", "1".to_owned()),
            ("TOR_PT_STATE_LOCATION", state.path().join("pt_state").display().to_string()),
            ("TOR_PT_EXIT_ON_STDIN_CLOSE", "1".to_owned()),
        ];
        Self { variables, args: Vec::new(), wrapper: Vec::new(), state }
    }

    /// A client's launch.
    pub(crate) fn client() -> Self {
        Self::new().set("TOR_PT_CLIENT_TRANSPORTS", "hexchat")
    }

    /// A bridge's launch, with a configuration that can work.
    pub(crate) fn server() -> Self {
        let config = "[[account]]\njid = \"b@chat.example\"\npassword = \"x\"\nserver = \"127.0.0.1:1\"\n[bridge]\nclassic = true\n";
        Self::new()
            .set("TOR_PT_SERVER_TRANSPORTS", "hexchat")
            .set("TOR_PT_SERVER_BINDADDR", "hexchat-127.0.0.1:0")
            .set("TOR_PT_ORPORT", "127.0.0.1:9")
            .config(config)
    }

    /// Sets a variable, in place of an earlier value.
    pub(crate) fn set(self, name: &'static str, value: &str) -> Self {
        let mut launch = self.without(name);
        launch.variables.push((name, value.to_owned()));
        launch
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(other, _)| *other != name);
        self
    }

    /// Starts with this configuration file.
    pub(crate) fn config(mut self, text: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.state.path().join("given.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        // In place of an earlier one.
        self.args.retain(|arg| !arg.starts_with("--config="));
        self.args(&[&format!("--config={}", path.display())])
    }

    /// Adds options to its command line.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Starts it by a command that becomes what follows it.
    pub(crate) fn wrapped(mut self, command: Vec<String>) -> Self {
        self.wrapper = command;
        self
    }

    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    /// Starts it.
    pub(crate) fn start(self) -> Child {
        let executable = env!("CARGO_BIN_EXE_hexchat-pt").to_owned();
        let words: Vec<String> = self.wrapper.into_iter().chain([executable]).chain(self.args).collect();
        let mut spawn = Spawn::new("hexchat-pt", &words[0]).args(&words[1..]).clean_env().stdin();
        for (name, value) in &self.variables {
            spawn = spawn.env(name, value);
        }
        Child { process: spawn.start().unwrap(), state: self.state }
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

    /// Where a client offers SOCKS5.
    pub(crate) fn socks(&self) -> SocketAddr {
        let line = self.says("CMETHOD ");
        line.strip_prefix("CMETHOD hexchat socks5 ").unwrap().parse().unwrap()
    }

    /// Its exit status, once it has ended by itself.
    pub(crate) fn status(&mut self) -> i32 {
        self.process.wait(PATIENCE).unwrap().code().unwrap()
    }
}

/// The lines of a greeting without those that only inform.
pub(crate) fn protocol(lines: &[String]) -> Vec<&str> {
    let informs = |line: &&str| line.starts_with("LOG ") || line.starts_with("STATUS ");
    lines.iter().map(String::as_str).filter(|line| !informs(line)).collect()
}
