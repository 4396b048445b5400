//! Rate limit for log lines that others can cause: the first is logged at once, the rest once a minute as a number.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a line that comes again is only counted: 60 seconds.
pub const PAUSE: Duration = Duration::from_secs(60);

/// Different lines that are remembered: 64. What is logged of connections has some twenty forms.
const MAX_LINES: usize = 64;

/// The lines that were logged in the last minute.
#[derive(Debug, Default)]
pub struct Repeats(BTreeMap<String, Repeat>);

#[derive(Debug)]
struct Repeat {
    logged: Instant,
    /// How often it came again since.
    suppressed: u64,
}

impl Repeats {
    /// Whether `text` is to be logged now. If not, it counts.
    pub fn is_news(&mut self, now: Instant, text: &str) -> bool {
        if let Some(repeat) = self.0.get_mut(text) {
            repeat.suppressed += 1;
            return false;
        }
        let is_one_too_many = self.0.len() >= MAX_LINES;
        if !is_one_too_many {
            self.0.insert(text.to_owned(), Repeat { logged: now, suppressed: 0 });
        }
        !is_one_too_many
    }

    /// What came again since it was logged a minute ago, and how often; to be called about once a minute.
    pub fn take_counts(&mut self, now: Instant) -> Vec<(String, u64)> {
        let (due, later): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.0).into_iter().partition(|(_, repeat)| repeat.logged + PAUSE <= now);
        self.0 = later;
        let repeated = due.into_iter().filter(|(_, repeat)| repeat.suppressed > 0);
        let counts: Vec<_> = repeated.map(|(text, repeat)| (text, repeat.suppressed)).collect();
        let logged = counts.iter().map(|(text, _)| (text.clone(), Repeat { logged: now, suppressed: 0 }));
        self.0.extend(logged);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_logged_once_and_its_repetitions_are_counted_once_a_minute() {
        let (start, mut repeats) = (Instant::now(), Repeats::default());
        let mut lines = 0;
        for n in 0..75_000_u64 {
            let now = start + Duration::from_millis(2 * n);
            lines += usize::from(repeats.is_news(now, "refused"));
            lines += repeats.take_counts(now).len();
        }
        assert_eq!(lines, 3, "in two and a half minutes");
    }

    #[test]
    fn the_counts_add_up() {
        let (start, mut repeats) = (Instant::now(), Repeats::default());
        let logged = (0..1205).filter(|_| repeats.is_news(start, "refused")).count();
        assert!(repeats.take_counts(start + PAUSE / 2).is_empty());
        assert_eq!(repeats.take_counts(start + PAUSE), [("refused".to_owned(), 1204)]);
        assert_eq!(logged, 1);
    }

    #[test]
    fn a_line_that_did_not_come_for_a_minute_is_news_again() {
        let (start, mut repeats) = (Instant::now(), Repeats::default());
        assert!(repeats.is_news(start, "refused") && repeats.is_news(start, "timed out"));
        assert!(repeats.take_counts(start + PAUSE).is_empty());
        assert!(repeats.is_news(start + PAUSE, "refused"));
    }

    #[test]
    fn endless_different_lines_are_neither_remembered_nor_logged() {
        let (now, mut repeats) = (Instant::now(), Repeats::default());
        let logged = (0..1000).filter(|n| repeats.is_news(now, &n.to_string())).count();
        assert_eq!((logged, repeats.0.len()), (MAX_LINES, MAX_LINES));
    }
}
