//! The rules of the configuration file and of bridge lines, one by one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a failed test is a panic"
)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::os::testing::set_mode;

mod example;
mod guest;
mod lanes;
mod pins;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const FILE: &str = "/etc/hexchat-pt/hexchat.toml";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new(FILE))
}

/// The error of a text that must be refused, displayed.
fn refused(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

fn resolve(args: &[(&str, &str)], config: &str) -> Result<(BridgeConfig, Vec<Warning>), ConfigError> {
    BridgeConfig::resolve(args.iter().copied(), &parse(config).unwrap())
}

fn refused_line(args: &[(&str, &str)], config: &str) -> String {
    resolve(args, config).expect_err(config).to_string()
}

fn password(account: &AccountConfig) -> &str {
    match &account.credential {
        Credential::Password(password) => password.expose_secret(),
        Credential::Anonymous | Credential::New | Credential::Component(_) => panic!("there is no password"),
    }
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "\n", "# comment\n", "\u{feff}", "[client]\n[bridge]\n[limits]\n[metrics]\n"] {
        let config = parse(text).unwrap();
        assert!(config.accounts.is_empty() && config.warnings.is_empty());
        assert!(!config.bridge.classic && config.bridge.psk.is_none());
        assert_eq!(config.limits, Limits::default());
    }
}

/// A directory with a file of trust roots.
fn with_ca_file() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    fs::write(dir.path().join("ca.pem"), pem).unwrap();
    dir
}

#[test]
fn an_account_has_all_its_settings() {
    let dir = with_ca_file();
    let config = Config::parse(
        r#"
        [[account]]
        jid = "a@x.example/r"
        password = "p"
        server = "127.0.0.1:5223"
        tls = "direct"
        pin = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        ca_file = "ca.pem"
        [[account]]
        jid = "anon.example"
        "#,
        &dir.path().join("hexchat.toml"),
    )
    .unwrap();
    let [first, second] = config.accounts.as_slice() else { panic!("two accounts") };
    assert_eq!(
        (first.jid.as_str(), password(first), first.tls),
        ("a@x.example/r", "p", Some(TlsMode::Direct))
    );
    assert_eq!(first.server, Some(ServerAddr { host: "127.0.0.1".into(), port: 5223 }.into()));
    assert_eq!(first.pin.unwrap().as_bytes(), &[0; 32]);
    assert_eq!(first.ca_file, Some(dir.path().join("ca.pem")));
    assert!(second.credential == Credential::Anonymous && second.tls.is_none());
}

#[test]
fn an_error_names_the_file_the_line_and_the_key_and_not_the_value() {
    assert_eq!(
        refused("[[account]]\njid = \"a@x.example\"\npassword = \"p\"\n\ntls = \"hunter2\"\n"),
        "/etc/hexchat-pt/hexchat.toml, line 5, column 7: [[account]] tls: \
         must be starttls, direct or websocket (or none, to a loopback server)"
    );
}

#[test]
fn every_wrong_value_is_refused_at_its_line() {
    let account = |lines: &str| format!("[[account]]\njid = \"a@x.example\"\n{lines}\n");
    let client = |line: &str| format!("[client]\n\n{line}\n");
    let cases = [
        (3, "[[account]] password", account("password = 7")),
        (3, "[[account]] password", account("password = \"\"")),
        (3, "[[account]] password", account("password = \"a\\nb\"")),
        (4, "[[account]] server", account("password = \"p\"\nserver = \"x\"")),
        (1, "[[account]] password", account("")),
        (2, "[[account]] jid", account("password = \"p\"").replace("a@x", "x")),
        (2, "[[account]] jid", account("").replace("a@x.example", "x.example/r")),
        (2, "[[account]] jid", account("password = \"p\"").replace("a@x.example", "@")),
        (5, "[[account]] jid", account("password = \"p\"").repeat(2)),
        (1, "[[account]] jid", "[[account]]\npassword = \"p\"\n".into()),
        (4, "[[account]] tls", account("password = \"p\"\ntls = \"none\"")),
        (5, "[[account]] tls", account("password = \"p\"\nserver = \"192.0.2.1:1\"\ntls = \"none\"")),
        (4, "[[account]] ca_file", account("password = \"p\"\nca_file = \"\"")),
        (4, "[[account]] ca_file", account("password = \"p\"\nca_file = \"/nonexistent/p\"")),
        (3, "[client] ca_file", client("ca_file = \"/nonexistent/p\"")),
        (4, "[[account]] password_file", account("password = \"p\"\npassword_file = \"p\"")),
        (3, "[[account]] password_file", account("password_file = \"/nonexistent/p\"")),
        (3, "[client] jid", client("jid = \"x.example\"")),
        (3, "[client] key", client("key = \"short\"")),
        (3, "[client] psk", client("psk = \"short\"")),
        (3, "[client] login", client("login = \"a@x.example\"")),
        (3, "[client] server", client("server = \"x\"")),
        (3, "[client] tls", client("tls = \"ssl\"")),
        (3, "[client] mode", client("mode = \"fast\"")),
        (4, "[client] mode", client(&format!("key = \"{KEY}\"\nmode = \"classic\""))),
        (3, "[client] ca_file", client("ca_file = 1")),
        (2, "[bridge] classic", "[bridge]\nclassic = \"yes\"".into()),
        (2, "[bridge] psk", "[bridge]\npsk = \"short\"".into()),
        (2, "[limits] max_streams", "[limits]\nmax_streams = 0".into()),
        (2, "[limits] max_streams", "[limits]\nmax_streams = -1".into()),
        (2, "[limits] max_streams", "[limits]\nmax_streams = \"5\"".into()),
        (2, "[limits] max_streams", "[limits]\nmax_streams = 99999999999999999999".into()),
        (2, "[limits] max_streams", "[limits]\nmax_streams = 1.5".into()),
        (1, "account", "[account]\njid = \"a@x.example\"".into()),
        (1, "client", "[[client]]\njid = \"a@x.example\"".into()),
        (1, "limits", "limits = 3".into()),
    ];
    for (line, key, text) in cases {
        let error = refused(&text);
        assert!(error.starts_with(&format!("{FILE}, line {line}, ")), "{error}\n{text}");
        assert!(error.contains(&format!(": {key}: ")), "{error}\n{text}");
    }
}

#[test]
fn an_unknown_key_is_an_error_in_every_section() {
    let key = "hexagon = 1";
    for (section, shown) in [
        ("", "hexagon"),
        ("[[account]]\n", "[[account]] hexagon"),
        ("[client]\n", "[client] hexagon"),
        ("[bridge]\n", "[bridge] hexagon"),
        ("[limits]\n", "[limits] hexagon"),
    ] {
        let error = refused(&format!("{section}{key}"));
        assert!(error.contains(&format!(": {shown}: there is no such key")), "{error}");
    }
    assert!(refused("[hexagon]").contains("line 1, column 2: hexagon: there is no such key"));
}

#[test]
fn metrics_are_for_this_machine_alone() {
    let listening =
        |address: &str| parse(&format!("[metrics]\nlisten = \"{address}\"")).map(|config| config.metrics);
    for address in ["127.0.0.1:9464", "127.3.2.1:0", "[::1]:9464"] {
        assert_eq!(listening(address).unwrap(), address.parse().ok(), "{address}");
    }
    for address in ["0.0.0.0:9464", "192.0.2.1:9464", "[::]:9464", "localhost:9464", "127.0.0.1", ""] {
        let error = refused(&format!("[metrics]\nlisten = \"{address}\""));
        assert!(error.contains("[metrics] listen: must be a loopback address with a port"), "{error}");
    }
    assert!(refused("[metrics]\nhexagon = 1").contains("[metrics] hexagon: there is no such key"));
}

#[test]
fn what_is_not_toml_is_refused_in_our_words_with_the_key_of_its_line() {
    for (text, expected) in [
        ("[bridge]\npsk = hunter2", "line 2, column 7: psk: not valid TOML: text must be in quotes"),
        ("[bridge]\npsk = \"a\"\npsk = \"b\"", "line 3, column 1: psk: given twice"),
        ("[bridge]\nhunter2", "line 2, column 8: not valid TOML: a setting is written key = value"),
        ("password = \"hunter2", "line 1, "),
        ("password = \"\"\"\nhunter2=x", "line "),
        ("[bridge\nclassic = true", "line 1, "),
    ] {
        let error = refused(text);
        assert!(error.contains(expected), "{error}\n{text}");
        assert!(!error.contains("hunter2") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_password_file_gives_its_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hexchat.toml");
    let text = "[[account]]\njid = \"a@x.example\"\npassword_file = \"p\"\n";
    let secret = dir.path().join("p");
    for content in ["secret", "secret\n", "secret\r\n"] {
        fs::write(&secret, content).unwrap();
        set_mode(&secret, 0o600);
        let config = Config::parse(text, &file).unwrap();
        assert_eq!(password(&config.accounts[0]), "secret");
        assert_eq!(config.warnings, []);
    }
    for content in ["", "\n", "secret\n\n", "secret\nmore\n", &"x".repeat(5000)] {
        fs::write(&secret, content).unwrap();
        let error = Config::parse(text, &file).unwrap_err();
        assert_eq!(error.key, "[[account]] password_file");
    }
}

#[test]
fn a_secret_that_anybody_can_read_is_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let load = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        set_mode(&path, mode);
        (Config::load(&path).map(|config| config.warnings), path)
    };
    let inline = "[[account]]\njid = \"a@x.example\"\npassword = \"p\"\n";
    let (warnings, path) = load("inline.toml", inline, 0o644);
    assert_eq!(warnings, Ok(vec![Warning::Exposed(path)]));
    let table = "account = [{ jid = \"a@x.example\", password = \"p\" }]";
    let (warnings, path) = load("table.toml", table, 0o644);
    assert_eq!(warnings, Ok(vec![Warning::Exposed(path)]));
    assert_eq!(load("inline.toml", inline, 0o640).0, Ok(vec![]));
    assert_eq!(load("none.toml", "[bridge]\nclassic = true\n", 0o644).0, Ok(vec![]));

    let (_, secret) = load("p", "# not a configuration", 0o644);
    let outside = "[[account]]\njid = \"a@x.example\"\npassword_file = \"p\"\n";
    assert_eq!(load("outside.toml", outside, 0o644).0, Ok(vec![Warning::Exposed(secret)]));
}

#[test]
fn a_bridge_line_with_a_password_or_a_secret_that_anybody_can_read_is_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("line");
    for (arguments, mode, is_warned_about) in [
        ("jid=b@x.example login=a@x.example:secret", 0o644, true),
        ("jid=b@x.example login=a@x.example:secret", 0o640, false),
        ("jid=b@x.example psk=secret", 0o644, true),
        ("jid=b@x.example login=new@x.example", 0o644, false),
    ] {
        let line = format!("Bridge hexchat 192.0.2.1:1 {arguments}");
        fs::write(&path, &line).unwrap();
        set_mode(&path, mode);
        let expected = is_warned_about.then(|| Warning::Exposed(path.clone()));
        assert_eq!(exposed_bridge_line(&path, &parse_bridge_line(&line).unwrap()), expected, "{arguments}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Path::new("/nonexistent/hexchat.toml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/nonexistent/hexchat.toml: the file cannot be read: there is no such file"
    );
    let error = Config::load(Path::new("/dev/zero")).unwrap_err();
    assert_eq!(error.problem, Problem::TooLong { max: 1 << 20 });
}

#[test]
fn a_bridge_line_alone_is_enough() {
    let (bridge, warnings) = resolve(
        &[
            ("jid", "b@x.example/r,b@y.example/s"),
            ("key", KEY),
            ("psk", KEY),
            ("login", "a@x.example:p%3A"),
            ("server", "127.0.0.1:5222"),
            ("tls", "none"),
        ],
        "",
    )
    .unwrap();
    assert_eq!(bridge.peers.len(), 2);
    let key = PublicKey::parse(KEY).unwrap();
    let psk = Some(PresharedKey::parse(KEY).unwrap());
    assert_eq!(bridge.protocol, Protocol::Secure { key, psk });
    let [account] = bridge.accounts.as_slice() else { panic!("one account") };
    assert_eq!(
        (account.jid.as_str(), password(account), account.tls),
        ("a@x.example", "p:", Some(TlsMode::None))
    );
    assert_eq!(account.server, Some(ServerAddr { host: "127.0.0.1".into(), port: 5222 }.into()));
    assert_eq!(warnings, []);
}

#[test]
fn a_line_that_says_so_is_classic_and_warned_about() {
    let args = [("jid", "b@x.example"), ("login", "a@x.example:p")];
    let in_line = resolve(&[&args[..], &[("mode", "classic")]].concat(), "").unwrap();
    let in_file = resolve(&args, "[client]\nmode = \"classic\"\n").unwrap();
    for (bridge, warnings) in [in_line, in_file] {
        assert_eq!(bridge.protocol, Protocol::Classic);
        assert_eq!(warnings, [Warning::Classic]);
    }
}

#[test]
fn a_line_that_has_lost_its_key_is_refused_and_not_tried_in_the_clear() {
    for jid in ["b@x.example", "b@x.example/r"] {
        let error = refused_line(&[("jid", jid), ("login", "a@x.example:p")], "");
        assert!(
            error.contains("key: missing: copy the whole line again, with key=")
                && error.contains("mode=classic"),
            "{error}"
        );
    }
}

#[test]
fn the_bridge_line_wins_over_the_file_and_the_file_fills_the_rest() {
    let dir = with_ca_file();
    let ca_file = dir.path().join("ca.pem");
    let config = format!(
        "[client]\njid = \"c@z.example/r\"\nkey = \"{KEY}\"\nlogin = \"d@z.example:p\"\n\
         server = \"[::1]:1\"\ntls = \"none\"\nca_file = \"{}\"\nmode = \"secure\"\n",
        ca_file.display()
    );
    let (bridge, _) = resolve(&[], &config).unwrap();
    assert_eq!(bridge.peers[0].as_str(), "c@z.example/r");
    assert_eq!(bridge.accounts[0].tls, Some(TlsMode::None));

    let args =
        [("jid", "b@x.example/r"), ("login", "a@x.example:p"), ("server", "x.example:1"), ("tls", "direct")];
    let (bridge, _) = resolve(&args, &config).unwrap();
    assert_eq!(bridge.peers[0].as_str(), "b@x.example/r");
    assert!(matches!(bridge.protocol, Protocol::Secure { psk: None, .. }));
    let account = &bridge.accounts[0];
    assert_eq!((account.jid.as_str(), account.tls), ("a@x.example", Some(TlsMode::Direct)));
    assert_eq!(account.server, Some(ServerAddr { host: "x.example".into(), port: 1 }.into()));
    assert_eq!(account.ca_file, Some(ca_file));
}

#[test]
fn plaintext_of_the_file_does_not_extend_to_a_server_of_the_line() {
    let config = "[client]\nserver = \"127.0.0.1:1\"\ntls = \"none\"\nlogin = \"a@x.example:p\"\n";
    let error = refused_line(&[("jid", "b@x.example"), ("server", "192.0.2.1:5222")], config);
    assert!(
        error.contains("line 3, column 7: tls: none is accepted only with a loopback address"),
        "{error}"
    );
}

#[test]
fn without_a_login_the_accounts_of_the_file_are_used_as_they_are() {
    let config =
        "[[account]]\njid = \"a@x.example\"\npassword = \"p\"\n[[account]]\njid = \"anon.example\"\n";
    let args = [("jid", "b@x.example"), ("tls", "direct"), ("server", "y.example:1"), ("mode", "classic")];
    let (bridge, warnings) = resolve(&args, config).unwrap();
    assert_eq!(bridge.accounts.len(), 2);
    assert!(bridge.accounts.iter().all(|account| account.server.is_none() && account.tls.is_none()));
    assert_eq!(warnings, [Warning::NotApplied("server"), Warning::NotApplied("tls"), Warning::Classic]);
}

#[test]
fn logins_that_a_bridge_line_brings_are_told_from_those_of_the_file() {
    let account = "[[account]]\njid = \"a@x.example\"\npassword = \"p\"\n";
    let login = "[client]\nlogin = \"a@x.example:p\"\n";
    let (jid, own, elsewhere) =
        (("jid", "b@x.example"), ("login", "a@x.example:p"), ("server", "y.example:1"));
    for (args, config, brings_logins) in [
        (&[jid][..], account, false),
        (&[jid, elsewhere], account, false),
        (&[jid, own], account, true),
        (&[jid], login, false),
        (&[jid, elsewhere], login, true),
        (&[jid, own], "", true),
    ] {
        let (bridge, _) = resolve(&[args, &[("mode", "classic")]].concat(), config).unwrap();
        assert_eq!(bridge.brings_logins, brings_logins, "{args:?} {config}");
    }
}

#[test]
fn an_unknown_argument_is_ignored_with_a_warning_that_names_it() {
    let args = [
        ("jid", "b@x.example"),
        ("login", "a@x.example:p"),
        ("mode", "classic"),
        ("colour", "hunter2"),
        ("ca_file", "/etc/passwd"),
        ("hunter2 and a space", "x"),
    ];
    let (bridge, warnings) = resolve(&args, "").unwrap();
    assert_eq!(bridge.accounts[0].ca_file, None);
    let shown: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert!(
        shown[0].contains("colour") && shown[1].contains("ca_file") && shown[2].contains("(unprintable)")
    );
    assert!(!shown.concat().contains("hunter2"), "{shown:?}");
}

#[test]
fn arguments_that_can_never_work_are_refused() {
    const JID: (&str, &str) = ("jid", "b@x.example/r");
    const LOGIN: (&str, &str) = ("login", "a@x.example:hunter2");
    let accounts = "[[account]]\njid = \"a@x.example\"\npassword = \"p\"\n";
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: [Case<'_>; 14] = [
        (&[LOGIN], "", "bridge line: jid: missing: add jid="),
        (&[JID], "", "bridge line: login: missing: add login="),
        (&[], accounts, "bridge line: jid: missing: add jid="),
        (&[JID, LOGIN, JID], "", "bridge line: jid: given twice"),
        (&[JID, LOGIN, ("psk", KEY)], "", "bridge line: psk: psk is of no use without key"),
        (&[JID, LOGIN, ("key", KEY), ("mode", "classic")], "", "bridge line: mode: classic excludes key"),
        (
            &[JID, LOGIN, ("mode", "secure")],
            "",
            "bridge line: key: missing: mode is secure; copy the whole line again",
        ),
        (&[("jid", "b@x.example/r,c@x.example"), LOGIN, ("key", KEY)], "", "jid: item 2 must be a full JID"),
        (&[("jid", "x.example"), LOGIN], "", "bridge line: jid: item 1 must be a JID"),
        (&[("jid", ""), LOGIN], "", "bridge line: jid: item 1 must be a JID"),
        (&[JID, LOGIN, ("key", "hunter2")], "", "bridge line: key: must be 43 characters"),
        (&[JID, LOGIN, ("tls", "none")], "", "bridge line: tls: none is accepted only with a loopback"),
        (&[JID, LOGIN], "[client]\nmode = \"secure\"\n", "line 2, column 8: key: missing: mode is secure"),
        (
            &[JID, LOGIN, ("mode", "classic")],
            &format!("[client]\nkey = \"{KEY}\"\n"),
            "bridge line: mode: classic",
        ),
    ];
    for (args, config, expected) in cases {
        let error = refused_line(args, config);
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
        assert!(!error.contains("hunter2") && !error.contains("x.example"), "{error}");
    }
}

#[test]
fn arguments_that_are_not_text_are_refused() {
    let args = [(b"jid".as_slice(), b"\xff".as_slice())];
    let error = BridgeConfig::resolve(args, &Config::default()).unwrap_err();
    assert_eq!(error.to_string(), "bridge line: jid: not valid UTF-8");
}

#[test]
fn a_bridge_line_in_text_resolves_to_the_same() {
    let text =
        format!("Bridge hexchat [2001:db8::1]:443 F jid=b@x.example/r key={KEY} login=a@x.example:p%20q");
    let args = parse_bridge_line(&text).unwrap();
    let (bridge, _) = BridgeConfig::resolve(args.iter(), &Config::default()).unwrap();
    assert_eq!(password(&bridge.accounts[0]), "p q");
}

#[test]
fn nothing_shows_a_jid_or_a_secret_in_debug() {
    let config = format!("[client]\nlogin = \"alice@x.example:hunter2\"\npsk = \"{KEY}\"\nkey = \"{KEY}\"\n");
    let config =
        parse(&format!("{config}[[account]]\njid = \"alice@x.example\"\npassword = \"hunter2\"")).unwrap();
    let (bridge, warnings) =
        BridgeConfig::resolve([("jid", "bob@x.example/r"), ("psk", KEY)], &config).unwrap();
    let shown = format!("{config:?} {:?} {bridge:?} {warnings:?} {:?}", config.client, config.accounts);
    for secret in ["alice", "bob", "hunter2", KEY] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// A value that no text of ours contains, and that is no name: an unknown name is shown.
const PLANTED: &str = "Zq7+Zq7+Zq7";

fn key_names() -> impl Strategy<Value = String> {
    let keys = keys::SECTIONS.iter().flat_map(|(_, keys)| keys.iter().copied());
    let keys: Vec<_> = keys.chain(Limits::BOUNDS.iter().map(|bound| bound.name)).collect();
    proptest::sample::select(keys).prop_map(str::to_owned)
}

fn section_names() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "[[account]]",
        "[client]",
        "[bridge]",
        "[guest]",
        "[limits]",
        "[metrics]",
        "",
        "[account]",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(text in any::<String>(), section in section_names()) {
        let _ = (parse(&text), parse(&format!("{section}\n{text}")));
    }

    #[test]
    fn no_error_repeats_a_planted_secret(
        section in section_names(),
        keys in proptest::collection::vec((key_names(), 0..9usize), 1..6),
    ) {
        let values = [
            format!("\"{PLANTED}\""), format!("\"a@x.example:{PLANTED}\""), PLANTED.to_owned(), format!("\"{PLANTED}"),
            format!("'''\n{PLANTED} = 1"), format!("[\"{PLANTED}\"]"), format!("{{ {PLANTED} = 1"), format!("\"x\" {PLANTED}"),
            format!("\"\"\"\n{PLANTED}\\q\"\"\""),
        ];
        let settings: String = keys.iter().map(|(key, value)| format!("{key} = {}\n", values[*value])).collect();
        if let Err(error) = parse(&format!("{section}\n{settings}")) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains(PLANTED), "{}", shown);
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }

    #[test]
    fn no_error_of_a_bridge_line_repeats_a_planted_secret(
        args in proptest::collection::vec((0..ARGUMENT_COUNT, 0..6usize), 1..8),
    ) {
        let values = [
            PLANTED.to_owned(), format!("a@x.example:{PLANTED}"), format!("{PLANTED}@x.example/r"), format!("%{PLANTED}"),
            format!("{PLANTED}:{PLANTED}"), KEY.to_owned(),
        ];
        let args = args.iter().map(|(key, value)| (keys::ARGUMENTS[*key], &values[*value]));
        if let Err(error) = BridgeConfig::resolve(args, &Config::default()) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains(PLANTED), "{}", shown);
        }
    }

    #[test]
    fn any_arguments_are_resolved_or_refused(
        args in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..8),
    ) {
        let _ = BridgeConfig::resolve(args, &Config::default());
    }
}

const ARGUMENT_COUNT: usize = keys::ARGUMENTS.len();

fn with_options(options: &[(&str, &str)]) -> Result<BridgeSettings, ConfigError> {
    let mut settings = parse("[bridge]\nclassic = true\n").unwrap().bridge;
    settings.apply_options(options.iter().copied()).map(|()| settings)
}

#[test]
fn options_of_the_bridge_win_over_the_file() {
    let settings = with_options(&[("psk", KEY), ("classic", "false")]).unwrap();
    assert!(!settings.classic && settings.psk.is_some());
    assert!(with_options(&[]).unwrap().classic);
}

#[test]
fn an_option_that_cannot_be_used_is_named_and_its_value_not_shown() {
    for (options, key) in [
        (&[("surprise", "hunter2")][..], "surprise"),
        (&[("hunter2 x", "1")], "(unprintable)"),
        (&[("classic", "hunter2")], "classic"),
        (&[("classic", "TRUE")], "classic"),
        (&[("psk", "hunter2")], "psk"),
        (&[("classic", "true"), ("classic", "true")], "classic"),
    ] {
        let error = with_options(options).err().unwrap().to_string();
        assert!(error.starts_with(&format!("ServerTransportOptions hexchat: {key}: ")), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
