//! Bounds of both cores, from `[limits]`.

use super::Protocols;
use crate::carrier::{self, ibb};
use crate::config::Limits;
use crate::protocol::AccountId;
use crate::{classic, secure};

impl Protocols {
    /// For a client: nobody is let in.
    pub fn of_client(limits: &Limits) -> Self {
        Self {
            classic: classic(limits, &[]),
            secure: secure(limits),
            service: None,
            files: None,
            relays: None,
        }
    }
}

/// The bounds of the classic core, for connects at `accept_on`.
pub fn classic(limits: &Limits, accept_on: &[AccountId]) -> classic::Config {
    classic::Config {
        accept_on: accept_on.to_vec(),
        max_streams: limits.max_streams,
        max_streams_per_peer: limits.max_streams_per_peer,
        max_half_open: limits.max_half_open,
        send_buffer: limits.send_buffer,
        receive_buffer: limits.receive_buffer,
        connect_timeout: limits.connect_timeout,
        silence_timeout: limits.silence_timeout,
        sizes: &carrier::classic::SIZES,
    }
}

/// The bounds of the secure core.
pub fn secure(limits: &Limits) -> secure::Config {
    secure::Config {
        max_streams: limits.max_streams,
        max_streams_per_session: limits.max_streams_per_session,
        max_sessions: limits.max_sessions,
        max_half_open_sessions: limits.max_half_open_sessions,
        handshakes_per_minute_per_jid: limits.handshakes_per_minute_per_jid,
        handshakes_per_minute: limits.handshakes_per_minute,
        // One stream that its application does not read must not stop all others of its session.
        queue_per_stream: limits.queue_per_stream.min(limits.queue_per_session / 2),
        queue_per_session: limits.queue_per_session,
        queue_total: limits.queue_total,
        reorder_window: limits.reorder_window,
        connect_timeout: limits.connect_timeout,
        session_timeout: limits.session_timeout,
        lanes: secure::Lanes::default(),
        sizes: &ibb::SIZES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_keeps_half_of_what_its_session_may_and_no_more() {
        for (per_stream, expected) in [(65_536, 65_536), (1 << 20, 131_072)] {
            let limits =
                Limits { queue_per_stream: per_stream, queue_per_session: 262_144, ..Limits::default() };
            assert_eq!(secure(&limits).queue_per_stream, expected);
        }
    }
}
