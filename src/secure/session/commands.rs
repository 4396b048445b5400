//! Commands of applications, for one stream each.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::protocol::{Address, CloseReason, Read};
use crate::secure::session::Session;
use crate::secure::session::measuring::Measured;
use crate::secure::shared::Shared;
use crate::secure::streams::Streams;

impl Session {
    /// Opens a stream to `target` to which the application has written `first`, and returns its number on the wire.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        target: Address,
        first: &[u8],
        shared: &mut Shared,
    ) -> Result<u64, CloseReason> {
        let streams = self.state.streams_mut().ok_or(CloseReason::SessionLost)?;
        let wire = streams.open(target)?;
        streams.write(wire, first)?;
        self.apply_changes(now, shared);
        Ok(wire)
    }

    /// Takes as much of `data` as the stream and the client have room for.
    ///
    /// # Errors
    ///
    /// Why the stream is closed.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        wire: u64,
        data: &[u8],
        shared: &mut Shared,
    ) -> Result<usize, CloseReason> {
        let Some(streams) = self.state.streams_mut() else {
            // Never: there are streams, or what is left of them.
            return Ok(0);
        };
        let room = shared.ledger.room_to_write(&self.client);
        let taken = streams.write_within(wire, data, room)?;
        if taken >= room && taken < data.len() {
            self.crowded.insert(wire);
        }
        self.apply_changes(now, shared);
        Ok(taken)
    }

    /// Takes the next bytes that came from the peer.
    pub(crate) fn read(&mut self, now: Instant, wire: u64, shared: &mut Shared) -> Read {
        let Some(streams) = self.state.streams_mut() else {
            // Never: there are streams, or what is left of them.
            return Read::End;
        };
        let read = streams.read(wire);
        if streams.needs_wider_windows() {
            streams.widen_windows(shared.ledger.room_to_promise(&self.client));
        }
        self.apply_changes(now, shared);
        read
    }

    /// Changes a stream in a way that always succeeds.
    pub(crate) fn change(&mut self, now: Instant, change: impl FnOnce(&mut Streams), shared: &mut Shared) {
        if let Some(streams) = self.state.streams_mut() {
            change(streams);
        }
        self.apply_changes(now, shared);
    }

    /// Sends so many bytes from now on for nothing but to measure, or no more.
    pub(crate) fn measure(&mut self, now: Instant, bytes: usize, shared: &mut Shared) {
        if let Some(established) = self.state.established_mut() {
            established.measure(bytes);
        }
        self.apply_changes(now, shared);
    }

    /// What was measured until now.
    pub(crate) fn measured(&self, now: Instant) -> Option<Measured> {
        let measured = self.established()?.measured();
        Some(Measured { by_relay: self.fast_relay(now).is_some(), ..measured })
    }

    /// Resets its newest streams, up to so many; false when it has fewer.
    pub(crate) fn give_up_streams(&mut self, now: Instant, count: usize, shared: &mut Shared) -> bool {
        let Some(established) = self.state.established_mut() else {
            // Without a handshake there are no streams.
            return false;
        };
        let has_given = (0..count).all(|_| established.streams.give_up_newest());
        self.apply_changes(now, shared);
        has_given
    }

    /// Streams that can write again because the client has less on its way.
    pub(crate) fn take_relieved(&mut self, shared: &Shared) -> BTreeSet<u64> {
        let has_room =
            !self.crowded.is_empty() && shared.ledger.room_to_write(&self.client) >= shared.config.relief();
        if has_room { std::mem::take(&mut self.crowded) } else { BTreeSet::new() }
    }
}
