//! Pacer: blocks of a far path spread over its round trip (RFC 9002 section 7.7).
//!
//! Answers that come together would make the next blocks go together, too, and the next answers come together again: each round trip a
//! burst, that waits at the server, and then nothing. A path that is near has no need of this: what it has on its way is little.

use std::time::{Duration, Instant};

use crate::secure::tuning::{PACER_BURST, PACER_BURST_BYTES, PACER_PAUSE};

/// When the next block may go, as far as the pace is concerned.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    /// When everything that was sent so far would have gone at the pace.
    due: Option<Instant>,
    /// Nothing goes before then.
    pause: Option<Instant>,
}

impl Pacer {
    /// So many bytes went, on a path that may send `pace` of them in a second.
    pub(super) fn on_sent(&mut self, now: Instant, bytes: usize, pace: f64) {
        let time = |bytes: usize| Duration::from_secs_f64(bytes as f64 / pace);
        let due = self.due.map_or(now, |due| due.max(now)) + time(bytes);
        self.due = Some(due);
        let burst = PACER_BURST.max(time(PACER_BURST_BYTES));
        if due > now + burst {
            self.pause = Some(due - burst + PACER_PAUSE);
        }
    }

    /// Whether it is too early for the next block.
    pub(super) fn is_pausing(&self) -> bool {
        self.pause.is_some()
    }

    /// When [`handle_timeout`](Self::handle_timeout) ends the pause.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.pause
    }

    /// Ends a pause that is over.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.pause = self.pause.filter(|until| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second's bytes take a second.
    const PACE: f64 = 1_000_000.0;

    /// Sends blocks of 10,000 bytes for a second, each as soon as it may go; how many bytes that were, and the most of them within 10 ms.
    fn send_for_a_second(pacer: &mut Pacer, start: Instant) -> (usize, usize) {
        let (mut sent, mut most) = (Vec::new(), 0);
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            pacer.handle_timeout(now);
            while !pacer.is_pausing() {
                pacer.on_sent(now, 10_000, PACE);
                sent.push(ms);
            }
            most = most.max(sent.iter().filter(|at| **at + 10 > ms).count());
        }
        (10_000 * sent.len(), 10_000 * most)
    }

    #[test]
    fn what_is_always_there_to_send_goes_at_the_pace() {
        let (mut pacer, start) = (Pacer::default(), Instant::now());
        let (bytes, most) = send_for_a_second(&mut pacer, start);
        assert!((980_000..=1_050_000).contains(&bytes), "{bytes}");
        assert!(most <= 40_000, "{most}");
    }

    #[test]
    fn time_in_which_nothing_was_sent_gives_no_larger_burst() {
        let (mut pacer, start) = (Pacer::default(), Instant::now());
        pacer.on_sent(start, 1000, PACE);
        let (bytes, most) = send_for_a_second(&mut pacer, start + Duration::from_secs(60));
        assert!(bytes <= 1_050_000 && most <= 40_000, "{bytes} {most}");
    }

    #[test]
    fn a_few_small_blocks_never_wait() {
        let (mut pacer, now) = (Pacer::default(), Instant::now());
        (0..10).for_each(|_| pacer.on_sent(now, 1000, PACE / 1000.0));
        assert!(!pacer.is_pausing());
    }
}
