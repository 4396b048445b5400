//! Bytes from one application to the other.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::TcpCutter;

use super::PATIENCE;
use super::target::connect;

/// What the two applications saw of a transfer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every byte arrived, then the end.
    Intact,
    /// The receiver saw an error instead, and the sender the end of its connection.
    Broken,
}

/// Bytes that look like nothing else.
pub(crate) fn random_bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes[..]);
    bytes
}

/// Sends `data` from one end to the other.
///
/// # Panics
///
/// As [`transfer_despite`] does, and when it does not arrive.
pub(crate) fn transfer(from: TcpStream, to: TcpStream, data: &[u8]) {
    assert_eq!(transfer_despite(from, to, data, || {}), Outcome::Intact);
}

/// Sends `data` from one end to the other, and makes trouble as soon as the first of it has arrived.
///
/// # Panics
///
/// When what arrives is no beginning of it, when an incomplete transfer looks complete to the receiver, or when an end
/// still waits [`PATIENCE`] after the trouble began.
pub(crate) fn transfer_despite(
    mut from: TcpStream,
    mut to: TcpStream,
    data: &[u8],
    trouble: impl FnOnce(),
) -> Outcome {
    thread::scope(|scope| {
        let sender = scope.spawn(move || {
            let sent = from.write_all(data).and_then(|()| from.shutdown(Shutdown::Write));
            // The other end sends nothing: this waits for its end, or for the fault.
            (sent.and_then(|()| from.read_to_end(&mut Vec::new())), Instant::now())
        });
        let (started, has_started) = mpsc::channel();
        let receiver = scope.spawn(move || {
            let mut received = vec![0; data.len() / 10];
            let start = to.read_exact(&mut received);
            started.send(()).unwrap();
            (start.and_then(|()| to.read_to_end(&mut received)), received, Instant::now())
        });
        has_started.recv().unwrap();
        let since = Instant::now();
        trouble();
        let (end, received, receiver_ended) = receiver.join().unwrap();
        let (sent, sender_ended) = sender.join().unwrap();
        assert!(data.starts_with(&received) || end.is_err(), "other bytes arrived than were sent");
        for (fault, ended) in [(&sent, sender_ended), (&end, receiver_ended)] {
            let waiting = fault.as_ref().is_err_and(is_timeout) || fault.is_err() && ended > since + PATIENCE;
            assert!(!waiting, "an end was left waiting: the sender saw {sent:?}, the receiver {end:?}");
        }
        if end.is_err() {
            return Outcome::Broken;
        }
        assert_eq!(received.len(), data.len(), "an incomplete transfer looks complete");
        Outcome::Intact
    })
}

/// Connections are cut 4 times in a transfer.
const CUTS: usize = 4;

/// 4 MB are sent between two cuts: more than both halves and the buffers of the system take, so that the cut comes in the middle.
const PART: usize = 4_000_000;

/// 1.5 seconds: a connection lives at least so long. An account whose connections all live for less than one logs in ever more rarely.
const LIFE: Duration = Duration::from_millis(1500);

/// Sends one part after the other from one end to the other, and cuts all connections through `cutter` in the middle of each.
///
/// # Panics
///
/// When something else arrives than was sent, or nothing for [`PATIENCE`].
pub(crate) fn transfer_through_cuts(mut from: TcpStream, mut to: TcpStream, cutter: &TcpCutter) {
    let before = cutter.accepted();
    for _ in 0..CUTS {
        let data = random_bytes(PART);
        thread::scope(|scope| {
            let sender = scope.spawn(|| from.write_all(&data));
            let mut received = vec![0; PART];
            let (first, rest) = received.split_at_mut(PART / 4);
            to.read_exact(first).unwrap();
            cutter.cut();
            to.read_exact(rest).expect("the rest of what was cut");
            assert!(received == data, "what arrived differs");
            sender.join().unwrap().unwrap();
        });
        thread::sleep(LIFE);
    }
    drop(from);
    assert_eq!(to.read_to_end(&mut Vec::new()).unwrap(), 0, "more arrived than was sent");
    // The last one need not have been made anew.
    assert!(cutter.accepted() >= before + CUTS - 1, "nothing was cut");
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Sends `data` through `entrance` to an echo, and compares what comes back. Nothing is closed before: the protocol
/// knows no half-closed connections.
pub(crate) fn echo(entrance: SocketAddr, data: &[u8]) -> io::Result<()> {
    let mut tcp = connect(entrance);
    let mut writer = tcp.try_clone()?;
    thread::scope(|scope| {
        let writing = scope.spawn(move || writer.write_all(data));
        let mut received = vec![0; data.len()];
        tcp.read_exact(&mut received)?;
        writing.join().unwrap()?;
        assert!(received == data, "the echo differs");
        Ok(())
    })
}

/// Waits until the connection is closed or reset.
///
/// # Panics
///
/// When that does not happen within [`PATIENCE`] of silence.
pub(crate) fn wait_until_closed(mut tcp: &TcpStream) {
    let end = tcp.read_to_end(&mut Vec::new());
    assert!(!end.as_ref().is_err_and(is_timeout), "the connection is still open");
}

/// Connects through `entrance` to an echo until it works once.
///
/// # Panics
///
/// When it does not work within [`PATIENCE`].
pub(crate) fn wait_until_it_works(entrance: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = echo(entrance, &random_bytes(10_000)) {
        assert!(Instant::now() < deadline, "no new connection works: {error}");
        thread::sleep(Duration::from_millis(100));
    }
}
