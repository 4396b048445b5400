//! TLS records of what is written, of sizes that servers can read without a rest.
//!
//! Prosody reads in pieces, of whose length [`RECORD`] is a divisor. When a piece ends in the middle of a TLS record it
//! rests for a millisecond before it goes on, so that it takes no more than 4 MB/s from one connection, whatever its
//! processor could do. So while much is written records are [`RECORD`] bytes long, and the last one of each batch is filled
//! up with what means nothing there: between stanzas that is spaces (RFC 6120 section 4.6.1). Otherwise what is written together is one
//! record, as anybody's would be.
//!
//! Carriers do their part: large stanzas [fill](filling) such records, and now and then [nothing is on its way](break_interval).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The length of a record while much is written: 4096 bytes before encryption.
const RECORD: usize = 4096;
/// What is longer than 16 KiB is much.
const LONG: usize = 4 * RECORD;

/// 64 KiB are collected before they must be written.
pub(super) const BATCH: usize = 64 * 1024;

/// What is at least 3 KiB long is bulk.
const BULK: usize = 3 * 1024;
/// What follows bulk counts as bulk as well, for as long as all of it takes at 500,000 bytes a second: over a slower
/// connection nobody has to wait for the server's rests.
const PACE: f64 = 500_000.0;
/// At most one second counts: as long as two round trips far away, in which there may be nothing to write.
const LONGEST_AFTER_BULK: Duration = Duration::from_secs(1);

/// What fills records up may be a sixteenth of what is written.
const SHARE: usize = 16;
/// What was allowed and not needed is saved up, to 128 KiB: 32 records, one for each of as many answers in a row while bulk goes. A single
/// answer in a record that it does not fill puts Prosody out of step until it has read all that waits for it, at a sixth of its rate.
const MAX_SAVED: usize = 32 * RECORD;

/// The queue of a fast connection is to be seen empty once a second. A server that has come to read across records rests for each,
/// and finds back to their beginnings when there is nothing left to read.
const BREAK_INTERVAL: Duration = Duration::from_secs(1);

/// Between two such breaks there are at least 200 delays of the empty connection, of which a break costs one or two.
const DELAYS_BETWEEN_BREAKS: u32 = 200;

/// The bytes whose base64, with at most `around` bytes beside it, makes a stanza that ends just before so many records do.
pub(crate) const fn filling(records: usize, around: usize) -> usize {
    (records * RECORD - around) / 4 * 3
}

/// How long after a break there should be another on a fast connection that takes `delay` there and back while nothing is queued.
pub(crate) fn break_interval(delay: Duration) -> Duration {
    BREAK_INTERVAL.max(DELAYS_BETWEEN_BREAKS * delay)
}

/// Writes so many bytes that mean nothing, or none if there is nothing so short.
pub(super) type Filling = fn(&mut BytesMut, usize);

/// Means nothing between stanzas.
pub(super) fn spaces(into: &mut BytesMut, length: usize) {
    into.resize(into.len() + length, b' ');
}

/// Collects what is written until it is flushed.
pub(super) struct Recorded<S> {
    inner: S,
    filling: Filling,
    batch: BytesMut,
    /// How much came since the last flush.
    news: usize,
    filler: Filler,
    /// How long the next records are at most.
    longest: usize,
    /// What is missing of a record of which only a part was taken.
    missing: usize,
}

impl<S> Recorded<S> {
    pub(super) fn new(inner: S, filling: Filling) -> Self {
        let (batch, filler) = (BytesMut::new(), Filler::new());
        Self { inner, filling, batch, news: 0, filler, longest: RECORD, missing: 0 }
    }
}

impl<S: AsyncWrite + Unpin> Recorded<S> {
    /// Fills up the last record of what is flushed, where that is due.
    fn fill_up(&mut self) {
        let news = std::mem::take(&mut self.news);
        if news > 0 {
            let now = Instant::now();
            self.longest = self.filler.longest_record(now, news);
            let length = self.filler.length_behind(now, news);
            (self.filling)(&mut self.batch, length);
        }
    }

    /// Writes out until no more than `rest` bytes are left.
    fn poll_write_out(&mut self, cx: &mut Context<'_>, rest: usize) -> Poll<io::Result<()>> {
        while self.batch.len() > rest {
            let record = if self.missing > 0 { self.missing } else { self.longest.min(self.batch.len()) };
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.batch[..record]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.batch.advance(written);
            self.missing = record - written;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.batch.len() >= BATCH {
            this.longest = RECORD;
            // What is left goes into one record with what follows.
            ready!(this.poll_write_out(cx, RECORD - 1))?;
        }
        this.news += bytes.len();
        this.batch.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.fill_up();
        ready!(this.poll_write_out(cx, 0))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_write_out(cx, 0))?;
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
    /// How many bytes that mean nothing there may be.
    allowed: usize,
}

impl Filler {
    fn new() -> Self {
        Self { bulk_until: None, allowed: RECORD }
    }

    /// How long the records of a batch of this length should be at most.
    fn longest_record(&self, now: Instant, batch: usize) -> usize {
        if self.is_bulk(now, batch) { RECORD } else { LONG }
    }

    fn is_bulk(&self, now: Instant, batch: usize) -> bool {
        batch > LONG || self.bulk_until.is_some_and(|until| now < until)
    }

    /// How many bytes that mean nothing should follow a batch of this length.
    fn length_behind(&mut self, now: Instant, batch: usize) -> usize {
        self.allowed = MAX_SAVED.min(self.allowed + batch / SHARE);
        let is_bulk = self.is_bulk(now, batch);
        if batch >= BULK {
            let until = self.bulk_until.map_or(now, |until| until.max(now)) + time_for(batch);
            self.bulk_until = Some(until.min(now + LONGEST_AFTER_BULK));
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
        filler.length_behind(now, 2 * RECORD);
        assert_eq!(filler.length_behind(now + MOMENT, 8 * RECORD - 60), 60);
        assert_eq!(filler.length_behind(now + MOMENT, 16 * RECORD), 0);
        assert_eq!(filler.length_behind(now + MOMENT, 77), RECORD - 77);
    }

    #[test]
    fn there_are_few_spaces_whatever_the_size_of_batches() {
        for batch in [77, BULK, 5700, 8192, 8193, 20_000] {
            let (mut filler, now) = (Filler::new(), Instant::now());
            let spaces: usize = (0..10_000).map(|_| filler.length_behind(now, batch)).sum();
            assert!(spaces <= RECORD + 10_000 * batch / SHARE, "{batch}: {spaces}");
        }
    }

    #[test]
    fn on_a_slow_connection_nothing_is_filled_up() {
        let (mut filler, start) = (Filler::new(), Instant::now());
        for n in 0..1000 {
            assert_eq!(filler.length_behind(start + n * time_for(5700), 5700), 0, "{n}");
        }
    }

    #[test]
    fn an_answer_in_a_pause_of_fast_bulk_fills_its_record_and_one_after_it_does_not() {
        let (mut filler, now) = (Filler::new(), Instant::now());
        for _ in 0..20 {
            filler.length_behind(now, 16 * RECORD);
        }
        assert_eq!(filler.length_behind(now + LONGEST_AFTER_BULK - MOMENT, 95), RECORD - 95);
        assert_eq!(filler.length_behind(now + LONGEST_AFTER_BULK, 95), 0);
    }

    #[test]
    fn nothing_small_is_followed_by_spaces_while_there_is_no_bulk() {
        let (mut filler, now) = (Filler::new(), Instant::now());
        assert!((0..10_000).all(|_| filler.length_behind(now, BULK - 1) == 0));
    }

    #[test]
    fn what_is_written_together_is_one_record_unless_there_is_bulk() {
        let (mut filler, now) = (Filler::new(), Instant::now());
        assert_eq!(filler.longest_record(now, LONG), LONG);
        assert_eq!(filler.longest_record(now, LONG + 1), RECORD);
        filler.length_behind(now, BULK);
        assert_eq!(filler.longest_record(now + MOMENT, LONG), RECORD);
        assert_eq!(filler.longest_record(now + time_for(BULK), LONG), LONG);
    }

    /// Takes everything, or less than is offered each `tired` times, and keeps the lengths.
    #[derive(Default)]
    struct Lengths {
        taken: Vec<usize>,
        tired: Option<usize>,
    }

    impl AsyncWrite for Lengths {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let is_tired = self.tired.is_some_and(|each| self.taken.len() % each == each - 1);
            let length = if is_tired { bytes.len().div_ceil(3) } else { bytes.len() };
            self.taken.push(length);
            Poll::Ready(Ok(length))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn lengths_of(batch: usize, tired: Option<usize>) -> Vec<usize> {
        let mut recorded = Recorded::new(Lengths { tired, ..Lengths::default() }, spaces);
        for piece in vec![b'x'; batch].chunks(977) {
            recorded.write_all(piece).await.unwrap();
        }
        recorded.flush().await.unwrap();
        recorded.inner.taken
    }

    #[tokio::test]
    async fn however_much_is_written_at_once_each_record_has_the_same_length() {
        for batch in [LONG + 1, BATCH, BATCH + 3000, 3 * BATCH + 1] {
            let records = vec![RECORD; batch.div_ceil(RECORD)];
            assert_eq!(lengths_of(batch, None).await, records, "{batch}");
        }
        assert_eq!(lengths_of(LONG, None).await, [LONG]);
    }

    #[tokio::test]
    async fn what_is_taken_in_parts_stays_in_step() {
        let mut lengths = lengths_of(3 * BATCH + 1, Some(5)).await.into_iter();
        while let Some(length) = lengths.next() {
            if length < RECORD {
                assert_eq!(length + lengths.next().unwrap(), RECORD);
            }
        }
    }

    #[tokio::test]
    async fn what_is_written_arrives_once_and_in_order_with_spaces_behind_it() {
        let (near, mut far) = duplex(1000);
        let mut recorded = Recorded::new(near, spaces);
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
