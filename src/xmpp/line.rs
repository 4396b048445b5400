//! The decrypted connection, as the library sees it: what comes is bounded, and why it ends is known.
//!
//! What the server says is cut into elements here, before the library reads any of it: what is too much is cut down
//! ([`framer`](super::framer)), and once a stream is open stanzas are replaced ([`stand_ins`](super::stand_ins)). The stanza
//! stream above repairs a broken connection without a word about the reason. Whoever has to explain an outage, or to back off
//! from another login with the same resource, needs that reason, so stream errors are remembered here.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_xmpp::Stanza;
use xmpp_parsers::minidom::Element;

use super::error::{AccountError, Step};
use super::framer::{Endless, Framer, Piece, name_of};
use super::meter::{Fault, Meter};
use super::stand_ins::StandIns;
use super::{reader, timing};

/// A connection that gives out what has come element by element.
pub(super) struct Tapped<S> {
    inner: S,
    line: Line,
    /// What can be read.
    out: Vec<u8>,
    /// How much of it has been.
    taken: usize,
    /// Whether somebody else cuts what comes.
    is_plain: bool,
}

/// The handle to a [`Tapped`] connection, usable when the stanza stream has swallowed it.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// None when somebody else cuts what comes.
    framer: Option<Framer>,
    max_stanza: usize,
    stand_ins: StandIns,
    meter: Meter,
    stream_error: Option<AccountError>,
    acks_refused: bool,
    end: Option<End>,
    hung_up: bool,
    reader: Option<Waker>,
    /// When the server last said anything.
    heard: Option<Instant>,
    /// When there last was anything to read.
    shown: Option<Instant>,
}

#[derive(Clone, Copy)]
enum End {
    Eof,
    Fault(io::ErrorKind),
    TooMuch,
}

impl<S> Tapped<S> {
    /// Before the header of a stream. Of elements of more than `max_stanza` bytes only the head is read.
    pub(super) fn new(inner: S, max_stanza: usize) -> (Self, Line) {
        let framer = Some(Framer::new(max_stanza));
        let state = State { framer, max_stanza, ..State::default() };
        let line = Line(Arc::new(Mutex::new(state)));
        (Self { inner, line: line.clone(), out: Vec::new(), taken: 0, is_plain: false }, line)
    }

    /// The connection itself, without what was read of it.
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

    /// From now on the server speaks to who it knows: the next thing it says is the header of a new stream.
    pub(super) fn logged_in(&self) {
        let mut state = self.state();
        state.meter.logged_in();
        state.framer = Some(Framer::new(state.max_stanza));
    }

    /// Leaves it to the caller to cut what comes: from now on all of it can be read as it was sent, but for what this has
    /// taken in already.
    pub(super) fn take_framer(&self) -> Framer {
        let mut state = self.state();
        let max_stanza = state.max_stanza;
        state.framer.take().unwrap_or_else(|| Framer::between_elements(max_stanza))
    }

    /// The stanza that `stand_in` stands for, if it is one.
    pub(super) fn original_of(&self, stand_in: &Stanza) -> Option<Piece> {
        self.state().stand_ins.original_of(stand_in)
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
        self.state().stream_error.clone()
    }

    /// Whether the server has just refused to resume the session, or to acknowledge stanzas at all (XEP-0198).
    pub(super) fn acks_refused(&self) -> bool {
        self.state().acks_refused
    }

    /// Why the connection ended: by the server's word, by a fault, because the server fell silent, or else because what it
    /// said made no sense.
    pub(super) fn last_words(&self) -> AccountError {
        const STEP: Step = Step::Session;
        let state = self.state();
        let is_silent = state.heard.is_none_or(|heard| heard.elapsed() >= timing::SILENCE);
        state.stream_error.clone().unwrap_or(match state.end {
            Some(End::Eof) => AccountError::Closed(STEP),
            Some(End::Fault(kind)) => AccountError::io(STEP, &kind.into()),
            Some(End::TooMuch) => AccountError::TooMuch(STEP),
            None if is_silent => AccountError::TimedOut(STEP),
            None => AccountError::Protocol(STEP),
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

    /// Takes in what has come.
    fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.heard = Some(Instant::now());
        let Some(framer) = &mut self.framer else { return Ok(()) };
        let taken_in = self.meter.feed(bytes);
        taken_in.and_then(|()| framer.feed(bytes).map_err(|Endless| Fault::TooMuch)).map_err(|fault| {
            if fault == Fault::TooMuch {
                self.end(End::TooMuch);
            }
            io::ErrorKind::InvalidData.into()
        })
    }

    /// What the library reads next; nothing until more has come.
    fn next(&mut self) -> Vec<u8> {
        while let Some(piece) = self.framer.as_mut().and_then(Framer::pop) {
            self.take_note(&piece);
            let read = self.stand_ins.replace(piece);
            if !read.is_empty() {
                self.shown = self.heard;
                return read;
            }
        }
        self.show_life()
    }

    /// A large stanza may take longer than the library waits for a sign of life.
    fn show_life(&mut self) -> Vec<u8> {
        let (Some(framer), Some(heard)) = (&self.framer, self.heard) else { return Vec::new() };
        let shown = *self.shown.get_or_insert(heard);
        if heard < shown + timing::SIGN_OF_LIFE {
            return Vec::new();
        }
        self.shown = Some(heard);
        self.stand_ins.show_life(framer.begun()).into_bytes()
    }

    /// Remembers what the server says of the stream itself. Only its elements do: inside a stanza anybody can write anything.
    fn take_note(&mut self, piece: &Piece) {
        match piece {
            Piece::Whole(written) => match name_of(written) {
                b"failed" if is_of_stream_management(written) => self.acks_refused = true,
                b"enabled" if is_of_stream_management(written) => self.acks_refused = false,
                _ => self.stream_error = self.stream_error.take().or_else(|| reader::stream_error(written)),
            },
            Piece::Head(_) => {}
            Piece::End(_) => self.end(End::Eof),
        }
    }
}

/// XEP-0198, whichever version.
fn is_of_stream_management(written: &[u8]) -> bool {
    reader::parse::<Element>(written).is_some_and(|element| element.ns().starts_with("urn:xmpp:sm:"))
}

impl<S: AsyncBufRead + Unpin> Tapped<S> {
    /// Reads until there is something for the library; at the end of the connection there is nothing.
    fn poll_next_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken == self.out.len() {
            let mut state = self.line.state();
            if state.hung_up {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            (self.out, self.taken) = (state.next(), 0);
            if !self.out.is_empty() {
                break;
            }
            let length = match Pin::new(&mut self.inner).poll_fill_buf(cx) {
                Poll::Ready(Ok(buffer)) => {
                    state.hear(buffer)?;
                    buffer.len()
                }
                Poll::Ready(Err(error)) => {
                    state.end(End::Fault(error.kind()));
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    state.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            };
            if length == 0 {
                state.end(End::Eof);
                return Poll::Ready(Ok(()));
            }
            Pin::new(&mut self.inner).consume(length);
        }
        Poll::Ready(Ok(()))
    }

    /// What has come, as it was sent, for who cuts it by himself.
    fn poll_fill_plain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let result = Pin::new(&mut self.inner).poll_fill_buf(cx);
        let mut state = self.line.state();
        if state.hung_up {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match &result {
            Poll::Pending => state.reader = Some(cx.waker().clone()),
            Poll::Ready(Ok([])) => state.end(End::Eof),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => state.end(End::Fault(error.kind())),
        }
        result
    }
}

impl<S: AsyncBufRead + Unpin> AsyncBufRead for Tapped<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.taken == this.out.len() {
            this.is_plain = this.is_plain || this.line.state().framer.is_none();
            if this.is_plain {
                return this.poll_fill_plain(cx);
            }
        }
        ready!(this.poll_next_piece(cx))?;
        Poll::Ready(Ok(&this.out[this.taken..]))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        if this.taken < this.out.len() {
            this.taken += amount;
        } else {
            Pin::new(&mut this.inner).consume(amount);
        }
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

    const MAX: usize = 1000;

    const OPEN: &str =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

    const CONFLICT: &str = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                            <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Replaced</text></stream:error>";

    async fn words(chunks: &[&str]) -> AccountError {
        hear(chunks).await.0.last_words()
    }

    /// What is said behind the header, and what can be read of it.
    async fn hear(chunks: &[&str]) -> (Line, String) {
        let (near, mut far) = duplex(16);
        let (mut tapped, line) = Tapped::new(BufReader::with_capacity(7, near), MAX);
        let mut heard = String::new();
        let send = async {
            far.write_all(OPEN.as_bytes()).await.unwrap();
            for chunk in chunks {
                far.write_all(chunk.as_bytes()).await.unwrap();
            }
            drop(far);
        };
        let (_, read) = tokio::join!(send, tapped.read_to_string(&mut heard));
        read.unwrap();
        (line, heard.strip_prefix(OPEN).unwrap().to_owned())
    }

    #[tokio::test]
    async fn elements_can_be_read_as_they_were_sent_until_the_stream_is_open() {
        let text = "<message><body>a</body></message><r xmlns='urn:xmpp:sm:3'/><iq/></stream:stream>";
        assert_eq!(hear(&[text]).await.1, text);
        assert_eq!(hear(&["<a/> <b>"]).await.1, "<a/>");
    }

    #[tokio::test]
    async fn a_stream_error_is_found_across_reads() {
        assert_eq!(words(&["<message/>", CONFLICT, "</stream:stream>"]).await, AccountError::Conflict);
        let default = CONFLICT.replace("stream:error", "error").replacen(
            '>',
            " xmlns='http://etherx.jabber.org/streams'>",
            1,
        );
        assert_eq!(words(&[&default]).await, AccountError::Conflict);
    }

    #[tokio::test]
    async fn the_condition_is_found_behind_other_elements() {
        let error = "<stream:error><text>no</text><policy-violation xmlns='x'/></stream:error>";
        assert_eq!(words(&[error]).await, AccountError::StreamError("policy-violation"));
        let unheard_of = "<stream:error><unheard-of/></stream:error>";
        assert_eq!(words(&[unheard_of]).await, AccountError::StreamError("undefined-condition"));
    }

    #[tokio::test]
    async fn nothing_inside_a_stanza_is_a_stream_error() {
        for inside in [
            CONFLICT.to_owned(),
            "&lt;stream:error>&lt;conflict/>".to_owned(),
            format!("<![CDATA[{CONFLICT}]]>"),
            format!("<body>{CONFLICT}"),
        ] {
            let message = format!("<message>{inside}</message>");
            assert_eq!(words(&["<iq/>", &message]).await, AccountError::Closed(Step::Session), "{inside}");
        }
        assert_eq!(
            words(&["<error xmlns='x'><conflict/></error>"]).await,
            AccountError::Closed(Step::Session)
        );
    }

    #[tokio::test]
    async fn a_refusal_to_resume_is_heard_and_nothing_inside_a_stanza_is_one() {
        let refusal = "<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='x'/></failed>";
        assert!(hear(&[refusal]).await.0.acks_refused());
        assert!(!hear(&["<failed xmlns='y'/>"]).await.0.acks_refused());
        assert!(!hear(&[refusal, "<enabled xmlns='urn:xmpp:sm:3'/>"]).await.0.acks_refused());
        assert!(!hear(&[&format!("<message>{refusal}</message>")]).await.0.acks_refused());
    }

    #[tokio::test]
    async fn stanzas_are_replaced_once_the_stream_is_open() {
        let stanza = format!("<message id='7'><body>{}</body></message>", "x".repeat(2 * MAX));
        let (line, heard) = hear(&["<iq/>", &stanza, "<r xmlns='urn:xmpp:sm:3'/>"]).await;
        let stand_in =
            heard.strip_prefix("<iq/>").unwrap().strip_suffix("<r xmlns='urn:xmpp:sm:3'/>").unwrap();
        let original = line.original_of(&reader::parse(stand_in.as_bytes()).unwrap());
        assert_eq!(original, Some(Piece::Head(b"<message id='7'><body>".to_vec())));
    }

    #[tokio::test]
    async fn who_takes_the_framer_reads_on_where_it_stands() {
        let (near, mut far) = duplex(1024);
        let (mut tapped, line) = Tapped::new(BufReader::new(near), MAX);
        let first = format!("{OPEN}<iq/>");
        far.write_all(format!("{first}<message/><message><bo").as_bytes()).await.unwrap();
        let mut heard = vec![0; first.len()];
        tapped.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, first.as_bytes());
        let mut framer = line.take_framer();
        far.write_all(b"dy/></message>").await.unwrap();
        drop(far);
        let mut rest = Vec::new();
        tapped.read_to_end(&mut rest).await.unwrap();
        framer.feed(&rest).unwrap();
        let pieces: Vec<_> = std::iter::from_fn(|| framer.pop()).map(Piece::into_written).collect();
        assert_eq!(pieces, [&b"<message/>"[..], b"<message><body/></message>"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stanza_that_takes_long_shows_that_the_server_is_alive() {
        let (near, mut far) = duplex(1024);
        let (mut tapped, _line) = Tapped::new(BufReader::new(near), MAX);
        far.write_all(format!("{OPEN}<iq/><message><body>").as_bytes()).await.unwrap();
        let mut open = vec![0; OPEN.len() + 5];
        tapped.read_exact(&mut open).await.unwrap();
        let mut buffer = [0; 256];
        for _ in 0..3 {
            tokio::time::advance(timing::SIGN_OF_LIFE).await;
            far.write_all(b"more").await.unwrap();
            assert!(tapped.read(&mut buffer).await.unwrap() > 0);
        }
    }

    #[tokio::test]
    async fn who_has_just_spoken_is_not_said_to_be_silent() {
        let (near, mut far) = duplex(1024);
        let (mut tapped, line) = Tapped::new(BufReader::new(near), MAX);
        assert_eq!(line.last_words(), AccountError::TimedOut(Step::Session));
        far.write_all(OPEN.as_bytes()).await.unwrap();
        tapped.read_u8().await.unwrap();
        assert_eq!(line.last_words(), AccountError::Protocol(Step::Session));
    }

    #[tokio::test]
    async fn hanging_up_wakes_a_waiting_reader() {
        let (near, _far) = duplex(16);
        let (mut tapped, line) = Tapped::new(BufReader::new(near), MAX);
        let read = tokio::spawn(async move { tapped.read_u8().await });
        tokio::task::yield_now().await;
        line.hang_up();
        assert_eq!(read.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
