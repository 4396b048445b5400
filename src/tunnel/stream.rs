//! Stream: what an application reads and writes, as `AsyncRead + AsyncWrite`.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;

use super::cores::StreamKey;
use super::{Measured, Shared, State};
use crate::protocol::{CloseReason, Core, Read, StreamId};

/// One connection through the tunnel.
///
/// One task may send while another one receives. Dropping it ends both directions.
pub struct TunnelStream {
    shared: Arc<Shared>,
    key: StreamKey,
}

impl TunnelStream {
    pub(super) fn new(shared: Arc<Shared>, key: StreamKey) -> Self {
        shared.lock().wakers.insert(key, super::Wakers::default());
        Self { shared, key }
    }

    /// Lets the stream's core do something, and does everything that follows from it.
    fn with_core(&self, action: impl FnOnce(&mut dyn Core, Instant, StreamId)) {
        self.shared.with(|state, now| {
            let (core, id) = state.cores.core_of(self.key);
            action(core, now, id);
        });
    }

    pub(super) fn accept(&self) {
        self.with_core(|core, now, id| core.accept(now, id));
    }

    /// Waits until a connect has reached its target, or for the reason why it never will.
    pub(super) async fn connected(&self) -> Result<(), CloseReason> {
        std::future::poll_fn(|cx| self.poll_connected(cx)).await
    }

    fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        let mut state = self.shared.lock();
        if state.connected.contains(&self.key) {
            Poll::Ready(Ok(()))
        } else {
            state.poll_closed(self.key, cx).map(Err)
        }
    }

    /// Why a connect of ours came to nothing, if it did.
    pub fn refusal(&self) -> Option<CloseReason> {
        let state = self.shared.lock();
        if state.connected.contains(&self.key) { None } else { state.cores.close_reason(self.key) }
    }

    /// Waits until the stream is over in both directions, and says why.
    pub(super) async fn closed(&self) -> CloseReason {
        std::future::poll_fn(|cx| self.shared.lock().poll_closed(self.key, cx)).await
    }

    /// Waits until it has ended in another way than it should, for ever if it does not: the error that [`receive`](Self::receive) gives
    /// then. For those who do not receive at the time.
    pub async fn broken(&self) -> io::Error {
        match self.closed().await {
            CloseReason::Finished => std::future::pending().await,
            reason => broken(reason),
        }
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
        self.with_core(|core, now, id| core.abort(now, id));
    }

    /// Sends so many bytes of padding from now on by the stream's session, or no more, as far as that has room: what it carries can be
    /// [measured](Self::measured). Nothing with the classic protocol, which has no padding.
    pub fn measure(&self, bytes: usize) {
        if let StreamKey::Secure(id) = self.key {
            self.shared.with(|state, now| state.cores.secure.measure(now, id, bytes));
        }
    }

    /// What the stream's session was measured to carry until now.
    pub fn measured(&self) -> Option<Measured> {
        let StreamKey::Secure(id) = self.key else { return None };
        self.shared.lock().cores.secure.measured(Instant::now(), id)
    }

    /// Waits for what comes next; none once the peer has closed its direction and everything was read. Nothing is copied: the bytes
    /// are those of the packet that they came with.
    ///
    /// # Errors
    ///
    /// Of kind [`io::ErrorKind::ConnectionReset`], with the [`CloseReason`], when the stream has ended in any other way.
    pub async fn receive(&self) -> io::Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_receive(cx)).await
    }

    fn poll_receive(&self, cx: &Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.shared.with(|state, now| {
            let (core, id) = state.cores.core_of(self.key);
            match core.read(now, id) {
                Read::Data(data) => Poll::Ready(Ok(Some(data))),
                Read::End => Poll::Ready(Ok(None)),
                Read::Broken(reason) => Poll::Ready(Err(broken(reason))),
                Read::Blocked => {
                    if let Some(wakers) = state.wakers.get_mut(&self.key) {
                        wakers.read = Some(cx.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
    }

    /// Waits until all of `data` was taken. Nothing of it is kept back: it goes out as the window allows.
    ///
    /// # Errors
    ///
    /// Of kind [`io::ErrorKind::BrokenPipe`] when the peer takes no more, and otherwise as [`receive`](Self::receive).
    pub async fn send(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let taken = std::future::poll_fn(|cx| self.poll_send(cx, data)).await?;
            data = &data[taken..];
        }
        Ok(())
    }

    fn poll_send(&self, cx: &Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.with(|state, now| {
            let (core, id) = state.cores.core_of(self.key);
            match core.write(now, id, data) {
                Ok(0) => {
                    if let Some(wakers) = state.wakers.get_mut(&self.key) {
                        wakers.write = Some(cx.waker().clone());
                    }
                    Poll::Pending
                }
                Ok(taken) => Poll::Ready(Ok(taken)),
                Err(CloseReason::Finished) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Err(reason) => Poll::Ready(Err(broken(reason))),
            }
        })
    }

    /// Ends our direction once everything that was sent has arrived. With the classic protocol, which knows no half-closed
    /// connections, it ends both.
    pub fn finish(&self) {
        self.with_core(|core, now, id| core.finish(now, id));
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

impl Drop for TunnelStream {
    fn drop(&mut self) {
        self.shared.with(|state, now| {
            state.wakers.remove(&self.key);
            state.connected.remove(&self.key);
            let (core, id) = state.cores.core_of(self.key);
            core.release(now, id);
        });
    }
}
