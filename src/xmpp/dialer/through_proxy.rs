//! Connection through a proxy: what ends it before its first byte may be the proxy's doing.
//!
//! A proxy can say that it has connected and then cut what it does not let through. Nobody can tell that from a server that hangs up, but
//! whoever is told of the server alone looks in the wrong place.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::xmpp::error::EndedUnheard;
use crate::xmpp::socket::Socket;

/// See the [module](self). Until its first byte has come, its end is [`EndedUnheard`].
pub(super) struct ThroughProxy {
    socket: Socket,
    has_heard: bool,
}

impl ThroughProxy {
    /// One on which nothing has come.
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, has_heard: false }
    }

    fn judge<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| if self.has_heard { error } else { io::Error::other(EndedUnheard) })
    }
}

impl AsyncRead for ThroughProxy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, has_room) = (buf.filled().len(), buf.remaining() > 0);
        let read = ready!(Pin::new(&mut self.socket).poll_read(cx, buf));
        self.has_heard |= buf.filled().len() > before;
        if has_room && !self.has_heard {
            return Poll::Ready(Err(io::Error::other(EndedUnheard)));
        }
        Poll::Ready(self.judge(read))
    }
}

impl AsyncWrite for ThroughProxy {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, buf));
        Poll::Ready(self.judge(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, bufs));
        Poll::Ready(self.judge(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        Poll::Ready(self.judge(flushed))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;
    use crate::xmpp::error::{AccountError, ProxyFault, Step};

    /// What the end is said to be, after this was said.
    async fn end_after(said: &[u8]) -> io::Result<usize> {
        let (near, mut far) = duplex(64);
        let mut connection = ThroughProxy::new(Socket::new(near));
        far.write_all(said).await.unwrap();
        drop(far);
        connection.read_exact(&mut vec![0; said.len()]).await.unwrap();
        connection.read(&mut [0; 1]).await
    }

    #[tokio::test]
    async fn an_end_before_the_first_byte_is_the_proxys_or_the_servers_and_one_behind_it_is_an_end() {
        let error = end_after(b"").await.unwrap_err();
        let fault = AccountError::io(Step::StartTls, &error);
        assert_eq!(fault, AccountError::Proxy(ProxyFault::Ended(Step::StartTls)));
        assert_eq!(end_after(b"<").await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_end_while_we_write_may_be_the_proxys_doing_too() {
        let (near, far) = duplex(64);
        let mut connection = ThroughProxy::new(Socket::new(near));
        drop(far);
        let error = connection.write_all(b"<").await.unwrap_err();
        assert_eq!(AccountError::io(Step::Tls, &error), AccountError::Proxy(ProxyFault::Ended(Step::Tls)));
    }
}
