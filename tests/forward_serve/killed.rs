//! Killed halves: the application at the other half must not wait for ever.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use hexchat_lab::Kind;

use crate::harness::{Half, Lab, PATIENCE, Route, Target, connect, wait_until_closed};

/// After 20 seconds of silence each half takes the other for dead: longer than it takes until a ping, which goes after 15. What is usual,
/// 50 seconds, is waited for in `tests/classic_simulation`, where that takes no time.
const SOON: &str = "[limits]\nsilence_timeout = 20\n";

/// Both halves, one account each, which give up soon.
fn both(lab: &Lab, target: &Target) -> (Half, Half) {
    let config = |user| lab.config(&[user], &Route::StartTls) + SOON;
    let serve = Half::serve(&config("bob"), &[target.address()]);
    (serve, Half::forward(&config("alice"), &lab.server.jid("bob"), target.address()))
}

#[test]
fn when_serve_is_killed_an_idle_application_sees_its_connection_closed() {
    let (lab, target) = (Lab::start(Kind::Prosody), Target::start());
    let (mut serve, forward) = both(&lab, &target);
    let (application, _server) = target.connect_through(forward.entrance());
    serve.process().kill();
    wait_until_closed(&application);
}

#[test]
fn when_forward_is_killed_an_idle_target_sees_its_connection_closed() {
    let (lab, target) = (Lab::start(Kind::Prosody), Target::start());
    let (_serve, mut forward) = both(&lab, &target);
    let (_application, server) = target.connect_through(forward.entrance());
    forward.process().kill();
    wait_until_closed(&server);
}

#[test]
fn when_serve_is_killed_a_busy_application_sees_its_connection_closed() {
    let (lab, target) = (Lab::start(Kind::Ejabberd), Target::start());
    let (mut serve, forward) = both(&lab, &target);
    let (application, server) = target.connect_through(forward.entrance());
    assert_closed_after(&application, &server, || serve.process().kill());
}

#[test]
fn when_forward_is_killed_a_busy_target_sees_its_connection_closed() {
    let (lab, target) = (Lab::start(Kind::Ejabberd), Target::start());
    let (_serve, mut forward) = both(&lab, &target);
    let (application, server) = target.connect_through(forward.entrance());
    assert_closed_after(&server, &application, || forward.process().kill());
}

#[test]
fn when_serve_is_started_again_the_next_connection_works() {
    let (lab, target) = (Lab::start(Kind::Prosody), Target::start());
    let (mut serve, forward) = lab.both(target.address());
    let entrance = forward.entrance();
    drop(target.connect_through(entrance));
    serve.process().kill();
    let _serve = lab.serve(target.address());
    let mut application = connect(entrance);
    let mut server = target.accept();
    application.write_all(b"again").unwrap();
    let mut received = [0; 5];
    server.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"again");
}

/// Both ends send as much as they can; once something has arrived at `survivor`, its peer's half is killed.
fn assert_closed_after(survivor: &TcpStream, victim: &TcpStream, kill: impl FnOnce()) {
    thread::scope(|scope| {
        for tcp in [survivor, victim] {
            scope.spawn(move || send_until_closed(tcp));
        }
        // Nothing flows to the victim's half but what it takes.
        scope.spawn(move || wait_until_closed(victim));
        let mut reader = survivor;
        reader.read_exact(&mut vec![0; 1_000_000]).unwrap();
        let since = Instant::now();
        kill();
        wait_until_closed(survivor);
        assert!(since.elapsed() < PATIENCE, "closed only after {:?}", since.elapsed());
    });
}

fn send_until_closed(mut tcp: &TcpStream) {
    let block = vec![0; 100_000];
    while tcp.write_all(&block).is_ok() {}
}
