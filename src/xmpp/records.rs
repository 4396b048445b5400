//! What is written, in TLS records that servers can read without a rest.
//!
//! Prosody reads 8192 bytes at a time. When they end in the middle of a TLS record it rests for a millisecond before it
//! goes on, so that it takes no more than 4 MB/s from one connection, whatever its processor could do. When all records
//! have a length by which 8192 can be divided it never has to rest. So records are [`RECORD`] bytes long, and while much is
//! written the last one of each batch is filled up with spaces, which mean nothing between stanzas (RFC 6120 section
//! 4.6.1).

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

/// What is at least so long, in bytes, is bulk, ...
const BULK: usize = 3 * 1024;
/// ... and so is what follows it in the time that it takes at this rate, in bytes a second. On a slower way nobody has to
/// wait for the server's rests.
const PACE: f64 = 500_000.0;

/// Spaces may be this part of what is written, ...
const SHARE: usize = 16;
/// ... and so many at once, after less was needed for some time.
const MOST: usize = 2 * RECORD;

/// Collects what is written until it is flushed.
pub(super) struct Recorded<S> {
    inner: S,
    batch: BytesMut,
    /// How much came since the last flush.
    news: usize,
    filler: Filler,
}

impl<S> Recorded<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, batch: BytesMut::new(), news: 0, filler: Filler::new() }
    }
}

impl<S: AsyncWrite + Unpin> Recorded<S> {
    /// Puts spaces behind what is flushed, where they are due.
    fn fill_up(&mut self) {
        let news = std::mem::take(&mut self.news);
        if news > 0 {
            let spaces = self.filler.spaces_behind(Instant::now(), news);
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

/// Whether batches fill their records.
#[derive(Debug)]
struct Filler {
    /// Until when there is bulk.
    bulk_until: Option<Instant>,
    /// How many spaces there may be.
    allowed: usize,
}

impl Filler {
    fn new() -> Self {
        Self { bulk_until: None, allowed: RECORD }
    }

    /// How many spaces should follow a batch of this length.
    fn spaces_behind(&mut self, now: Instant, batch: usize) -> usize {
        self.allowed = MOST.min(self.allowed + batch / SHARE);
        let is_bulk = self.bulk_until.is_some_and(|until| now < until);
        if batch >= BULK {
            self.bulk_until = Some(now + time_for(batch));
        }
        let missing = batch.next_multiple_of(RECORD) - batch;
        if !is_bulk || missing > self.allowed {
            return 0;
        }
        self.allowed -= missing;
        missing
    }
}

/// How long so many bytes take at [`PACE`].
#[expect(clippy::cast_precision_loss, reason = "a batch is not that long")]
fn time_for(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 / PACE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const MOMENT: Duration = Duration::from_micros(100);

    #[test]
    fn while_there_is_bulk_whatever_is_written_fills_its_records() {
        let (mut filler, now) = (Filler::new(), Instant::now());
        filler.spaces_behind(now, 2 * RECORD);
        assert_eq!(filler.spaces_behind(now + MOMENT, 8 * RECORD - 60), 60);
        assert_eq!(filler.spaces_behind(now + MOMENT, 16 * RECORD), 0);
        assert_eq!(filler.spaces_behind(now + MOMENT, 77), RECORD - 77);
    }

    #[test]
    fn there_are_few_spaces_whatever_the_size_of_batches() {
        for batch in [77, BULK, 5700, 8192, 8193, 20_000] {
            let (mut filler, now) = (Filler::new(), Instant::now());
            let spaces: usize = (0..10_000).map(|_| filler.spaces_behind(now, batch)).sum();
            assert!(spaces <= RECORD + 10_000 * batch / SHARE, "{batch}: {spaces}");
        }
    }

    #[test]
    fn on_a_slow_way_nothing_is_filled_up() {
        let (mut filler, start) = (Filler::new(), Instant::now());
        for n in 0..1000 {
            assert_eq!(filler.spaces_behind(start + n * time_for(5700), 5700), 0, "{n}");
        }
    }

    #[test]
    fn nothing_small_is_followed_by_spaces_while_there_is_no_bulk() {
        let (mut filler, now) = (Filler::new(), Instant::now());
        assert!((0..10_000).all(|_| filler.spaces_behind(now, BULK - 1) == 0));
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
    }
}
