//! Intake of a login: what the XML library reads of a server before there is a session, bounded, and why that ended.
//!
//! It is cut into elements here before the library reads any of it, so that none is too large or too deep, and all together are no
//! more than a server has to say before a login. To the library a stream error (by which a server bars us), the end of the connection
//! and what comes of too much are all nonsense; here they are told apart.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::error::{AccountError, Step};
use super::framer::{Endless, Framer, Piece};
use super::meter::{Fault, Meter};
use super::reader;

/// A connection that gives out what has come element by element.
pub(super) struct Intake<S> {
    inner: S,
    record: Record,
    /// The present element.
    element: Vec<u8>,
    /// How much of it has been read.
    taken: usize,
}

/// What has come through an [`Intake`], for whoever made it, when the library has swallowed that.
#[derive(Clone)]
pub(super) struct Record(Arc<Mutex<State>>);

struct State {
    framer: Framer,
    meter: Meter,
    stream_error: Option<AccountError>,
    end: Option<End>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The server has ended its stream, or the connection.
    Closed,
    /// We did, because it sent too much.
    TooMuch,
}

impl<S> Intake<S> {
    /// Before the header of a stream. Elements of more than `max_stanza` bytes are cut down.
    pub(super) fn new(inner: S, max_stanza: usize) -> (Self, Record) {
        let framer = Framer::new(max_stanza);
        let state = State { framer, meter: Meter::default(), stream_error: None, end: None };
        let record = Record(Arc::new(Mutex::new(state)));
        (Self { inner, record: record.clone(), element: Vec::new(), taken: 0 }, record)
    }

    /// The connection itself, without what has come and was not read.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }
}

impl Record {
    /// What really went wrong when the library says that it is `error`.
    pub(super) fn fault(&self, step: Step, error: AccountError) -> AccountError {
        let state = self.state();
        match (state.end, &state.stream_error) {
            _ if error.is_permanent() => error,
            (Some(End::TooMuch), _) => AccountError::TooMuch(step),
            (_, Some(stream_error)) => stream_error.clone(),
            (Some(End::Closed), None) if matches!(error, AccountError::Protocol(_)) => {
                AccountError::Closed(step)
            }
            (Some(End::Closed) | None, None) => error,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        let counted = self.meter.feed(bytes);
        let taken_in = counted.and_then(|()| self.framer.feed(bytes).map_err(|Endless| Fault::TooMuch));
        taken_in.map_err(|fault| {
            if fault == Fault::TooMuch {
                self.end = Some(End::TooMuch);
            }
            io::ErrorKind::InvalidData.into()
        })
    }

    /// The next element for the library, which cannot read the head of one.
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.framer.pop()? {
                Piece::Whole(written) => {
                    self.stream_error = self.stream_error.take().or_else(|| reader::stream_error(&written));
                    return Some(written);
                }
                Piece::End(written) => {
                    self.end = self.end.or(Some(End::Closed));
                    return Some(written);
                }
                Piece::Head(_) => {}
            }
        }
    }
}

impl<S: AsyncBufRead + Unpin> AsyncBufRead for Intake<S> {
    /// Reads until there is something for the library; at the end of the connection there is nothing.
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.taken == this.element.len() {
            let mut state = this.record.state();
            if let Some(element) = state.next() {
                (this.element, this.taken) = (element, 0);
                break;
            }
            let bytes = ready!(Pin::new(&mut this.inner).poll_fill_buf(cx))?;
            let length = bytes.len();
            if length == 0 {
                state.end = state.end.or(Some(End::Closed));
                return Poll::Ready(Ok(&[]));
            }
            state.hear(bytes)?;
            Pin::new(&mut this.inner).consume(length);
        }
        Poll::Ready(Ok(&this.element[this.taken..]))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().taken += amount;
    }
}

impl<S: AsyncBufRead + Unpin> AsyncRead for Intake<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Intake<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
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

    const MAX: usize = 1000;

    const OPEN: &str =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

    const CONFLICT: &str =
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";

    const NONSENSE: AccountError = AccountError::Protocol(Step::Stream);

    /// What is said behind the header, and what can be read of it.
    async fn hear(chunks: &[&str]) -> (Record, String) {
        let (near, mut far) = duplex(16);
        let (mut intake, record) = Intake::new(BufReader::with_capacity(7, near), MAX);
        let mut heard = String::new();
        let send = async {
            far.write_all(OPEN.as_bytes()).await.unwrap();
            for chunk in chunks {
                far.write_all(chunk.as_bytes()).await.unwrap();
            }
            drop(far);
        };
        let (_, read) = tokio::join!(send, intake.read_to_string(&mut heard));
        read.unwrap();
        (record, heard.strip_prefix(OPEN).unwrap().to_owned())
    }

    async fn fault(chunks: &[&str], error: AccountError) -> AccountError {
        hear(chunks).await.0.fault(Step::Stream, error)
    }

    #[tokio::test]
    async fn elements_can_be_read_as_they_were_sent_when_they_are_complete() {
        let text = "<message><body>a</body></message><r xmlns='urn:xmpp:sm:3'/><iq/></stream:stream>";
        assert_eq!(hear(&[text]).await.1, text);
        assert_eq!(hear(&["<a/> <b>"]).await.1, "<a/>");
        assert_eq!(hear(&["<a>", &"x".repeat(2 * MAX), "</a><b/>"]).await.1, "<b/>");
    }

    #[tokio::test]
    async fn a_stream_error_is_why_nothing_makes_sense_and_nothing_inside_an_element_is_one() {
        assert_eq!(fault(&["<a/>", CONFLICT, "</stream:stream>"], NONSENSE).await, AccountError::Conflict);
        let inside = format!("<message>{CONFLICT}</message>");
        assert_eq!(fault(&["<iq/>", &inside], NONSENSE).await, AccountError::Closed(Step::Stream));
    }

    #[tokio::test]
    async fn the_end_is_why_nothing_makes_sense_and_a_judged_password_is_what_it_is() {
        assert_eq!(fault(&["<a/>"], NONSENSE).await, AccountError::Closed(Step::Stream));
        assert_eq!(fault(&["</stream:stream>"], NONSENSE).await, AccountError::Closed(Step::Stream));
        for kept in [AccountError::WrongPassword, AccountError::NoMechanism] {
            assert_eq!(fault(&["<a/>"], kept.clone()).await, kept);
        }
        assert_eq!(fault(&[CONFLICT], AccountError::WrongPassword).await, AccountError::WrongPassword);
    }

    #[tokio::test]
    async fn a_server_that_says_too_much_before_the_login_is_not_read_on() {
        let (near, mut far) = duplex(1 << 20);
        let (mut intake, record) = Intake::new(BufReader::new(near), MAX);
        far.write_all(OPEN.as_bytes()).await.unwrap();
        far.write_all(&[b' '; 512 * 1024]).await.unwrap();
        let mut heard = Vec::new();
        let error = intake.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(record.fault(Step::Stream, NONSENSE), AccountError::TooMuch(Step::Stream));
    }
}
