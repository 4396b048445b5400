//! Programs under test: a protocol core, and a driver that turns its words into stanzas.

use std::time::Instant;

use hexchat_pt::protocol::{AccountChange, AccountId, Address, CloseReason, Core, StreamId};
use xmpp_parsers::jid::Jid;

use crate::network::Stanza;

/// A program with accounts on one side and applications on the other.
pub(crate) trait Program<L> {
    fn core(&self) -> &dyn Core;
    fn core_mut(&mut self) -> &mut dyn Core;

    fn handle_account(&mut self, now: Instant, account: AccountId, change: AccountChange) {
        self.core_mut().handle_account(now, account, change);
    }
    fn handle_stanza(&mut self, now: Instant, via: AccountId, from: &Jid, stanza: Stanza<L>);
    fn handle_server_ack(&mut self, _now: Instant, _id: &str) {}
    fn poll_transmit(&mut self, now: Instant) -> Option<(AccountId, Jid, Stanza<L>)>;

    fn poll_timeout(&self) -> Option<Instant> {
        self.core().poll_timeout()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.core_mut().handle_timeout(now);
    }

    /// An account by which it misses answers.
    fn poll_doubt(&mut self) -> Option<AccountId> {
        None
    }

    /// Asks for a connection, for an application that has written its `first` bytes.
    fn connect(
        &mut self,
        now: Instant,
        accounts: &[AccountId],
        to: Jid,
        local_and_remote: [Address; 2],
        first: &[u8],
    ) -> Result<StreamId, CloseReason>;

    /// Whether one direction of a stream goes on when the other has ended.
    fn half_closes(&self) -> bool;
    /// The most bytes that it may keep for one stream.
    fn most_buffered(&self) -> usize;
}
