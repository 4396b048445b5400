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
fn what_may_be_uploaded_is_as_the_server_says_unless_the_user_does_and_has_no_bound_on_ones_own() {
    let of_account = |text: &str| parse(&format!("{ACCOUNT}{text}")).unwrap().accounts[0].daily_files;
    assert_eq!(of_account(""), DailyFiles::AsServerSays);
    let said = "[guest]\ndaily_file_bytes = 50000000";
    assert_eq!(of_account(said), DailyFiles::Bytes(50_000_000));
    assert_eq!(of_account(&format!("mine = true\n{said}")), DailyFiles::Unbounded);
    let arguments = [("jid", "b@x.example/r"), ("key", KEY), ("login", "a@x.example:p")];
    let (bridge, _) = resolve(&arguments, said).unwrap();
    assert_eq!(bridge.accounts[0].daily_files, DailyFiles::Bytes(50_000_000));
}

#[test]
fn a_budget_with_which_nothing_begins_is_refused() {
    for bytes in ["0", "999999", "1000000000000001"] {
        for key in ["daily_stanza_bytes", "daily_file_bytes"] {
            let error = parse(&format!("[guest]\n{key} = {bytes}")).unwrap_err();
            assert!(matches!(error.problem, Problem::OutOfRange { .. }), "{error}");
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
