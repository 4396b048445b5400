//! Mistakes of who uses a bridge.

use super::{EXAMPLE_KEY, KEY, logs};
use crate::chat_server::DOMAIN;
use crate::child::Launch;
use crate::log::warns;
use crate::socks::replies::refusing;
use crate::socks::{GENERAL_FAILURE, NOT_ALLOWED, ask};

/// Asks with this bridge line, which can never work, and expects these words in the log.
fn refused(line: &str, words: &str) -> String {
    let child = Launch::client().start();
    assert_eq!(ask(child.socks(), line.as_bytes()), GENERAL_FAILURE);
    let line = warns(&child, words);
    for private in ["sec", "ret", KEY] {
        let said = line.replace("secure", "").replace("secret", "").replace("retr", "");
        assert!(!said.contains(private), "{line}");
    }
    line
}

#[test]
fn a_comma_in_a_password_is_an_error_that_says_how_to_write_it() {
    let line = format!("jid=bridge@{DOMAIN}/r;key={KEY};login=alice@{DOMAIN}:sec,ret");
    refused(&line, "bridge line: login: item 2 must be");
    refused(&line, "%2C");
}

#[test]
fn a_line_that_has_lost_its_key_is_to_be_copied_again() {
    for jid in ["bridge@mock.example", "bridge@mock.example/r"] {
        let line = format!("jid={jid};login=alice@{DOMAIN}:sesame;server=127.0.0.1:9");
        refused(
            &line,
            "bridge line: key: missing: copy the whole line again, with key= as the bridge's operator gave it",
        );
    }
}

#[test]
fn a_key_that_was_cut_or_is_that_of_the_example_is_to_be_copied_again() {
    for key in [&KEY[..42], EXAMPLE_KEY, "", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="] {
        let key = key.replace('=', "\\=");
        refused(
            &format!("jid=bridge@{DOMAIN}/r;key={key};login=alice@{DOMAIN}:sesame"),
            "copy the whole bridge line again",
        );
    }
}

#[test]
fn the_secret_of_the_example_is_refused() {
    let line = format!("jid=bridge@{DOMAIN}/r;key={KEY};psk={EXAMPLE_KEY};login=alice@{DOMAIN}:sesame");
    refused(&line, "bridge line: psk: is no secret: it is that of an example");
}

#[test]
fn a_wrong_password_in_a_line_says_how_to_write_it_and_that_tor_is_to_be_reloaded() {
    let server = refusing("<not-authorized/>");
    let child = Launch::client().start();
    assert_eq!(ask(child.socks(), server.with_password().as_bytes()), NOT_ALLOWED);
    let words = "the login of bridge 192.0.2.3:1 cannot be used: logging in at the chat server: wrong user name or password; correct the login";
    let line = logs(&child, words);
    assert!(
        line.contains("all of a password but letters, digits and -._~ is written %XX, reload tor"),
        "{line}"
    );
    // The corrected line is another one, and is tried.
    let corrected = server.with_password().replace(":sesame", ":Sesame");
    assert_eq!(ask(child.socks(), corrected.as_bytes()), NOT_ALLOWED);
}

#[test]
fn a_bridge_is_called_by_the_placeholder_of_its_line_whichever_comes_first() {
    let server = refusing("<not-authorized/>");
    let child = Launch::client().start();
    assert_eq!(ask(child.socks(), server.with_password().as_bytes()), NOT_ALLOWED);
    logs(&child, "no account to reach it by is online (bridge 192.0.2.3:1)");
}

#[test]
fn an_argument_that_does_not_exist_is_asked_about_and_the_rest_of_a_value_is_recognised() {
    let server = refusing("<not-authorized/>");
    for (argument, words) in [
        ("logn=x", "the argument logn is unknown and was ignored; did you mean login?"),
        (
            "p/w=x",
            "the argument (unprintable) is unknown and was ignored; it may be the rest of a value with a blank in it",
        ),
    ] {
        let child = Launch::client().start();
        let line = format!("{};{argument}", server.with_password());
        assert_eq!(ask(child.socks(), line.as_bytes()), NOT_ALLOWED);
        warns(&child, words);
    }
}

#[test]
fn a_classic_line_says_which_bridges_answer_it() {
    let server = refusing("<not-authorized/>");
    let child = Launch::client().start();
    assert_eq!(ask(child.socks(), server.with_password().as_bytes()), NOT_ALLOWED);
    warns(&child, "only bridges with classic = true answer it, and others need their whole line, with key=");
}

#[test]
fn a_log_file_that_cannot_be_opened_is_named_and_so_is_the_user() {
    let launch = Launch::client()
        .args(&["--log-file", "/root/planted.log"])
        .set("TOR_PT_STATE_LOCATION", "/nonexistent");
    let child = launch.wrapped(super::as_nobody()).start();
    let line = warns(&child, "the log file /root/planted.log cannot be opened (permission denied for ");
    assert!(line.contains("as whom this process runs"), "{line}");
}
