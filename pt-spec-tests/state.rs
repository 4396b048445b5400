//! Rows 6 and 7: the state folder, and nothing beside it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::Mode;
use rustix::process::Signal;

use crate::child::{EXIT_LIMIT, Launch, PATIENCE, protocol};
use crate::socks::{SUCCEEDED, ask};

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o7777)
}

/// A client opens its state after it has told Tor that it is ready.
fn becomes_private(path: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while mode(path) != Some(0o700) {
        assert!(Instant::now() < deadline, "{:?}", mode(path));
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn row_6_the_state_folder_is_made_for_its_owner_alone() {
    for launch in Launch::both() {
        let path = launch.state().join("not/there/yet");
        let child = launch.set("TOR_PT_STATE_LOCATION", &path).start();
        child.greeting();
        becomes_private(&path);
    }
}

#[test]
fn row_6_a_folder_that_others_could_look_into_is_closed_to_them() {
    for launch in Launch::both() {
        let path = launch.state().join("pt_state");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let child = launch.start();
        child.greeting();
        becomes_private(&path);
    }
}

#[test]
fn row_6_a_folder_that_everybody_shares_is_left_as_it_is() {
    let launch = Launch::server();
    let path = launch.state().join("pt_state");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o1777)).unwrap();
    let child = launch.start();
    child.greeting();
    assert_eq!(mode(&path), Some(0o1777));
    child.stays_with("SMETHOD-ERROR hexchat ");
}

/// Somebody else, on every system: nobody.
const ANOTHER: u32 = 65534;

/// A folder of another user's, in which that user wants others to look.
fn of_another(folder: &Path) -> PathBuf {
    let path = folder.join("of-another");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    chown(&path, Some(ANOTHER), Some(ANOTHER)).unwrap();
    path
}

#[test]
fn row_6_a_folder_of_another_user_is_left_alone() {
    for through_a_link in [false, true] {
        let [client, server] = Launch::both().map(|launch| elsewhere(launch, through_a_link));
        let child = client.config("[limits]\nconnect_timeout = 2\n").start();
        child.greeting();
        let nowhere = "mode=classic;jid=bridge@chat.example;login=chat.example;server=127.0.0.1:1;tls=none";
        assert_ne!(ask(child.socks(), nowhere.as_bytes()), SUCCEEDED);
        assert!(child.says("LOG SEVERITY=notice ").contains("belongs to another user"));
        is_untouched(&child.state.path().join("of-another"));
        let child = server.start();
        child.greeting();
        is_untouched(&child.state.path().join("of-another"));
        assert!(child.stays_with("SMETHOD-ERROR hexchat ").contains("belongs to another user"));
    }
}

/// The launch with its state in such a folder, or in a link to it.
fn elsewhere(launch: Launch, through_a_link: bool) -> Launch {
    let folder = of_another(launch.state());
    let link = launch.state().join("link");
    symlink(&folder, &link).unwrap();
    launch.set("TOR_PT_STATE_LOCATION", if through_a_link { link } else { folder })
}

fn is_untouched(path: &Path) {
    assert_eq!(mode(path), Some(0o755));
    assert_eq!(fs::read_dir(path).unwrap().count(), 0);
}

#[test]
fn row_6_a_link_to_a_folder_of_our_own_is_followed() {
    for launch in Launch::both() {
        let (folder, link) = (launch.state().join("elsewhere"), launch.state().join("link"));
        fs::create_dir(&folder).unwrap();
        symlink(&folder, &link).unwrap();
        let child = launch.set("TOR_PT_STATE_LOCATION", &link).start();
        child.greeting();
        becomes_private(&folder);
        assert!(!child.stdout().iter().any(|line| line.contains("METHOD-ERROR")));
    }
}

#[test]
fn row_7_nothing_is_written_outside_the_state_folder() {
    for launch in Launch::both() {
        let empty = tempfile::tempdir().unwrap();
        let mut launch = launch.folder(empty.path());
        for variable in
            ["HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"]
        {
            launch = launch.set(variable, empty.path());
        }
        let before = fs::read_dir(launch.state()).unwrap().count();
        let mut child = launch.start();
        child.greeting();
        becomes_private(&child.state.path().join("pt_state"));
        child.process.close_stdin();
        assert_eq!(child.status(), 0);
        assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
        assert_eq!(
            fs::read_dir(child.state.path()).unwrap().count(),
            before + 1,
            "the state folder alone is new"
        );
    }
}

#[test]
fn row_7_a_client_works_without_a_usable_state_folder() {
    let launch = Launch::client();
    let file = launch.file("a-file", "");
    let below = file.join("state");
    for unusable in [&file, &below, Path::new("/proc/self"), Path::new("/proc/nothing")] {
        let child = Launch::client().set("TOR_PT_STATE_LOCATION", unusable).start();
        child.greeting();
        let lines = child.stdout();
        assert!(protocol(&lines).iter().any(|line| line.starts_with("CMETHOD hexchat ")), "{lines:?}");
    }
}

#[test]
fn row_7_a_bridge_which_must_be_found_again_does_not_start_without_its_state() {
    for unusable in ["/proc/self", "/proc/nothing"] {
        let child = Launch::server().set("TOR_PT_STATE_LOCATION", unusable).start();
        let error = child.stays_with("SMETHOD-ERROR hexchat ");
        assert!(error.contains(unusable), "{error}");
        assert_eq!(error.matches("os error").count(), 1, "{error}");
    }
}

#[test]
fn row_7_a_bridge_does_not_start_in_a_folder_that_is_read_only() {
    let error = Launch::server().with_read_only_state().start().stays_with("SMETHOD-ERROR hexchat ");
    assert!(error.contains("Read-only file system"), "{error}");
}

/// The files that are read, locked or written at the start.
const OURS: [&str; 4] =
    ["hexchat_state.json", "hexchat_state.lock", "hexchat_handshakes.txt", "hexchat_bridgeline.txt"];

/// A pipe that nobody reads from and nobody writes to.
pub(crate) fn make_pipe(path: &Path) {
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, pipe, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn row_7_a_pipe_in_place_of_a_state_file_holds_nothing_up() {
    for name in OURS {
        for launch in Launch::both() {
            let path = launch.state().join("pt_state");
            fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
            make_pipe(&path.join(name));
            let mut child = launch.start();
            let said = child.greeting();
            assert!(said.iter().any(|line| line.ends_with("METHODS DONE")), "{name}: {said:?}");
            child.process.signal(Signal::TERM);
            assert_eq!(child.process.wait(EXIT_LIMIT).unwrap().code(), Some(0), "{name}");
        }
    }
}

#[test]
fn row_7_a_bridge_waits_until_another_process_is_done_with_the_state_folder() {
    let first = Launch::server();
    let state = first.state().join("pt_state");
    let second = || Launch::server().set("TOR_PT_STATE_LOCATION", &state).start();
    let mut first = first.start();
    first.greeting();
    let (patient, mut impatient) = (second(), second());
    for child in [&patient, &impatient] {
        assert!(child.says("LOG SEVERITY=warning ").contains("in use by another process"));
    }
    impatient.process.signal(Signal::TERM);
    assert_eq!(impatient.process.wait(EXIT_LIMIT).unwrap().code(), Some(0));
    first.process.close_stdin();
    assert_eq!(first.status(), 0);
    patient.says("SMETHOD hexchat ");
}
