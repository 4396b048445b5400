//! Congestion window of a path: how much may be on its way at once, and in blocks of which size.
//!
//! Chat servers give no back-pressure: what is sent too fast piles up inside them, and everything urgent waits behind it.
//! So the window is no larger than what keeps the path busy: the rate that was reached, times the delay of the empty path
//! and a little more. The little more also shows when the path has become faster. Before the rate is known the
//! window opens by slow start ([`slow_start`]).

mod block_size;
mod breaks;
mod jitter;
mod opening;
mod rate;
mod slow_start;
mod sparing;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use block_size::{BlockSize, Sample};
use breaks::Break;
use jitter::Jitter;
pub(crate) use rate::LastingRate;
use rate::PeakRate;
use slow_start::{Reopening, SlowStart};
use sparing::Sparing;

use crate::protocol::base_delay::BaseDelay;
use crate::protocol::round_trip::RoundTrip;
use crate::secure::sizes::Sizes;
use crate::secure::tuning::{
    BASE_DELAY_LIFETIME, DELAYS_BEFORE_A_TRIAL, INITIAL_WINDOW, LARGE_SEND_BUFFER, LARGEST_MARGIN,
    LARGEST_WINDOW, LATE, MOST_BLOCKS, NEAR, PACE, PACE_IN_SLOW_START, QUEUE, SEND_BUFFER_TIME,
};

/// What keeps a path busy that takes `delay` there and back, and a little more.
pub(crate) fn pipe(rate: f64, delay: Duration) -> usize {
    let delay = delay + (delay / 4).min(LARGEST_MARGIN) + QUEUE;
    ((rate * delay.as_secs_f64()) as usize).min(LARGEST_WINDOW)
}

/// The most that was on its way within a round trip, in bytes on the wire: what the window has been used for.
#[derive(Debug, Default)]
struct MostInFlight {
    /// What is sent from then on belongs to the next round trip.
    since: Option<Instant>,
    /// In this round trip.
    now: usize,
    /// In the one before.
    before: usize,
}

impl MostInFlight {
    /// So much is on its way when a block is answered that was sent at `sent`.
    fn on_answered(&mut self, now: Instant, sent: Instant, in_flight: usize) {
        if sent >= *self.since.get_or_insert(now) {
            *self = Self { since: Some(now), now: 0, before: self.now };
        }
        self.now = self.now.max(in_flight);
    }

    fn get(&self) -> usize {
        self.now.max(self.before)
    }
}

/// The send window of one path, in bytes on the wire.
#[derive(Debug)]
pub(crate) struct Window {
    in_flight: usize,
    most_in_flight: MostInFlight,
    blocks: usize,
    limit: usize,
    /// None once a queue has shown that the window is large enough.
    slow_start: Option<SlowStart>,
    reopening: Reopening,
    /// How far it opens when it opens again, since it was found too large, in bytes on the wire.
    ceiling: Option<usize>,
    /// The queue is to be seen empty once.
    current_break: Option<Break>,
    last_break: Option<Instant>,
    takes_breaks: bool,
    /// How many blocks may be on their way.
    most_blocks: usize,
    sparing: Sparing,
    base: BaseDelay,
    /// The least delay that was ever seen.
    distance: Option<Duration>,
    jitter: Jitter,
    /// What the carrier may hold something back for without a queue.
    held_back: Duration,
    round_trip: RoundTrip,
    peak: PeakRate,
    lasting: LastingRate,
    size: BlockSize,
    /// When the path was what held up the sender last: an idle one proves nothing by prompt answers.
    filled: Option<Instant>,
    last_answer: Option<Instant>,
}

impl Window {
    pub(crate) fn new(sizes: &'static Sizes) -> Self {
        Self {
            in_flight: 0,
            most_in_flight: MostInFlight::default(),
            blocks: 0,
            limit: INITIAL_WINDOW,
            slow_start: Some(SlowStart::default()),
            reopening: Reopening::default(),
            ceiling: None,
            current_break: None,
            last_break: None,
            takes_breaks: true,
            most_blocks: MOST_BLOCKS,
            sparing: Sparing::default(),
            base: BaseDelay::new(BASE_DELAY_LIFETIME),
            distance: None,
            jitter: Jitter::default(),
            held_back: Duration::ZERO,
            round_trip: RoundTrip::default(),
            peak: PeakRate::default(),
            lasting: LastingRate::default(),
            size: BlockSize::new(sizes),
            filled: None,
            last_answer: None,
        }
    }

    /// For the blocks of many paths, some of which are far away: for a break everybody would have to wait for those. Only
    /// the delay of the empty path is looked at anew, now and then.
    pub(crate) fn without_breaks(sizes: &'static Sizes) -> Self {
        Self { takes_breaks: false, most_blocks: usize::MAX, ..Self::new(sizes) }
    }

    /// From now on the carrier may hold something back for so long. That is no queue, and the window leaves room for it.
    pub(crate) fn expect_held_back(&mut self, longest: Duration) {
        self.held_back = longest;
    }

    /// What the carrier says of sizes.
    pub(crate) fn sizes(&self) -> &'static Sizes {
        self.size.sizes()
    }

    fn wire_size(&self, block: usize) -> usize {
        self.sizes().wire_size(block)
    }

    /// The size of the block that may be sent now; 0 while there is no room for one.
    pub(crate) fn room(&self) -> usize {
        if self.is_full() { 0 } else { self.block_size() }
    }

    /// In bytes.
    pub(crate) fn block_size(&self) -> usize {
        self.size.get()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// What the path takes there and back while nothing is queued.
    pub(crate) fn base_delay(&self) -> Option<Duration> {
        self.base.get()
    }

    /// The least that it has ever taken there and back. A server that pauses between its reads is never seen without a queue while there is
    /// much to send, so that [`base_delay`](Self::base_delay) becomes such a pause.
    pub(crate) fn distance(&self) -> Option<Duration> {
        self.distance
    }

    /// One block at a time is to be on its way from now on, where that keeps the path busy; or that does not matter any more.
    pub(crate) fn set_sparing(&mut self, is_sparing: bool) {
        self.sparing.set_wanted(is_sparing);
    }

    /// Whether the way to the server takes less than half as long as it takes for a block at this rate.
    fn is_near_beside_a_block(&self, rate: f64) -> bool {
        let block = Duration::from_secs_f64(self.wire_size(self.block_size()) as f64 / rate.max(1.0));
        self.distance.is_some_and(|distance| 2 * distance <= block)
    }

    /// What it took lately.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.smoothed()
    }

    /// How long an answer may take before it is missed.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.round_trip.timeout()
    }

    /// What the path carries in the long run, in bytes on the wire a second.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.lasting.get()
    }

    /// The same, none while the window still opens: what it lets through until then is not all that the path can do.
    pub(crate) fn settled_rate(&self) -> Option<f64> {
        self.rate().filter(|_| self.slow_start.is_none())
    }

    /// How many bytes on the wire may go in a second while there is room for them; none where they may go at once, since the path is near.
    ///
    /// What is spread over a round trip is the window. Where that is not what holds up the sender, but its peer's credit or its own
    /// buffers, it is what has been on its way, or the same burst would go round for ever. Then it may be twice what was on its way, so that
    /// the pace does not hold up a sender that has more for longer than a few round trips.
    pub(crate) fn pace(&self, now: Instant) -> Option<f64> {
        let round_trip = self.round_trip().filter(|_| self.base.get().is_some_and(|base| base > NEAR))?;
        let was_filled = self.filled.is_some_and(|filled| filled + round_trip >= now);
        let gain = if was_filled && self.slow_start.is_some() { PACE_IN_SLOW_START } else { PACE };
        let most = self.most_in_flight.get();
        let is_bulk = most >= self.limit / 4;
        let limit = self.limit.max(self.two_blocks());
        let spread = if is_bulk && !was_filled { (2 * most).min(limit) } else { limit };
        Some(gain * spread as f64 / round_trip.as_secs_f64())
    }

    /// How much a sender should have at hand to keep the path busy, in bytes: what the path carries in [`SEND_BUFFER_TIME`], and four
    /// windows at least, but at most [`LARGE_SEND_BUFFER`] unless two windows are more.
    pub(crate) fn send_buffer_target(&self) -> usize {
        let carried = self.rate().map_or(0.0, |rate| rate * SEND_BUFFER_TIME.as_secs_f64());
        (carried as usize).max(4 * self.limit).min(LARGE_SEND_BUFFER).max(2 * self.limit)
    }

    fn is_full(&self) -> bool {
        !self.admits(self.wire_size(self.block_size()), self.limit)
    }

    /// Whether `packet` more bytes on the wire may go while no more than `limit` may be on their way. One block is at the
    /// server and the next on its way to it, or else as many as fit; or one alone, while the window is used sparingly.
    pub(crate) fn admits(&self, packet: usize, limit: usize) -> bool {
        let limit = limit.saturating_sub(self.current_break.map_or(0, |current| current.less));
        if self.sparing.is_on() {
            return self.blocks == 0;
        }
        let floor = if limit == 0 { 1 } else { 2 };
        self.blocks < floor || self.in_flight + packet <= limit && self.blocks < self.most_blocks
    }

    pub(crate) fn on_sent(&mut self, now: Instant, bytes: usize) {
        self.in_flight += self.wire_size(bytes);
        self.blocks += 1;
        if self.is_full() {
            self.filled = Some(now);
        }
    }

    /// More will be sent only when some of what is on its way has arrived, though the window may have room.
    pub(crate) fn on_backed_up(&mut self, now: Instant) {
        self.filled = Some(now);
    }

    /// The delay of something that is no block.
    pub(crate) fn on_delay(&mut self, now: Instant, delay: Duration) {
        self.note_delay(now, delay);
    }

    /// A block was answered, and nobody knows how long that took.
    pub(crate) fn on_answered_late(&mut self, now: Instant, bytes: usize) {
        self.release(bytes);
        self.last_answer = Some(now);
    }

    /// A block that was sent at `sent` has been answered.
    pub(crate) fn on_answered(&mut self, now: Instant, sent: Instant, bytes: usize) {
        let delay = now.saturating_duration_since(sent);
        if self.in_flight > self.limit {
            self.filled = Some(now);
        }
        self.most_in_flight.on_answered(now, sent, self.in_flight);
        self.open_slowly(now, sent, bytes);
        self.current_break = self.current_break.filter(|current| sent < current.since);
        if self.current_break.is_none() {
            self.jitter.on_break_over(now);
        }
        if self.jitter.on_answered(sent, self.wait(delay)) {
            self.resume_slow_start();
        }
        let is_stale = self.note_delay(now, delay);
        if is_stale {
            // What the empty path takes shows only when it is empty.
            self.take_break(now, usize::MAX);
        } else if self.poll_break_due(now, self.sizes().break_interval) {
            self.take_due_break(now);
        }
        self.release(bytes);
        // Answers come in order, so before `sent` nothing was on its way that `last_answer` does not count.
        let busy = now.saturating_duration_since(self.last_answer.map_or(sent, |last| last.max(sent)));
        self.last_answer = Some(now);
        if self.was_filled_since(sent) {
            self.measure(now, sent, busy, bytes);
        }
    }

    /// Nobody waits for the answer to a block any more.
    pub(crate) fn on_forgotten(&mut self, bytes: usize) {
        self.release(bytes);
    }

    fn release(&mut self, bytes: usize) {
        self.in_flight = self.in_flight.saturating_sub(self.wire_size(bytes));
        self.blocks = self.blocks.saturating_sub(1);
    }

    /// True when the queue should be seen empty again.
    fn note_delay(&mut self, now: Instant, delay: Duration) -> bool {
        self.round_trip.update(delay);
        self.distance = Some(self.distance.map_or(delay, |least| least.min(delay)));
        self.base.update(now, delay)
    }

    /// Learns from a block that was sent while there was always something on the way.
    fn measure(&mut self, now: Instant, sent: Instant, busy: Duration, bytes: usize) {
        let (round_trip, on_wire) = (self.round_trip().unwrap_or_default(), self.wire_size(bytes));
        if self.slow_start.is_none() {
            let queued = self.queued(now.saturating_duration_since(sent));
            let block = self.wire_size(self.block_size()) as f64;
            let tolerance = |rate| 2 * LATE + Duration::from_secs_f64(2.0 * block / rate);
            self.peak.update((busy, on_wire), round_trip, queued, tolerance);
            if let Some(rate) = self.peak.get() {
                self.limit = self.limit_at(rate);
            }
        } else if self.is_used() {
            // It is still becoming faster.
            return;
        }
        self.lasting.update(busy, on_wire);
        if let Some(rate) = self.lasting.get() {
            let is_near = self.is_near_beside_a_block(rate);
            self.sparing.on_rate(now, rate, is_near);
            let before = self.block_size();
            let window = self.limit;
            self.size.on_answered(&Sample { now, sent, busy, bytes, round_trip, rate, window });
            // Sizes are compared from the same start.
            if self.block_size() != before && self.poll_break_due(now, |delay| DELAYS_BEFORE_A_TRIAL * delay)
            {
                self.take_due_break(now);
            }
        }
    }

    /// Whether the path has been what held up the sender since then.
    fn was_filled_since(&self, sent: Instant) -> bool {
        self.filled.is_some_and(|filled| filled >= sent)
    }

    /// How long something waits that takes `delay` there and back.
    fn wait(&self, delay: Duration) -> Duration {
        delay.saturating_sub(self.base.get().unwrap_or_default())
    }

    /// How much of that is a queue.
    fn queued(&self, delay: Duration) -> Duration {
        self.wait(delay).saturating_sub(self.jitter())
    }

    /// What something may wait without a queue.
    fn jitter(&self) -> Duration {
        self.jitter.get().max(self.held_back)
    }

    /// The least that is on the way while there is something to send: one block is at the server and the next on its way to it.
    fn two_blocks(&self) -> usize {
        2 * self.wire_size(self.block_size())
    }

    /// Whether the window is what holds up the sender, and not something else. Answers come many at a time: what is on its way while they
    /// are looked at says nothing.
    fn is_used(&self) -> bool {
        self.most_in_flight.get() >= self.limit / 2
    }

    fn limit_at(&self, rate: f64) -> usize {
        let unqueued = self.base.get().unwrap_or_default() + self.jitter();
        pipe(rate, unqueued) + self.wire_size(self.block_size())
    }
}
