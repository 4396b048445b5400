//! Signals, each a request to end well.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hexchat_lab::Kind;
use rustix::process::Signal;

use crate::harness::{Half, Lab, Target};

/// How long a process that was asked to end may take.
const FAREWELL: Duration = Duration::from_secs(5);

#[test]
fn serve_ends_on_sigterm_and_the_application_sees_the_end_of_its_stream() {
    let (lab, target) = (Lab::start(Kind::Prosody), Target::start());
    let (mut serve, forward) = lab.both(target.address());
    let (mut application, _server) = open_stream(&target, &forward);
    assert_ends_well(&mut serve, Signal::TERM);
    application.set_read_timeout(Some(FAREWELL)).unwrap();
    assert_eq!(application.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn forward_ends_on_sigint_and_the_target_sees_the_end_of_its_stream() {
    let (lab, target) = (Lab::start(Kind::Ejabberd), Target::start());
    let (_serve, mut forward) = lab.both(target.address());
    let (_application, mut server) = open_stream(&target, &forward);
    assert_ends_well(&mut forward, Signal::INT);
    server.set_read_timeout(Some(FAREWELL)).unwrap();
    assert_eq!(server.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn a_connection_that_is_only_being_made_is_not_left_behind() {
    let (lab, target) = (Lab::start(Kind::Ejabberd), Target::start());
    let (_serve, mut forward) = lab.both(target.address());
    // The target has it before `forward` hears of it.
    let (_application, mut server) = target.connect_through(forward.entrance());
    assert_ends_well(&mut forward, Signal::TERM);
    server.set_read_timeout(Some(FAREWELL)).unwrap();
    assert_eq!(server.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn both_end_while_they_are_idle() {
    let (lab, target) = (Lab::start(Kind::Prosody), Target::start());
    let (mut serve, mut forward) = lab.both(target.address());
    forward.entrance();
    assert_ends_well(&mut serve, Signal::INT);
    assert_ends_well(&mut forward, Signal::TERM);
}

/// A connection that both halves know to be open: the target may have it before `forward` does.
fn open_stream(target: &Target, forward: &Half) -> (TcpStream, TcpStream) {
    let (mut application, mut server) = target.connect_through(forward.entrance());
    server.write_all(b"!").unwrap();
    application.read_exact(&mut [0]).unwrap();
    (application, server)
}

fn assert_ends_well(half: &mut Half, signal: Signal) {
    half.process().signal(signal);
    assert_eq!(half.exit_status(FAREWELL), 0);
}
