//! Rows 40 to 46: where a bridge's half takes the bytes that come through the chat server.

mod cookie;
mod extended;
mod server;
mod setup;

use std::io::{Read as _, Write as _};

use hexchat_lab::ports::free_port;

use crate::child::Launch;
use crate::halves::{echo, echo_server};
use crate::log::{message, warns};
use server::Tor;
use setup::Setup;

#[test]
fn row_40_the_orport_sees_the_applications_bytes_and_no_others() {
    let orport = Tor::listen();
    let setup = Setup::start(|launch| launch.set("TOR_PT_ORPORT", orport.address()));
    let mut application = setup.request().unwrap();
    let mut tor = orport.accept();
    application.write_all(b"\x07\0\0hello tor").unwrap();
    tor.expect(b"\x07\0\0hello tor");
    tor.say(b"hello application");
    let mut heard = [0; 17];
    application.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello application");
    drop(application);
    tor.expect_the_end();
}

#[test]
fn row_41_an_extended_orport_that_is_empty_is_none() {
    let target = echo_server().to_string();
    let setup =
        Setup::start(|launch| launch.set("TOR_PT_ORPORT", &target).set("TOR_PT_EXTENDED_SERVER_PORT", ""));
    echo(&setup.request().unwrap(), 10_000);
}

#[test]
fn row_41_an_extended_orport_needs_a_cookie_file_and_an_address() {
    for (port, file, named) in [
        ("127.0.0.1:9", "", "TOR_PT_AUTH_COOKIE_FILE"),
        ("localhost:9", "/cookie", "TOR_PT_EXTENDED_SERVER_PORT"),
        ("127.0.0.1", "/cookie", "TOR_PT_EXTENDED_SERVER_PORT"),
        ("127.0.0.1:0", "/cookie", "TOR_PT_EXTENDED_SERVER_PORT"),
    ] {
        let launch =
            Launch::server().set("TOR_PT_EXTENDED_SERVER_PORT", port).set("TOR_PT_AUTH_COOKIE_FILE", file);
        let mut child = launch.start();
        assert_eq!(child.status(), 2, "{port} {file}");
        let first = &child.greeting()[0];
        assert!(first.starts_with("ENV-ERROR ") && first.contains(named), "{first}");
    }
}

#[test]
fn rows_40_and_41_with_an_extended_orport_the_other_one_is_not_touched_even_when_it_fails() {
    let orport = Tor::listen();
    let nobody = format!("127.0.0.1:{}", free_port().unwrap());
    let setup = Setup::extended_at(&nobody, |launch| launch.set("TOR_PT_ORPORT", orport.address()));
    assert_eq!(setup.request().unwrap_err(), setup::REFUSED);
    warns(&setup.bridge, "cannot reach Tor's extended ORPort");
    assert!(orport.is_untouched());
}

#[test]
fn row_46_an_extended_orport_on_another_machine_is_worth_a_warning() {
    let launch = |port| {
        Launch::server().set("TOR_PT_EXTENDED_SERVER_PORT", port).set("TOR_PT_AUTH_COOKIE_FILE", "/cookie")
    };
    for port in ["192.0.2.1:9", "[2001:db8::1]:9", "0.0.0.0:9"] {
        let line = warns(&launch(port).start(), "the extended ORPort is not on this machine");
        assert!(!line.contains("192.0.2.1") && !line.contains("2001"), "{line}");
    }
    for port in ["127.0.0.1:9", "127.9.9.9:9", "[::1]:9"] {
        let child = launch(port).start();
        // The next thing that it says, once it has looked at all that Tor gave it.
        warns(&child, "connection refused");
        let warned = |line: &String| line.starts_with("LOG ") && message(line).contains("ORPort");
        assert!(!child.process.lines().iter().any(warned), "{port}");
    }
}
