//! Faults of the configuration, before anything starts: exit status 2.

use super::EXPLANATION;
use crate::harness::{Half, write_private};

/// Nothing listens here, and nothing should be asked.
const NOBODY: &str = "127.0.0.1:9";

const ACCOUNT: &str = "[[account]]\njid = \"alice@chat.example\"\npassword = \"secret-of-alice\"\n";

const FORWARD: [&str; 4] = ["--listen", "127.0.0.1:0", "--target", NOBODY];

fn assert_is_refused(half: &mut Half, words: &str) -> String {
    assert_eq!(half.exit_status(EXPLANATION), 2);
    let line = half.says(words, EXPLANATION);
    assert_eq!(half.log(), [line.as_str()], "one line is enough");
    line
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_without_its_value() {
    let config = format!("{ACCOUNT}passwort = \"secret-of-alice\"\n");
    for (command, args) in [("serve", &["--allow", NOBODY][..]), ("forward", &FORWARD)] {
        let line = assert_is_refused(&mut Half::start(command, &config, args), "passwort");
        assert!(line.contains("line 4"), "{line}");
    }
}

#[test]
fn a_configuration_without_accounts_is_refused() {
    assert_is_refused(&mut Half::start("serve", "", &["--allow", NOBODY]), "no account");
}

#[test]
fn a_bad_bridge_line_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, words) in [
        ("argument", "hexchat 192.0.2.1:1 jid=a@chat.example key=secret-of-nobody", "key"),
        ("repeated", "hexchat 192.0.2.1:1 jid=a@chat.example jid=b@chat.example", "jid"),
        ("without-jid", "hexchat 192.0.2.1:1", "jid"),
        ("empty", "", "bridge line"),
    ] {
        let file = write_private(folder.path(), name, text);
        let args = [&FORWARD[..], &["--bridge-line-file", file.to_str().unwrap()]].concat();
        assert_is_refused(&mut Half::start("forward", ACCOUNT, &args), words);
    }
}

#[test]
fn a_bridge_line_file_that_is_not_there_is_named() {
    let args = [&FORWARD[..], &["--bridge-line-file", "/nonexistent/bridge-line"]].concat();
    assert_is_refused(&mut Half::start("forward", ACCOUNT, &args), "/nonexistent/bridge-line");
}

#[test]
fn a_forward_without_a_destination_is_refused() {
    assert_is_refused(&mut Half::start("forward", ACCOUNT, &FORWARD), "jid");
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused_without_showing_what_is_private() {
    let mut half = Half::start("forward", ACCOUNT, &[&FORWARD[..], &["--to", "bob@/secret-of-bob"]].concat());
    assert_eq!(half.exit_status(EXPLANATION), 2);
    half.says("expected user@domain", EXPLANATION);
}

#[test]
fn help_is_no_fault() {
    let mut half = Half::start("serve", "", &["--help"]);
    assert_eq!(half.exit_status(EXPLANATION), 0);
    half.says("--allow", EXPLANATION);
}
