//! Rows 16 to 20: a launch.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::child::{Child, Launch, PATIENCE, account, protocol};
use crate::socks::begin;

#[test]
fn row_16_the_listener_is_on_loopback_and_has_a_port() {
    let child = Launch::client().start();
    child.greeting();
    let lines = child.stdout();
    let lines = protocol(&lines);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!((lines[0], lines[2]), ("VERSION 1", "CMETHODS DONE"));
    let socks = child.socks();
    assert!(socks.ip().is_loopback() && socks.port() != 0);
    // It listens from the moment at which it says so.
    assert!(std::net::TcpStream::connect(socks).is_ok());
}

/// Closes whatever else than standard streams it was given, and starts the rest with so few descriptors: a parent of the test's may have left
/// some open, which would count.
fn with_descriptors(count: usize) -> Vec<String> {
    let script = format!(
        "for path in /proc/$$/fd/*; do fd=${{path##*/}}; [ \"$fd\" -gt 2 ] && eval \"exec $fd>&-\"; done; ulimit -n {count}; exec \"$@\""
    );
    // Others know no descriptors of two digits.
    ["bash", "-c", &script, "bash"].map(str::to_owned).into()
}

/// The fewest descriptors with which an executable can be started at all: three, and one to find its libraries.
const FEWEST: usize = 4;

#[test]
fn row_17_a_listener_that_cannot_be_opened_is_a_method_error_and_then_the_methods_are_done() {
    for (launch, method) in [(Launch::client as fn() -> Launch, "CMETHOD"), (Launch::server, "SMETHOD")] {
        // How many descriptors a launch needs is its own business: with any number that does not suffice, it says so.
        let children = (FEWEST..=40).map(|count| {
            let child = launch().wrapped(with_descriptors(count)).start();
            child.greeting();
            child
        });
        let starved: Vec<_> = children.take_while(|child| !offers(child, method)).collect();
        assert!(starved.len() > 3, "{method}: {}", starved.len());
        for child in starved {
            let lines = child.stdout();
            assert_eq!(protocol(&lines).len(), 3, "{lines:?}");
            let error = child.stays_with(&format!("{method}-ERROR hexchat "));
            assert_eq!(error.matches("Too many open files (os error 24)").count(), 1, "{error}");
            assert!(!lines.iter().any(|line| line.contains("please report it")), "{lines:?}");
        }
    }
}

fn offers(child: &Child, method: &str) -> bool {
    child.stdout().iter().any(|line| line.starts_with(&format!("{method} ")))
}

/// A chat server that takes connections and never says anything.
fn silent_server() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn row_18_the_methods_are_done_without_any_network() {
    // A namespace of its own has no interface that is up, not even the loopback one.
    for launch in Launch::both() {
        let child = launch
            .through(
                "unshare --net true 2>/dev/null && exec unshare --net \"$@\"
                 exec unshare --user --map-root-user --net \"$@\"",
            )
            .start();
        child.greeting();
        let lines = child.stdout();
        let methods = protocol(&lines);
        assert_eq!(methods.len(), 3, "{:?}", child.process.lines());
        assert!(
            methods[1].starts_with("CMETHOD hexchat ") || methods[1].starts_with("SMETHOD hexchat "),
            "{lines:?}"
        );
    }
}

/// A login that was begun has long arrived by then.
const WATCH: Duration = Duration::from_millis(1500);

/// Whether anybody connects within this time.
fn connects_within(listener: &TcpListener, wait: Duration) -> bool {
    listener.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + wait;
    while Instant::now() < deadline {
        if listener.accept().is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn row_18_a_client_logs_in_when_it_is_asked_for_a_connection_and_not_before() {
    let (listener, port) = silent_server();
    let child = Launch::client().config(&account(port)).start();
    child.greeting();
    assert!(child.stdout().contains(&"CMETHODS DONE".to_owned()));
    assert!(!connects_within(&listener, WATCH), "it has logged in already");
    let _request = begin(child.socks(), b"mode=classic;jid=bridge@chat.example/r");
    assert!(connects_within(&listener, PATIENCE), "it does not log in");
}

#[test]
fn row_18_a_bridge_that_cannot_work_does_not_log_in_either() {
    let (listener, port) = silent_server();
    let account = account(port);
    // What fails last: its bridge line cannot be written.
    let launches = [(); 5].map(|()| {
        let launch = Launch::server().config(&account);
        std::fs::create_dir_all(launch.state().join("pt_state/hexchat_bridgeline.txt")).unwrap();
        launch
    });
    let children = launches.map(Launch::start);
    assert!(!connects_within(&listener, WATCH), "it has logged in");
    for child in children {
        child.stays_with("SMETHOD-ERROR hexchat ");
    }
}

#[test]
fn row_18_a_server_that_does_not_answer_delays_nothing() {
    let (_listener, port) = silent_server();
    let config = format!("{}[bridge]\nclassic = true\n", account(port));
    for (launch, done) in [(Launch::client(), "CMETHODS DONE"), (Launch::server(), "SMETHODS DONE")] {
        let child = launch.config(&config).start();
        child.greeting();
        assert!(child.stdout().contains(&done.to_owned()));
    }
}

#[test]
fn a_configuration_that_cannot_work_is_a_method_error_and_the_child_stays() {
    let child = Launch::client().config("[client]\nsurprise = \"hidden\"\n").start();
    let error = child.stays_with("CMETHOD-ERROR hexchat ");
    assert!(error.contains("line 2") && error.contains("surprise") && !error.contains("hidden"), "{error}");
}

#[test]
fn row_17_arguments_in_torrc_that_make_no_sense_are_a_method_error_and_the_child_stays() {
    for arguments in [&["--unknown"][..], &["--log-level", "planted"], &["--config"], &["planted"]] {
        for (launch, error) in [(Launch::client(), "CMETHOD-ERROR"), (Launch::server(), "SMETHOD-ERROR")] {
            let error = launch.args(arguments).start().stays_with(&format!("{error} hexchat "));
            assert!(error.contains("arguments in torrc") && !error.contains("LEVEL=planted"), "{error}");
            assert!(error.contains(arguments[0]), "{error}");
        }
    }
}

#[test]
fn row_20_without_a_proxy_none_is_confirmed() {
    for launch in [Launch::client(), Launch::client().set("TOR_PT_PROXY", ""), Launch::server()] {
        let child = launch.start();
        child.greeting();
        assert!(!child.stdout().iter().any(|line| line.starts_with("PROXY")));
    }
}

#[test]
fn row_20_a_bridge_is_not_told_of_a_proxy_and_confirms_none() {
    let child = Launch::server().set("TOR_PT_PROXY", "socks5://127.0.0.1:9").start();
    child.greeting();
    assert_eq!(protocol(&child.stdout()), ["VERSION 1", "SMETHOD hexchat 127.0.0.1:1", "SMETHODS DONE"]);
}
