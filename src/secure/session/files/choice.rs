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

/// What has waited within the last 2 seconds may wait again: an application that answers what came by a file does so within that time.
const LINGER: Duration = Duration::from_secs(2);

/// Bulk that comes in a burst has come when nothing more has for 20 ms. It goes by one file then, and not its beginning by one of its own.
const BURST_OVER: Duration = Duration::from_millis(20);

/// Bulk waits for a slot for 1 second at most: two round trips, and what the client's server takes.
const SLOT_WAIT: Duration = Duration::from_secs(1);

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
    /// Bytes that are on their way in files.
    pub(crate) in_files: usize,
    /// How many times as fast as by paths a file would deliver what it holds of that.
    pub(crate) gain: f64,
    /// What the best path takes there and back.
    pub(crate) round_trip: Duration,
    /// Files have come whole lately.
    pub(crate) is_proven: bool,
    /// A file was begun and is not over.
    pub(crate) is_under_way: bool,
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
    /// When files were faster last.
    last: Option<Instant>,
    /// When it is sure that they are.
    sure_at: Option<Instant>,
    /// How much waits, as it was said last, in bytes.
    said: usize,
    /// When at least half as much has waited last.
    high_at: Option<Instant>,
    /// Since when bulk has waited and no file was under way.
    without_since: Option<Instant>,
    /// It is better to wait for a file than to use a path.
    is_clear: bool,
    burst: Burst,
}

/// Watches for the end of what comes at once.
#[derive(Debug, Default)]
struct Burst {
    /// Bytes that waited when it was looked at last.
    waiting: usize,
    /// When it is over if nothing more comes.
    over_at: Option<Instant>,
}

impl Burst {
    /// Takes note of what waits now.
    fn update(&mut self, now: Instant, waiting: usize) {
        if waiting > self.waiting {
            self.over_at = Some(now + BURST_OVER);
        }
        self.waiting = waiting;
        self.handle_timeout(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.over_at = self.over_at.filter(|at| now < *at);
    }
}

impl Choice {
    /// Takes note of how things are now: how much waits for files, in bytes, to be said to whoever has slots.
    pub(crate) fn update(&mut self, now: Instant, situation: &Situation) -> usize {
        let Situation { waiting, is_blocked, in_files, gain, round_trip, is_proven, is_under_way } =
            *situation;
        self.burst.handle_timeout(now);
        let amount = Situation::amount(waiting, is_blocked);
        let is_enough = amount >= Bucket::least_of_all();
        self.without_since = self.without_since.or(Some(now)).filter(|_| is_enough && !is_under_way);
        if !is_enough {
            // What paths have carried meanwhile is no sign of anything, and what comes later begins anew.
            if self.said == 0 || self.last.is_none_or(|last| last + LINGER <= now) {
                self.reset();
            }
            return self.said;
        }
        if !self.is_faster(gain) {
            self.reset();
            return 0;
        }
        let doubt = if is_proven { Duration::ZERO } else { SURE + SURE_ROUNDS * round_trip };
        let sure_at = self.sure_at.map_or(now + doubt, |at| at.min(now + doubt));
        self.sure_at = Some(sure_at);
        self.last = Some(now);
        // An application that is held up has more, and nobody knows how much: it gets room for twice as much each time.
        let wanted = if is_blocked { amount.max(2 * (waiting + in_files)) } else { amount };
        if 2 * wanted >= self.said {
            self.high_at = Some(now);
        }
        // What comes in bursts is said as high as it comes, so that there are slots for the next one.
        let is_less = self.high_at.is_none_or(|high| high + LINGER <= now);
        if sure_at <= now && (self.said == 0 || wanted >= 2 * self.said || is_less) {
            self.said = wanted;
        }
        self.is_clear = self.said > 0 && gain >= CLEARLY_FASTER;
        self.said
    }

    fn reset(&mut self) {
        let burst = std::mem::take(&mut self.burst);
        *self = Self { burst, ..Self::default() };
    }

    /// How much waits, as it was said last, in bytes.
    pub(crate) fn said(&self) -> usize {
        self.said
    }

    /// Whether a file of `capacity` bytes is better made now than later, where so much waits.
    pub(crate) fn is_time(&mut self, now: Instant, waiting: usize, capacity: usize) -> bool {
        self.burst.update(now, waiting);
        self.burst.over_at.is_none() || waiting >= capacity
    }

    /// Whether bulk is better held for a file.
    pub(crate) fn is_clear(&self) -> bool {
        self.is_clear
    }

    /// Until when it is worth waiting for a slot, where no file is under way.
    pub(crate) fn slot_expected_until(&self) -> Option<Instant> {
        self.without_since.map(|since| since + SLOT_WAIT)
    }

    /// Whether a file is worth while that is so many times as fast as the paths.
    pub(crate) fn is_faster(&self, gain: f64) -> bool {
        gain > if self.said > 0 { CLEARLY_SLOWER } else { 1.0 }
    }

    /// When to look at it again.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let said = if self.said > 0 { self.last.map(|last| last + LINGER) } else { self.sure_at };
        [said, self.burst.over_at].into_iter().flatten().min()
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
        Situation {
            waiting,
            is_blocked: false,
            in_files: 0,
            gain: 5.0,
            round_trip: 100 * MS,
            is_proven: false,
            is_under_way: false,
        }
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
    fn where_files_have_come_whole_lately_nothing_has_to_be_sure_first() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        assert_eq!(choice.update(start, &Situation { is_proven: true, ..bulk(100_000) }), 100_000);
        assert_eq!((choice.is_clear(), choice.slot_expected_until()), (true, Some(start + SLOT_WAIT)));
    }

    #[test]
    fn each_burst_waits_for_a_slot_anew() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        let burst = Situation { is_proven: true, ..bulk(100_000) };
        choice.update(start, &burst);
        choice.update(start + 100 * MS, &Situation { is_proven: true, ..bulk(0) });
        assert_eq!(choice.slot_expected_until(), None);
        choice.update(start + 1500 * MS, &burst);
        assert_eq!(choice.slot_expected_until(), Some(start + 1500 * MS + SLOT_WAIT));
    }

    #[test]
    fn what_paths_have_carried_before_it_was_sure_is_forgotten() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        choice.update(start, &bulk(100_000));
        choice.update(start + 100 * MS, &bulk(0));
        assert_eq!(choice.next_timeout(), None);
        assert_eq!(choice.update(start + 60_000 * MS, &bulk(100_000)), 0, "it is not sure yet");
    }

    #[test]
    fn a_file_is_made_when_what_comes_at_once_has_come_or_fills_it() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        assert!(!choice.is_time(start, 10_000, 60_000));
        assert!(!choice.is_time(start + 15 * MS, 30_000, 60_000));
        assert!(!choice.is_time(start + 30 * MS, 30_000, 60_000));
        assert_eq!(choice.next_timeout(), Some(start + 15 * MS + BURST_OVER));
        assert!(choice.is_time(start + 15 * MS + BURST_OVER, 30_000, 60_000));
        assert_eq!(choice.next_timeout(), None);
        assert!(choice.is_time(start + 40 * MS, 61_000, 60_000));
    }

    #[test]
    fn where_no_file_can_be_made_the_end_of_a_burst_passes_by() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        assert!(!choice.is_time(start, 1000, 60_000));
        choice.update(start + BURST_OVER, &bulk(1000));
        assert_eq!(choice.next_timeout(), None);
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
            [100_000, 190_000, 5_000, 200_000, 100_000].map(&mut said),
            [100_000, 100_000, 100_000, 200_000, 200_000]
        );
    }

    #[test]
    fn what_comes_in_bursts_is_said_as_high_as_it_comes() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        choice.update(start, &bulk(200_000));
        let mut said = |after, waiting| choice.update(start + after, &bulk(waiting));
        assert_eq!(said(700 * MS, 200_000), 200_000);
        assert_eq!(said(700 * MS + LINGER - MS, 20_000), 200_000);
        assert_eq!(said(700 * MS + LINGER, 20_000), 20_000);
    }

    #[test]
    fn the_end_is_said_when_nothing_has_waited_for_two_seconds() {
        let (mut choice, start) = (Choice::default(), Instant::now());
        choice.update(start, &bulk(100_000));
        let now = start + 700 * MS;
        choice.update(now, &bulk(100_000));
        assert_eq!(choice.update(now + LINGER - MS, &bulk(10)), 100_000);
        assert_eq!(choice.next_timeout(), Some(now + LINGER));
        assert_eq!(choice.update(now + LINGER, &bulk(10)), 0);
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
