//! Delays of a leg while nothing of ours waits there, and what they may become.

use std::time::{Duration, Instant};

use crate::protocol::base_delay::BaseDelay;
use crate::secure::tuning::{BASE_DELAY_LIFETIME, LEG_QUEUE, LEG_QUEUE_BEHIND_ALONE, LEG_QUIET};

/// What answers take, whatever arose where: the shortest of the last minute, and what is usual for blocks that go alone. Where delays vary
/// the second is more, and none of it is a queue of ours.
#[derive(Debug)]
pub(super) struct Delays {
    base: BaseDelay,
    /// Smoothed.
    alone: Option<Duration>,
    /// The last one had gone alone, too.
    follows_alone: bool,
}

impl Default for Delays {
    fn default() -> Self {
        Self { base: BaseDelay::new(BASE_DELAY_LIFETIME), alone: None, follows_alone: false }
    }
}

impl Delays {
    /// An answer took so long. A server that reads in bursts may still rest when the first block comes that went alone, and does not when
    /// the next one does: only that one counts as usual.
    pub(super) fn update(&mut self, now: Instant, delay: Duration, was_alone: bool) {
        self.base.update(now, delay);
        if was_alone && self.follows_alone {
            self.alone = Some(self.alone.map_or(delay, |usual| (usual * 3 + delay) / 4));
        }
        self.follows_alone = was_alone;
    }

    /// The shortest.
    pub(super) fn shortest(&self) -> Duration {
        self.base.get().unwrap_or_default()
    }

    /// What answers may take on average: with the queue that we may cause.
    pub(super) fn target(&self) -> Duration {
        let behind_alone = self.alone.map(|usual| usual + LEG_QUEUE_BEHIND_ALONE);
        behind_alone.max(Some(self.shortest() + LEG_QUEUE)).unwrap_or_default()
    }

    /// Whether hardly anything of ours waits where answers take so long on average.
    pub(super) fn is_quiet(&self, average: Duration) -> bool {
        average <= self.shortest().max(self.alone.unwrap_or_default()) + LEG_QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn where_delays_vary_much_those_of_blocks_that_go_alone_are_no_queue() {
        let (now, mut delays) = (Instant::now(), Delays::default());
        delays.update(now, 100 * MS, false);
        assert_eq!(delays.target(), 100 * MS + LEG_QUEUE);
        (0..2).for_each(|_| delays.update(now, 1200 * MS, true));
        assert_eq!(delays.target(), 1200 * MS + LEG_QUEUE_BEHIND_ALONE);
        assert!(delays.is_quiet(1200 * MS) && !delays.is_quiet(1300 * MS));
    }

    #[test]
    fn the_first_block_that_goes_alone_may_have_met_a_server_at_rest() {
        let (now, mut delays) = (Instant::now(), Delays::default());
        for delay in [100 * MS, 3000 * MS, 100 * MS] {
            delays.update(now, delay, delay > 100 * MS);
        }
        assert_eq!(delays.target(), 100 * MS + LEG_QUEUE);
    }
}
