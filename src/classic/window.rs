//! Congestion window of an account: how much may be on its way at once.
//!
//! Chat servers give no back-pressure: what is sent too fast piles up inside them, or in the kernel's
//! socket buffer in front of a shaper, and every later stanza waits behind it. So the window follows
//! the delay, not loss: it grows while answers come back promptly and shrinks when they take
//! [`TARGET_DELAY`] longer than the fastest one seen lately.

use std::time::{Duration, Instant};

use crate::classic::api::Sizes;
use crate::protocol::base_delay::BaseDelay;

/// The data of a packet while the window is not wide: 4 KiB. Windows are measured in such packets.
pub(super) const CHUNK: usize = 4096;
/// What a packet weighs beyond its data: 512 bytes, roughly.
const PACKET_OVERHEAD: usize = 512;
const FULL_PACKET: usize = CHUNK + PACKET_OVERHEAD;

/// Two full packets: one at the server, the next on its way to it.
const MIN_LIMIT: usize = 2 * FULL_PACKET;
const INITIAL_LIMIT: usize = 4 * FULL_PACKET;
const MAX_LIMIT: usize = 40 * FULL_PACKET;
/// A window of 12 full packets is wide: behind a shaper none opens so far.
const WIDE_LIMIT: usize = 12 * FULL_PACKET;

/// The window shrinks when answers wait in a queue for longer than 300 ms.
const TARGET_DELAY: Duration = Duration::from_millis(300);
/// The fastest answer counts for 60 seconds as what the connection takes without a queue.
const BASE_LIFETIME: Duration = Duration::from_secs(60);

/// The send window of one account. Sizes are in bytes of data plus an allowance a packet.
#[derive(Debug)]
pub(super) struct Window {
    sizes: &'static Sizes,
    in_flight: usize,
    limit: usize,
    /// Until the first sign of a queue the limit doubles every round trip.
    slow_start: bool,
    base: BaseDelay,
    /// When the window was last used to the full: an idle sender proves nothing by prompt answers.
    filled: Option<Instant>,
    /// Answers to what was sent before the last cut tell nothing about its effect.
    last_cut: Option<Instant>,
    /// When a break began last, or the window became wide.
    last_break: Option<Instant>,
    /// Nothing may be sent before all that is on its way was answered.
    in_break: bool,
}

/// What one packet with `data_length` bytes of data takes up in a window.
pub(super) fn cost(data_length: usize) -> usize {
    data_length + PACKET_OVERHEAD
}

/// How much data a packet has that takes up so much; none for what is no packet, or takes up nothing any more.
pub(super) fn data_length(cost: usize) -> Option<usize> {
    cost.checked_sub(PACKET_OVERHEAD)
}

impl Window {
    pub(super) fn new(sizes: &'static Sizes) -> Self {
        Self {
            sizes,
            in_flight: 0,
            limit: INITIAL_LIMIT,
            slow_start: true,
            base: BaseDelay::new(BASE_LIFETIME),
            filled: None,
            last_cut: None,
            last_break: None,
            in_break: false,
        }
    }

    /// Whether another packet may be sent. One that overshoots the limit a little is let through, so
    /// that a small remainder never blocks.
    pub(super) fn has_room(&self) -> bool {
        !self.in_break && self.in_flight < self.limit
    }

    /// How much data the next packet should carry while `waiting` bytes wait. Where so much is on its way that a large packet
    /// delays nobody it is one of the carrier's sizes; none when less waits than any of those, which should wait for more,
    /// unless no answer is to come.
    ///
    /// It is never more than `most`.
    pub(super) fn chunk(&self, waiting: usize, most: usize) -> Option<usize> {
        let mut chunks = self.sizes.chunks.iter().rev().copied().filter(|chunk| *chunk <= most).peekable();
        if !self.is_wide() || chunks.peek().is_none() {
            return Some(most.min(CHUNK));
        }
        chunks.find(|chunk| *chunk <= waiting)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn on_sent(&mut self, now: Instant, cost: usize) {
        self.in_flight += cost;
        if !self.has_room() {
            self.filled = Some(now);
        }
    }

    /// A packet will not be answered, or nobody waits for it any more.
    pub(super) fn on_forgotten(&mut self, cost: usize) {
        self.in_flight = self.in_flight.saturating_sub(cost);
        self.in_break &= self.in_flight > 0;
    }

    /// A packet that was sent at `sent` has been answered.
    pub(super) fn on_answered(&mut self, now: Instant, sent: Instant, cost: usize) {
        let was_full = self.filled.is_some_and(|filled| filled >= sent);
        self.on_forgotten(cost);
        let delay = now.saturating_duration_since(sent);
        self.base.update(now, delay);
        let base = self.base.get().unwrap_or(delay);
        let queued = delay.saturating_sub(base);
        if queued > TARGET_DELAY {
            self.cut(now, sent);
        } else if was_full {
            self.grow(cost);
        }
        self.take_break(now, base);
    }

    fn is_wide(&self) -> bool {
        self.limit >= WIDE_LIMIT
    }

    /// A wide window is let run empty now and then.
    fn take_break(&mut self, now: Instant, base: Duration) {
        if !self.is_wide() {
            self.last_break = None;
            return;
        }
        let since = now.saturating_duration_since(*self.last_break.get_or_insert(now));
        if since >= (self.sizes.break_interval)(base) {
            self.last_break = Some(now);
            self.in_break = self.in_flight > 0;
        }
    }

    fn cut(&mut self, now: Instant, sent: Instant) {
        if self.last_cut.is_some_and(|cut| sent < cut) {
            return;
        }
        self.slow_start = false;
        self.last_cut = Some(now);
        self.limit = (self.limit / 2).max(MIN_LIMIT);
    }

    fn grow(&mut self, cost: usize) {
        let step = if self.slow_start { cost } else { cost * FULL_PACKET / self.limit };
        self.limit = (self.limit + step).min(MAX_LIMIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SIZES: Sizes = Sizes {
        chunks: &[2304, 5376, 8448, 11_520],
        ladder: &[2304, 5376, 8448, 11_520],
        on_wire: |data| data,
        break_interval: |delay| Duration::from_secs(1).max(200 * delay),
    };

    /// Keeps the window full for `rounds` round trips, each answered after `delay(in flight)`.
    fn run(window: &mut Window, start: Instant, rounds: usize, delay: impl Fn(usize) -> Duration) -> Instant {
        let mut now = start;
        for _ in 0..rounds {
            let sent = now;
            let mut packets = 0;
            while window.has_room() {
                window.on_sent(now, FULL_PACKET);
                packets += 1;
            }
            now += delay(window.in_flight());
            for _ in 0..packets {
                window.on_answered(now, sent, FULL_PACKET);
            }
        }
        now
    }

    #[test]
    fn it_opens_wide_while_answers_come_promptly() {
        let mut window = Window::new(&SIZES);
        run(&mut window, Instant::now(), 20, |_| Duration::from_millis(20));
        assert_eq!(window.limit, MAX_LIMIT);
    }

    #[test]
    fn now_and_then_a_wide_one_runs_empty_and_a_narrow_one_never_does() {
        let breaks = |delay: Duration| {
            let (mut window, mut now, mut breaks) = (Window::new(&SIZES), Instant::now(), 0);
            let end = now + Duration::from_secs(10);
            let mut flying = std::collections::VecDeque::new();
            while now < end {
                while window.has_room() {
                    window.on_sent(now, FULL_PACKET);
                    flying.push_back(now);
                }
                now += delay;
                window.on_answered(now, flying.pop_front().unwrap(), FULL_PACKET);
                breaks += usize::from(flying.is_empty());
            }
            breaks
        };
        assert!((8..=10).contains(&breaks(Duration::from_millis(1))));
        assert_eq!(breaks(Duration::from_millis(400)), 0);
    }

    #[test]
    fn behind_a_shaper_it_closes_to_two_packets_and_no_further() {
        let mut window = Window::new(&SIZES);
        let ten_kilobytes_a_second = |in_flight: usize| Duration::from_micros(in_flight as u64 * 100);
        run(&mut window, Instant::now(), 50, ten_kilobytes_a_second);
        assert!(window.limit <= INITIAL_LIMIT, "{}", window.limit);
        assert!(window.limit >= MIN_LIMIT);
    }

    #[test]
    fn an_idle_sender_does_not_open_it() {
        let mut window = Window::new(&SIZES);
        let now = Instant::now();
        for _ in 0..100 {
            window.on_sent(now, cost(10));
            window.on_answered(now, now, cost(10));
        }
        assert_eq!((window.limit, window.in_flight), (INITIAL_LIMIT, 0));
    }

    #[test]
    fn a_longer_delay_stops_counting_as_a_queue_after_two_minutes() {
        let mut window = Window::new(&SIZES);
        let now = run(&mut window, Instant::now(), 5, |_| Duration::from_millis(10));
        let now = run(&mut window, now, 200, |_| Duration::from_secs(1));
        run(&mut window, now, 20, |_| Duration::from_secs(1));
        assert!(window.limit > INITIAL_LIMIT);
    }
}
