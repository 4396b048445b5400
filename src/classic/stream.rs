//! Stream: one connection, with both halves and its state.

use std::time::{Duration, Instant};

use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::classic::api::{Config, SetId};
use crate::classic::recv::RecvHalf;
use crate::classic::routing::LinkId;
use crate::classic::send::SendHalf;
use crate::classic::seq::SeqNum;
use crate::classic::stanza::{Aliases, Header};
use crate::protocol::{AccountId, Address, CloseReason};

/// How often a peer that we slow down is told that the connection still exists.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// How long a peer that ignores repeated packets may leave one unanswered before it is sent again: the
/// answer may have been lost with one of its accounts. Longer than [`KEEPALIVE_INTERVAL`].
const RETRY_INTERVAL: Duration = Duration::from_secs(20);
/// How long a resource that was known from earlier may take to answer before the bare JID is asked.
const RESOURCE_PATIENCE: Duration = Duration::from_secs(8);

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) local: Address,
    pub(super) remote: Address,
    pub(super) phase: Phase,
    pub(super) send: SendHalf,
    pub(super) recv: RecvHalf,
    /// Which account of the peer's asked for it, when it was not us.
    pub(super) asked_by: Option<BareJid>,
    /// The application has let go of it.
    pub(super) released: bool,
    /// The application waits for room to write.
    pub(super) write_blocked: bool,
    /// It is in the queue of those with something to send.
    pub(super) queued: bool,
    /// Both ends answer every set and ignore repeated packets.
    pub(super) tolerant: bool,
    /// The peer answers our sets.
    pub(super) answers: bool,
    /// Until something has come from the peer, everything goes the way that the ack went: only there it
    /// cannot overtake the ack, and a peer drops packets of a connection that it does not know yet.
    pub(super) pinned: Option<(AccountId, FullJid)>,
    /// The last sign of progress, or when something to wait for began.
    quiet_since: Instant,
    /// When the peer last said that it answers late on purpose.
    slowed_at: Option<Instant>,
    /// Since when answers are withheld and the peer was not told why.
    withholding_since: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// We asked for it.
    Connecting(Connecting),
    /// The peer asked for it and the application has not decided.
    Offered { link: LinkId, via: AccountId, from: FullJid },
    /// Data flows.
    Open { link: LinkId },
    /// Nothing is left to do for the peer.
    Closed(CloseReason),
}

/// A connect that has not been answered.
#[derive(Debug)]
pub(super) struct Connecting {
    pub(super) to: Jid,
    pub(super) accounts: Vec<AccountId>,
    pub(super) deadline: Instant,
    pub(super) attempt: Option<Attempt>,
}

/// A connect that was sent.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The accounts behind `ours`.
    pub(super) accounts: Vec<AccountId>,
    /// The aliases in its header.
    pub(super) ours: Aliases,
    pub(super) via: AccountId,
    /// The IQ, or `None` for a message.
    pub(super) set: Option<SetId>,
    /// When to try the bare JID instead.
    pub(super) fall_back_at: Option<Instant>,
}

impl Attempt {
    pub(super) fn patience(now: Instant) -> Instant {
        now + RESOURCE_PATIENCE
    }
}

impl Stream {
    pub(super) fn new(now: Instant, config: &Config, local: Address, remote: Address, phase: Phase) -> Self {
        Self {
            local,
            remote,
            phase,
            send: SendHalf::new(config.send_buffer, SeqNum::ZERO),
            recv: RecvHalf::new(config.receive_buffer, SeqNum::ZERO),
            asked_by: None,
            released: false,
            write_blocked: false,
            queued: false,
            tolerant: false,
            answers: false,
            pinned: None,
            quiet_since: now,
            slowed_at: None,
            withholding_since: None,
        }
    }

    pub(super) fn link(&self) -> Option<LinkId> {
        match self.phase {
            Phase::Open { link } | Phase::Offered { link, .. } => Some(link),
            Phase::Connecting(_) | Phase::Closed(_) => None,
        }
    }

    /// Why the application can use it no more.
    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        match self.phase {
            Phase::Closed(reason) => Some(reason),
            Phase::Connecting(_) | Phase::Offered { .. } | Phase::Open { .. } => None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// The header of what we send.
    pub(super) fn header(&self, ours: &Aliases) -> Header {
        Header { local: self.local.clone(), remote: self.remote.clone(), aliases: ours.clone() }
    }

    /// The peer said something about this very connection.
    pub(super) fn on_heard(&mut self, now: Instant) {
        self.quiet_since = now;
        self.pinned = None;
    }

    /// A packet is about to be sent.
    pub(super) fn on_sending(&mut self, now: Instant) {
        if !self.is_waiting() {
            self.quiet_since = now;
        }
    }

    /// Whether it cannot go on without the peer.
    fn is_waiting(&self) -> bool {
        self.send.is_waiting() || self.recv.has_gap()
    }

    /// When nothing has come of what it waits for.
    pub(super) fn silence_deadline(&self, timeout: Duration) -> Option<Instant> {
        (self.is_open() && self.is_waiting()).then(|| self.quiet_since + timeout)
    }

    /// The peer says that the connection still exists, although it does not answer.
    pub(super) fn on_slowed(&mut self, now: Instant) {
        self.slowed_at = Some(now);
    }

    /// When to send again what was sent at `sent`, if it is not answered.
    pub(super) fn retry_deadline(&self, sent: Instant) -> Option<Instant> {
        let since = self.slowed_at.map_or(sent, |at| at.max(sent));
        (self.is_open() && self.tolerant).then(|| since + RETRY_INTERVAL)
    }

    /// When the peer, slowed down by us, should hear that the connection still exists.
    pub(super) fn keepalive_deadline(&self) -> Option<Instant> {
        self.withholding_since.map(|since| since + KEEPALIVE_INTERVAL)
    }

    /// Starts and stops the time to the next keepalive.
    pub(super) fn note_withholding(&mut self, now: Instant) {
        let withholding = self.is_open() && self.recv.is_withholding();
        self.withholding_since = withholding.then(|| self.withholding_since.unwrap_or(now));
    }

    /// The peer is being told that the connection still exists.
    pub(super) fn on_keepalive(&mut self, now: Instant) {
        self.withholding_since = Some(now);
    }
}
