//! What an account may send in a day, and on whose server.

use super::*;

const ACCOUNT: &str = "[[account]]\njid = \"a@x.example\"\npassword = \"p\"\n";

fn of_account(text: &str) -> Option<u64> {
    parse(text).unwrap().accounts[0].daily_bytes
}

#[test]
fn a_server_of_somebody_elses_has_a_budget_and_ones_own_has_none() {
    assert_eq!(of_account(ACCOUNT), Some(250_000_000));
    assert_eq!(of_account(&format!("{ACCOUNT}[guest]\ndaily_stanza_bytes = 1000000")), Some(1_000_000));
    for (own, expected) in [
        ("mine = true", None),
        ("mine = false", Some(250_000_000)),
        ("server = \"127.0.0.1:5222\"", None),
        ("server = \"[::1]:5222\"", None),
        ("server = \"192.0.2.7:5222\"", Some(250_000_000)),
        ("server = \"localhost:5222\"", Some(250_000_000)),
    ] {
        assert_eq!(of_account(&format!("{ACCOUNT}{own}\n")), expected, "{own}");
    }
}

#[test]
fn the_login_of_a_bridge_line_has_the_budget_of_the_file_unless_its_server_is_ones_own() {
    let arguments = [("jid", "b@x.example/r"), ("key", KEY), ("login", "a@x.example:p")];
    for (file, expected) in [
        ("", Some(250_000_000)),
        ("[guest]\ndaily_stanza_bytes = 5000000", Some(5_000_000)),
        ("[client]\nmine = true", None),
        ("[client]\nserver = \"127.0.0.1:5222\"", None),
    ] {
        let (bridge, _) = resolve(&arguments, file).unwrap();
        assert_eq!(bridge.accounts[0].daily_bytes, expected, "{file}");
    }
}

#[test]
fn a_budget_with_which_nothing_begins_is_refused() {
    for bytes in ["0", "999999", "1000000000000001"] {
        let error = parse(&format!("[guest]\ndaily_stanza_bytes = {bytes}")).unwrap_err();
        assert!(matches!(error.problem, Problem::OutOfRange { .. }), "{error}");
        assert!(error.to_string().contains("daily_stanza_bytes"), "{error}");
    }
}
