//! Mistakes on the command line.

use std::os::unix::fs::PermissionsExt as _;

use hexchat_lab::executable;
use hexchat_lab::process::Spawn;

use super::as_nobody;
use crate::child::PATIENCE;

/// Exit status and all that is said.
fn run(wrapper: &[String], line: &str) -> (i32, String) {
    let program = executable(env!("CARGO_BIN_EXE_hexchat-pt")).to_str().unwrap().to_owned();
    let words: Vec<_> =
        wrapper.iter().cloned().chain([program]).chain(line.split(' ').map(str::to_owned)).collect();
    let mut process = Spawn::new("hexchat-pt", &words[0]).args(&words[1..]).clean_env().start().unwrap();
    let status = process.wait(PATIENCE).unwrap().code().unwrap();
    process.wait_for_end_of_output(PATIENCE).unwrap();
    (status, process.lines().join("\n"))
}

#[test]
fn a_secret_is_printed_that_can_stand_in_a_configuration_and_is_another_each_time() {
    let [(status, one), (_, other)] = [(); 2].map(|()| run(&[], "gen-psk"));
    assert_eq!((status, one.len()), (0, 43), "{one}");
    assert!(one.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{one}");
    assert_ne!(one, other);
}

#[test]
fn a_pattern_is_no_target() {
    for target in ["*:80", "*.example:443"] {
        let (status, said) = run(&[], &format!("serve --allow {target}"));
        assert_eq!(status, 2);
        assert!(said.contains("the name or address of one host"), "{said}");
    }
}

#[test]
fn where_to_listen_is_a_port_with_or_without_an_address() {
    for place in ["localhost", "chat.example:5700"] {
        let (status, said) = run(&[], &format!("forward --target h:1 --to b@chat.example --listen {place}"));
        assert_eq!(status, 2);
        assert!(said.contains("such as 5700, localhost:5700 or 127.0.0.1:5700"), "{said}");
    }
}

#[test]
fn a_folder_that_one_may_not_look_into_is_not_said_to_lack_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("pt_state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("hexchat_bridgeline.txt"), "").unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (status, said) = run(&as_nobody(), &format!("bridge-line --state {}", state.display()));
    assert_eq!(status, 1);
    assert!(
        said.contains("cannot look into the folder ") && said.contains("this process runs as "),
        "{said}"
    );
    assert!(!said.contains("there is no"), "{said}");
}
