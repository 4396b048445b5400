//! Commands of hexchat-pt, run as the documents have them: names of files, ports and servers are those of a lab.

use std::fs;
use std::path::{Path, PathBuf};

use hexchat_lab::process::{Process, Spawn};
use hexchat_lab::server::DOMAIN;
use hexchat_lab::{ChatServer, Door, EchoServer, Kind, Names, Rate, Rules};
use tempfile::TempDir;

use crate::commands::{self, Command};
use crate::harness::{echo, random_bytes};
use crate::{PATIENCE, executable, write_private};

/// Commands that go on until they are ended, and what each says once it is ready.
const SERVING: [(&str, &str); 3] = [("serve", "READY "), ("forward", "LISTENING "), ("client", "LISTENING ")];

/// A chat server, a bridge of each protocol behind `serve`, and where they lead.
struct World {
    // Before the folder, so that it has ended when its files go.
    halves: Vec<Process>,
    chat: ChatServer,
    target: EchoServer,
    proxy: Names,
    folder: TempDir,
}

impl World {
    fn start() -> Self {
        let rules = Rules { door: Door::Open, ..Rules::default() };
        let users = ["alice", "bridge", "bridge2", "bridge3", "bridge4"];
        let mut world = Self {
            halves: Vec::new(),
            chat: ChatServer::start_with(Kind::Prosody, Rate::Unlimited, &users, rules).unwrap(),
            target: EchoServer::start().unwrap(),
            proxy: Names::start().unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        let target = world.target.address().to_string();
        for (user, protocol) in [("bridge", Some("--secure")), ("bridge2", None)] {
            let (config, state) = (world.config(user), world.path(user));
            let serve = Spawn::new("serve", executable())
                .args(["serve", "--allow", &target, "--config"])
                .arg(config)
                .arg("--state")
                .arg(state)
                .args(protocol);
            world.halves.push(ready(serve, "READY "));
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration of this user.
    fn config(&self, user: &str) -> PathBuf {
        let text = self.chat.account_section(user, self.chat.address());
        write_private(self.folder.path(), &format!("{user}.toml"), &text)
    }

    /// What bridge lines alone cannot say in a lab: where the server is, and whom it is to be believed.
    fn newcomers_config(&self) -> PathBuf {
        let (server, ca) = (self.chat.address(), self.chat.ca_file().display());
        let text = format!("[client]\nlogin = \"new@{DOMAIN}\"\nserver = \"{server}\"\nca_file = \"{ca}\"\n");
        write_private(self.folder.path(), "newcomer.toml", &text)
    }

    fn line_file(&self) -> PathBuf {
        self.path("bridge").join("hexchat_bridgeline.txt")
    }

    /// The line with all that a user appends, and what leads into the lab.
    fn users_line_file(&self) -> PathBuf {
        let line = fs::read_to_string(self.line_file()).unwrap();
        let line = line.lines().find(|line| line.starts_with("Bridge ")).unwrap();
        let (server, pin, password) = (self.chat.address(), self.chat.pin(), ChatServer::password("alice"));
        let line = format!("{line} login=alice@{DOMAIN}:{password} server={server} pin={pin}\n");
        write_private(self.folder.path(), "bridge.txt", &line)
    }

    /// A state directory in which an account is kept that `new@` has registered.
    fn with_an_account(&self, state: &Path) {
        let forward = Spawn::new("forward", executable())
            .args(["forward", "--listen", "127.0.0.1:0", "--target", &self.target.address().to_string()])
            .arg("--config")
            .arg(self.newcomers_config())
            .arg("--bridge-line-file")
            .arg(self.line_file())
            .arg("--state")
            .arg(state);
        carry(&mut ready(forward, "LISTENING "));
    }

    /// A state directory that a bridge has left.
    fn with_a_bridge(&self, state: &Path) {
        fs::create_dir(state).unwrap();
        private(state);
        for file in fs::read_dir(self.path("bridge")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), state.join(file.file_name())).unwrap();
        }
    }

    /// What stands for the value of an option of this command.
    fn value(&self, option: &str, value: &str, words: &[String], state: &Path) -> String {
        let path = match option {
            "--config" => self.config(self.user_of(words)),
            "--bridge-line-file" if !words.iter().any(|word| word == "--config") => self.users_line_file(),
            "--bridge-line-file" => self.line_file(),
            "--state" => state.to_owned(),
            "--qr" => state.with_extension("svg"),
            "--listen" => return "127.0.0.1:0".to_owned(),
            "--allow" | "--target" => return self.target.address().to_string(),
            "--to" => return self.chat.jid("bridge2"),
            _ => return value.to_owned(),
        };
        path.to_str().unwrap().to_owned()
    }

    /// Whose configuration this command is for: a second bridge, which does not disturb the one that runs, or a user.
    fn user_of(&self, words: &[String]) -> &'static str {
        let has = |option: &str| words.iter().any(|word| word == option);
        match words[0].as_str() {
            "serve" if has("--secure") => "bridge3",
            "serve" => "bridge4",
            "doctor" if !has("--bridge-line-file") => "bridge3",
            _ => "alice",
        }
    }

    /// The command as the lab has it.
    fn spawn(&self, command: &Command, state: &Path) -> Spawn {
        let (variables, words) = command.words();
        let words = &words[1..];
        let mut spawn = Spawn::new(&command.text, executable());
        for (name, _) in &variables {
            assert_eq!(name, "TOR_PT_PROXY", "{command:?}");
            spawn = spawn.env(name, self.proxy.uri());
        }
        let mut words_left = words.iter().peekable();
        while let Some(word) = words_left.next() {
            spawn = spawn.arg(word);
            let value = words_left.next_if(|next| {
                word.starts_with("--") && !next.starts_with("--") && next.as_str() != "rotate"
            });
            spawn = spawn.args(value.map(|value| self.value(word, value, words, state)));
        }
        let has = |option: &str| words.iter().any(|word| word == option);
        if words[0] == "forget" && !has("--config") {
            spawn = spawn.arg("--config").arg(self.newcomers_config());
        }
        // Tor's bridge leads to its relay by itself, and that of the lab to what it allows.
        if words[0] == "doctor" && has("--bridge-line-file") && !has("--target") {
            spawn = spawn.arg("--target").arg(self.target.address().to_string());
        }
        let keeps_something =
            ["serve", "forward", "client", "doctor", "bridge-line", "forget"].contains(&words[0].as_str());
        if keeps_something && !has("--state") { spawn.arg("--state").arg(state) } else { spawn }
    }

    /// Runs it; whatever goes on is ended once it has shown that it works.
    fn run(&self, command: &Command, state: &Path) {
        let words = command.words().1;
        match words[1].as_str() {
            "forget" => self.with_an_account(state),
            "bridge-line" => self.with_a_bridge(state),
            _ => {}
        }
        let spawn = self.spawn(command, state);
        if let Some((name, ready_line)) = SERVING.iter().find(|(name, _)| *name == words[1]) {
            let mut process = ready(spawn, ready_line);
            if *name == "forward" {
                carry(&mut process);
            }
            return;
        }
        let mut process = spawn.start().unwrap();
        let status = process.wait(PATIENCE).unwrap();
        process.wait_for_end_of_output(PATIENCE).unwrap();
        assert!(status.success(), "{command:#?}: {}", process.lines().join("\n"));
        assert!(!process.lines().is_empty(), "{command:?} says nothing");
        if words.iter().any(|word| word == "--qr") && words.last().is_some_and(|word| word.ends_with(".svg"))
        {
            assert!(state.with_extension("svg").is_file(), "{command:?}");
        }
    }
}

/// Starts it and waits until it says that it is ready.
fn ready(spawn: Spawn, line: &str) -> Process {
    let process = spawn.start().unwrap();
    process.wait_for_line(|said| said.starts_with(line), PATIENCE).unwrap();
    process
}

/// Sends something through a `forward`, to its bridge's target and back.
fn carry(forward: &mut Process) {
    let line = forward.wait_for_line(|line| line.starts_with("LISTENING "), PATIENCE).unwrap();
    echo(line["LISTENING ".len()..].parse().unwrap(), &random_bytes(10_000)).unwrap();
    forward.stop();
}

fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn every_command_of_ours_does_what_it_is_to_do() {
    let mut commands: Vec<Command> = commands::all().into_iter().filter(Command::is_ours).collect();
    // The same may stand in several documents, for whoever runs it.
    commands.sort_by(|one, other| one.what().cmp(other.what()));
    commands.dedup_by(|one, other| one.what() == other.what());
    assert!(commands.len() > 12, "only {} were found", commands.len());
    let world = World::start();
    for (number, command) in commands.iter().enumerate() {
        world.run(command, &world.path(&format!("state{number}")));
    }
}
