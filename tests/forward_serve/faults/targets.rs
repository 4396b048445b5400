//! Targets that are not reached.

use std::io::{self, Read as _};

use hexchat_lab::Kind;
use hexchat_lab::ports::{free_port, loopback};

use super::EXPLANATION;
use crate::harness::{Half, Lab, Route, Target, connect};

#[test]
fn a_target_that_is_not_allowed_is_refused() {
    let (lab, allowed, asked) = (Lab::start(Kind::Prosody), Target::start(), Target::start());
    let serve = Half::serve(&lab.config(&["bob"], &Route::StartTls), &[allowed.address()]);
    let forward = lab.forward(asked.address());
    assert_is_refused(&serve, &forward, "its target is not allowed");
    assert!(asked.is_untouched());
}

#[test]
fn a_target_that_nobody_listens_on_is_refused() {
    let lab = Lab::start(Kind::Ejabberd);
    let (serve, forward) = lab.both(loopback(free_port().unwrap()));
    assert_is_refused(&serve, &forward, "cannot reach its target: connection refused");
}

/// The application is reset, and both logs say why.
fn assert_is_refused(serve: &Half, forward: &Half, words: &str) {
    let end = connect(forward.entrance()).read_exact(&mut [0]).map_err(|error| error.kind());
    assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
    serve.says(words, EXPLANATION);
    forward.says("a connection was not forwarded: ", EXPLANATION);
}
