//! Rows 4, 5, 14 and 15: the variables.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::child::{Launch, protocol};

/// It exits with status 2 after an `ENV-ERROR` that contains this, and says nothing else.
fn is_refused(launch: Launch, named: &str) {
    let mut child = launch.start();
    assert_eq!(child.status(), 2, "{named}");
    let stdout = child.stdout();
    assert!(stdout.len() == 1 && stdout[0].starts_with("ENV-ERROR "), "{stdout:?}");
    assert!(stdout[0].contains(named), "{named}: {stdout:?}");
}

#[test]
fn rows_4_and_41_each_variable_that_is_missing_is_named() {
    for (variable, launch) in [
        ("TOR_PT_MANAGED_TRANSPORT_VER", Launch::client()),
        ("TOR_PT_STATE_LOCATION", Launch::client()),
        ("TOR_PT_STATE_LOCATION", Launch::server()),
        ("TOR_PT_ORPORT", Launch::server()),
        ("TOR_PT_AUTH_COOKIE_FILE", Launch::server().set("TOR_PT_EXTENDED_SERVER_PORT", "127.0.0.1:9")),
    ] {
        is_refused(launch.without(variable), variable);
    }
}

#[test]
fn row_4_an_empty_variable_is_one_that_is_not_set() {
    for (variable, launch) in [
        ("TOR_PT_MANAGED_TRANSPORT_VER", Launch::client()),
        ("TOR_PT_STATE_LOCATION", Launch::client()),
        ("TOR_PT_ORPORT", Launch::server()),
    ] {
        is_refused(launch.set(variable, ""), variable);
    }
}

#[test]
fn row_4_each_variable_that_is_malformed_is_named_and_its_value_not_shown() {
    for (variable, value) in [
        ("TOR_PT_STATE_LOCATION", "planted/path"),
        ("TOR_PT_ORPORT", "planted"),
        ("TOR_PT_ORPORT", "planted:9"),
        ("TOR_PT_ORPORT", "127.0.0.1:0"),
        ("TOR_PT_EXTENDED_SERVER_PORT", "planted:9"),
        ("TOR_PT_SERVER_BINDADDR", "planted"),
        ("TOR_PT_SERVER_TRANSPORT_OPTIONS", "planted"),
        ("TOR_PT_OUTBOUND_BIND_ADDRESS_V4", "planted"),
        ("TOR_PT_OUTBOUND_BIND_ADDRESS_V6", "[planted]"),
    ] {
        is_refused(Launch::server().set(variable, value), variable);
        let child = Launch::server().set(variable, value).start();
        let lines = child.greeting();
        assert!(!lines.iter().any(|line| line.contains("planted")), "{lines:?}");
    }
}

#[test]
fn row_4_a_value_that_is_not_text_is_refused() {
    let strange = OsStr::from_bytes(b"127.0.0.1\xff:9");
    for variable in ["TOR_PT_ORPORT", "TOR_PT_SERVER_BINDADDR", "TOR_PT_EXTENDED_SERVER_PORT"] {
        is_refused(Launch::server().set(variable, strange), variable);
    }
}

#[test]
fn row_5_it_is_a_client_or_a_server_and_not_both_or_neither() {
    let both = Launch::client().set("TOR_PT_SERVER_TRANSPORTS", "hexchat");
    let neither = Launch::client().without("TOR_PT_CLIENT_TRANSPORTS");
    let empty = Launch::client().set("TOR_PT_CLIENT_TRANSPORTS", "");
    for launch in [both, neither, empty] {
        is_refused(launch, "TOR_PT_CLIENT_TRANSPORTS");
    }
}

#[test]
fn row_14_a_name_that_is_no_identifier_is_none_of_ours() {
    for name in ["hexchat-pt", "Hexchat", "hexchat ", "1hexchat"] {
        let child = Launch::client().set("TOR_PT_CLIENT_TRANSPORTS", name).start();
        child.greeting();
        assert_eq!(protocol(&child.stdout()), ["VERSION 1", "CMETHODS DONE"], "{name:?}");
    }
}

#[test]
fn row_15_unknown_transports_are_ignored() {
    for list in ["foo,hexchat,bar", "hexchat,foo", "foo-bar,hexchat,hexchat,"] {
        let child = Launch::client().set("TOR_PT_CLIENT_TRANSPORTS", list).start();
        child.greeting();
        let lines = child.stdout();
        let methods = protocol(&lines);
        assert_eq!(methods.len(), 3, "{lines:?}");
        assert!(methods[1].starts_with("CMETHOD hexchat "), "{lines:?}");
    }
}

#[test]
fn row_15_with_none_of_ours_it_says_that_it_is_done_and_stays() {
    for (launch, done) in [
        (Launch::client().set("TOR_PT_CLIENT_TRANSPORTS", "foo"), "CMETHODS DONE"),
        (Launch::server().set("TOR_PT_SERVER_TRANSPORTS", "foo"), "SMETHODS DONE"),
    ] {
        let mut child = launch.start();
        child.greeting();
        assert_eq!(child.stdout(), ["VERSION 1", done]);
        assert!(child.process.is_running());
    }
}
