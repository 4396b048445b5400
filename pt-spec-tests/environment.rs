//! Rows 1 to 7: versions, variables, the state folder.

use crate::child::{Launch, protocol};

#[test]
fn row_1_version_1_is_found_in_any_list_and_comes_first() {
    for versions in ["1", "1,1a,2b,x", "2,1", "x,1,3"] {
        let child = Launch::client().set("TOR_PT_MANAGED_TRANSPORT_VER", versions).start();
        assert_eq!(child.greeting().first().map(String::as_str), Some("VERSION 1"), "{versions}");
    }
}

#[test]
fn row_2_without_a_common_version_it_says_so_and_exits() {
    let mut child = Launch::client().set("TOR_PT_MANAGED_TRANSPORT_VER", "2,1a").start();
    assert_eq!(child.greeting(), ["VERSION-ERROR no-version"]);
    assert_eq!(child.status(), 2);
}

#[test]
fn row_3_started_by_a_person_it_says_what_it_is() {
    let mut child = Launch::client().without("TOR_PT_MANAGED_TRANSPORT_VER").start();
    assert_eq!(child.status(), 2);
    let lines = child.greeting();
    assert!(lines.iter().any(|line| line.starts_with("ENV-ERROR ")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("ClientTransportPlugin")), "{lines:?}");
}

#[test]
fn rows_4_and_41_each_variable_that_is_missing_or_malformed_is_named() {
    let cases = [
        ("TOR_PT_STATE_LOCATION", Launch::client().without("TOR_PT_STATE_LOCATION")),
        ("TOR_PT_STATE_LOCATION", Launch::client().set("TOR_PT_STATE_LOCATION", "relative/path")),
        ("TOR_PT_ORPORT", Launch::server().without("TOR_PT_ORPORT")),
        ("TOR_PT_ORPORT", Launch::server().set("TOR_PT_ORPORT", "localhost")),
        ("TOR_PT_SERVER_BINDADDR", Launch::server().set("TOR_PT_SERVER_BINDADDR", "hexchat")),
        ("TOR_PT_AUTH_COOKIE_FILE", Launch::server().set("TOR_PT_EXTENDED_SERVER_PORT", "127.0.0.1:9")),
    ];
    for (variable, launch) in cases {
        let mut child = launch.start();
        assert_eq!(child.status(), 2, "{variable}");
        let lines = child.greeting();
        assert!(lines[0].starts_with("ENV-ERROR ") && lines[0].contains(variable), "{variable}: {lines:?}");
    }
}

#[test]
fn row_5_it_is_a_client_or_a_server_and_not_both_or_neither() {
    let both = Launch::client().set("TOR_PT_SERVER_TRANSPORTS", "hexchat");
    let neither = Launch::client().without("TOR_PT_CLIENT_TRANSPORTS");
    for launch in [both, neither] {
        let mut child = launch.start();
        assert_eq!(child.status(), 2);
        assert!(child.greeting()[0].starts_with("ENV-ERROR "));
    }
}

#[test]
fn row_6_the_state_folder_is_made_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let child = Launch::server().start();
    child.greeting();
    let metadata = std::fs::metadata(child.state.path().join("pt_state")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o700);
}

#[test]
fn row_7_a_client_works_without_a_usable_state_folder() {
    let launch = Launch::client();
    let file = launch.state().join("a-file");
    std::fs::write(&file, "").unwrap();
    let child = launch.set("TOR_PT_STATE_LOCATION", &file.join("state").display().to_string()).start();
    assert!(protocol(&child.greeting()).iter().any(|line| line.starts_with("CMETHOD hexchat ")));
}
