//! State directories that cannot be used, or can only be read: what is said of a registration then, in one line, and of `hexchat-pt forget`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use hexchat_lab::process::{Process, Spawn};
use hexchat_lab::{Door, Kind, executable};
use hexchat_pt::state::StateDir;
use tempfile::TempDir;

use crate::harness::{PATIENCE, echo, random_bytes, write_private};
use crate::registering::{Newcomer, SOON, made};

/// Nobody listens at that server, and nobody is to call it.
const CONFIG: &str = "[client]\njid = \"bridge@chat.example/r\"\nkey = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\n\
    login = \"new@chat.example\"\nserver = \"127.0.0.1:1\"\ntls = \"starttls\"\n";

/// What a shell does to make of a directory one that is on a disk that can only be read.
const READ_ONLY: &str = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\"";

/// One on a disk of a page, which is taken.
const FULL: &str = "mount -t tmpfs -o size=4k,mode=0700 none \"$0\" && head -c 4096 /dev/zero > \"$0/full\"";

/// A state directory with a fault.
struct Faulty {
    _folder: TempDir,
    /// The folder, or a file in it.
    path: PathBuf,
    /// What makes it so in the eyes of the program.
    script: &'static str,
    /// Whoever holds it.
    in_use: Option<StateDir>,
    /// What is said of it.
    fault: String,
    /// The same to whoever wants to have something forgotten there: another directory is no help then.
    when_forgetting: String,
}

impl Faulty {
    fn new(fault: &str, when_forgetting: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let [fault, when_forgetting] =
            [fault, when_forgetting].map(|text| text.replace("DIR", directory.path().to_str().unwrap()));
        let path = directory.path().to_owned();
        Self { _folder: directory, path, script: ":", in_use: None, fault, when_forgetting }
    }

    fn with_file(text: &str, fault: &str, when_forgetting: &str) -> Self {
        let faulty = Self::new(fault, when_forgetting);
        fs::write(faulty.path.join("hexchat_state.json"), text).unwrap();
        faulty
    }

    /// A file where the directory should be.
    fn file() -> Self {
        let text = "a file is in the way of the state directory DIR/file; ";
        let faulty = Self::new(
            &format!("{text}move it away, or use another state directory"),
            &format!("{text}name the directory that the account was registered with (--state)"),
        );
        let path = faulty.path.join("file");
        fs::write(&path, "").unwrap();
        Self { path, ..faulty }
    }

    /// A directory where the file should be.
    fn with_directory() -> Self {
        let text = "DIR/hexchat_state.json should be a regular file, and is not one; ";
        let faulty = Self::new(
            &format!("{text}move it away, or use another state directory"),
            &format!("{text}put back what was there before, if there is a copy"),
        );
        fs::create_dir(faulty.path.join("hexchat_state.json")).unwrap();
        faulty
    }

    /// A pipe where the lock should be, which nobody reads.
    fn with_pipe() -> Self {
        let text = "DIR/hexchat_state.lock should be a regular file, and is not one; ";
        let faulty = Self::new(
            &format!("{text}move it away, or use another state directory"),
            &format!("{text}put back what was there before, if there is a copy"),
        );
        let made = Command::new("mkfifo").arg(faulty.path.join("hexchat_state.lock")).status();
        assert!(made.unwrap().success());
        faulty
    }

    /// A link to a file on a disk that is not there.
    fn with_dead_link() -> Self {
        let text = "DIR/hexchat_state.json is a link that leads nowhere; put back what it leads to";
        let faulty = Self::new(&format!("{text}, or use another state directory"), text);
        symlink("/nowhere/hexchat_state.json", faulty.path.join("hexchat_state.json")).unwrap();
        faulty
    }

    fn all() -> [Self; 8] {
        let damaged = "DIR/hexchat_state.json is damaged at line 1, column 1; restore it from a backup, or move it away to start anew (a \
                       bridge has another bridge line then, and a client does not know the accounts that it has registered)";
        let in_use = Self::new(
            "the state directory DIR is in use by another process; give each its own",
            "the state directory DIR is in use by another process; end that first (perhaps tor)",
        );
        let state = StateDir::open(&in_use.path).unwrap();
        let read_only = Self::new(
            "opening the lock file DIR/hexchat_state.lock: Read-only file system (os error 30); let this user read and write there, or \
             use another state directory",
            "opening the lock file DIR/hexchat_state.lock: Read-only file system (os error 30); let this user read and write there",
        );
        [
            Self::with_file("{", damaged, damaged),
            Self::with_file(
                "{\"version\": 2}",
                "DIR/hexchat_state.json was written by a later version of hexchat-pt; use that one, or another state directory",
                "DIR/hexchat_state.json was written by a later version of hexchat-pt; run this with that one",
            ),
            Self { in_use: Some(state), ..in_use },
            Self { script: READ_ONLY, ..read_only },
            Self::file(),
            Self::with_directory(),
            Self::with_pipe(),
            Self::with_dead_link(),
        ]
    }

    fn run(&self, args: &[&str]) -> (Vec<String>, Option<i32>) {
        let folder = tempfile::tempdir().unwrap();
        let config: PathBuf = write_private(folder.path(), "hexchat.toml", CONFIG);
        let process = Spawn::new(args[0], executable(env!("CARGO_BIN_EXE_hexchat-pt")))
            .args(args)
            .arg("--config")
            .arg(config)
            .arg("--state")
            .arg(&self.path)
            .after_mounting(self.script, &self.path)
            .start()
            .unwrap();
        end_of(process)
    }
}

/// What it has said for a person when it has ended, and its exit status.
fn end_of(mut process: Process) -> (Vec<String>, Option<i32>) {
    let status = process.wait(PATIENCE).unwrap().code();
    process.wait_for_end_of_output(PATIENCE).unwrap();
    let said = process.lines().into_iter().filter(|line| !line.starts_with("LISTENING "));
    (said.collect(), status)
}

#[test]
fn why_no_account_can_be_kept_is_said_in_one_line_with_what_helps() {
    for faulty in Faulty::all() {
        let (said, status) = faulty.run(&["forward", "--listen", "127.0.0.1:0", "--target", "127.0.0.1:1"]);
        let line = format!(
            "[error] the login of [client] cannot be used: registering an account at the chat server: it could not be kept: {}; when that is \
             mended, start this program again; not trying again",
            faulty.fault
        );
        assert_eq!((said, status), (vec![line], Some(1)));
    }
}

#[test]
fn why_nothing_can_be_forgotten_is_said_in_one_line_with_what_helps() {
    for faulty in Faulty::all() {
        if faulty.in_use.is_some() {
            // It waits for the other process to end.
            continue;
        }
        let (said, status) = faulty.run(&["forget", "new@chat.example", "--local"]);
        let line = format!("hexchat-pt: nothing was forgotten: {}", faulty.when_forgetting);
        assert_eq!((said, status), (vec![line], Some(1)));
    }
}

#[test]
fn an_account_that_is_kept_where_nothing_can_be_written_is_used() {
    let newcomer = Newcomer::at(Kind::Prosody, Door::Open);
    newcomer.use_it();
    let account = made(newcomer.kept());
    let half = newcomer.bridge.forward_after(READ_ONLY, newcomer.state.path(), &newcomer.config());
    for _ in 0..2 {
        echo(half.entrance(), &random_bytes(100_000)).unwrap();
    }
    assert_eq!(half.count("nothing will be kept for the next run"), 1);
    assert_eq!(half.count("[warning]") + half.count("[error]"), 0, "{:?}", half.log());
    drop(half);
    assert_eq!(made(newcomer.kept()), account);
    assert_eq!(newcomer.registered(), Some(1));
}

#[test]
fn on_a_full_disk_no_account_is_asked_for() {
    let newcomer = Newcomer::at(Kind::Prosody, Door::Open);
    let half = newcomer.bridge.forward_after(FULL, newcomer.state.path(), &newcomer.config());
    let line = half.says("it could not be kept", SOON);
    assert!(line.contains("No space left on device (os error 28); make room there"), "{line}");
    assert!(line.ends_with("; trying again in an hour"), "{line}");
    let log = half.log().into_iter().filter(|line| !line.ends_with("the chat server is found"));
    assert_eq!(log.collect::<Vec<_>>(), [line], "there is more than one line");
    assert_eq!(newcomer.registered(), Some(0));
}
