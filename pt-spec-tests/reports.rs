//! Reports in the log, and how often they come: Tor tries again and again.

use std::cell::Cell;

use hexchat_lab::ports::{free_port, loopback};

use crate::chat_server::{ChatServer, DOMAIN};
use crate::child::{Child, Launch, PATIENCE};
use crate::log::{message, warns};
use crate::socks::replies::refusing;
use crate::socks::{GENERAL_FAILURE, NOT_ALLOWED, REFUSED, SUCCEEDED, ask};

/// How many lines of the log that a user sees by default have these words.
fn said(child: &Child, words: &str) -> usize {
    child
        .process
        .lines()
        .iter()
        .filter(|line| line.starts_with("LOG ") && message(line).contains(words))
        .count()
}

/// Waits until the log has these words twice.
fn wait_for_two(child: &Child, words: &str) {
    let times = Cell::new(0);
    let is_second = |line: &str| {
        times.set(times.get() + usize::from(line.contains(words)));
        times.get() == 2
    };
    child.process.wait_for_line(is_second, PATIENCE).unwrap();
}

#[test]
fn row_32_a_fault_of_an_account_is_one_warning_however_many_bridges_need_it_and_tor_tries_again() {
    let child = Launch::client().config("[limits]\nconnect_timeout = 1\n").start();
    let nowhere = loopback(free_port().unwrap());
    let bridge = |name: &str| {
        format!("mode=classic;jid={name}@{DOMAIN};login=alice@{DOMAIN}:sesame;server={nowhere};tls=none")
            .into_bytes()
    };
    for _ in 0..3 {
        for name in ["one", "two"] {
            assert_eq!(ask(child.socks(), &bridge(name)), REFUSED);
        }
    }
    let cause = "dialling the chat server: connection refused; check that the chat server runs, and `server`";
    let line = warns(&child, cause);
    assert!(message(&line).starts_with("the login of bridge 192.0.2.3:1 is not online: dialling"), "{line}");
    for (words, times) in
        [("connection refused", 1), ("no account to reach it by is online", 2), ("mode is classic", 2)]
    {
        assert_eq!(said(&child, words), times, "{words}: {:?}", child.process.lines());
    }
}

#[test]
fn row_32_a_wrong_password_is_told_once_and_to_each_bridge_that_it_has_no_account() {
    let server = refusing("<not-authorized/>");
    let child = Launch::client().start();
    let bridges = ["one", "two"].map(|name| server.with_password().replace("bridge@", &format!("{name}@")));
    for _ in 0..5 {
        for bridge in &bridges {
            assert_eq!(ask(child.socks(), bridge.as_bytes()), NOT_ALLOWED);
        }
    }
    wait_for_two(&child, "no account to reach it by is online");
    for (words, times) in [
        ("the login of bridge 192.0.2.3:1 cannot be used", 1),
        ("wrong user name or password", 1),
        ("no account to reach it by", 2),
    ] {
        assert_eq!(said(&child, words), times, "{words}: {:?}", child.process.lines());
    }
}

#[test]
fn row_32_what_a_server_ends_sessions_for_is_a_warning_with_what_helps() {
    let server = ChatServer::start(|client| {
        client.log_in()?;
        client.say("<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>")
    });
    let child = Launch::client().config("[limits]\nconnect_timeout = 2\n").start();
    assert_ne!(ask(child.socks(), server.anonymously().as_bytes()), SUCCEEDED);
    let line =
        warns(&child, "another login with the same resource replaced this one; give each running program");
    assert!(message(&line).starts_with("the login of bridge 192.0.2.3:1 lost its connection: "), "{line}");
}

#[test]
fn a_log_file_that_cannot_be_used_is_said_once_and_stops_nothing() {
    for (file, words) in [
        ("/nonexistent/folder/log", "the log file /nonexistent/folder/log cannot be opened"),
        ("/dev/full", "the log file /dev/full cannot be written to"),
    ] {
        // At the level at which the least is said.
        let launch = Launch::client().args(&["--log-file", file, "--log-level", "error"]);
        let mut child = launch.start();
        let server = refusing("<not-authorized/>");
        for user in ["one", "two"] {
            let line = server.with_password().replace("alice@", &format!("{user}@"));
            assert_eq!(ask(child.socks(), line.as_bytes()), NOT_ALLOWED);
        }
        wait_for_two(&child, "cannot be used: logging in");
        assert_eq!(said(&child, words), 1, "{:?}", child.process.lines());
        assert_eq!(ask(child.socks(), b"jid=b@x"), GENERAL_FAILURE, "it still serves");
        assert!(child.process.is_running());
    }
}
