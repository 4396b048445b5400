//! Rows 8 to 11: standard input and signals.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use hexchat_lab::process::Process;
use rustix::process::Signal;

use crate::child::{Launch, PATIENCE};

/// Arti kills a child that takes longer.
const LIMIT: Duration = Duration::from_secs(5);

fn ends_with_status_0(mut process: Process) {
    assert_eq!(process.wait(LIMIT).unwrap().code(), Some(0));
}

#[test]
fn row_8_it_ends_when_standard_input_closes() {
    for launch in [Launch::client(), Launch::server()] {
        let mut child = launch.start();
        child.greeting();
        child.process.close_stdin();
        ends_with_status_0(child.process);
    }
}

#[test]
fn row_9_it_stays_when_standard_input_closes_and_nobody_asked_for_more() {
    for value in ["0", ""] {
        let mut child = Launch::client().set("TOR_PT_EXIT_ON_STDIN_CLOSE", value).start();
        let socks = child.socks();
        child.process.close_stdin();
        // Long enough for a closed pipe to be seen, and then it still answers.
        assert!(child.process.wait(Duration::from_secs(1)).is_err());
        assert!(TcpStream::connect(socks).is_ok());
    }
}

#[test]
fn row_10_sigterm_ends_it() {
    for launch in [Launch::client(), Launch::server()] {
        let child = launch.start();
        child.greeting();
        child.process.signal(Signal::TERM);
        ends_with_status_0(child.process);
    }
}

#[test]
fn row_11_the_first_sigint_ends_it_when_nothing_is_live() {
    let child = Launch::client().start();
    child.greeting();
    child.process.signal(Signal::INT);
    ends_with_status_0(child.process);
}

#[test]
fn row_11_with_a_live_connection_the_first_sigint_stops_listening_and_the_second_ends_it() {
    let mut child = Launch::client().start();
    let socks = child.socks();
    let mut live = TcpStream::connect(socks).unwrap();
    live.write_all(&[5]).unwrap();
    // Accepted in order: once the second one is refused by a reply, the first one is being served.
    crate::socks::offer(socks, &[0]).unwrap();
    child.process.signal(Signal::INT);
    let deadline = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect(socks).is_ok() {
        assert!(std::time::Instant::now() < deadline, "it still listens");
    }
    assert!(child.process.is_running());
    child.process.signal(Signal::INT);
    ends_with_status_0(child.process);
}
