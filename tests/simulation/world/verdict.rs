//! Verdicts on a world in the end: nothing is left, and all arrived.

use crate::flow::Outcome;
use crate::network::{Letter, Side};

use super::World;

impl<L: Letter> World<L> {
    /// No stream, no timer and nothing under way is left.
    pub(crate) fn assert_nothing_left(&self) {
        for side in Side::BOTH.into_iter().filter(|side| !self.killed.contains(side)) {
            assert_eq!(self.program(side).core().stream_count(), 0, "streams are left at {side:?}");
            assert_eq!(self.program(side).core().buffered(), 0, "bytes are left at {side:?}");
            assert_eq!(self.next_timeout(side), None, "a timer is left at {side:?}");
        }
        assert_eq!(self.network.next_time(), None, "somebody still sends");
        assert!(self.ghosts.is_empty());
        assert!(self.spares.keys().all(|(side, _)| self.killed.contains(side)));
    }

    /// Panics unless everything that was written was read, in both directions, and the end was seen.
    pub(crate) fn assert_intact(&self, flow: usize) {
        let [left, right] = Side::BOTH.map(|side| self.flows[flow].app(side));
        assert!(self.flows[flow].is_intact(), "flow {flow} is not intact:\n{left:?}\n{right:?}");
        for app in [left, right] {
            assert!(matches!(app.outcome, Outcome::Ended | Outcome::Released), "flow {flow}: {app:?}");
        }
    }
}
