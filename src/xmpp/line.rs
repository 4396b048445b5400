//! An ear on the decrypted connection: why it ended, and a way to end it.
//!
//! The stanza stream above repairs a broken connection without a word about the reason. Whoever has to explain an
//! outage, or to back off from another login with the same resource, needs that reason, so the end of what the server
//! sent is kept here and read when the connection is gone.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::error::{AccountError, STREAM_CONDITIONS, Step};
use super::meter::{Fault, Meter};

/// How many of the last received bytes are kept: a stream error with its text, and the stream's footer.
const TAIL: usize = 1024;

/// A connection of which the last words are kept.
pub(super) struct Tapped<S> {
    inner: S,
    line: Line,
    /// How many bytes at the start of the inner buffer are already recorded.
    recorded: usize,
}

/// The handle to a [`Tapped`] connection, usable when the stanza stream has swallowed it.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    tail: Vec<u8>,
    end: Option<End>,
    hung_up: bool,
    reader: Option<Waker>,
    meter: Meter,
}

#[derive(Clone, Copy)]
enum End {
    Eof,
    Fault(io::ErrorKind),
    TooMuch,
}

impl<S> Tapped<S> {
    pub(super) fn new(inner: S) -> (Self, Line) {
        let line = Line::default();
        (Self { inner, line: line.clone(), recorded: 0 }, line)
    }

    /// The connection itself, without what is recorded of it.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }
}

impl Line {
    /// Makes the next read fail, which makes whoever owns the connection drop it.
    pub(super) fn hang_up(&self) {
        let reader = {
            let mut state = self.state();
            state.hung_up = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// What the server sends from now on counts stanza by stanza.
    pub(super) fn logged_in(&self) {
        self.state().meter.logged_in();
    }

    /// Whether we ended it, because the server sent too much.
    pub(super) fn is_flooded(&self) -> bool {
        matches!(self.state().end, Some(End::TooMuch))
    }

    /// Whether the server has closed the connection.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state().end, Some(End::Eof))
    }

    /// The server's stream error, if that is how it ended.
    pub(super) fn stream_error(&self) -> Option<AccountError> {
        find_stream_error(&self.state().tail)
    }

    /// Whether the server has just refused to resume the session, or to acknowledge stanzas at all (XEP-0198).
    pub(super) fn acks_refused(&self) -> bool {
        let state = self.state();
        let text = String::from_utf8_lossy(&state.tail);
        text.rsplit_once("<failed")
            .is_some_and(|(_, refusal)| refusal.contains("urn:xmpp:sm:") && !refusal.contains("<enabled"))
    }

    /// Why the connection ended: by the server's word, by a fault, or because the server fell silent.
    pub(super) fn last_words(&self) -> AccountError {
        self.stream_error().unwrap_or_else(|| match self.state().end {
            Some(End::Eof) => AccountError::Closed(Step::Session),
            Some(End::Fault(kind)) => AccountError::io(Step::Session, &kind.into()),
            Some(End::TooMuch) => AccountError::TooMuch(Step::Session),
            None => AccountError::TimedOut(Step::Session),
        })
    }

    /// Remembers a fault of writing, which may come before the reader notices anything.
    fn note<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result {
            self.state().end(End::Fault(error.kind()));
        }
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What follows from hanging up on a flood is no reason of its own.
    fn end(&mut self, end: End) {
        if !matches!(self.end, Some(End::TooMuch)) {
            self.end = Some(end);
        }
    }

    /// Takes note of what came in.
    fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.record(bytes);
        self.meter.feed(bytes).map_err(|fault| {
            if fault == Fault::TooMuch {
                self.end(End::TooMuch);
            }
            io::ErrorKind::InvalidData.into()
        })
    }

    fn record(&mut self, bytes: &[u8]) {
        let bytes = bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or_default();
        let excess = (self.tail.len() + bytes.len()).saturating_sub(TAIL);
        self.tail.drain(..excess);
        self.tail.extend_from_slice(bytes);
    }
}

/// The condition of a `<stream:error>`. A `<` stands for itself nowhere in XML text, so no stanza can feign one.
fn find_stream_error(tail: &[u8]) -> Option<AccountError> {
    let text = String::from_utf8_lossy(tail);
    let (_, error) = text.rsplit_once("<stream:error")?;
    error.split('<').skip(1).find_map(|element| {
        let name = element.split([' ', '/', '>']).next()?;
        STREAM_CONDITIONS.contains(&name).then(|| AccountError::stream_error(name))?
    })
}

impl<S: AsyncBufRead + Unpin> AsyncBufRead for Tapped<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_fill_buf(cx);
        let mut state = this.line.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.hung_up {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match result {
            Poll::Pending => state.reader = Some(cx.waker().clone()),
            Poll::Ready(Ok([])) => state.end(End::Eof),
            Poll::Ready(Ok(buffer)) => {
                let news = buffer.get(this.recorded..).unwrap_or_default();
                this.recorded = buffer.len();
                if let Err(error) = state.hear(news) {
                    return Poll::Ready(Err(error));
                }
            }
            Poll::Ready(Err(ref error)) => state.end(End::Fault(error.kind())),
        }
        result
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        this.recorded = this.recorded.saturating_sub(amount);
        Pin::new(&mut this.inner).consume(amount);
    }
}

impl<S: AsyncBufRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = ready!(self.as_mut().poll_fill_buf(cx))?;
        let amount = available.len().min(buf.remaining());
        buf.put_slice(available.get(..amount).unwrap_or_default());
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.line.note(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.line.note(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, duplex};

    async fn words(chunks: &[&str]) -> AccountError {
        hear(chunks).await.last_words()
    }

    async fn hear(chunks: &[&str]) -> Line {
        let (near, mut far) = duplex(16);
        let (mut tapped, line) = Tapped::new(BufReader::with_capacity(7, near));
        let mut heard = String::new();
        let send = async {
            for chunk in chunks {
                far.write_all(chunk.as_bytes()).await.unwrap();
            }
            drop(far);
        };
        let (_, read) = tokio::join!(send, tapped.read_to_string(&mut heard));
        read.unwrap();
        assert_eq!(heard, chunks.concat());
        line
    }

    #[tokio::test]
    async fn a_stream_error_is_found_across_reads() {
        let error = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                     <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Replaced</text></stream:error></stream:stream>";
        assert_eq!(words(&["<message/>", error]).await, AccountError::Conflict);
    }

    #[tokio::test]
    async fn the_condition_is_found_behind_other_elements() {
        let error = "<stream:error><text>no</text><policy-violation xmlns='x'/></stream:error>";
        assert_eq!(words(&[error]).await, AccountError::StreamError("policy-violation"));
    }

    #[tokio::test]
    async fn escaped_text_is_no_stream_error() {
        let text = "<message><body>&lt;stream:error>&lt;conflict/></body></message>";
        assert_eq!(words(&[text]).await, AccountError::Closed(Step::Session));
    }

    #[tokio::test]
    async fn a_refusal_to_resume_is_heard() {
        let refusal = "<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='x'/></failed>";
        assert!(hear(&[refusal]).await.acks_refused());
        assert!(!hear(&["<failed xmlns='y'/>"]).await.acks_refused());
        assert!(!hear(&[refusal, "<enabled xmlns='urn:xmpp:sm:3'/>"]).await.acks_refused());
    }

    #[tokio::test]
    async fn only_the_end_is_kept() {
        let long = " ".repeat(3 * TAIL);
        assert_eq!(words(&["<stream:error><reset/>", &long]).await, AccountError::Closed(Step::Session));
        assert_eq!(
            words(&[&long, "<stream:error><reset/></stream:error>"]).await,
            AccountError::StreamError("reset")
        );
    }

    #[tokio::test]
    async fn hanging_up_wakes_a_waiting_reader() {
        let (near, _far) = duplex(16);
        let (mut tapped, line) = Tapped::new(BufReader::new(near));
        let read = tokio::spawn(async move { tapped.read_u8().await });
        tokio::task::yield_now().await;
        line.hang_up();
        assert_eq!(read.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
