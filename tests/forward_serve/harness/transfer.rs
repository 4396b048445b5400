//! Bytes from one application to the other.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use super::target::connect;

/// What the two applications saw of a transfer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every byte arrived, then the end.
    Intact,
    /// Both saw an error instead.
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
/// When what arrives is no beginning of it, when an incomplete transfer looks complete to the receiver, or when an end
/// is left waiting.
pub(crate) fn transfer(mut from: TcpStream, mut to: TcpStream, data: &[u8]) -> Outcome {
    thread::scope(|scope| {
        let sent = scope.spawn(move || {
            from.write_all(data)?;
            from.shutdown(Shutdown::Write)?;
            // The other end sends nothing: this waits for its end, or for the fault.
            from.read_to_end(&mut Vec::new()).map(drop)
        });
        let mut received = Vec::new();
        let end = to.read_to_end(&mut received);
        assert!(data.starts_with(&received), "other bytes arrived than were sent");
        drop(to);
        let sent = sent.join().unwrap();
        for fault in [&sent, &end.as_ref().map(drop).map_err(|error| io::Error::from(error.kind()))] {
            assert!(!fault.as_ref().is_err_and(is_timeout), "an end was left waiting: {sent:?}, {end:?}");
        }
        match end {
            Ok(length) => {
                assert_eq!(length, data.len(), "an incomplete transfer looks complete");
                Outcome::Intact
            }
            Err(_) => {
                assert!(sent.is_err(), "only the receiver saw that the transfer broke");
                Outcome::Broken
            }
        }
    })
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
/// When that does not happen.
pub(crate) fn read_until_closed(mut tcp: &TcpStream) {
    match tcp.read_to_end(&mut Vec::new()) {
        Err(error) if is_timeout(&error) => panic!("the connection is still open"),
        _ => {}
    }
}
