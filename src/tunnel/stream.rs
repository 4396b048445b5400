//! One stream, for an application.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::cores::StreamKey;
use super::{Shared, State};
use crate::protocol::{CloseReason, Read};

/// One connection through the tunnel.
///
/// Reading ends cleanly when the peer has closed it and everything was read; any other end is an
/// error of kind [`io::ErrorKind::ConnectionReset`] that carries the [`CloseReason`]. Shutting it down
/// ends our direction once everything that was written has arrived; with the classic protocol, which
/// knows no half-closed connections, it ends both. Dropping it ends both, too.
pub struct TunnelStream {
    shared: Arc<Shared>,
    key: StreamKey,
    /// What was taken from the core and did not fit the reader's buffer.
    rest: Bytes,
}

impl TunnelStream {
    pub(super) fn new(shared: Arc<Shared>, key: StreamKey) -> Self {
        shared.lock().wakers.insert(key, super::Wakers::default());
        Self { shared, key, rest: Bytes::new() }
    }

    pub(super) fn accept(&self) {
        self.shared.with(|state, now| state.cores.accept(now, self.key));
    }

    /// Waits for the answer to a connect.
    pub(super) async fn connected(&mut self) -> Result<(), CloseReason> {
        std::future::poll_fn(|cx| self.poll_connected(cx)).await
    }

    fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let mut state = self.shared.lock();
        if state.connected.remove(&self.key) {
            return Poll::Ready(Ok(()));
        }
        state.poll_closed(self.key, cx).map(Err)
    }

    /// Waits until the stream is over in both directions.
    pub(super) async fn closed(&self) {
        std::future::poll_fn(|cx| self.shared.lock().poll_closed(self.key, cx)).await;
    }

    /// Whether one direction can go on when the other has ended.
    pub fn can_be_half_closed(&self) -> bool {
        matches!(self.key, StreamKey::Secure(_))
    }

    /// Why the stream is over, once it is.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared.lock().cores.close_reason(self.key)
    }

    /// Breaks the connection off: the peer's application sees a reset and not an end.
    pub fn abort(&self) {
        self.shared.with(|state, now| state.cores.abort(now, self.key));
    }

    /// Moves as much as fits from what is there into `buffer`.
    fn take_rest(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
    }
}

impl State {
    /// Why a stream is over, once it is. Its connect waits for this, and whoever has it to accept.
    fn poll_closed(&mut self, key: StreamKey, cx: &Context<'_>) -> Poll<CloseReason> {
        if let Some(reason) = self.cores.close_reason(key) {
            return Poll::Ready(reason);
        }
        if let Some(wakers) = self.wakers.get_mut(&key) {
            wakers.connect = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

fn broken(reason: CloseReason) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, reason)
}

impl AsyncRead for TunnelStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        this.take_rest(buffer);
        let shared = Arc::clone(&this.shared);
        shared.with(|state, now| {
            while buffer.remaining() > 0 {
                match state.cores.read(now, this.key) {
                    Read::Data(data) => {
                        this.rest = data;
                        this.take_rest(buffer);
                    }
                    _ if buffer.filled().len() > before => break,
                    Read::End => break,
                    Read::Broken(reason) => return Poll::Ready(Err(broken(reason))),
                    Read::Blocked => {
                        if let Some(wakers) = state.wakers.get_mut(&this.key) {
                            wakers.read = Some(cx.waker().clone());
                        }
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.with(|state, now| match state.cores.write(now, self.key, data) {
            Ok(0) if !data.is_empty() => {
                if let Some(wakers) = state.wakers.get_mut(&self.key) {
                    wakers.write = Some(cx.waker().clone());
                }
                Poll::Pending
            }
            Ok(taken) => Poll::Ready(Ok(taken)),
            Err(CloseReason::Finished) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Err(reason) => Poll::Ready(Err(broken(reason))),
        })
    }

    /// Nothing is kept back: what was written goes out as the window allows.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.with(|state, now| state.cores.finish(now, self.key));
        Poll::Ready(Ok(()))
    }
}

impl Drop for TunnelStream {
    fn drop(&mut self) {
        self.shared.with(|state, now| {
            state.wakers.remove(&self.key);
            state.connected.remove(&self.key);
            state.cores.release(now, self.key);
        });
    }
}
