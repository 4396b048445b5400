//! A TCP socket without the two delays that small stanzas suffer from, and without a long queue.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_xmpp::connect::AsyncReadAndWrite;

use crate::os;

/// A connection, whatever lies between us and its socket.
pub(super) type Io = Box<dyn AsyncReadAndWrite + Send>;

/// What the kernel keeps that it cannot send yet, in bytes. By default that is up to 4 MB, which are minutes at a server with
/// a limit, and nothing that is written later can overtake them. What is on the wires comes on top, so that no fast
/// connection is slower for it.
const MOST_UNSENT: u32 = 128 * 1024;

/// A TCP stream that neither holds back small writes nor acknowledges late.
///
/// Prosody leaves Nagle's algorithm on: what it writes second (the stanza behind an `<a/>`) waits for our kernel's
/// acknowledgement of the first, 40 ms later. Linux forgets `TCP_QUICKACK` again and again, so each read renews it.
#[derive(Debug)]
pub(super) struct PromptSocket(TcpStream);

impl PromptSocket {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        os::limit_unsent(&stream, MOST_UNSENT);
        os::acknowledge_at_once(&stream);
        Ok(Self(stream))
    }
}

impl AsyncRead for PromptSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        os::acknowledge_at_once(&self.0);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PromptSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
