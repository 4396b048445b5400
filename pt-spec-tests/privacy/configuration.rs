//! Secrets in values of the configuration file that cannot work.

use super::{KEY, PSK, talkative};
use crate::child::Launch;

/// Lines before the fault, the key that is to be named, and the value, which is not.
const FAULTS: [(&str, &str, &str); 31] = [
    ("[[account]]", "jid", "\"planted@@planted\""),
    ("[[account]]", "jid", "\"\""),
    ("[[account]]", "jid", "[\"planted\"]"),
    ("[[account]]\njid = \"planted@x.example\"", "password", "[\"planted-password\"]"),
    ("[[account]]\njid = \"planted@x.example\"", "password", "\"\""),
    ("[[account]]\njid = \"planted@x.example\"", "password_file", "7"),
    ("[[account]]\njid = \"planted@x.example\"\npassword = \"planted\"", "password_file", "\"/planted\""),
    ("[[account]]\njid = \"planted@x.example\"\npassword = \"planted\"", "server", "\"planted:99999\""),
    ("[[account]]\njid = \"planted@x.example\"\npassword = \"planted\"", "server", "\"planted host:1\""),
    ("[[account]]\njid = \"planted@x.example\"\npassword = \"planted\"", "tls", "\"planted\""),
    ("[[account]]\njid = \"planted@x.example\"\npassword = \"planted\"", "ca_file", "[\"planted\"]"),
    ("[client]", "jid", "\"planted@@planted\""),
    ("[client]", "key", "\"planted-key\""),
    ("[client]", "key", "5"),
    ("[client]", "psk", "\"planted-psk\""),
    ("[client]", "login", "\"planted@x.example:planted%zz\""),
    ("[client]", "login", "\"planted@x.example\""),
    ("[client]", "login", "\"planted:planted:planted@@\""),
    ("[client]", "server", "\"planted:0\""),
    ("[client]", "tls", "\"planted\""),
    ("[client]", "mode", "\"planted\""),
    ("[client]", "ca_file", "false"),
    ("[bridge]", "classic", "\"planted\""),
    ("[bridge]", "psk", "\"planted-psk\""),
    ("[limits]", "connect_timeout", "\"planted\""),
    ("[limits]", "max_streams", "0"),
    ("[limits]", "silence_timeout", "99999999999"),
    ("[metrics]", "listen", "\"planted:1\""),
    ("[client]\nkey = \"{KEY}\"", "mode", "\"classic\""),
    ("[client]\npsk = \"{PSK}\"", "psk", "\"{PSK}\""),
    ("[client]\nkey = \"{KEY}\"", "key", "\"{KEY}"),
];

#[test]
fn row_47_a_fault_of_the_configuration_names_key_and_line_and_no_value() {
    for (before, key, value) in FAULTS {
        let text = format!("{before}\n{key} = {value}\n").replace("{KEY}", KEY).replace("{PSK}", PSK);
        let line = before.lines().count() + 1;
        for launch in [Launch::client(), Launch::server()] {
            let (launch, watch) = talkative(launch.config(&text));
            let child = launch.start();
            let lines = child.greeting();
            let error = lines.iter().find(|line| line.contains("METHOD-ERROR hexchat "));
            let error = error.unwrap_or_else(|| panic!("{text}: {lines:?}"));
            assert!(error.contains(&format!("line {line}")), "{text}: {error}");
            // What is not even TOML has no key.
            assert!(error.contains(key) || error.contains("TOML"), "{text}: {error}");
            watch.assert_discreet(&child, &text);
        }
    }
}

#[test]
fn row_47_a_password_file_that_cannot_be_read_is_named_by_its_key() {
    let text = "[[account]]\njid = \"planted@x.example\"\npassword_file = \"/nonexistent/planted-file\"\n";
    let (launch, watch) = talkative(Launch::client().config(text));
    let child = launch.start();
    let lines = child.greeting();
    assert!(
        lines.iter().any(|line| line.contains("METHOD-ERROR") && line.contains("password_file")),
        "{lines:?}"
    );
    watch.assert_discreet(&child, "password_file");
}
