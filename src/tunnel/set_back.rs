//! Set-back clocks: what an operator has to know when the wall clock was wrong and is put right.

use std::fmt;

/// The clock was ahead, and for some time nobody can be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockWasAhead {
    /// For how long, if nobody does anything.
    pub minutes: u64,
}

impl fmt::Display for ClockWasAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the clock of this machine was ahead, and no client can be let in for {} minutes: handshakes of that time have \
             been forgotten, and could be repeated. If the clock is right now, stop the bridge, remove \
             hexchat_handshakes.txt from its state directory, and start it again after 20 minutes",
            self.minutes
        )
    }
}

/// Notices that the wall clock goes backwards.
#[derive(Debug, Default)]
pub(super) struct SetBack {
    latest: u64,
}

/// Corrections of fewer seconds are a matter of course.
const TOLERANCE: u64 = 60;

impl SetBack {
    /// Whether the clock, which shows `seconds` since 1970, was set back since it was last looked at.
    pub(super) fn observe(&mut self, seconds: u64) -> bool {
        std::mem::replace(&mut self.latest, seconds) > seconds + TOLERANCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_is_noticed_once() {
        let mut watch = SetBack::default();
        let noticed = [1000, 1001, 990, 5000, 1000, 1001].map(|seconds| watch.observe(seconds));
        assert_eq!(noticed, [false, false, false, false, true, false]);
    }
}
