//! Rows 1 to 3: the versions of the protocol.

use crate::child::Launch;

#[test]
fn row_1_version_1_is_found_in_any_list_and_comes_first() {
    for versions in ["1", "1,1a,2b,x", "2,1", "x,1,3", "1,1", ",1", "1,"] {
        for launch in Launch::both() {
            let child = launch.set("TOR_PT_MANAGED_TRANSPORT_VER", versions).start();
            child.greeting();
            assert_eq!(child.stdout()[0], "VERSION 1", "{versions}");
        }
    }
}

#[test]
fn row_2_without_a_common_version_it_says_so_and_exits() {
    for versions in ["2", "2,1a", "11", "01", "1.0", " 1", ","] {
        for launch in Launch::both() {
            let mut child = launch.set("TOR_PT_MANAGED_TRANSPORT_VER", versions).start();
            assert_eq!(child.status(), 2, "{versions}");
            assert_eq!(child.stdout(), ["VERSION-ERROR no-version"], "{versions}");
        }
    }
}

#[test]
fn row_3_started_by_a_person_it_says_what_it_is_to_the_person_and_not_to_tor() {
    let mut child = Launch::client()
        .without("TOR_PT_MANAGED_TRANSPORT_VER")
        .without("TOR_PT_CLIENT_TRANSPORTS")
        .without("TOR_PT_STATE_LOCATION")
        .start();
    assert_eq!(child.status(), 2);
    let stdout = child.stdout();
    assert!(stdout.len() == 1 && stdout[0].starts_with("ENV-ERROR "), "{stdout:?}");
    let lines = child.process.lines();
    assert!(lines.iter().any(|line| line.contains("ClientTransportPlugin")), "{lines:?}");
}
