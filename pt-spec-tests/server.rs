//! Rows 35 to 39: a bridge's launch.

use crate::child::{Launch, protocol};

fn greeting(launch: Launch) -> Vec<String> {
    launch.start().greeting()
}

#[test]
fn row_37_the_method_names_the_address_that_was_asked_for_or_a_placeholder() {
    for (asked, reported) in [
        ("hexchat-127.0.0.1:0", "127.0.0.1:1"),
        ("hexchat-0.0.0.0:4711", "0.0.0.0:4711"),
        ("hexchat-[::1]:4711", "[::1]:4711"),
    ] {
        let lines = greeting(Launch::server().set("TOR_PT_SERVER_BINDADDR", asked));
        let method = format!("SMETHOD hexchat {reported}");
        assert_eq!(protocol(&lines), ["VERSION 1", &method, "SMETHODS DONE"], "{asked}");
    }
}

#[test]
fn row_38_the_method_has_no_arguments() {
    let lines = greeting(Launch::server());
    assert!(!lines.iter().any(|line| line.contains("ARGS")), "{lines:?}");
}

#[test]
fn row_39_a_chat_server_that_is_not_there_is_no_method_error() {
    let mut child = Launch::server().start();
    assert!(!child.greeting().iter().any(|line| line.starts_with("SMETHOD-ERROR")));
    let line = child.says("LOG SEVERITY=warning ");
    assert!(line.contains("connection refused") && !line.contains("chat.example"), "{line}");
    assert!(child.process.is_running());
}

#[test]
fn a_bridge_without_an_account_is_a_method_error_that_says_what_to_add() {
    let lines = greeting(Launch::server().config("[bridge]\nclassic = true\n"));
    let error = lines.iter().find(|line| line.starts_with("SMETHOD-ERROR hexchat ")).unwrap();
    assert!(error.contains("[[account]]"), "{error}");
    assert_eq!(lines.last().map(String::as_str), Some("SMETHODS DONE"));
}
