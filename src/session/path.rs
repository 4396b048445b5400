//! One path: an In-Band Bytestream between an account of ours and one of the peer's.
//!
//! The answers to our IQs are its clock. They say nothing of what the peer has understood.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::bytestream::{Bytestream, Gap, State};
use super::iq::Iq;
use super::window::Window;
use crate::protocol::AccountId;

/// A path is dead when something was not answered for this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is on a path need not be waited for when an answer takes so much longer than others lately, ...
const STALL_FACTOR: u32 = 4;
/// ... and at least so long.
const STALL: Duration = Duration::from_secs(3);

/// What the delay of a path is taken for before there was any answer.
const UNKNOWN_DELAY: Duration = Duration::from_millis(50);

/// Names a path in one endpoint. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PathId(pub(super) u64);

/// The state of one path.
#[derive(Debug)]
pub(super) struct Path {
    via: AccountId,
    bytestream: Bytestream,
    window: Window,
    /// What was not answered yet, in the order of sending.
    outstanding: VecDeque<Sent>,
    /// The block that went although the window was full.
    express: Option<Iq>,
    /// Our account has been offline since then, and the clock stands still.
    suspended: Option<Instant>,
    has_stalled: bool,
}

/// An IQ of ours.
#[derive(Clone, Copy, Debug)]
struct Sent {
    iq: Iq,
    /// The block in it; none in an `open`.
    block: Option<usize>,
    at: Instant,
    /// It was on its way while our account was offline, so that its answer tells no delay.
    interrupted: bool,
}

impl Path {
    /// A path that is still to be opened.
    pub(super) fn new(via: AccountId) -> Self {
        Self {
            via,
            bytestream: Bytestream::opening(),
            window: Window::new(),
            outstanding: VecDeque::new(),
            express: None,
            suspended: None,
            has_stalled: false,
        }
    }

    /// Our account.
    pub(super) fn via(&self) -> AccountId {
        self.via
    }

    /// Our `open` was sent.
    pub(super) fn on_open_sent(&mut self, now: Instant, iq: Iq) {
        self.push(now, iq, None);
    }

    /// Packets may go.
    pub(super) fn on_opened(&mut self) {
        self.bytestream.on_opened();
    }

    /// The size of the block that may go now, before base64; 0 while none may.
    pub(super) fn room(&self) -> usize {
        if self.is_usable() { self.window.room() } else { 0 }
    }

    /// Whether there is a point in waiting for room.
    pub(super) fn is_usable(&self) -> bool {
        self.bytestream.state() == State::Open && self.suspended.is_none() && !self.has_stalled
    }

    /// A block goes, and gets this number.
    pub(super) fn on_sent(&mut self, now: Instant, iq: Iq, bytes: usize) -> u16 {
        self.window.on_sent(now, bytes);
        self.push(now, iq, Some(bytes));
        self.bytestream.next_seq()
    }

    /// The block that was sent last did so although the window was full.
    pub(super) fn note_express(&mut self) {
        self.express = self.outstanding.back().map(|sent| sent.iq);
    }

    /// Whether such a block is on its way.
    pub(super) fn has_express(&self) -> bool {
        self.express.is_some()
    }

    /// More will be sent only when some of what is on its way has arrived, though there may be room.
    pub(super) fn note_backed_up(&mut self, now: Instant) {
        self.window.on_backed_up(now);
    }

    fn push(&mut self, now: Instant, iq: Iq, block: Option<usize>) {
        let interrupted = self.suspended.is_some();
        self.outstanding.push_back(Sent { iq, block, at: now, interrupted });
    }

    /// The peer has answered an IQ of ours.
    pub(super) fn on_result(&mut self, now: Instant, iq: Iq) {
        let Some(place) = self.outstanding.iter().position(|sent| sent.iq == iq) else { return };
        let Some(sent) = self.outstanding.remove(place) else { return };
        self.has_stalled = false;
        self.express = self.express.filter(|express| *express != iq);
        match sent.block {
            Some(bytes) if sent.interrupted => self.window.on_answered_late(now, bytes),
            Some(bytes) => self.window.on_answered(now, sent.at, bytes),
            None if sent.interrupted => {}
            None => self.window.on_delay(now, now.saturating_duration_since(sent.at)),
        }
    }

    /// A block of the peer's came.
    ///
    /// # Errors
    ///
    /// It is not the next one: the path is dead.
    pub(super) fn on_block(&mut self, seq: u16) -> Result<(), Gap> {
        self.bytestream.on_block(seq)
    }

    /// The IQs that were not answered yet.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = Iq> + '_ {
        self.outstanding.iter().map(|sent| sent.iq)
    }

    /// Our account is offline. What is on its way may still arrive.
    pub(super) fn suspend(&mut self, now: Instant) {
        self.suspended.get_or_insert(now);
        for sent in &mut self.outstanding {
            sent.interrupted = true;
        }
    }

    /// Our account is back, and nothing was lost.
    pub(super) fn resume(&mut self, now: Instant) {
        let Some(since) = self.suspended.take() else { return };
        let pause = now.saturating_duration_since(since);
        for sent in &mut self.outstanding {
            sent.at += pause;
        }
        self.has_stalled = false;
    }

    /// Whether the peer left something unanswered for too long.
    pub(super) fn is_dead(&self, now: Instant) -> bool {
        self.death().is_some_and(|at| at <= now)
    }

    /// True once for each time that answers, or our account, stay away for so long that what is on its way should go
    /// by another path as well. Until there is an answer nothing more goes by this one.
    pub(super) fn has_stalled(&mut self, now: Instant) -> bool {
        let stalls = self.stall().is_some_and(|at| at <= now);
        self.has_stalled |= stalls;
        stalls
    }

    /// When to look at [`is_dead`](Self::is_dead) and [`has_stalled`](Self::has_stalled) again.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        [self.stall(), self.death()].into_iter().flatten().min()
    }

    fn death(&self) -> Option<Instant> {
        let oldest = self.outstanding.front().filter(|_| self.suspended.is_none())?;
        Some(oldest.at + PATIENCE)
    }

    fn stall(&self) -> Option<Instant> {
        if self.has_stalled {
            return None;
        }
        let patience = STALL.max(STALL_FACTOR * self.window.round_trip().unwrap_or_default());
        let oldest = self.outstanding.front()?.at;
        Some(self.suspended.map_or(oldest, |since| since.max(oldest)) + patience.min(PATIENCE))
    }

    /// What is on its way, in bytes on the wire.
    pub(super) fn in_flight(&self) -> usize {
        self.window.in_flight()
    }

    /// The size of blocks, before base64.
    pub(super) fn block_size(&self) -> usize {
        self.window.block_size()
    }

    /// What the path carries, in bytes on the wire a second. An estimate from its window as long as it was never busy.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        self.window.rate().unwrap_or_else(|| {
            let delay = self.window.round_trip().unwrap_or(UNKNOWN_DELAY).max(self.age(now));
            self.window.limit() as f64 / delay.max(Duration::from_millis(1)).as_secs_f64()
        })
    }

    /// How much a sender should have at hand to keep the path busy, in bytes.
    pub(super) fn appetite(&self) -> usize {
        self.window.appetite()
    }

    /// How long something takes by this path while nothing is on it, beyond what its rate makes of it.
    pub(super) fn latency(&self, now: Instant) -> Duration {
        let lateness = self.age(now).saturating_sub(self.window.round_trip().unwrap_or(UNKNOWN_DELAY));
        self.window.base_delay().unwrap_or(UNKNOWN_DELAY) / 2 + lateness
    }

    /// How long the first thing on its way has been so.
    fn age(&self, now: Instant) -> Duration {
        self.outstanding.front().map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent.at))
    }
}

/// How long so many bytes take.
pub(super) fn transfer(bytes: usize, rate: f64) -> Duration {
    /// Longer than anything is waited for.
    const FOREVER: f64 = 3600.0;
    Duration::from_secs_f64((bytes as f64 / rate.max(1.0)).min(FOREVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn path(now: Instant) -> Path {
        let mut path = Path::new(AccountId(1));
        path.on_open_sent(now, Iq::nth(0));
        path.on_result(now + SECOND / 100, Iq::nth(0));
        path.on_opened();
        path
    }

    /// Sends blocks until there is no room.
    fn fill(path: &mut Path, now: Instant) -> Vec<Iq> {
        let mut sent = Vec::new();
        while path.room() > 0 {
            let iq = Iq::nth(100 + sent.len() as u64);
            assert_eq!(usize::from(path.on_sent(now, iq, path.room())), sent.len());
            sent.push(iq);
        }
        sent
    }

    #[test]
    fn nothing_goes_before_it_is_open() {
        let mut path = Path::new(AccountId(1));
        assert_eq!(path.room(), 0);
        path.on_opened();
        assert!(path.room() > 0);
    }

    #[test]
    fn an_answer_makes_room_once() {
        let now = Instant::now();
        let mut path = path(now);
        let sent = fill(&mut path, now);
        let before = path.in_flight();
        path.on_result(now + SECOND, sent[0]);
        let after = path.in_flight();
        path.on_result(now + SECOND, sent[0]);
        assert!(after < before);
        assert_eq!(path.in_flight(), after);
        assert_eq!(path.outstanding().collect::<Vec<_>>(), sent[1..]);
    }

    #[test]
    fn a_gap_is_told_and_ends_it() {
        let now = Instant::now();
        let mut path = path(now);
        assert_eq!(path.on_block(0), Ok(()));
        assert_eq!(path.on_block(2), Err(Gap));
        assert_eq!(path.room(), 0);
    }

    #[test]
    fn half_a_minute_without_an_answer_is_death() {
        let now = Instant::now();
        let mut path = path(now);
        assert_eq!(path.next_timeout(), None, "there is nothing to wait for");
        path.on_sent(now, Iq::nth(1), 1000);
        assert!(!path.is_dead(now + PATIENCE - SECOND));
        assert!(path.is_dead(now + PATIENCE));
    }

    #[test]
    fn while_its_account_is_offline_the_clock_stands_still() {
        let now = Instant::now();
        let mut path = path(now);
        path.on_sent(now, Iq::nth(1), 1000);
        path.suspend(now + SECOND);
        assert_eq!(path.room(), 0);
        assert!(!path.is_dead(now + 10 * PATIENCE));
        path.resume(now + 10 * PATIENCE);
        assert!(path.room() > 0);
        assert!(!path.is_dead(now + 11 * PATIENCE - 2 * SECOND));
        assert!(path.is_dead(now + 11 * PATIENCE - SECOND));
    }

    #[test]
    fn an_answer_that_an_outage_delayed_says_nothing_of_the_delay() {
        let now = Instant::now();
        let mut path = path(now);
        let delay = path.window.round_trip();
        path.on_sent(now, Iq::nth(1), 1000);
        path.suspend(now);
        path.resume(now + 20 * SECOND);
        path.on_result(now + 21 * SECOND, Iq::nth(1));
        assert_eq!((path.in_flight(), path.window.round_trip()), (0, delay));
    }

    #[test]
    fn it_stalls_once_and_goes_on_with_the_next_answer() {
        let now = Instant::now();
        let mut path = path(now);
        path.on_sent(now, Iq::nth(1), 1000);
        assert_eq!(path.next_timeout(), Some(now + STALL));
        assert!(path.has_stalled(now + STALL));
        assert!(!path.has_stalled(now + STALL), "once is enough");
        assert_eq!(path.next_timeout(), Some(now + PATIENCE));
        assert_eq!(path.room(), 0);
        path.on_result(now + 2 * STALL, Iq::nth(1));
        assert!(path.room() > 0);
        assert_eq!(path.next_timeout(), None);
    }
}
