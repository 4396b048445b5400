//! Early streams: what applications ask for and write before there is a session, of which the handshake carries the first.
//!
//! Bytes are sent to the bridge once. What went with a handshake
//!
//! * has arrived when the bridge says in its answer that it took it;
//! * goes again when the bridge says that it did not;
//! * may or may not have arrived when the handshake ends in any other way. A stream of which there were bytes in it is broken off
//!   then, and later handshakes carry no bytes: the application that tries again is not to lose its connection once more.
//!
//! That a server finds nobody proves nothing, since servers say so also of stanzas that were delivered and not acknowledged. Nor
//! does a refusal of the bridge's: a server that repeats a stanza has the second copy refused, which may be heard first.
//!
//! There is one handshake at a time, so that there never are two that carry the same.

use crate::protocol::CloseReason;
use crate::secure::crypto::handshake::{HELLO_AROUND, LARGEST_HELLO, MESSAGE_LEN};
use crate::secure::streams::{Credit, Role, Sent, StreamLimits, Streams};
use crate::secure::wire::{early, padding};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Early {
    streams: Streams,
    limits: StreamLimits,
    /// What went with the handshake that is not answered yet.
    sent: Option<Sent>,
    /// Whether a handshake has come to nothing.
    has_failed: bool,
}

impl Early {
    pub(crate) fn new(limits: StreamLimits) -> Self {
        Self { streams: streams(limits), limits, sent: None, has_failed: false }
    }

    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    pub(super) fn streams_mut(&mut self) -> &mut Streams {
        &mut self.streams
    }

    pub(super) fn into_streams(self) -> Streams {
        self.streams
    }

    /// Whether no application wants a stream.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.are_all_released()
    }

    /// Forgets the streams when nobody wants any, unless the bridge may have heard of one: their numbers are given again.
    pub(super) fn prune(&mut self) {
        if self.sent.is_none() && self.streams.stream_count() > 0 && self.is_idle() {
            self.streams = streams(self.limits);
        }
    }

    /// The early frames of the next handshake, padded to one of the sizes of blocks; nothing without any frame.
    pub(super) fn write(&mut self) -> Vec<u8> {
        let mut frames = Vec::new();
        let sent = self.streams.write_early(&mut frames, LARGEST_HELLO - HELLO_AROUND, !self.has_failed);
        if !sent.is_empty() {
            let size = padding::holding(HELLO_AROUND + frames.len()).max(MESSAGE_LEN);
            frames.resize(size - HELLO_AROUND, 0);
            self.sent = Some(sent);
        }
        frames
    }

    /// The handshake came to nothing, for this reason, and nobody knows whether the bridge has taken what it carried.
    pub(super) fn on_failed(&mut self, reason: CloseReason) {
        self.has_failed = true;
        if let Some(sent) = self.sent.take() {
            self.streams.on_unknown(sent, reason);
        }
    }

    /// The bridge has made a session, gives so much credit, and has taken what the handshake carried, or not: the streams of the
    /// session.
    pub(super) fn on_welcome(mut self, credit: Credit, has_taken: bool) -> Streams {
        self.streams.set_credit(credit);
        match self.sent.take() {
            Some(sent) if has_taken => self.streams.on_acked(sent),
            Some(sent) => self.streams.on_lost(sent),
            None => {}
        }
        self.streams
    }
}

/// A client's, without a peer: each keeps little of what is written to it, and less goes.
fn streams(limits: StreamLimits) -> Streams {
    let credit = Credit { stream: early::CREDIT, session: early::CREDIT };
    let mut streams = Streams::new(Role::Client, limits, credit);
    streams.fit_send_buffers(0);
    streams
}
