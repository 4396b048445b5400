//! Pins of certificates: whose logins they are for.

use super::{KEY, resolve};
use crate::config::{CertificatePin, Warning};

/// Whoever wrote the line would otherwise stand between the user and the server of the user's own account.
#[test]
fn a_pin_of_the_bridge_line_is_for_the_logins_of_the_bridge_line_alone() {
    let pin = |config: &str, login: Option<(&str, &str)>| {
        let args = [("jid", "b@x.example/r"), ("key", KEY), ("pin", KEY)];
        let args: Vec<_> = args.into_iter().chain(login).collect();
        let (bridge, warnings) = resolve(&args, config).unwrap();
        (bridge.accounts[0].pin, warnings)
    };
    let of_client = "[client]\nlogin = \"a@x.example:p\"\n";
    let of_file = "[[account]]\njid = \"a@x.example\"\npassword = \"p\"\n";
    for config in [of_client, of_file] {
        assert_eq!(pin(config, None), (None, vec![Warning::NotApplied("pin")]));
    }
    let (of_line, _) = pin(of_client, Some(("login", "c@x.example:p")));
    assert_eq!(of_line, CertificatePin::parse(KEY).ok());
}

#[test]
fn a_pin_of_the_bridge_line_beside_a_password_is_warned_about() {
    let warnings = |login: &str, pin: Option<(&str, &str)>| {
        let args = [("jid", "b@x.example/r"), ("key", KEY), ("login", login)];
        resolve(&args.into_iter().chain(pin).collect::<Vec<_>>(), "").unwrap().1
    };
    let pin = Some(("pin", KEY));
    for login in ["c@x.example:p", "new@x.example,c@x.example:p"] {
        assert_eq!(warnings(login, pin), [Warning::PinBesidePassword], "{login}");
        assert_eq!(warnings(login, None), []);
    }
    for login in ["new@x.example", "x.example"] {
        assert_eq!(warnings(login, pin), [], "{login}: there is no account of the user's own");
    }
}

#[test]
fn a_pin_of_the_file_stays_with_its_login() {
    let client = format!("[client]\nlogin = \"a@x.example:p\"\npin = \"{KEY}\"\n");
    let (bridge, _) = resolve(&[("jid", "b@x.example/r"), ("key", KEY)], &client).unwrap();
    assert_eq!(bridge.accounts[0].pin, CertificatePin::parse(KEY).ok());
}
