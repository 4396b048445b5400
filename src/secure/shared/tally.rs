//! Tally: what has happened in sessions and paths that are over, and to handshakes, for statistics alone.

use crate::secure::api::stats::{Handshakes, PathStats, Totals};

/// Sums since the endpoint began.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Of what is over; what is there has its own.
    pub(crate) ended: Totals,
    /// Handshakes that were begun.
    pub(crate) begun: u64,
    /// Handshakes that are done.
    pub(crate) completed: u64,
    /// Opens that were refused.
    pub(crate) refused: u64,
}

impl Tally {
    /// A path is over.
    pub(crate) fn note_path(&mut self, path: &PathStats) {
        self.ended.carried.add(path.lane, path.carried);
    }

    /// How handshakes have ended, where so many are under way.
    pub(crate) fn handshakes(&self, under_way: usize) -> Handshakes {
        let ended = self.completed.saturating_add(under_way as u64);
        let failed = self.begun.saturating_sub(ended);
        Handshakes { completed: self.completed, refused: self.refused, failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_and_is_neither_done_nor_under_way_has_failed() {
        let tally = Tally { begun: 7, completed: 3, ..Tally::default() };
        assert_eq!(tally.handshakes(2).failed, 2);
        assert_eq!(Tally::default().handshakes(1).failed, 0);
    }
}
