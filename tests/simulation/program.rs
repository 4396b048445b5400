//! What the two programs that talk have in common.

use std::time::Instant;

use hexchat_pt::protocol::{AccountChange, AccountId, Address, CloseReason, Event, Read, StreamId};
use xmpp_parsers::jid::Jid;

use crate::network::Stanza;

/// A program with accounts on one side and applications on the other.
pub(crate) trait Program<L> {
    fn handle_account(&mut self, now: Instant, account: AccountId, change: AccountChange);
    fn handle_stanza(&mut self, now: Instant, via: AccountId, from: &Jid, stanza: Stanza<L>);
    fn handle_server_ack(&mut self, now: Instant, id: &str);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<Instant>;
    fn poll_transmit(&mut self, now: Instant) -> Option<(AccountId, Jid, Stanza<L>)>;
    fn poll_event(&mut self) -> Option<Event>;

    fn connect(
        &mut self,
        now: Instant,
        accounts: &[AccountId],
        to: Jid,
        local: Address,
        remote: Address,
    ) -> Result<StreamId, CloseReason>;
    fn accept(&mut self, now: Instant, stream: StreamId);
    fn refuse(&mut self, now: Instant, stream: StreamId);
    fn write(&mut self, now: Instant, stream: StreamId, data: &[u8]) -> Result<usize, CloseReason>;
    fn read(&mut self, now: Instant, stream: StreamId) -> Read;
    fn finish(&mut self, now: Instant, stream: StreamId);
    fn release(&mut self, now: Instant, stream: StreamId);

    /// Whether one direction of a stream goes on when the other has ended.
    fn half_closes(&self) -> bool;
    /// Bytes kept.
    fn buffered(&self) -> usize;
    fn stream_count(&self) -> usize;
    /// The most bytes that it may keep for one stream.
    fn most_buffered(&self) -> usize;
}
