//! The exact lines. That both parents read them, whatever the text, is tested in `pt-spec-tests/properties.rs`.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn name() -> TransportName {
    "hexchat".parse().unwrap()
}

#[test]
fn each_message_is_written_exactly() {
    let addr = "127.0.0.1:4711".parse().unwrap();
    let text = || "no good".to_owned();
    let mut args = SmethodArgs::default();
    for (message, line) in [
        (Message::Version, "VERSION 1"),
        (Message::VersionError, "VERSION-ERROR no-version"),
        (Message::EnvError(text()), "ENV-ERROR no good"),
        (Message::ProxyDone, "PROXY DONE"),
        (Message::ProxyError(text()), "PROXY-ERROR no good"),
        (Message::Cmethod { transport: name(), addr }, "CMETHOD hexchat socks5 127.0.0.1:4711"),
        (Message::CmethodError { transport: name(), text: text() }, "CMETHOD-ERROR hexchat no good"),
        (Message::CmethodsDone, "CMETHODS DONE"),
        (Message::Smethod { transport: name(), addr, args: args.clone() }, "SMETHOD hexchat 127.0.0.1:4711"),
        (Message::SmethodError { transport: name(), text: text() }, "SMETHOD-ERROR hexchat no good"),
        (Message::SmethodsDone, "SMETHODS DONE"),
        (Message::log(Severity::Notice, r#"a "b" \c"#), r#"LOG SEVERITY=notice MESSAGE="a \"b\" \\c""#),
        (Message::log(Severity::Error, "a\nb\0"), r#"LOG SEVERITY=error MESSAGE="a\\nb\\u{0}""#),
    ] {
        assert_eq!(message.to_string(), line);
    }
    args.push("k", "v").unwrap();
    let addr = "[2001:db8::1]:443".parse().unwrap();
    let line = Message::Smethod { transport: name(), addr, args }.to_string();
    assert_eq!(line, "SMETHOD hexchat [2001:db8::1]:443 ARGS:k=v");
}

#[test]
fn the_version_status_is_written_exactly() {
    let line = Message::Status(Status::version(name(), "hexchat-pt", "0.1.0")).to_string();
    let exact = r#"STATUS TRANSPORT=hexchat TYPE=version IMPLEMENTATION="hexchat-pt" VERSION="0.1.0""#;
    assert_eq!(line, exact);
}

#[test]
fn a_status_has_no_empty_value_and_no_key_twice() {
    let status = Status::new(name(), "A", "1").field("B", " ").field("A", "2").field("odd key=", "x");
    assert_eq!(Message::Status(status).to_string(), r#"STATUS TRANSPORT=hexchat B="-" A=2 odd_key_=x"#);
}

#[test]
fn an_error_without_text_still_says_something() {
    assert_eq!(Message::EnvError(" \n".into()).to_string(), "ENV-ERROR unspecified");
}

#[test]
fn a_long_text_is_cut() {
    let line = Message::log(Severity::Info, "\u{1}".repeat(100_000)).to_string();
    assert!(line.len() < 8 * MAX_TEXT && line.ends_with("…\""), "{}", line.len());
}
