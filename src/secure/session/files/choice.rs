//! Choice: whether what waits goes by files, and what the end that has slots hears of it.
//!
//! It takes some time to be sure: the window of a path that has just been opened lets little through, and a file that nobody needed costs a
//! server and a quota. And it takes some time to change one's mind: each word costs a packet.

use std::time::{Duration, Instant};

use crate::secure::shared::uploads::bucket::Bucket;

/// Before anything is known of a service, a file of the smallest bucket is taken to last half a second beside three round trips of the best
/// path: two TLS handshakes, and what the server has to do. So paths that carry 128 kB/s and more lead to no first file.
const FIRST_FILE: Duration = Duration::from_millis(500);

/// Files have been faster for 250 ms, and [`SURE_ROUNDS`], before that is said: by then the window of a path that no server slows down has
/// opened.
const SURE: Duration = Duration::from_millis(250);

/// 4 round trips: what a shaper lets pass at once takes two of them, and a window that has opened shows in the rate after two more.
const SURE_ROUNDS: u32 = 4;

/// What has waited within the last second may wait again.
const LINGER: Duration = Duration::from_secs(1);

/// Files are left for paths that are twice as fast, not for some that are as fast: both vary.
const CLEARLY_SLOWER: f64 = 0.5;

/// Paths carry no bulk where files are 2 times as fast: what goes by them would arrive behind what follows it by a file, and so would the
/// frames about files.
const CLEARLY_FASTER: f64 = 2.0;

/// What there is to choose from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// Bytes that wait.
    pub(crate) waiting: usize,
    /// An application has more than there is room for.
    pub(crate) is_blocked: bool,
    /// Bytes of files that are under way, and of slots that can be used.
    pub(crate) in_files: usize,
    /// How many times as fast as by paths a file would deliver what it holds of that.
    pub(crate) gain: f64,
    /// What the best path takes there and back.
    pub(crate) round_trip: Duration,
}

impl Situation {
    /// How much would go by files if there was room for it.
    pub(crate) fn amount(waiting: usize, is_blocked: bool) -> usize {
        if is_blocked && waiting > 0 { waiting.max(Bucket::Small.capacity()) } else { waiting }
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Since when files have been faster.
    since: Option<Instant>,
    /// When that was so last.
    last: Option<Instant>,
    /// When it is sure.
    sure_at: Option<Instant>,
    /// How much waits, as it was said last, in bytes.
    said: usize,
    /// It is better to wait for a file than to use a path.
    is_clear: bool,
}

impl Choice {
    /// Takes note of how things are now: how much waits for files, in bytes, to be said to whoever has slots.
    pub(crate) fn update(&mut self, now: Instant, situation: &Situation) -> usize {
        let Situation { waiting, is_blocked, in_files, gain, round_trip } = *situation;
        let amount = Situation::amount(waiting, is_blocked);
        if amount < Bucket::least_of_all() {
            if self.last.is_none_or(|last| last + LINGER <= now) {
                *self = Self::default();
            }
            return self.said;
        }
        if !self.is_faster(gain) {
            *self = Self::default();
            return 0;
        }
        let since = *self.since.get_or_insert(now);
        let sure_at = *self.sure_at.get_or_insert(since + SURE + SURE_ROUNDS * round_trip);
        self.last = Some(now);
        // An application that is held up has more, and nobody knows how much: it gets room for twice as much each time.
        let wanted = if is_blocked { amount.max(2 * (waiting + in_files)) } else { amount };
        let has_changed = self.said == 0 || wanted >= 2 * self.said || wanted <= self.said / 2;
        if sure_at <= now && has_changed {
            self.said = wanted;
        }
        self.is_clear = self.said > 0 && gain >= CLEARLY_FASTER;
        self.said
    }

    /// Whether bulk is better held for a file.
    pub(crate) fn is_clear(&self) -> bool {
        self.is_clear
    }

    /// Whether a file is worth while that is so many times as fast as the paths.
    pub(crate) fn is_faster(&self, gain: f64) -> bool {
        gain > if self.said > 0 { CLEARLY_SLOWER } else { 1.0 }
    }

    /// When to look at it again.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        if self.said > 0 { self.last.map(|last| last + LINGER) } else { self.sure_at }
    }
}

/// How long a file of this bucket takes while nothing is known of the service, where the best path takes so long there and back.
pub(crate) fn first_guess(bucket: Bucket, round_trip: Duration) -> Duration {
    let times = match bucket {
        Bucket::Tiny | Bucket::Small => 1,
        Bucket::Medium => 2,
        Bucket::Large => 4,
    };
    times * (FIRST_FILE + 3 * round_trip)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn bulk(waiting: usize) -> Situation {
        Situation { waiting, is_blocked: false, in_files: 0, gain: 5.0, round_trip: 100 * MS }
    }

    #[test]
    fn what_waits_is_said_once_files_have_been_faster_for_a_while() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        assert_eq!(choice.update(start, &bulk(100_000)), 0);
        assert_eq!(choice.next_timeout(), Some(start + 650 * MS));
        assert_eq!(choice.update(start + 649 * MS, &bulk(100_000)), 0);
        assert_eq!(choice.update(start + 650 * MS, &bulk(100_000)), 100_000);
    }

    #[test]
    fn a_path_that_becomes_fast_meanwhile_leads_to_no_file() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        choice.update(start, &bulk(100_000));
        assert_eq!(choice.update(start + 400 * MS, &Situation { gain: 0.9, ..bulk(100_000) }), 0);
        assert_eq!(choice.update(start + 660 * MS, &bulk(100_000)), 0, "it begins anew");
    }

    #[test]
    fn a_little_more_or_less_is_not_said() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        choice.update(start, &bulk(100_000));
        let mut said = |waiting| choice.update(start + 700 * MS, &bulk(waiting));
        assert_eq!(
            [100_000, 190_000, 55_000, 200_000, 100_000].map(&mut said),
            [100_000, 100_000, 100_000, 200_000, 100_000]
        );
    }

    #[test]
    fn the_end_is_said_when_nothing_has_waited_for_a_second() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        choice.update(start, &bulk(100_000));
        let now = start + 700 * MS;
        choice.update(now, &bulk(100_000));
        assert_eq!(choice.update(now + 999 * MS, &bulk(10)), 100_000);
        assert_eq!(choice.next_timeout(), Some(now + 1000 * MS));
        assert_eq!(choice.update(now + 1000 * MS, &bulk(10)), 0);
        assert_eq!(choice.next_timeout(), None);
    }

    #[test]
    fn files_are_left_for_paths_that_are_twice_as_fast_and_not_for_some_that_are_as_fast() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        choice.update(start, &bulk(100_000));
        let mut said = |gain| choice.update(start + 700 * MS, &Situation { gain, ..bulk(100_000) });
        assert_eq!([5.0, 0.6, 0.4, 0.6].map(&mut said), [100_000, 100_000, 0, 0]);
    }

    #[test]
    fn an_application_that_is_held_up_gets_room_for_twice_as_much_each_time() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        let held = |waiting, in_files| Situation { is_blocked: true, in_files, ..bulk(waiting) };
        choice.update(start, &held(10_000, 0));
        let mut said = |waiting, in_files| choice.update(start + 700 * MS, &held(waiting, in_files));
        assert_eq!(said(10_000, 0), 65_536);
        assert_eq!(said(60_000, 60_000), 240_000);
        assert_eq!(said(300_000, 250_000), 1_100_000);
    }

    #[test]
    fn one_that_waits_for_credit_alone_needs_no_files() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        let stuck = Situation { is_blocked: true, ..bulk(0) };
        choice.update(start, &stuck);
        assert_eq!(choice.update(start + 700 * MS, &stuck), 0);
    }
}
