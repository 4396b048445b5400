//! Rows 15 to 21, 30 to 34 as far as a launch shows them.

use hexchat_lab::ports::free_port;

use crate::child::{Launch, protocol};

#[test]
fn rows_16_and_18_the_listener_is_on_loopback_and_comes_without_any_network() {
    let child = Launch::client().start();
    let lines = child.greeting();
    let lines = protocol(&lines);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!((lines[0], lines[2]), ("VERSION 1", "CMETHODS DONE"));
    let socks = child.socks();
    assert!(socks.ip().is_loopback() && socks.port() != 0);
}

#[test]
fn row_15_unknown_transports_are_ignored() {
    let some = Launch::client().set("TOR_PT_CLIENT_TRANSPORTS", "foo,hexchat,bar").start();
    let lines = some.greeting();
    assert_eq!(protocol(&lines).iter().filter(|line| line.starts_with("CMETHOD")).count(), 2, "{lines:?}");
    let none = Launch::client().set("TOR_PT_CLIENT_TRANSPORTS", "foo").start();
    assert_eq!(protocol(&none.greeting()), ["VERSION 1", "CMETHODS DONE"]);
}

#[test]
fn a_configuration_that_cannot_work_is_a_method_error_and_the_child_stays() {
    let mut child = Launch::client().config("[client]\nsurprise = \"hidden\"\n").start();
    let lines = child.greeting();
    let error = lines.iter().find(|line| line.starts_with("CMETHOD-ERROR hexchat ")).unwrap();
    assert!(error.contains("line 2") && error.contains("surprise") && !error.contains("hidden"), "{error}");
    assert_eq!(lines.last().map(String::as_str), Some("CMETHODS DONE"));
    assert!(child.process.is_running());
    child.process.close_stdin();
    assert_eq!(child.status(), 0);
}

#[test]
fn rows_19_and_20_a_proxy_is_confirmed_once_and_only_when_there_is_one() {
    let confirmations = |launch: Launch| {
        let lines = launch.start().greeting();
        lines.iter().filter(|line| *line == "PROXY DONE").count()
    };
    assert_eq!(confirmations(Launch::client()), 0);
    for uri in ["http://127.0.0.1:9", "socks4a://u@127.0.0.1:9", "socks5://u:p@127.0.0.1:9"] {
        assert_eq!(confirmations(Launch::client().set("TOR_PT_PROXY", uri)), 1, "{uri}");
    }
}

#[test]
fn rows_19_and_21_a_proxy_that_cannot_be_used_is_an_error_without_its_credentials() {
    for uri in [
        "ftp://127.0.0.1:9",
        "socks5://user:sesame@proxy.example:9",
        "http://127.0.0.1",
        "http://127.0.0.1:9/x",
    ] {
        let mut child = Launch::client().set("TOR_PT_PROXY", uri).start();
        assert_eq!(child.status(), 2, "{uri}");
        let lines = child.greeting();
        assert!(lines.iter().any(|line| line.starts_with("PROXY-ERROR ")), "{uri}: {lines:?}");
        assert!(!lines.iter().any(|line| line.contains("sesame") || line.contains("METHOD")), "{lines:?}");
    }
}

#[test]
fn rows_33_and_34_the_version_is_told_before_the_methods_are_done() {
    let lines = Launch::client().start().greeting();
    let status = lines.iter().position(|line| line.starts_with("STATUS ")).unwrap();
    let done = lines.iter().position(|line| line == "CMETHODS DONE").unwrap();
    assert!(status < done);
    let fields: Vec<&str> = lines[status].split(' ').skip(1).collect();
    for field in ["TRANSPORT=hexchat", "TYPE=version", "IMPLEMENTATION=\"hexchat-pt\""] {
        assert!(fields.contains(&field), "{fields:?}");
    }
}

#[test]
fn rows_30_and_31_log_lines_have_the_severity_first_and_a_quoted_message() {
    let port = free_port().unwrap();
    let child = Launch::server()
        .config(&format!(
            "[[account]]\njid = \"b@chat.example\"\npassword = \"x\"\nserver = \"127.0.0.1:{port}\"\n[bridge]\nclassic = true\n"
        ))
        .start();
    let line = child.says("LOG ");
    let rest = line.strip_prefix("LOG SEVERITY=").unwrap();
    let (severity, message) = rest.split_once(" MESSAGE=").unwrap();
    assert!(["error", "warning", "notice", "info", "debug"].contains(&severity), "{line}");
    assert!(message.starts_with('"') && message.ends_with('"') || !message.contains(' '), "{line}");
}
