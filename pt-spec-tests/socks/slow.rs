//! Row 24: a handshake that does not get on is given up after 5 seconds.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{connect, is_closed, offer};
use crate::child::Launch;

/// The longest that one that hangs may be kept: 5 seconds, and as much again for a slow machine.
const LIMIT: Duration = Duration::from_secs(10);

/// The shortest: Tor may be slow, too.
const LEAST: Duration = Duration::from_secs(4);

/// How far a client gets before it falls silent.
const BEGINNINGS: [&[u8]; 6] =
    [b"", &[5], &[5, 2, 0], &[5, 1, 2], &[5, 1, 2, 1, 5, b'a'], &[5, 1, 0, 5, 1, 0, 3, 200, b'a']];

fn begun(socks: SocketAddr, beginning: &[u8]) -> TcpStream {
    let mut stream = connect(socks);
    stream.write_all(beginning).unwrap();
    stream
}

/// Reads until the end, whatever comes first.
fn ends_within(stream: &mut TcpStream, limit: Duration) -> bool {
    stream.set_read_timeout(Some(limit)).unwrap();
    let since = Instant::now();
    // A reset is an end too; time is what tells.
    let _ = std::io::copy(stream, &mut std::io::sink());
    since.elapsed() < limit
}

#[test]
fn row_24_a_silent_handshake_is_closed_after_a_while() {
    let child = Launch::client().start();
    let socks = child.socks();
    thread::scope(|scope| {
        for beginning in BEGINNINGS {
            scope.spawn(move || {
                let since = Instant::now();
                let mut stream = begun(socks, beginning);
                assert!(ends_within(&mut stream, LIMIT), "{beginning:?}");
                assert!(since.elapsed() >= LEAST, "{beginning:?}");
            });
        }
    });
    let line = child.says("LOG SEVERITY=warning ");
    assert!(line.contains("too long over the handshake"), "{line}");
    assert_eq!(offer(socks, &[0]).unwrap().1, 0, "it still serves");
}

#[test]
fn row_24_a_handshake_that_trickles_is_closed_as_well() {
    let child = Launch::client().start();
    let mut stream = begun(child.socks(), &[5, 1, 2, 1, 255]);
    let deadline = Instant::now() + LIMIT;
    while stream.write_all(b"x").is_ok() {
        assert!(Instant::now() < deadline, "it waits for ever");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn row_24_a_handshake_that_is_half_closed_or_reset_ends_at_once_and_hurts_nobody() {
    let child = Launch::client().start();
    for beginning in BEGINNINGS {
        let mut stream = begun(child.socks(), beginning);
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(ends_within(&mut stream, Duration::from_secs(4)), "{beginning:?}");
        let stream = begun(child.socks(), beginning);
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        drop(stream);
    }
    let (mut stream, method) = offer(child.socks(), &[1]).unwrap();
    assert!(method == 0xff && is_closed(&mut stream), "it still serves");
}
