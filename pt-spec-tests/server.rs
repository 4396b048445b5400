//! Rows 35 to 39: a bridge's launch.

use hexchat_lab::ports::free_port;

use crate::child::{Child, Launch, account, protocol};

const OPTIONS: &str = "TOR_PT_SERVER_TRANSPORT_OPTIONS";
const BINDADDR: &str = "TOR_PT_SERVER_BINDADDR";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const FILE_PSK: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA";
const METHOD: &str = "SMETHOD hexchat 127.0.0.1:1";

/// What it says of its method.
fn method(launch: Launch) -> String {
    let child = launch.start();
    child.greeting();
    let lines = child.stdout();
    let lines = protocol(&lines);
    assert!(lines.len() == 3 && lines[0] == "VERSION 1" && lines[2] == "SMETHODS DONE", "{lines:?}");
    lines[1].to_owned()
}

fn refuses_the_environment(launch: Launch, variable: &str) {
    let mut child: Child = launch.start();
    assert_eq!(child.status(), 2);
    let lines = child.stdout();
    assert!(
        lines.len() == 1 && lines[0].starts_with("ENV-ERROR ") && lines[0].contains(variable),
        "{lines:?}"
    );
}

#[test]
fn rows_35_and_37_the_method_names_the_address_that_was_asked_for_or_a_placeholder() {
    for (asked, reported) in [
        ("hexchat-127.0.0.1:0", "127.0.0.1:1"),
        ("hexchat-0.0.0.0:4711", "0.0.0.0:4711"),
        ("hexchat-[::1]:4711", "[::1]:4711"),
        ("hexchat-[2001:db8::1]:0", "127.0.0.1:1"),
        ("foo-192.0.2.1:5,hexchat-[2001:db8::1]:443,bar-192.0.2.1:6", "[2001:db8::1]:443"),
        ("foo-192.0.2.1:5", "127.0.0.1:1"),
        ("", "127.0.0.1:1"),
    ] {
        assert_eq!(
            method(Launch::server().set(BINDADDR, asked)),
            format!("SMETHOD hexchat {reported}"),
            "{asked}"
        );
    }
    let asked_in_any_order = Launch::server()
        .set("TOR_PT_SERVER_TRANSPORTS", "foo,hexchat,bar")
        .set(BINDADDR, "foo-127.0.0.1:5,hexchat-127.0.0.1:6,bar-127.0.0.1:7");
    assert_eq!(method(asked_in_any_order), "SMETHOD hexchat 127.0.0.1:6");
    assert_eq!(method(Launch::server().without(BINDADDR)), METHOD);
}

#[test]
fn row_35_a_list_of_addresses_that_cannot_be_read_is_refused() {
    for list in [
        "hexchat",
        "hexchat-",
        "hexchat-127.0.0.1",
        "hexchat-localhost:5",
        "hexchat-::1:5",
        "hexchat-127.0.0.1:5,",
        "hexchat-127.0.0.1:5,hexchat-127.0.0.1:6",
        "foo-127.0.0.1:5,foo-127.0.0.1:6",
        "hexchat-127.0.0.1:65536",
    ] {
        refuses_the_environment(Launch::server().set(BINDADDR, list), BINDADDR);
    }
}

/// A bridge whose account has no name that a bridge line could give: it can serve classic clients alone.
fn nameless() -> Launch {
    Launch::server().config("[[account]]\njid = \"chat.example\"\nserver = \"127.0.0.1:1\"\n")
}

/// The bridge line of a bridge with these options, beside a file with a secret of its own.
fn bridge_line(options: &str) -> String {
    let file = format!("{}[bridge]\npsk = \"{FILE_PSK}\"\n", account(1));
    let child = Launch::server().config(&file).set(OPTIONS, options).start();
    assert!(child.greeting().iter().any(|line| line == METHOD), "{options}");
    std::fs::read_to_string(child.state.path().join("pt_state/hexchat_bridgeline.txt")).unwrap()
}

#[test]
fn row_36_options_win_over_the_file() {
    let error = method(nameless());
    assert!(
        error.starts_with("SMETHOD-ERROR hexchat ") && error.contains("no account has a user name"),
        "{error}"
    );
    assert_eq!(method(nameless().set(OPTIONS, "hexchat:classic=true")), METHOD);
    let off = method(nameless().set(OPTIONS, "hexchat:classic=false"));
    assert!(off.starts_with("SMETHOD-ERROR hexchat "), "{off}");

    for silent in ["", "hexchat:classic=true"] {
        assert!(bridge_line(silent).contains(&format!(" psk={FILE_PSK}")), "{silent}");
    }
    for options in [
        format!("hexchat:psk={KEY}"),
        format!("hexchat:classic=true;hexchat:psk={KEY}"),
        format!("hexchat:psk={KEY};hexchat:classic=true"),
    ] {
        let line = bridge_line(&options);
        assert!(line.contains(&format!(" psk={KEY}")) && !line.contains(FILE_PSK), "{options}");
    }
}

#[test]
fn row_36_options_of_other_transports_are_ignored_however_tor_escapes_them() {
    for others in [
        "foo:classic=false",
        "foo:a=1;foo:a=2",
        r"foo:a=x\:y\;z\\;foo:b==\=",
        "foo:a=x=y=",
        "foo:a=",
        "foo:surprise=1;bar:psk=short",
    ] {
        for options in [format!("{others};hexchat:classic=true"), format!("hexchat:classic=true;{others}")] {
            assert_eq!(method(nameless().set(OPTIONS, &options)), METHOD, "{options}");
        }
    }
}

#[test]
fn row_36_an_option_that_cannot_be_used_is_a_method_error_that_names_it_and_not_its_value() {
    for (options, key) in [
        ("hexchat:surprise=planted", "surprise"),
        ("hexchat:classic=planted", "classic"),
        ("hexchat:classic=", "classic"),
        ("hexchat:psk=planted", "psk"),
        (r"hexchat:psk=planted\;x", "psk"),
        // A value that ends in equals signs is read as one.
        ("hexchat:psk=planted==", "psk"),
        ("hexchat:classic=true;hexchat:classic=true", "classic"),
        ("hexchat:psk=planted;hexchat:psk=planted", "psk"),
        ("hexchat:planted and more=1", "ServerTransportOptions"),
    ] {
        let child = Launch::server().set(OPTIONS, options).start();
        let error = child.stays_with("SMETHOD-ERROR hexchat ");
        assert!(error.contains(key) && !error.contains("planted"), "{options}: {error}");
    }
}

#[test]
fn row_36_options_that_follow_no_grammar_are_refused() {
    for options in
        ["hexchat", "hexchat:classic", "classic=true", "hexchat:classic=true;", "hexchat:=1", r"foo:a=\"]
    {
        refuses_the_environment(Launch::server().set(OPTIONS, options), OPTIONS);
    }
}

#[test]
fn row_38_the_method_has_no_arguments_and_so_tells_nobody_the_secret() {
    let options = format!("hexchat:psk={KEY}");
    let method = method(Launch::server().set(OPTIONS, options));
    assert_eq!(method.split(' ').count(), 3, "{method}");
}

#[test]
fn row_39_a_chat_server_that_is_not_there_is_no_method_error_and_the_bridge_goes_on() {
    let port = free_port().unwrap();
    let config = format!("{}[bridge]\nclassic = true\n", account(port));
    let mut child = Launch::server().config(&config).start();
    assert!(!child.greeting().iter().any(|line| line.starts_with("SMETHOD-ERROR")));
    let line = child.says("LOG SEVERITY=warning ");
    assert!(line.contains("connection refused") && !line.contains("chat.example"), "{line}");
    // It tries again by itself.
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert!(listener.accept().is_ok());
    assert!(child.process.is_running());
}

#[test]
fn a_bridge_without_an_account_is_a_method_error_that_says_what_to_add() {
    let error = method(Launch::server().config("[bridge]\nclassic = true\n"));
    assert!(error.starts_with("SMETHOD-ERROR hexchat ") && error.contains("[[account]]"), "{error}");
}
