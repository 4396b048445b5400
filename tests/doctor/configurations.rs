//! Configurations and bridge lines that can never work. None of these needs a server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::examination::Call;

const ACCOUNT: &str =
    "[[account]]\njid = \"alice@chat.example\"\npassword = \"secret-of-alice\"\nserver = \"127.0.0.1:1\"\n";

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn blames(config: &str, words: &str) {
    Call::with(config).report().blames("configuration", words);
}

fn blames_line(line: &str, words: &str) {
    Call::with(ACCOUNT).line(line).report().blames("configuration", words);
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_missing() {
    let call = Call::bare().args(["--config", "/nonexistent/hexchat.toml"]);
    call.report().blames("configuration", "there is no such file");
}

#[test]
fn a_directory_is_no_file() {
    let call = Call::bare().args(["--config", "/tmp"]);
    call.report().blames("configuration", "/tmp: ");
}

#[test]
fn what_is_no_toml_is_named_by_its_line() {
    blames("[[account]]\njid = \n", "line 2");
}

#[test]
fn a_key_that_does_not_exist_is_named() {
    blames(&(ACCOUNT.to_owned() + "pasword = \"secret-of-alice\"\n"), "pasword");
}

#[test]
fn an_account_without_a_password_is_told_what_to_add() {
    blames("[[account]]\njid = \"alice@chat.example\"\n", "password");
}

#[test]
fn a_password_file_that_is_not_there_is_named_by_its_key() {
    let config = "[[account]]\njid = \"alice@chat.example\"\npassword_file = \"nowhere\"\n";
    blames(config, "password_file: the file cannot be read: there is no such file");
}

#[test]
fn a_server_that_is_no_address_is_said_to_be_none() {
    blames(
        "[[account]]\njid = \"alice@chat.example\"\npassword = \"secret-of-alice\"\nserver = \"a b\"\n",
        "server: ",
    );
}

#[test]
fn a_ca_file_that_holds_no_certificate_is_named() {
    blames(&(ACCOUNT.to_owned() + "ca_file = \"hexchat.toml\"\n"), "ca_file: ");
}

#[test]
fn nothing_at_all_is_no_configuration() {
    Call::bare().report().blames("configuration", "missing");
}

#[test]
fn a_key_of_the_wrong_length_is_none() {
    blames_line("Bridge hexchat jid=bridge@chat.example/r key=short", "key: ");
}

#[test]
fn a_psk_without_a_key_is_refused() {
    blames_line(&format!("Bridge hexchat jid=bridge@chat.example/r psk={KEY}"), "bridge line: ");
}

#[test]
fn a_line_that_has_lost_its_key_is_refused() {
    blames_line("Bridge hexchat jid=bridge@chat.example/r", "key");
}

#[test]
fn a_line_for_another_transport_is_none() {
    blames_line("Bridge obfs4 192.0.2.1:443 cert=x", "must be a line that begins with Bridge hexchat");
}

#[test]
fn a_bridge_line_file_that_is_not_there_is_said_to_be_missing() {
    let call = Call::with(ACCOUNT).args(["--bridge-line-file", "/nonexistent/line.txt"]);
    call.report().blames("configuration", "there is no such file");
}

#[test]
fn a_proxy_that_cannot_be_understood_is_a_fault_of_what_was_written() {
    let report = Call::with(ACCOUNT).env("TOR_PT_PROXY", "gopher://127.0.0.1:1").report();
    report.blames("configuration", "TOR_PT_PROXY");
}

#[test]
fn a_login_without_tls_to_another_machine_is_refused_before_anything_is_dialled() {
    let config = "[[account]]\njid = \"alice@chat.example\"\npassword = \"secret-of-alice\"\nserver = \"192.0.2.1:5222\"\ntls = \"none\"\n";
    blames(config, "none is accepted only with a loopback address");
}

#[test]
fn a_file_that_everybody_can_read_is_a_cross_and_stops_nothing() {
    let call = Call::with(ACCOUNT);
    fs::set_permissions(call.config(), fs::Permissions::from_mode(0o644)).unwrap();
    let report = call.report();
    assert!(report.at("configuration")["sentence"].as_str().unwrap().contains("chmod 600"), "{report:#?}");
    assert_eq!(report.at("TCP")["ok"], false, "the account is examined all the same");
    assert_eq!(report.status, 1);
}
