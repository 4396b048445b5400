//! Row 31: no text from outside adds a line to the protocol, splits one, or breaks one.
//!
//! What is checked is checked for every child of this suite when it ends: both parents read all that it has said. Here
//! is the text that makes it hard; what a chat server can say is in `hostile.rs`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::child::{Child, Launch};
use crate::socks::{SUCCEEDED, ask};

/// Bytes that have broken a line somewhere; none has a NUL or a slash, which no file name can hold.
const STRANGE: [&[u8]; 10] = [
    b"x\nCMETHODS DONE\nSMETHODS DONE",
    b"x\r\nVERSION 1\r\n",
    b"\"quoted\" 'and' \\ backslash\\",
    b"\\n\\0\\101\\x41\\u{1b}",
    b"\x01\x02\x1b[31m\x7f\t\x0b\x0c",
    b"\xff\xfe\xc3\x28",
    "\u{85}\u{2028}\u{2029}\u{202e}\u{200f}\u{feff}".as_bytes(),
    b" LOG SEVERITY=error MESSAGE=\"x\" ",
    b"=;,:=;,:",
    b"  ",
];

const VARIABLES: [&str; 13] = [
    "TOR_PT_MANAGED_TRANSPORT_VER",
    "TOR_PT_STATE_LOCATION",
    "TOR_PT_EXIT_ON_STDIN_CLOSE",
    "TOR_PT_OUTBOUND_BIND_ADDRESS_V4",
    "TOR_PT_OUTBOUND_BIND_ADDRESS_V6",
    "TOR_PT_CLIENT_TRANSPORTS",
    "TOR_PT_PROXY",
    "TOR_PT_SERVER_TRANSPORTS",
    "TOR_PT_SERVER_TRANSPORT_OPTIONS",
    "TOR_PT_SERVER_BINDADDR",
    "TOR_PT_ORPORT",
    "TOR_PT_EXTENDED_SERVER_PORT",
    "TOR_PT_AUTH_COOKIE_FILE",
];

/// It has come to the end of its launch, one way or the other, and has not forged one.
fn comes_to_an_end(mut child: Child) {
    let lines = child.greeting();
    let done = child.stdout().iter().filter(|line| line.ends_with("METHODS DONE")).count();
    match done {
        0 => assert_eq!(child.status(), 2, "{lines:?}"),
        1 => assert!(child.process.is_running(), "{lines:?}"),
        _ => panic!("{lines:?}"),
    }
}

#[test]
fn row_31_strange_variables() {
    for variable in VARIABLES {
        for value in STRANGE {
            for launch in Launch::both() {
                comes_to_an_end(launch.set(variable, OsStr::from_bytes(value)).start());
            }
        }
    }
}

#[test]
fn row_31_strange_paths() {
    for name in STRANGE {
        let below = |folder: &std::path::Path| folder.join(OsStr::from_bytes(name));
        for launch in Launch::both() {
            // A folder that cannot be made, below a file.
            let file = launch.file("file", "");
            comes_to_an_end(launch.set("TOR_PT_STATE_LOCATION", below(&file)).start());
        }
        for launch in Launch::both() {
            let config = below(launch.state());
            comes_to_an_end(launch.args(&[OsStr::new("--config"), config.as_os_str()]).start());
        }
        for launch in Launch::both() {
            comes_to_an_end(launch.config_at(OsStr::from_bytes(name), "[client]\nbroken\n").start());
        }
        let launch = Launch::client();
        let log = below(&launch.state().join("nowhere"));
        comes_to_an_end(launch.args(&[OsStr::new("--log-file"), log.as_os_str()]).start());
    }
}

#[test]
fn row_31_strange_configurations() {
    for bytes in STRANGE {
        let text = String::from_utf8_lossy(bytes);
        // Every character as an escape of TOML, so that the value arrives as it is.
        let quoted: String = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
        for config in [
            text.to_string(),
            format!("[[account]]\njid = \"{quoted}\"\n"),
            format!("[[account]]\njid = \"a@x\"\npassword_file = \"{quoted}\"\n"),
            format!("[client]\n\"{quoted}\" = 1\n"),
            format!("\"{quoted}\" = 1\n"),
            format!("[client]\nca_file = \"{quoted}\"\n"),
            format!("[client]\nlogin = \"{quoted}\"\n"),
            format!("[bridge]\npsk = \"{quoted}\"\n"),
        ] {
            for launch in Launch::both() {
                comes_to_an_end(launch.config(&config).start());
            }
        }
    }
}

#[test]
fn row_31_strange_arguments_of_bridge_lines() {
    let child = Launch::client().start();
    let socks = child.socks();
    for bytes in STRANGE {
        for prefix in [&b""[..], b"jid=", b"k=", b"login=a@x:p;jid=b@x;tls="] {
            assert_ne!(ask(socks, &[prefix, bytes].concat()), SUCCEEDED);
            assert_ne!(ask(socks, &[bytes, b"=1;jid=b@x"].concat()), SUCCEEDED);
        }
    }
    child.says("LOG ");
}

/// The environment itself, and not one variable of ours, is strange.
#[test]
fn row_31_variables_that_are_none_of_ours() {
    let mut launch = Launch::client();
    for name in ["HOME", "XDG_STATE_HOME", "LANG", "RUST_LOG", "RUST_BACKTRACE"] {
        launch = launch.set(name, "\"\n\u{1b}CMETHODS DONE\n");
    }
    comes_to_an_end(launch.start());
}
