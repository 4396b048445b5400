//! Overdue bytes: time counts against a peer that does not send what it owes, since that keeps what it has sent in memory.
//!
//! Packets get lost, and what was in them comes again once a path works and the peer knows of the loss, after some ten seconds
//! at most. While nothing comes at all, nobody is to blame. So time goes by from one packet to the next only, and a long
//! pause counts as a short one: only a peer that goes on sending other things runs out of it.

use std::time::Duration;

use crate::secure::streams::stream::Stream;
use crate::secure::tuning::{OVERDUE, OVERDUE_LOOK, OVERDUE_PAUSE};

/// A clock that goes only while the peer is heard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PeerClock {
    time: Duration,
    next_look: Duration,
}

impl PeerClock {
    /// A packet has come, this long after the one before. What the clock shows, when it is time to look at the streams.
    pub(crate) fn on_packet(&mut self, pause: Duration) -> Option<Duration> {
        self.time += pause.min(OVERDUE_PAUSE);
        let is_time = self.time >= self.next_look;
        if is_time {
            self.next_look = self.time + OVERDUE_LOOK;
        }
        is_time.then_some(self.time)
    }
}

/// Looks at a stream while the clock shows `time`, and says whether the peer has owed the same thing for too long.
pub(crate) fn is_overdue(stream: &mut Stream, time: Duration) -> bool {
    let Some(missing) = stream.missing() else { return false };
    match stream.owed {
        Some((owed, since)) if owed == missing => time.saturating_sub(since) >= OVERDUE,
        _ => {
            stream.owed = Some((missing, time));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const SECOND: Duration = Duration::from_secs(1);

    fn stream() -> Stream {
        Stream::new(1000, 1000, 1000)
    }

    fn send(stream: &mut Stream, offset: u64) {
        stream.on_data(offset, Bytes::from_static(b"x"), false).unwrap();
    }

    #[test]
    fn an_outage_counts_as_a_short_pause() {
        let mut clock = PeerClock::default();
        assert_eq!(clock.on_packet(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(clock.on_packet(600 * SECOND), Some(OVERDUE_PAUSE));
    }

    #[test]
    fn streams_are_looked_at_once_a_second_however_many_packets_come() {
        let mut clock = PeerClock::default();
        let looks = (0..5000).filter(|_| clock.on_packet(SECOND / 1000).is_some()).count();
        assert_eq!(looks, 5);
    }

    #[test]
    fn a_byte_that_never_comes_is_overdue_and_one_that_comes_late_is_not() {
        let mut gap = stream();
        gap.known = true;
        send(&mut gap, 1);
        assert!(!is_overdue(&mut gap, SECOND));
        assert!(!is_overdue(&mut gap, SECOND + OVERDUE - SECOND));
        assert!(is_overdue(&mut gap, SECOND + OVERDUE));
        send(&mut gap, 3);
        send(&mut gap, 0);
        assert!(!is_overdue(&mut gap, SECOND + OVERDUE), "the stream has gone on, and this is another gap");
    }

    #[test]
    fn a_stream_that_is_never_opened_is_overdue_whatever_else_comes_of_it() {
        let mut stream = stream();
        for second in 0..30 {
            send(&mut stream, second);
            assert!(!is_overdue(&mut stream, second as u32 * SECOND));
        }
        assert!(is_overdue(&mut stream, OVERDUE));
    }
}
