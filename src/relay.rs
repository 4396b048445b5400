//! Relay between a TCP connection and a stream, until both are closed.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::tunnel::TunnelStream;

/// The most that is read from the TCP connection at a time: 32 KiB, which each stream that carries something has in memory.
const BUFFER: usize = 32 * 1024;

/// How long the application may take to close its end after it has seen ours closed: 5 seconds. Closing a socket with
/// unread bytes in it resets the connection, and a reset can overtake the last data.
const LINGER: Duration = Duration::from_secs(5);

/// Relays until the stream is closed. What breaks on one side is passed on as a break to the other.
///
/// A task takes the memory of the largest thing that it may ever do, for as long as it lives. So what comes only at the end has a box of
/// its own.
pub(crate) async fn relay(mut tcp: TcpStream, stream: &TunnelStream) {
    let outcome = tokio::select! {
        outcome = exchange(&mut tcp, stream) => outcome,
        error = broken(stream) => Err(error),
    };
    match outcome {
        Ok(()) => Box::pin(linger(&mut tcp)).await,
        Err(error) => {
            tracing::debug!(%error, "connection broken");
            // Neither side may take a part for the whole. If one of them is gone already, there is nothing to reset.
            stream.abort();
            let _ = tcp.set_zero_linger();
        }
    }
}

/// Waits until the stream is broken, and then for what may still be written: a TCP connection that neither says nor takes anything
/// would show nothing of it.
async fn broken(stream: &TunnelStream) -> io::Error {
    let error = stream.broken().await;
    Box::pin(tokio::time::sleep(LINGER)).await;
    error
}

/// Copies both ways. Returns when the stream has nothing more to give, and takes nothing more either.
async fn exchange(tcp: &mut TcpStream, stream: &TunnelStream) -> io::Result<()> {
    let (mut from_tcp, mut to_tcp) = tcp.split();
    let outward = async {
        // A connection of which nothing comes needs no buffer, and no page of one is touched before it is needed.
        from_tcp.readable().await?;
        let mut buffer = Vec::with_capacity(BUFFER);
        while from_tcp.read_buf(&mut buffer).await? > 0 {
            stream.send(&buffer).await?;
            buffer.clear();
        }
        stream.finish();
        Ok(())
    };
    let inward = async {
        while let Some(data) = stream.receive().await? {
            to_tcp.write_all(&data).await?;
        }
        to_tcp.shutdown().await
    };
    tokio::pin!(outward, inward);
    tokio::select! {
        result = &mut inward => {
            result?;
            return if stream.can_be_half_closed() { ignore_the_peer(outward.await) } else { Ok(()) };
        }
        result = &mut outward => ignore_the_peer(result)?,
    }
    inward.await
}

/// The application is done, or the peer can take no more: neither says that the peer is done.
fn ignore_the_peer(outward: io::Result<()>) -> io::Result<()> {
    outward.or_else(|error| if is_of_tcp(&error) { Err(error) } else { Ok(()) })
}

/// Whether it is the application's connection that failed, and not the stream.
fn is_of_tcp(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}

async fn linger(tcp: &mut TcpStream) {
    let drain = async {
        let mut scrap = [0; 4096];
        while tcp.read(&mut scrap).await.is_ok_and(|length| length > 0) {}
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}
