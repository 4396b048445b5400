//! Leaks: what a connection took is given back when it is closed.

use hexchat_lab::{EchoServer, Kind};

use crate::harness::{Half, Lab, echo};

#[test]
fn two_hundred_connections_leave_nothing_open() {
    let (lab, target) = (Lab::start(Kind::Prosody), EchoServer::start().unwrap());
    let (serve, forward) = lab.both(target.address());
    let entrance = forward.entrance();
    // The first one finds everything that is kept: the login, the runtime's own files. That it may not be over yet
    // when they are counted makes room for one leak, not for two hundred.
    echo(entrance, b"first").unwrap();
    let halves = [&serve, &forward];
    let before = halves.map(Half::open_files);
    for _ in 0..200 {
        echo(entrance, b"again").unwrap();
    }
    for (half, before) in halves.into_iter().zip(before) {
        half.closes_all_but(before);
    }
}
