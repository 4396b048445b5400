#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

const CLIENT: &[(&str, &str)] =
    &[(VERSIONS, "1"), (STATE_LOCATION, "/var/lib/tor/pt_state/"), (CLIENT_TRANSPORTS, "hexchat")];

const SERVER: &[(&str, &str)] = &[
    (VERSIONS, "1"),
    (STATE_LOCATION, "/var/lib/tor/pt_state/"),
    (SERVER_TRANSPORTS, "hexchat"),
    (SERVER_BINDADDR, "hexchat-0.0.0.0:0"),
    (ORPORT, "127.0.0.1:9001"),
    (EXT_PORT, ""),
];

/// Launches with `base`, and `changes` on top of it; `None` unsets.
fn launch(base: &[(&str, &str)], changes: &[(&str, Option<&str>)]) -> Result<Launch, LaunchError> {
    Launch::from_env(|name| match changes.iter().find(|(changed, _)| *changed == name) {
        Some((_, value)) => value.map(OsString::from),
        None => base.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into()),
    })
}

fn client(changes: &[(&str, Option<&str>)]) -> Result<ClientLaunch, LaunchError> {
    launch(CLIENT, changes).map(|launch| match launch {
        Launch::Client(client) => client,
        Launch::Server(_) => unreachable!(),
    })
}

fn server(changes: &[(&str, Option<&str>)]) -> Result<ServerLaunch, LaunchError> {
    launch(SERVER, changes).map(|launch| match launch {
        Launch::Server(server) => server,
        Launch::Client(_) => unreachable!(),
    })
}

fn hexchat() -> TransportName {
    "hexchat".parse().unwrap()
}

fn lines(messages: Vec<Message>) -> Vec<String> {
    messages.into_iter().map(|message| message.to_string()).collect()
}

#[test]
fn version_1_is_found_among_others() {
    for versions in ["1", "1,1a,2b,x", "x,1", "2,,1", "\u{fffd},1"] {
        let launch = launch(CLIENT, &[(VERSIONS, Some(versions))]).unwrap();
        assert_eq!(lines(launch.greeting()), ["VERSION 1"], "{versions}");
    }
}

#[test]
fn another_version_is_refused() {
    for versions in ["2", "11", "1a", "1 ,2", ","] {
        let error = launch(CLIENT, &[(VERSIONS, Some(versions))]).unwrap_err();
        assert_eq!(lines(error.messages()), ["VERSION-ERROR no-version"], "{versions}");
    }
}

#[test]
fn without_the_version_variable_tor_has_not_started_us() {
    assert_eq!(launch(CLIENT, &[(VERSIONS, None)]), Err(LaunchError::NotManaged));
    assert_eq!(launch(CLIENT, &[(VERSIONS, Some(""))]), Err(LaunchError::Missing(VERSIONS)));
}

#[test]
fn an_environment_error_is_the_only_line() {
    for error in [
        LaunchError::NotManaged,
        LaunchError::Missing(ORPORT),
        LaunchError::ClientOrServer,
        LaunchError::Options(ArgsError::TrailingBackslash),
    ] {
        let lines = lines(error.messages());
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("ENV-ERROR ") && lines[0].contains("TOR_PT_"), "{lines:?}");
    }
}

#[test]
fn each_required_variable_is_missed() {
    assert_eq!(client(&[(STATE_LOCATION, None)]), Err(LaunchError::Missing(STATE_LOCATION)));
    assert_eq!(client(&[(STATE_LOCATION, Some(""))]), Err(LaunchError::Missing(STATE_LOCATION)));
    assert_eq!(server(&[(ORPORT, None)]), Err(LaunchError::Missing(ORPORT)));
    assert_eq!(server(&[(EXT_PORT, Some("127.0.0.1:1"))]), Err(LaunchError::Missing(COOKIE_FILE)));
}

#[test]
fn malformed_variables_are_named_and_not_quoted() {
    for (variable, value) in [
        (STATE_LOCATION, "planted/relative"),
        (OUTBOUND_V4, "planted"),
        (OUTBOUND_V4, "::1"),
        (OUTBOUND_V6, "[planted]"),
        (OUTBOUND_V6, "127.0.0.1"),
        (ORPORT, "planted:9001"),
        (ORPORT, "127.0.0.1"),
        (ORPORT, "127.0.0.1:0"),
        (EXT_PORT, "planted"),
        (SERVER_BINDADDR, "planted"),
        (SERVER_BINDADDR, "hexchat-planted.example:1"),
        (SERVER_BINDADDR, "hexchat-127.0.0.1"),
        (SERVER_BINDADDR, "hexchat-127.0.0.1:1,"),
        (SERVER_BINDADDR, "hexchat-127.0.0.1:1,hexchat-127.0.0.1:2"),
        (SERVER_BINDADDR, "hexchat-::1:2"),
        (SERVER_OPTIONS, "planted"),
        (SERVER_OPTIONS, "hexchat:password=planted;x"),
    ] {
        let error = server(&[(variable, Some(value))]).unwrap_err().to_string();
        assert!(error.contains(variable) && !error.contains("planted"), "{variable}={value}: {error}");
    }
}

#[test]
fn exactly_one_side_must_be_asked_for() {
    let both = launch(CLIENT, &[(SERVER_TRANSPORTS, Some("hexchat"))]);
    let neither = launch(CLIENT, &[(CLIENT_TRANSPORTS, None)]);
    assert_eq!(both, Err(LaunchError::ClientOrServer));
    assert_eq!(neither, Err(LaunchError::ClientOrServer));
}

#[test]
fn unknown_and_impossible_transports_are_no_error() {
    let launch = launch(CLIENT, &[(CLIENT_TRANSPORTS, Some("foo,hexchat,bar-baz,,hexchat"))]).unwrap();
    assert!(launch.wants(&hexchat()));
    assert_eq!(launch.common().transports(), ["foo".parse().unwrap(), hexchat()]);
}

#[test]
fn only_1_means_exit_on_stdin_close() {
    for (value, expected) in
        [(None, false), (Some(""), false), (Some("0"), false), (Some("true"), false), (Some("1"), true)]
    {
        let client = client(&[(EXIT_ON_STDIN_CLOSE, value)]).unwrap();
        assert_eq!(client.common().exit_on_stdin_close(), expected, "{value:?}");
    }
}

#[test]
fn outbound_addresses_are_read() {
    let changes = [(OUTBOUND_V4, Some("192.0.2.1")), (OUTBOUND_V6, Some("[2001:db8::1]"))];
    let bind = client(&changes).unwrap().common().outbound_bind();
    assert_eq!(bind.v4, Some(Ipv4Addr::new(192, 0, 2, 1)));
    assert_eq!(bind.v6, Some("2001:db8::1".parse().unwrap()));
    let empty = client(&[(OUTBOUND_V4, Some("")), (OUTBOUND_V6, Some(""))]).unwrap();
    assert_eq!(empty.common().outbound_bind(), OutboundBind::default());
}

#[test]
fn a_source_address_is_of_the_destinations_family_and_never_for_loopback() {
    let bind = OutboundBind::new("192.0.2.1".parse().ok(), "2001:db8::1".parse().ok());
    let source = |destination: &str| bind.source_for(destination.parse().unwrap());
    assert_eq!(source("198.51.100.1"), "192.0.2.1".parse().ok());
    assert_eq!(source("2001:db8::2"), "2001:db8::1".parse().ok());
    assert_eq!(source("127.0.0.9"), None);
    assert_eq!(source("::1"), None);
    assert_eq!(OutboundBind::default().source_for("198.51.100.1".parse().unwrap()), None);
}

#[test]
fn a_proxy_is_announced_or_refused() {
    let good = launch(CLIENT, &[(PROXY, Some("socks5://u:planted@127.0.0.1:9"))]).unwrap();
    assert_eq!(lines(good.greeting()), ["VERSION 1", "PROXY DONE"]);
    assert!(!format!("{good:?}").contains("planted"));
    let bad = launch(CLIENT, &[(PROXY, Some("ftp://u:planted@127.0.0.1:9"))]).unwrap_err();
    let lines = lines(bad.messages());
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], "VERSION 1");
    assert!(lines[1].starts_with("PROXY-ERROR ") && !lines[1].contains("planted"), "{lines:?}");
}

#[test]
fn the_placeholder_address_never_has_port_0() {
    let addr = |list: &str| {
        server(&[(SERVER_BINDADDR, Some(list))]).unwrap().placeholder_addr(&hexchat()).to_string()
    };
    assert_eq!(addr("hexchat-[::1]:443"), "[::1]:443");
    assert_eq!(addr("x-1.1.1.1:1,hexchat-0.0.0.0:9"), "0.0.0.0:9");
    assert_eq!(addr("hexchat-0.0.0.0:0"), "127.0.0.1:1");
    assert_eq!(addr(""), "127.0.0.1:1");
}

#[test]
fn the_extended_port_is_preferred() {
    assert_eq!(*server(&[]).unwrap().destination(), Destination::OrPort("127.0.0.1:9001".parse().unwrap()));
    let changes = [(EXT_PORT, Some("127.0.0.1:5")), (COOKIE_FILE, Some("/c"))];
    let ext = Destination::ExtOrPort { addr: "127.0.0.1:5".parse().unwrap(), cookie_file: "/c".into() };
    assert_eq!(*server(&changes).unwrap().destination(), ext);
}

#[test]
fn server_options_reach_their_transport_only() {
    let changes = [(SERVER_OPTIONS, Some(r"hexchat:password=planted;foo:password=other"))];
    let server = server(&changes).unwrap();
    assert_eq!(server.options(&hexchat()).get("password"), Some("planted"));
    assert!(server.options(&"foo".parse().unwrap()).is_empty(), "foo was not asked for");
    assert!(!format!("{server:?}").contains("planted"));
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_refused_or_left_out() {
    use std::os::unix::ffi::OsStringExt;
    for (variable, _) in SERVER.iter().chain(&[(OUTBOUND_V4, ""), (SERVER_OPTIONS, "")]) {
        let lookup = |name: &str| match SERVER.iter().find(|(known, _)| *known == name) {
            _ if name == *variable => Some(OsString::from_vec(b"\xff\xfe".to_vec())),
            found => found.map(|(_, value)| value.into()),
        };
        match Launch::from_env(lookup) {
            Ok(launch) => assert!(launch.common().transports().is_empty(), "{variable}"),
            Err(error) => assert!(!error.messages().is_empty()),
        }
    }
}

#[test]
fn a_proxy_is_read_without_a_launch() {
    let read = |uri: &str| proxy_from_env(|name| (name == PROXY).then(|| uri.into()));
    assert_eq!(read("socks5://127.0.0.1:1080"), Ok(Some(Proxy::parse("socks5://127.0.0.1:1080").unwrap())));
    assert_eq!(read(""), Ok(None));
    assert_eq!(read("127.0.0.1:1080"), Err(LaunchError::Proxy(ProxyUriError::NotAUri)));
}

proptest! {
    #[test]
    fn any_environment_is_read_or_refused(values in prop::collection::vec("[ -~é]{0,20}", 12)) {
        let variables = [
            STATE_LOCATION, EXIT_ON_STDIN_CLOSE, OUTBOUND_V4, OUTBOUND_V6, PROXY, SERVER_OPTIONS,
            SERVER_BINDADDR, ORPORT, EXT_PORT, COOKIE_FILE,
        ];
        for base in [CLIENT, SERVER] {
            for (variable, value) in variables.iter().zip(&values) {
                let _ = launch(base, &[(variable, Some(value))]);
            }
        }
    }
}
