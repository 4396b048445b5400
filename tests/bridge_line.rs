//! `hexchat-pt bridge-line`, as an operator runs it.

#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use hexchat_lab::executable;
use hexchat_lab::process::Spawn;
use hexchat_pt::config::{BridgeConfig, Config, NewBridgeLine, PublicKey, parse_bridge_line};
use hexchat_pt::state::{BRIDGE_LINE_FILE, StateDir};
use xmpp_parsers::jid::FullJid;

const PATIENCE: Duration = Duration::from_secs(30);

/// The command without any environment.
fn command() -> Spawn {
    Spawn::new("bridge-line", executable(env!("CARGO_BIN_EXE_hexchat-pt"))).clean_env().arg("bridge-line")
}

/// Runs it to its end; what it has said, and its exit status.
fn run(command: Spawn) -> (Vec<String>, Option<i32>) {
    let mut process = command.start().unwrap();
    let status = process.wait(PATIENCE).unwrap().code();
    process.wait_for_end_of_output(PATIENCE).unwrap();
    let said = String::from_utf8(process.stdout()).unwrap();
    let said: Vec<_> = said.lines().map(str::to_owned).collect();
    // What went wrong is on standard error.
    (if status == Some(0) { said } else { process.lines() }, status)
}

fn state(directory: &Path) -> [&str; 2] {
    ["--state", directory.to_str().unwrap()]
}

/// The state directory, once nobody holds it any more: a process that another test is just starting has a copy of our lock for a moment.
fn open(directory: &Path) -> StateDir {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match StateDir::open(directory) {
            Err(error) if error.can_pass() && Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// What a bridge leaves in its state directory, and its line.
fn leave_line(state: &StateDir) -> String {
    let jid = FullJid::new("bridge@chat.example/r").unwrap();
    let line =
        NewBridgeLine::new(&[jid], &PublicKey::from_bytes(std::array::from_fn(|place| place as u8)), None)
            .unwrap();
    state.write_file(BRIDGE_LINE_FILE, line.to_file().as_bytes()).unwrap();
    line.as_str().to_owned()
}

#[test]
fn the_line_of_a_running_bridge_is_printed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = StateDir::open(dir.path()).unwrap();
    let line = leave_line(&bridge);
    assert_eq!(run(command().args(state(dir.path()))), (vec![line], Some(0)));
}

#[test]
fn a_plain_line_is_for_apps_that_take_few_characters() {
    let dir = tempfile::tempdir().unwrap();
    let ordinary = leave_line(&StateDir::open(dir.path()).unwrap());
    let (said, status) = run(command().args(state(dir.path())).arg("--plain"));
    assert_eq!((said.len(), status), (1, Some(0)), "{said:?}");
    assert!(said[0].chars().all(|c| c.is_ascii_alphanumeric() || "_-/+:=., ".contains(c)), "{said:?}");
    assert!(said[0].contains(" jid=:bridge:chat.example/r key="), "{said:?}");
    let peers = |line: &str| {
        let line = format!("{line} login=anon.example");
        let arguments = parse_bridge_line(&line).unwrap();
        BridgeConfig::resolve(arguments.iter(), &Config::default()).unwrap().0.peers
    };
    assert_eq!(peers(&said[0]), peers(&ordinary));
}

/// Nobody listens at its chat server: the line is written before anybody logs in.
#[test]
fn a_bridge_whose_resource_has_a_comma_hands_out_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let (config, directory) = (dir.path().join("hexchat.toml"), dir.path().join("state"));
    let account =
        "[[account]]\njid = \"bridge@chat.example/a,b\"\npassword = \"secret\"\nserver = \"127.0.0.1:1\"\n";
    fs::write(&config, account).unwrap();
    let serve = Spawn::new("serve", executable(env!("CARGO_BIN_EXE_hexchat-pt")))
        .clean_env()
        .args(["serve", "--secure", "--allow", "127.0.0.1:1", "--config"])
        .arg(&config)
        .args(state(&directory))
        .start()
        .unwrap();
    serve.wait_for_line(|line| line.contains("is not online"), PATIENCE).unwrap();
    let (said, status) = run(command().args(state(&directory)));
    assert_eq!(status, Some(0), "{said:?}");
    assert!(said[0].contains(" jid=:bridge:chat.example/a+2Cb key="), "{said:?}");
}

#[test]
fn tors_fingerprint_is_in_the_line_where_it_can_be_read() {
    const FINGERPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().join("pt_state");
    leave_line(&StateDir::open(&directory).unwrap());
    fs::write(data.path().join("fingerprint"), format!("Unnamed {FINGERPRINT}\n")).unwrap();
    for more in [&[][..], &["--plain"]] {
        let (said, _) = run(command().args(state(&directory)).args(more));
        assert!(said[0].contains(&format!(" {FINGERPRINT} jid=")), "{said:?}");
    }
}

#[test]
fn the_directory_is_found_where_the_bridge_finds_it() {
    let home = tempfile::tempdir().unwrap();
    let line = leave_line(&StateDir::open(&home.path().join("hexchat-pt")).unwrap());
    let command = command().env("XDG_STATE_HOME", home.path());
    assert_eq!(run(command), (vec![line], Some(0)));
}

#[test]
fn before_the_bridge_has_run_there_is_an_explanation_and_no_directory_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("state");
    for directory in [dir.path(), &missing] {
        let (said, status) = run(command().args(state(directory)));
        assert_eq!(status, Some(1));
        assert!(said.len() == 1 && said[0].contains("a bridge writes it when it starts"), "{said:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_file_without_one_line_is_a_fault_that_shows_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["", "# only\n", "Bridge hexchat jid=secret@x/r\nBridge hexchat jid=secret@x/r\n", "secret\n"]
    {
        fs::write(dir.path().join(BRIDGE_LINE_FILE), text).unwrap();
        let (said, status) = run(command().args(state(dir.path())));
        assert_eq!(status, Some(1), "{text:?}");
        assert!(said.len() == 1 && !said[0].contains("secret"), "{said:?}");
    }
}

#[test]
fn a_wrong_command_line_has_another_status() {
    for args in [&["--state"][..], &["--nothing"], &["more"], &[]] {
        // Nor is there a home directory to look in.
        assert_eq!(run(command().args(args)).1, Some(2), "{args:?}");
    }
}

#[test]
fn how_long_its_arguments_are_is_said_beside_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let line = leave_line(&StateDir::open(dir.path()).unwrap());
    let arguments = line.split_once("> ").unwrap().1;
    let process = command().args(state(dir.path())).start().unwrap();
    // Between two arguments tor has one character, too.
    let words = format!("take {} of the 510 bytes", arguments.len());
    process.wait_for_line(|said| said.contains(&words), PATIENCE).unwrap();
}

#[test]
fn a_qr_code_fills_a_square_of_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    leave_line(&StateDir::open(dir.path()).unwrap());
    let (said, status) = run(command().args(state(dir.path())).arg("--qr"));
    let width = said[0].chars().count();
    assert_eq!((said.len(), status), (width.div_ceil(2), Some(0)));
    assert!(said.iter().all(|row| row.chars().count() == width && row.chars().all(|c| " ▀▄█".contains(c))));
}

#[test]
fn a_qr_code_goes_into_a_file_that_is_its_owners_and_was_not_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    leave_line(&StateDir::open(dir.path()).unwrap());
    let draw = |path: &Path| run(command().args(state(dir.path())).arg("--qr").arg(path));
    for (name, start) in [("line.svg", &b"<svg "[..]), ("line.PNG", b"\x89PNG\r\n\x1a\n")] {
        let file = dir.path().join(name);
        assert_eq!(draw(&file), (vec![], Some(0)));
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert!(fs::read(&file).unwrap().starts_with(start), "{name}");
        assert_eq!(draw(&file).1, Some(1), "nothing is written over");
    }
    assert_eq!(draw(&dir.path().join("line.jpeg")).1, Some(1));
}

#[test]
fn a_bridge_that_is_rotated_has_another_key_and_no_line_that_is_worthless() {
    let dir = tempfile::tempdir().unwrap();
    let jid: FullJid = "bridge@chat.example/r".parse().unwrap();
    let of = || {
        let state = open(dir.path());
        leave_line(&state);
        (*state.identity().unwrap(), state.resource_for(&jid.to_bare()).unwrap())
    };
    let before = of();
    let (said, status) = run(command().args(state(dir.path())).arg("rotate"));
    assert!(status == Some(0) && said[0].contains("The old bridge line is worthless"), "{said:?}");
    assert!(!dir.path().join(BRIDGE_LINE_FILE).exists());
    let after = of();
    assert!(before.0 != after.0 && before.1 != after.1);
}

#[test]
fn a_bridge_that_runs_is_not_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = StateDir::open(dir.path()).unwrap();
    leave_line(&bridge);
    let before = *bridge.identity().unwrap();
    let (said, status) = run(command().args(state(dir.path())).arg("rotate"));
    assert!(status == Some(1) && said[0].contains("the bridge is running"), "{said:?}");
    drop(bridge);
    assert_eq!(*open(dir.path()).identity().unwrap(), before);
}

#[test]
fn where_no_bridge_has_run_nothing_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let (said, status) = run(command().args(state(dir.path())).arg("rotate"));
    assert!(status == Some(1) && said[0].contains("there is no bridge's key"), "{said:?}");
}
