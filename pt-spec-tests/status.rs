//! Rows 30, 33 and 34: the lines that inform.

use std::net::TcpStream;

use crate::child::{Child, Launch};

/// A client at its most talkative, with something to say.
fn talkative() -> Child {
    let child = Launch::client().args(&["--log-level", "debug"]).start();
    drop(TcpStream::connect(child.socks()).unwrap());
    child.says("LOG ");
    child
}

#[test]
fn row_30_log_lines_have_the_severity_first_and_a_quoted_message() {
    for child in [talkative(), Launch::server().start()] {
        let line = child.says("LOG ");
        let rest = line.strip_prefix("LOG SEVERITY=").unwrap();
        let (severity, message) = rest.split_once(" MESSAGE=").unwrap();
        assert!(["error", "warning", "notice", "info", "debug"].contains(&severity), "{line}");
        let inside = message.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap();
        assert!(!inside.is_empty(), "{line}");
    }
}

#[test]
fn row_33_a_status_names_the_transport_and_says_something_of_it() {
    for launch in Launch::both() {
        let child = launch.start();
        child.greeting();
        let lines = child.stdout();
        let statuses: Vec<_> = lines.iter().filter(|line| line.starts_with("STATUS ")).collect();
        assert!(!statuses.is_empty(), "{lines:?}");
        for line in statuses {
            let fields: Vec<&str> = line.split(' ').skip(1).collect();
            let keys: Vec<&str> = fields.iter().map(|field| field.split_once('=').unwrap().0).collect();
            assert!(keys.len() > 1 && keys.iter().filter(|key| **key == "TRANSPORT").count() == 1, "{line}");
            assert!(fields.iter().all(|field| !field.ends_with('=') && !field.ends_with("=\"\"")), "{line}");
        }
    }
}

#[test]
fn row_34_the_version_is_told_before_the_methods_are_done() {
    for launch in Launch::both() {
        let child = launch.start();
        child.greeting();
        let lines = child.stdout();
        let place = |wanted: &str| lines.iter().position(|line| line.starts_with(wanted)).unwrap();
        let (version, status) = (place("VERSION 1"), place("STATUS "));
        let done = lines.iter().position(|line| line.ends_with("METHODS DONE")).unwrap();
        assert!(version < status && status < done, "{lines:?}");
        let release = format!("VERSION=\"{}\"", env!("CARGO_PKG_VERSION"));
        let fields: Vec<&str> = lines[status].split(' ').skip(1).collect();
        for field in ["TRANSPORT=hexchat", "TYPE=version", "IMPLEMENTATION=\"hexchat-pt\"", &release] {
            assert!(fields.contains(&field), "{fields:?}");
        }
    }
}
