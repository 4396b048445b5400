//! A connection without XEP-0198, from the binding of a resource to its end.
//!
//! The XML library's stream would make a tree of everything, which is most of what a fast connection would do with its
//! time. Here the library only gets what is not [`swift`](super::swift). It is owned and polled by the account's task; what
//! is sent in one go is written in one go.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncBufRead as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep};
use tokio_xmpp::Stanza;

use super::backlog::{Counted, Gauge};
use super::error::{AccountError, Step};
use super::framer::{Endless, Framer, Piece};
use super::reader::{self, Meaning};
use super::records::BATCH;
use super::socket::Io;
use super::swift::Swift;
use super::{Parcel, timing};

/// So much waits to be written before more has to wait outside, in bytes.
const QUEUE: usize = 256 * 1024;

/// The end of a stream.
const FOOTER: &[u8] = b"</stream:stream>";

/// The connection.
pub(super) struct Plain {
    io: Io,
    framer: Framer,
    out: BytesMut,
    /// Whether the layers below have written all that they were given.
    is_below_flushed: bool,
    /// How much was ever given to the layers below, in bytes.
    handed_on: u64,
    /// What counts in the backlog, with where it ends in all that was ever sent.
    counted: VecDeque<(u64, Counted)>,
    last_heard: Instant,
    /// When to look how long the server has been silent.
    alarm: Pin<Box<Sleep>>,
    was_asked: bool,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// That everything is written.
    pub(super) room: bool,
    /// That this backlog is short.
    pub(super) relief: Option<&'a Gauge>,
}

/// What happened.
pub(super) enum Heard {
    Swift(Swift),
    Stanza(Box<Stanza>),
    /// What was to be sent is written, or the backlog is short: there is room for more.
    Room,
    /// The server has been silent for long, and is to be asked for a sign of life.
    Silence,
    /// The connection is over. Why, if it was not the connection itself that broke.
    Gone(Option<AccountError>),
}

impl Plain {
    /// On a stream that is past everything that comes before stanzas, with what has come of them.
    pub(super) fn new(io: Io, framer: Framer) -> Self {
        Self {
            io,
            framer,
            out: BytesMut::new(),
            is_below_flushed: true,
            handed_on: 0,
            counted: VecDeque::new(),
            last_heard: Instant::now(),
            alarm: Box::pin(sleep(timing::SILENCE)),
            was_asked: false,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.out.len() < QUEUE
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_flushed(&self) -> bool {
        self.out.is_empty() && self.is_below_flushed
    }

    /// Sends something with the next [`heard`](Self::heard).
    pub(super) fn send(&mut self, parcel: Parcel, counted: Option<Counted>) {
        match parcel {
            Parcel::Written(bytes) => self.out.extend_from_slice(&bytes),
            Parcel::Stanza(stanza) | Parcel::Courtesy(stanza) => match xso::to_vec(&*stanza) {
                Ok(bytes) => self.out.extend_from_slice(&bytes),
                Err(_) => tracing::warn!("a stanza of ours is not XML"),
            },
        }
        let end = self.handed_on + self.out.len() as u64;
        self.counted.extend(counted.map(|counted| (end, counted)));
    }

    /// Writes what there is, and waits for the next thing to happen. Cancel-safe.
    pub(super) async fn heard(&mut self, wanted: Wanted<'_>) -> Heard {
        std::future::poll_fn(|cx| self.poll_heard(cx, wanted)).await
    }

    /// What has come already, and needs no waiting.
    pub(super) fn heard_before(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = Heard::of(self.framer.pop()?) {
                return Some(heard);
            }
        }
    }

    fn poll_heard(&mut self, cx: &mut Context<'_>, wanted: Wanted<'_>) -> Poll<Heard> {
        match self.poll_write_out(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(Heard::Gone(None)),
            Poll::Ready(Ok(())) if wanted.room => return Poll::Ready(Heard::Room),
            _ if wanted.relief.is_some_and(Gauge::is_short) => return Poll::Ready(Heard::Room),
            _ => {}
        }
        if let Poll::Ready(heard) = self.poll_news(cx) {
            return Poll::Ready(heard);
        }
        self.poll_silence(cx)
    }

    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        loop {
            if let Some(heard) = self.heard_before() {
                return Poll::Ready(heard);
            }
            if let Err(reason) = ready!(self.poll_read(cx)) {
                return Poll::Ready(Heard::Gone(reason));
            }
        }
    }

    /// Writes what there is. The layers below get no more until they have written what they have: what they kept would
    /// stand before everything else, and count nowhere.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.is_below_flushed {
                ready!(Pin::new(&mut self.io).poll_flush(cx))?;
                self.is_below_flushed = true;
                self.forget_written();
            }
            if self.out.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let piece = self.out.len().min(BATCH);
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out[..piece]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
            self.handed_on += written as u64;
            self.is_below_flushed = false;
        }
    }

    /// All that was handed on is written, and counts no longer.
    fn forget_written(&mut self) {
        while self.counted.pop_front_if(|(end, _)| *end <= self.handed_on).is_some() {}
    }

    /// Takes in what has come; or else why nothing will come any more, if it is not the connection that broke.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Option<AccountError>>> {
        let length = match ready!(Pin::new(&mut self.io).poll_fill_buf(cx)) {
            Ok([]) | Err(_) => return Poll::Ready(Err(None)),
            Ok(bytes) => match self.framer.feed(bytes) {
                Ok(()) => bytes.len(),
                Err(Endless) => return Poll::Ready(Err(Some(AccountError::TooMuch(Step::Session)))),
            },
        };
        Pin::new(&mut self.io).consume(length);
        self.note_life();
        Poll::Ready(Ok(()))
    }

    fn note_life(&mut self) {
        self.last_heard = Instant::now();
        self.was_asked = false;
    }

    /// Ready when a server that is silent should be asked for a sign of life, and when it has been and gave none.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let patience = if self.was_asked { timing::SILENCE + timing::RESPONSE } else { timing::SILENCE };
            if Instant::now() < self.last_heard + patience {
                self.alarm.as_mut().reset(self.last_heard + patience);
                continue;
            }
            let silent = AccountError::TimedOut(Step::Session);
            let heard = if self.was_asked { Heard::Gone(Some(silent)) } else { Heard::Silence };
            self.was_asked = true;
            return Poll::Ready(heard);
        }
    }

    /// Writes what there is, and the end of the stream.
    pub(super) async fn close(mut self) {
        self.out.extend_from_slice(FOOTER);
        let _ = self.io.write_all(&self.out).await;
        let _ = self.io.shutdown().await;
    }
}

impl Heard {
    /// Nothing, if that is none of our business.
    pub(super) fn of(piece: Piece) -> Option<Self> {
        match reader::read(piece) {
            Meaning::Swift(swift) => Some(Self::Swift(swift)),
            Meaning::Stanza(stanza) => Some(Self::Stanza(stanza)),
            Meaning::End(error) => {
                Some(Self::Gone(Some(error.unwrap_or(AccountError::Closed(Step::Session)))))
            }
            Meaning::Nothing => None,
        }
    }
}

impl Parcel {
    /// For who cannot send it as it was written.
    pub(super) fn into_stanza(self) -> Option<Box<Stanza>> {
        match self {
            Self::Stanza(stanza) | Self::Courtesy(stanza) => Some(stanza),
            Self::Written(bytes) => reader::parse(&bytes).map(Box::new),
        }
    }
}
