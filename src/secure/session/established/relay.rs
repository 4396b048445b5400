//! Relay of a session, in its packet layer: the frames about it.

use std::time::Instant;

use crate::secure::crypto::seal::Draft;
use crate::secure::session::established::{BadPacket, Established, append};
use crate::secure::session::relay::Relay;
use crate::secure::wire::frame::Frame;
use crate::secure::wire::relay_frame::RelayFrame;

impl Established {
    /// Where both ends know relays, what there is of them.
    pub(crate) fn relay(&self) -> Option<&Relay> {
        self.relay.as_deref()
    }

    pub(crate) fn relay_mut(&mut self) -> Option<&mut Relay> {
        self.relay.as_deref_mut()
    }

    /// A frame about relays has come.
    pub(super) fn handle_relay_frame(&mut self, now: Instant, frame: RelayFrame) -> Result<(), BadPacket> {
        let relay = self.relay.as_mut().ok_or(BadPacket::Violation)?;
        relay.handle_frame(now, frame).map_err(|_| BadPacket::Violation)
    }

    /// Whether there are frames about relays to send.
    pub(super) fn has_relay_frames(&self) -> bool {
        self.relay().is_some_and(|relay| relay.next_frame_len().is_some())
    }

    /// Writes what a packet of `size` bytes has room for; which ones.
    pub(super) fn write_relay_frames(&mut self, draft: &mut Draft, size: usize) -> Vec<RelayFrame> {
        let mut written = Vec::new();
        let Some(relay) = &mut self.relay else { return written };
        while relay.next_frame_len().is_some_and(|length| draft.packet_len() + length <= size) {
            let Some(frame) = relay.poll_frame() else { break };
            append(draft, size, &Frame::Relay(frame.clone()));
            written.push(frame);
        }
        written
    }
}
