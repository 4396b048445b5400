//! Protocol core: one end of a tunnelling protocol, without sockets, clock or tasks.

use std::time::Instant;

use super::{AccountChange, AccountId, CloseReason, Event, Read, StreamId};

/// One end of a tunnelling protocol: streams on one side, accounts at chat servers on the other.
///
/// A driver hands in what happened (`handle_*`) and what applications want (all that names a stream), and polls out what
/// follows from it (`poll_*`). What differs from one protocol to the next has no place here: to whom to connect, and the
/// stanzas that come in (`handle_stanza`) and go out (`poll_transmit`).
///
/// A [`StreamId`] that the core does not know is that of a stream which is over.
pub trait Core {
    /// Something happened to one of our accounts.
    fn handle_account(&mut self, now: Instant, account: AccountId, change: AccountChange);

    /// Does everything that is due. To be called when [`poll_timeout`](Self::poll_timeout) has passed, harmless at any
    /// other time.
    fn handle_timeout(&mut self, now: Instant);

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next thing that applications should know.
    fn poll_event(&mut self) -> Option<Event>;

    /// Tells the peer that the target of an [`Event::Incoming`] was reached.
    fn accept(&mut self, now: Instant, stream: StreamId);

    /// Takes as much of `data` as there is room for, and returns how many bytes that was. When it was not all, an
    /// [`Event::Writable`] follows.
    ///
    /// # Errors
    ///
    /// Why the stream is closed.
    fn write(&mut self, now: Instant, stream: StreamId, data: &[u8]) -> Result<usize, CloseReason>;

    /// Takes the next bytes that came from the peer.
    fn read(&mut self, now: Instant, stream: StreamId) -> Read;

    /// Nothing more will be written: the peer sees the end after the last byte. Where the protocol has half-closed
    /// connections the other direction stays open.
    fn finish(&mut self, now: Instant, stream: StreamId);

    /// The application broke the connection off: the peer must not take what it has got for all there was.
    fn abort(&mut self, now: Instant, stream: StreamId);

    /// The application has let go of the stream: nothing more will be read or written, and no event will name it. What
    /// was written still goes out. A stream that waits for [`accept`](Self::accept) is refused.
    fn release(&mut self, now: Instant, stream: StreamId);

    /// Closes all streams: what was written still goes out.
    fn finish_all(&mut self, now: Instant);

    /// Why a stream is over, once it is.
    fn close_reason(&self, stream: StreamId) -> Option<CloseReason>;

    /// Whether peers are let in at this account.
    fn accepts_on(&self, account: AccountId) -> bool;

    /// Streams that exist, those included that are only being closed.
    fn stream_count(&self) -> usize;

    /// Whether there is no stream, not even one that is only being closed.
    fn is_idle(&self) -> bool {
        self.stream_count() == 0
    }

    /// Bytes that all streams keep together, in both directions.
    fn buffered(&self) -> usize;
}
