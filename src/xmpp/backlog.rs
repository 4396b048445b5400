//! Stanzas that wait to be written to an account's socket: how many, and how long they are.
//!
//! Chat servers give no back-pressure but that of their sockets. Whoever sends through an account has to know what stands
//! before the next stanza, or it keeps sending into a queue of minutes. Answers to strangers are not counted: they wait
//! behind everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What was handed to an account and is not yet written to its socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many stanzas.
    pub stanzas: usize,
    /// How long they are together. Those that the XML library writes count some hundred bytes each, whatever they hold.
    pub bytes: usize,
}

impl Backlog {
    /// When it has been above this and is below half of it again, the account reports
    /// [`AccountEvent::Relieved`](super::api::AccountEvent::Relieved). 64 small stanzas are 6 KB, and 256 KiB the 25 seconds
    /// that a server with a usual limit of 10 kB/s takes to read them.
    pub const LIMIT: Self = Self { stanzas: 64, bytes: 256 * 1024 };

    fn exceeds(self, limit: Self) -> bool {
        self.stanzas > limit.stanzas || self.bytes > limit.bytes
    }
}

/// Counts the backlog of one account: up where stanzas are handed over, down where they are written or dropped.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    stanzas: AtomicUsize,
    bytes: AtomicUsize,
    /// Whether it has been above the limit, and nobody was told since that it is not any more.
    is_awaited: AtomicBool,
}

/// The part of one stanza in the backlog, for as long as it exists.
#[derive(Debug)]
pub(super) struct Counted {
    gauge: Arc<Gauge>,
    bytes: usize,
}

impl Gauge {
    /// Counts a stanza of this length.
    pub(super) fn count(self: &Arc<Self>, bytes: usize) -> Counted {
        self.stanzas.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.backlog().exceeds(Backlog::LIMIT) {
            self.is_awaited.store(true, Ordering::Release);
        }
        Counted { gauge: Arc::clone(self), bytes }
    }

    pub(super) fn backlog(&self) -> Backlog {
        Backlog { stanzas: self.stanzas.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// Whether somebody is to be told when the backlog is short again.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed)
    }

    /// Whether the backlog is less than half of the limit.
    pub(super) fn is_short(&self) -> bool {
        let Backlog { stanzas, bytes } = Backlog::LIMIT;
        !self.backlog().exceeds(Backlog { stanzas: stanzas / 2, bytes: bytes / 2 })
    }

    /// Whether it has become short after it was too long: true once.
    pub(super) fn take_relief(&self) -> bool {
        if !self.is_awaited() || !self.is_short() {
            return false;
        }
        self.is_awaited.swap(false, Ordering::AcqRel);
        // What has come in the meantime found that somebody was waiting already.
        let is_short = self.is_short();
        if !is_short {
            self.is_awaited.store(true, Ordering::Release);
        }
        is_short
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.stanzas.fetch_sub(1, Ordering::Relaxed);
        self.gauge.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_counts_until_it_is_dropped() {
        let gauge = Arc::new(Gauge::default());
        let counted = [gauge.count(100), gauge.count(20)];
        assert_eq!(gauge.backlog(), Backlog { stanzas: 2, bytes: 120 });
        drop(counted);
        assert_eq!(gauge.backlog(), Backlog::default());
    }

    #[test]
    fn relief_comes_once_and_only_after_there_was_too_much() {
        for bytes in [0, 100 * 1024] {
            let gauge = Arc::new(Gauge::default());
            let mut counted: Vec<Counted> = Vec::new();
            while !gauge.is_awaited() {
                assert!(!gauge.take_relief());
                counted.push(gauge.count(bytes));
            }
            while !gauge.is_short() {
                assert!(!gauge.take_relief(), "with {:?}", gauge.backlog());
                counted.pop();
            }
            assert!(!counted.is_empty(), "half of it may still be there");
            assert!(gauge.take_relief());
            assert!(!gauge.take_relief());
        }
    }
}
