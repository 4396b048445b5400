//! What is written, in TLS records that servers can read without a rest.
//!
//! Prosody reads 8192 bytes at a time. When they end in the middle of a TLS record it rests for a millisecond before it
//! goes on, so that it takes no more than 4 MB/s from one connection, whatever its processor could do. Where records have
//! a length by which 8192 can be divided, and lie one behind the other without gaps, reading ends between two of them. So
//! records are [`RECORD`] bytes long, and where much is written the last one of a batch is filled up with spaces, which
//! mean nothing between stanzas (RFC 6120 section 4.6.1).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The length of a record, in bytes before encryption.
pub(super) const RECORD: usize = 4096;

/// So much is collected before it must be written.
const BATCH: usize = 64 * 1024;

/// Spaces may be this part of what is written, ...
const SHARE: usize = 32;
/// ... and so many at once, after less was needed for some time.
const MOST: usize = 2 * RECORD;
/// In bytes a second. On a slower way nobody has to wait for the server's rests.
const PACE: f64 = 500_000.0;
/// What is smaller than this is no bulk, and nothing is behind it that could wait.
const BULK: usize = 2048;

/// Collects what is written until it is flushed.
pub(super) struct Recorded<S> {
    inner: S,
    batch: BytesMut,
    /// How much came since the last flush.
    news: usize,
    grid: Grid,
}

impl<S> Recorded<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, batch: BytesMut::new(), news: 0, grid: Grid::new() }
    }
}

impl<S: AsyncWrite + Unpin> Recorded<S> {
    /// Puts spaces behind what is flushed, where they are due.
    fn fill_up(&mut self) {
        let news = std::mem::take(&mut self.news);
        if news > 0 {
            let spaces = self.grid.spaces_behind(Instant::now(), news);
            self.batch.resize(self.batch.len() + spaces, b' ');
        }
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.batch.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.batch))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.batch.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.batch.len() >= BATCH {
            ready!(this.poll_write_out(cx))?;
        }
        this.news += bytes.len();
        this.batch.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.fill_up();
        ready!(this.poll_write_out(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_out(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

/// How what was written lies in the grid of records.
#[derive(Debug)]
struct Grid {
    /// Since a record last ended where it should, or all was read.
    written: usize,
    since: Option<Instant>,
    /// How many spaces there may be.
    allowed: usize,
}

impl Grid {
    fn new() -> Self {
        Self { written: 0, since: None, allowed: RECORD }
    }

    /// How many spaces should follow a batch of this length.
    fn spaces_behind(&mut self, now: Instant, batch: usize) -> usize {
        self.written += batch;
        self.allowed = MOST.min(self.allowed + batch / SHARE);
        let since = *self.since.get_or_insert(now);
        let missing = self.written.next_multiple_of(RECORD) - self.written;
        let is_slow = now.saturating_duration_since(since) > time_for(self.written);
        let is_due = !is_slow && batch >= BULK && missing <= self.allowed;
        if is_due || is_slow {
            (self.written, self.since) = (0, None);
        }
        if !is_due {
            return 0;
        }
        self.allowed -= missing;
        missing
    }
}

/// How long so many bytes may take.
#[expect(clippy::cast_precision_loss, reason = "nobody writes that much")]
fn time_for(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 / PACE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const SOON: Duration = Duration::from_micros(100);

    #[test]
    fn a_batch_that_nearly_fills_its_records_is_filled_up() {
        let (mut grid, now) = (Grid::new(), Instant::now());
        assert_eq!(grid.spaces_behind(now, 2 * RECORD - 60), 60);
        assert_eq!(grid.spaces_behind(now + SOON, 16 * RECORD), 0);
        assert_eq!(grid.spaces_behind(now + SOON, RECORD - 1), 1);
    }

    #[test]
    fn what_lies_across_is_brought_into_line_once_that_costs_little() {
        let (mut grid, start) = (Grid::new(), Instant::now());
        let (mut written, mut spaces) = (300, grid.spaces_behind(start, 300));
        let mut now = start;
        while spaces == 0 {
            now += SOON;
            written += 2 * RECORD;
            spaces = grid.spaces_behind(now, 2 * RECORD);
        }
        assert_eq!((written + spaces) % RECORD, 0);
        assert!(written < 3 * RECORD, "{written}");
    }

    #[test]
    fn there_are_few_spaces_whatever_the_size_of_batches() {
        for batch in [BULK, 5700, 8192, 8193, 20_000] {
            let (mut grid, now) = (Grid::new(), Instant::now());
            let spaces: usize = (0..10_000).map(|_| grid.spaces_behind(now, batch)).sum();
            assert!(spaces <= RECORD + 10_000 * batch / SHARE, "{batch}: {spaces}");
        }
    }

    #[test]
    fn on_a_slow_way_nothing_is_filled_up() {
        let (mut grid, start) = (Grid::new(), Instant::now());
        for n in 0..1000 {
            assert_eq!(grid.spaces_behind(start + n * Duration::from_millis(500), 5700), 0, "{n}");
        }
    }

    #[test]
    fn nothing_small_is_followed_by_spaces() {
        let (mut grid, now) = (Grid::new(), Instant::now());
        assert!((0..10_000).all(|_| grid.spaces_behind(now, BULK - 1) == 0));
    }

    #[tokio::test]
    async fn what_is_written_arrives_once_and_in_order_with_spaces_behind_it() {
        let (near, mut far) = duplex(1000);
        let mut recorded = Recorded::new(near);
        let sent: Vec<u8> = (0..3 * BATCH).map(|n| (n % 251) as u8 + 1).collect();
        let write = async {
            for piece in sent.chunks(977) {
                recorded.write_all(piece).await.unwrap();
            }
            recorded.write_all(b"end").await.unwrap();
            recorded.flush().await.unwrap();
            drop(recorded);
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(write, far.read_to_end(&mut received));
        read.unwrap();
        let (data, rest) = received.split_at(sent.len() + 3);
        assert!(data.strip_suffix(b"end").unwrap() == sent && rest.iter().all(|byte| *byte == b' '));
        assert!(rest.is_empty() || received.len() % RECORD == 0);
    }
}
