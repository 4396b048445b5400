//! Wire of an account: carries bytes between its socket and the pure [`Connection`].
//!
//! It is owned and polled by the account's task. What is sent in one go is written in one go.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncBufRead as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::time::{Sleep, sleep, timeout};

use super::backlog::Gauge;
use super::connection::{Connection, Event, Session};
use super::error::{AccountError, Step};
use super::login::Io;
use super::timing;

/// After a fault in writing, what the server has said before is read in 16 reads at most, some 128 KiB: a stream error that says
/// why is among the last things that it says, but whoever says more than that is not worth listening to.
const LAST_READS: usize = 16;

/// A connection with its socket.
pub(super) struct Wire {
    io: Io,
    connection: Connection,
    /// Whether the layers below have written all that they were given.
    is_below_flushed: bool,
    /// Rings when the connection has waited long enough, or earlier.
    alarm: Pin<Box<Sleep>>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// What happens. If not, nothing is read, and what there is to write is written all the same.
    pub(super) events: bool,
    /// That everything is written.
    pub(super) writable: bool,
    /// That this backlog is short.
    pub(super) relief: Option<&'a Gauge>,
}

/// What happened.
pub(super) enum Happened {
    Event(Event),
    /// What was wanted: everything is written, or the backlog is short.
    Writable,
}

impl Wire {
    pub(super) fn new(io: Io, connection: Connection) -> Self {
        Self { io, connection, is_below_flushed: true, alarm: Box::pin(sleep(timing::OPENING)) }
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Lets go of a connection that is over: what can be resumed of it. A server that has ended the stream gets our end of it,
    /// behind the account's back.
    pub(super) fn leave(mut self) -> Option<Session> {
        let session = self.connection.take_session();
        if self.connection.owes_end() {
            tokio::spawn(timeout(timing::LOGOUT, self.close()));
        }
        session
    }

    /// Writes what there is, and waits for the next thing to happen. Cancel-safe.
    pub(super) async fn next(&mut self, wanted: Wanted<'_>) -> Happened {
        std::future::poll_fn(|cx| self.poll_next(cx, wanted)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, wanted: Wanted<'_>) -> Poll<Happened> {
        loop {
            let written = self.poll_write_out(cx);
            if let Poll::Ready(Err(error)) = &written {
                // What the server has said before may tell why.
                for _ in 0..LAST_READS {
                    if self.connection.is_closed() || self.poll_read(cx).is_pending() {
                        break;
                    }
                }
                self.connection.handle_end(now(), AccountError::io(Step::Session, error));
            }
            if wanted.events
                && let Some(event) = self.connection.poll_event(now())
            {
                return Poll::Ready(Happened::Event(event));
            }
            let is_written = matches!(written, Poll::Ready(Ok(())));
            if is_written && !self.connection.poll_transmit().is_empty() {
                // What has come is to be answered before anything is waited for.
                continue;
            }
            if wanted.writable && is_written || wanted.relief.is_some_and(Gauge::is_short) {
                return Poll::Ready(Happened::Writable);
            }
            if !wanted.events || self.poll_read(cx).is_pending() && self.poll_alarm(cx).is_pending() {
                return Poll::Pending;
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
                self.connection.handle_flushed();
            }
            let batch = self.connection.poll_transmit();
            if batch.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, batch))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.connection.handle_written(written);
            self.is_below_flushed = false;
        }
    }

    /// Takes in what has come. What is overdue is done as well, however much comes.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let length = match ready!(Pin::new(&mut self.io).poll_fill_buf(cx)) {
            Ok([]) => {
                self.connection.handle_end(now(), AccountError::Closed(Step::Session));
                0
            }
            Ok(bytes) => {
                self.connection.handle_read(now(), bytes);
                bytes.len()
            }
            Err(error) => {
                self.connection.handle_end(now(), AccountError::io(Step::Session, &error));
                0
            }
        };
        Pin::new(&mut self.io).consume(length);
        let now = now();
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        Poll::Ready(())
    }

    /// Ready when the connection has been told how late it is. The alarm is set anew only when it must ring earlier, or has rung: most
    /// deadlines are put off long before they are due.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.connection.poll_timeout().map(tokio::time::Instant::from_std) else {
            return Poll::Pending;
        };
        if at < self.alarm.deadline() {
            self.alarm.as_mut().reset(at);
        }
        ready!(self.alarm.as_mut().poll(cx));
        self.connection.handle_timeout(now());
        self.alarm.as_mut().reset(at.max(tokio::time::Instant::now()));
        Poll::Ready(())
    }

    /// Writes what there is and the end of the stream, and waits for the server's end of it. What comes meanwhile is read and
    /// dropped: a socket that is closed before that is reset, and what was written may not arrive.
    pub(super) async fn close(self) {
        let Self { io, mut connection, .. } = self;
        let (mut incoming, mut outgoing) = tokio::io::split(io);
        connection.finish();
        let write = async {
            loop {
                let batch = connection.poll_transmit();
                let length = batch.len();
                if length == 0 || outgoing.write_all(batch).await.is_err() {
                    break;
                }
                connection.handle_written(length);
            }
            outgoing.shutdown().await
        };
        let mut nowhere = tokio::io::sink();
        let _ = tokio::join!(write, tokio::io::copy(&mut incoming, &mut nowhere));
    }
}

/// The time, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
