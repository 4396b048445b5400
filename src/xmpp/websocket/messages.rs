//! Messages of a WebSocket, as the bytes of a stream: what [`framing`] translates, carried both ways.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio_websockets::{Error, Message, WebSocketStream};

use super::framing::{self, Outgoing};
use crate::xmpp::error::{AccountError, Step};

/// After 16 pings nothing more is read until their answers are written: a server that asks without reading could have us collect them.
/// One that reads slowly (stock ejabberd: 3 kB/s, a ping a minute) takes as long for a batch as for a few of them.
const MOST_PINGS: usize = 16;

/// Of a message 64 KiB are read at a time. What is read is cut into elements before any of these is handled, each of which takes some
/// times as much memory as it is long: a message of 16 MiB may have four million.
const PIECE: usize = 64 * 1024;

/// A stream over a WebSocket.
pub(super) struct Messages<S> {
    socket: WebSocketStream<S>,
    outgoing: Outgoing,
    /// What has come and was not read yet.
    incoming: Bytes,
    /// Whether the server has ended its stream.
    has_ended: bool,
    /// Pings since all was written: so many answers may still wait for that.
    pings: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Messages<S> {
    pub(super) fn new(socket: WebSocketStream<S>) -> Self {
        let outgoing = Outgoing::default();
        Self { socket, outgoing, incoming: Bytes::new(), has_ended: false, pings: 0 }
    }

    /// The next that is said on the stream, which may be nothing; none when there is no more.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.pings >= MOST_PINGS {
            ready!(self.poll_write_out(cx))?;
        }
        let Some(message) = ready!(Pin::new(&mut self.socket).poll_next(cx)).transpose().map_err(fault)?
        else {
            return Poll::Ready(Ok(None));
        };
        self.pings += usize::from(message.is_ping());
        if message.is_binary() {
            return Poll::Ready(Err(ErrorKind::InvalidData.into()));
        }
        if !message.is_text() {
            return Poll::Ready(Ok(Some(Bytes::new())));
        }
        let read = framing::read(message.into_payload().into()).map_err(io::Error::other)?;
        self.has_ended |= framing::is_end(&read);
        Poll::Ready(Ok(Some(read)))
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(fault)?;
        self.pings = 0;
        Poll::Ready(Ok(()))
    }
}

/// What a fault of the WebSocket is to those above.
fn fault(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::PayloadTooLong { .. } => io::Error::other(AccountError::TooMuch(Step::Session)),
        Error::AlreadyClosed => ErrorKind::BrokenPipe.into(),
        _ => ErrorKind::InvalidData.into(),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncBufRead for Messages<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.incoming.is_empty() {
            match ready!(this.poll_next(cx))? {
                Some(read) => this.incoming = read,
                None => break,
            }
        }
        Poll::Ready(Ok(&this.incoming[..this.incoming.len().min(PIECE)]))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.incoming.advance(amount);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Messages<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.as_mut().poll_fill_buf(cx))?;
        let length = read.len().min(buffer.remaining());
        buffer.put_slice(&read[..length]);
        self.consume(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Messages<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_ready(cx)).map_err(fault)?;
        this.outgoing.feed(bytes);
        while let Some(message) = this.outgoing.pop() {
            Pin::new(&mut this.socket).start_send(Message::text(message)).map_err(fault)?;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_out(cx)
    }

    /// Behind our end of the stream: waits for the server's (RFC 7395 section 3.6), and closes the WebSocket. What comes meanwhile is
    /// dropped.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_out(cx))?;
        while !this.has_ended {
            if ready!(this.poll_next(cx))?.is_none() {
                break;
            }
        }
        Pin::new(&mut this.socket).poll_close(cx).map_err(fault)
    }
}
