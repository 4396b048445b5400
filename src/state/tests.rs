//! Tests of the state directory: what is kept, and what is said when it cannot be.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test is a panic")]

use std::collections::HashMap;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tempfile::TempDir;

use super::*;
use crate::os::testing::{make_link, make_pipe, mode, set_mode};

fn jid(text: &str) -> BareJid {
    BareJid::new(text).unwrap()
}

/// A directory whose state file has this text.
fn with_file(text: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(STATE_FILE), text).unwrap();
    dir
}

/// The text of the state file in a directory.
fn text_of_file(dir: &Path) -> String {
    fs::read_to_string(dir.join(STATE_FILE)).unwrap()
}

#[test]
fn an_account_has_the_same_resource_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/state");
    let (alice, bob) = (jid("alice@x.example"), jid("bob@x.example"));
    let state = StateDir::open(&path).unwrap();
    let first = state.resource_for(&alice).unwrap();
    assert_eq!(first.as_str().len(), 12);
    assert_eq!(state.resource_for(&alice).unwrap(), first);
    let second = state.resource_for(&bob).unwrap();
    assert_ne!(first, second);
    drop(state);

    let state = StateDir::open(&path).unwrap();
    assert_eq!(state.resource_for(&alice).unwrap(), first);
    assert_eq!(state.resource_for(&bob).unwrap(), second);
    assert_eq!((state.path(), state.ephemeral_because().is_none()), (Some(path.as_path()), true));
}

#[test]
fn two_states_give_an_account_two_resources() {
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let resource_in =
        |dir: &TempDir| StateDir::open(dir.path()).unwrap().resource_for(&jid("a@x.example")).unwrap();
    assert_ne!(resource_in(&one), resource_in(&other));
}

#[test]
fn the_state_file_names_no_account() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open_or_ephemeral(Some(dir.path()));
    let resource = state.resource_for(&jid("alice@chat.example")).unwrap();
    let text = text_of_file(dir.path());
    for private in ["alice", "chat.example", resource.as_str()] {
        assert!(!text.contains(private), "{private}");
    }
}

#[test]
fn a_hint_names_no_domain_and_goes_when_it_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    state.keep_hint("chat.example", Some("websocket")).unwrap();
    let text = text_of_file(dir.path());
    assert!(text.contains("websocket") && !text.contains("chat") && !text.contains("example"), "{text}");
    drop(state);
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.hint("chat.example").as_deref(), Some("websocket"));
    state.keep_hint("chat.example", None).unwrap();
    assert!(!text_of_file(dir.path()).contains("websocket"));
}

#[test]
fn what_an_account_used_of_its_quota_is_kept_for_a_day_and_names_no_account() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let (alice, bob) = (jid("alice@chat.example"), jid("bob@chat.example"));
    state.keep_quota_used(&alice, QuotaUsed { bytes: 1000, at: 5 }).unwrap();
    assert!(!text_of_file(dir.path()).contains("chat"));
    drop(state);
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.quota_used(&alice), Some(QuotaUsed { bytes: 1000, at: 5 }));
    assert_eq!(state.quota_used(&bob), None);
    state.keep_quota_used(&bob, QuotaUsed { bytes: 7, at: 5 + 24 * 3600 }).unwrap();
    assert_eq!(state.quota_used(&alice), None);
}

#[test]
fn only_so_many_hints_are_kept_and_the_last_is_one_of_them() {
    let state = StateDir::ephemeral(StateError::Nowhere);
    let domains: Vec<_> = (0..100).map(|n| format!("{n}.example")).collect();
    for domain in &domains {
        state.keep_hint(domain, Some("direct")).unwrap();
        assert!(state.hint(domain).is_some(), "{domain}");
    }
    assert_eq!(domains.iter().filter(|domain| state.hint(domain).is_some()).count(), 32);
}

#[test]
fn a_client_forgets_the_accounts_that_an_earlier_version_listed() {
    let dir = with_file(r#"{"version": 1, "resources": {"a@x.example": "r", "old@y.example": "s"}}"#);
    let state = StateDir::open_or_ephemeral(Some(dir.path()));
    let resource = state.resource_for(&jid("a@x.example")).unwrap();
    assert_ne!(resource.as_str(), "r");
    let text = text_of_file(dir.path());
    assert!(!text.contains("x.example") && !text.contains("y.example"), "{text}");
    drop(state);
    let state = StateDir::open_or_ephemeral(Some(dir.path()));
    assert_eq!(state.resource_for(&jid("a@x.example")).unwrap(), resource);
}

#[test]
fn what_a_bridge_line_names_stays_whoever_opens_the_state() {
    let key = URL_SAFE_NO_PAD.encode([7; 32]);
    let dir = with_file(&format!(
        r#"{{"version": 1, "resources": {{"bridge@x.example": "r"}}, "identity": "{key}"}}"#
    ));
    let client = StateDir::open_or_ephemeral(Some(dir.path()));
    client.resource_for(&jid("alice@x.example")).unwrap();
    drop(client);
    let bridge = StateDir::open(dir.path()).unwrap();
    assert_eq!(bridge.resource_for(&jid("bridge@x.example")).unwrap().as_str(), "r");
    assert!(bridge.has_identity());
    assert_eq!(*bridge.identity().unwrap(), [7; 32]);
    assert!(!text_of_file(dir.path()).contains("alice"));
}

#[test]
fn a_bridge_without_a_key_yet_keeps_its_listed_resources_too() {
    let dir = with_file(r#"{"version": 1, "resources": {"bridge@x.example": "r"}}"#);
    let bridge = StateDir::open(dir.path()).unwrap();
    bridge.identity().unwrap();
    bridge.resource_for(&jid("new@x.example")).unwrap();
    drop(bridge);
    let bridge = StateDir::open(dir.path()).unwrap();
    assert_eq!(bridge.resource_for(&jid("bridge@x.example")).unwrap().as_str(), "r");
    assert!(!text_of_file(dir.path()).contains("new@"), "the list does not grow");
}

#[test]
fn the_key_of_a_bridge_is_made_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let key = state.identity().unwrap();
    let resource = state.resource_for(&jid("a@x.example")).unwrap();
    assert_eq!(state.identity().unwrap(), key);
    drop(state);
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.identity().unwrap(), key);
    assert_eq!(state.resource_for(&jid("a@x.example")).unwrap(), resource);
    let other = tempfile::tempdir().unwrap();
    assert_ne!(StateDir::open(other.path()).unwrap().identity().unwrap(), key);
    assert!(!format!("{state:?}").contains(&URL_SAFE_NO_PAD.encode(key)));
}

#[test]
fn a_bridge_needs_a_place_for_its_key() {
    let state = StateDir::ephemeral(StateError::Nowhere);
    assert!(matches!(state.identity(), Err(StateError::NotKept)));
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    fs::create_dir(dir.path().join(STATE_FILE)).unwrap();
    assert!(matches!(state.identity(), Err(StateError::NotAFile(_))));
}

#[test]
fn the_directory_and_its_files_are_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    set_mode(dir.path(), 0o755);
    let state = StateDir::open(dir.path()).unwrap();
    state.resource_for(&jid("a@x.example")).unwrap();
    state.write_file("hexchat_bridgeline.txt", b"text").unwrap();
    assert_eq!(mode(dir.path()), 0o700);
    for name in [STATE_FILE, LOCK_FILE, "hexchat_bridgeline.txt"] {
        assert_eq!(mode(&dir.path().join(name)), 0o600, "{name}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "no temporary file is left");
}

#[test]
fn a_directory_that_others_share_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    set_mode(dir.path(), 0o1777);
    assert!(matches!(StateDir::open(dir.path()), Err(StateError::Shared(_))));
    assert_eq!(mode(dir.path()), 0o1777);
}

#[test]
fn a_second_process_finds_it_locked_until_the_first_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let first = StateDir::open(dir.path()).unwrap();
    let error = StateDir::open(dir.path()).unwrap_err();
    assert!(matches!(error, StateError::Locked(_)) && error.can_pass());

    let client = StateDir::open_or_ephemeral(Some(dir.path()));
    assert!(matches!(client.ephemeral_because(), Some(StateError::Locked(_))));
    drop(first);
    assert!(StateDir::open(dir.path()).is_ok());
}

#[test]
fn without_a_usable_directory_the_state_lasts_as_long_as_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [Some(file.join("state")), Some(PathBuf::from("/proc/hexchat-state")), None] {
        let state = StateDir::open_or_ephemeral(path.as_deref());
        assert!(state.ephemeral_because().is_some() && state.path().is_none());
        let resource = state.resource_for(&jid("a@x.example")).unwrap();
        assert_eq!(state.resource_for(&jid("a@x.example")).unwrap(), resource);
        state.write_file("name", b"text").unwrap();
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_file_in_the_place_of_the_directory_and_a_directory_in_that_of_a_file_are_said_to_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [&file, &file.join("state")] {
        assert!(matches!(StateDir::open(path), Err(StateError::FileInTheWay(named)) if named == *path));
    }
    for name in [STATE_FILE, LOCK_FILE] {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join(name);
        fs::create_dir(&directory).unwrap();
        assert!(matches!(StateDir::open(dir.path()), Err(StateError::NotAFile(named)) if named == directory));
    }
}

/// A pipe that nobody reads is opened for reading at once, and for writing not at all.
#[test]
fn a_pipe_in_the_place_of_a_file_is_said_to_be_none_and_holds_nobody_up() {
    for name in [STATE_FILE, LOCK_FILE] {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join(name);
        make_pipe(&pipe);
        assert!(matches!(StateDir::open(dir.path()), Err(StateError::NotAFile(named)) if named == pipe));
    }
}

/// What it leads to may be on a disk that is not there yet: what is begun in its place would be another bridge.
#[test]
fn a_link_that_leads_nowhere_is_said_to_and_stays() {
    for name in [STATE_FILE, LOCK_FILE, "."] {
        let dir = tempfile::tempdir().unwrap();
        let (state, nowhere) = (dir.path().join("state"), dir.path().join("nowhere/file"));
        let link = if name == "." { state.clone() } else { state.join(name) };
        if name != "." {
            fs::create_dir(&state).unwrap();
        }
        make_link(&link, &nowhere);
        let error = StateDir::open(&state).unwrap_err();
        assert_eq!(
            error.with_advice(),
            format!(
                "{} is a link that leads nowhere; put back what it leads to, or use another state directory",
                link.display()
            )
        );
        assert!(link.is_symlink());
    }
}

#[test]
fn a_link_above_the_directory_that_leads_nowhere_is_said_to_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("disk");
    make_link(&link, &dir.path().join("unmounted"));
    let error = StateDir::open(&link.join("state")).unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("{} is a link that leads nowhere", link.display())),
        "{error}"
    );
    assert!(link.is_symlink());
}

#[test]
fn a_link_to_itself_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join(STATE_FILE);
    make_link(&link, &link);
    assert!(matches!(StateDir::open(dir.path()), Err(StateError::DeadLink(named)) if named == link));
}

/// A directory with a registration, and that registration.
fn with_registration() -> (TempDir, Registration) {
    let dir = tempfile::tempdir().unwrap();
    let kept = Registration::Refused { why: "closed".to_owned(), until: 1, page: None };
    StateDir::open(dir.path()).unwrap().keep_registration("chat.example", Some(kept.clone())).unwrap();
    (dir, kept)
}

fn read_only() -> StateError {
    let error = io::ErrorKind::ReadOnlyFilesystem.into();
    StateError::Io { action: "writing", path: "/s".into(), error }
}

#[test]
fn what_is_in_a_directory_that_cannot_be_written_is_there_and_what_changes_lasts_as_long_as_the_process() {
    let (dir, kept) = with_registration();
    let before = text_of_file(dir.path());
    let state = StateDir::unwritable(dir.path(), read_only());
    assert!(state.ephemeral_because().is_some_and(StateError::is_about_writing) && state.path().is_none());
    assert_eq!(state.registration("chat.example"), Some(kept));
    state.keep_registration("chat.example", None).unwrap();
    assert_eq!(state.registration("chat.example"), None);
    assert_eq!(text_of_file(dir.path()), before);
}

#[test]
fn what_another_process_uses_or_is_damaged_is_not_used_because_it_can_be_read() {
    let (dir, _) = with_registration();
    let other = StateDir::open(dir.path()).unwrap();
    let state = StateDir::unwritable(dir.path(), read_only());
    assert!(matches!(state.ephemeral_because(), Some(StateError::Locked(_))));
    assert_eq!(state.registration("chat.example"), None);
    drop(other);
    fs::write(dir.path().join(STATE_FILE), "{").unwrap();
    let state = StateDir::unwritable(dir.path(), read_only());
    assert!(matches!(state.ephemeral_because(), Some(StateError::Corrupt { .. })));
}

#[test]
fn what_a_later_version_keeps_is_kept() {
    let dir = with_file(r#"{"version": 1, "resources": {"a@x.example": "r"}, "later": {"key": [1, 2]}}"#);
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.resource_for(&jid("a@x.example")).unwrap().as_str(), "r");
    state.resource_for(&jid("b@x.example")).unwrap();
    let text = fs::read(dir.path().join(STATE_FILE)).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["later"], serde_json::json!({"key": [1, 2]}));
    assert_eq!(json["resources"]["a@x.example"], "r");
}

#[test]
fn a_damaged_file_is_an_error_and_stays_as_it_is() {
    for text in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"version": "hunter2"}"#,
        r#"{"version": 1, "resources": {"a@x.example": {"hunter2": 1}}}"#,
        r#"{"version": 1, "resources": {"hunter2@": "r"}}"#,
        r#"{"version": 1, "resources": {"a@x.example": ""}}"#,
        r#"{"version": 1, "identity": "hunter2"}"#,
        r#"{"version": 1, "resource_secret": "hunter2"}"#,
        r#"{"version": 1, "identity": ["hunter2"]}"#,
    ] {
        let dir = with_file(text);
        let error = StateDir::open(dir.path()).expect_err(text);
        assert!(matches!(error, StateError::Corrupt { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        assert!(error.advice().contains("move it away"), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join(STATE_FILE)).unwrap(), text);
    }
}

#[test]
fn a_file_of_a_later_format_is_left_alone() {
    let dir = with_file(r#"{"version": 2, "resources": 7}"#);
    assert!(matches!(StateDir::open(dir.path()), Err(StateError::TooNew(_))));
}

#[test]
fn a_resource_that_could_not_be_written_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    // A directory in the place of the file: no rename can replace it, whoever asks.
    let obstacle = dir.path().join(STATE_FILE);
    fs::create_dir(&obstacle).unwrap();
    let account = jid("a@x.example");
    assert!(matches!(state.resource_for(&account), Err(StateError::NotAFile(_))));
    fs::remove_dir(&obstacle).unwrap();
    let resource = state.resource_for(&account).unwrap();
    drop(state);
    assert_eq!(StateDir::open(dir.path()).unwrap().resource_for(&account).unwrap(), resource);
}

#[test]
fn a_temporary_file_that_a_crash_left_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hexchat_state.json.tmp"), "half").unwrap();
    StateDir::open(dir.path()).unwrap().resource_for(&jid("a@x.example")).unwrap();
    assert!(StateDir::open(dir.path()).is_ok());
}

#[test]
fn the_default_directory_follows_the_xdg_specification() {
    let find = |variables: &[(&str, &str)]| {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        default_dir(|name| variables.get(name).map(OsString::from))
    };
    let path = |text: &str| Some(PathBuf::from(text));
    assert_eq!(find(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]), path("/s/hexchat-pt"));
    assert_eq!(find(&[("XDG_STATE_HOME", ""), ("HOME", "/h")]), path("/h/.local/state/hexchat-pt"));
    assert_eq!(find(&[("XDG_STATE_HOME", "s"), ("HOME", "/h")]), path("/h/.local/state/hexchat-pt"));
    assert_eq!(find(&[]), None);
}

#[test]
fn what_the_system_said_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let error = StateDir::open(&dir.path().join("x".repeat(1000))).unwrap_err();
    let text = format!("{:#}", anyhow::Error::from(error));
    assert_eq!(text.matches("os error").count(), 1, "{text}");
}
