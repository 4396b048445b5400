//! Repeated lines: what others can make the log say is said at once, and then once a minute with how often it came.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a line that comes again is only counted.
pub const PAUSE: Duration = Duration::from_secs(60);

/// Different lines that are remembered. What is said of connections has some twenty forms.
const MOST: usize = 64;

/// The lines that were said in the last minute.
#[derive(Debug, Default)]
pub struct Repeats(BTreeMap<String, Repeat>);

#[derive(Debug)]
struct Repeat {
    said: Instant,
    unsaid: u64,
}

impl Repeats {
    /// Whether `text` is to be said now. If not, it counts.
    pub fn is_news(&mut self, now: Instant, text: &str) -> bool {
        if let Some(repeat) = self.0.get_mut(text) {
            repeat.unsaid += 1;
            return false;
        }
        let is_one_too_many = self.0.len() >= MOST;
        if !is_one_too_many {
            self.0.insert(text.to_owned(), Repeat { said: now, unsaid: 0 });
        }
        !is_one_too_many
    }

    /// What came again since it was said a minute ago, and how often; to be called about once a minute.
    pub fn take_counts(&mut self, now: Instant) -> Vec<(String, u64)> {
        let (due, later): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.0).into_iter().partition(|(_, repeat)| repeat.said + PAUSE <= now);
        self.0 = later;
        let repeated = due.into_iter().filter(|(_, repeat)| repeat.unsaid > 0);
        let counts: Vec<_> = repeated.map(|(text, repeat)| (text, repeat.unsaid)).collect();
        let said = counts.iter().map(|(text, _)| (text.clone(), Repeat { said: now, unsaid: 0 }));
        self.0.extend(said);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_once_and_its_repetitions_are_counted_once_a_minute() {
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
        let said = (0..1205).filter(|_| repeats.is_news(start, "refused")).count();
        assert!(repeats.take_counts(start + PAUSE / 2).is_empty());
        assert_eq!(repeats.take_counts(start + PAUSE), [("refused".to_owned(), 1204)]);
        assert_eq!(said, 1);
    }

    #[test]
    fn a_line_that_did_not_come_for_a_minute_is_news_again() {
        let (start, mut repeats) = (Instant::now(), Repeats::default());
        assert!(repeats.is_news(start, "refused") && repeats.is_news(start, "timed out"));
        assert!(repeats.take_counts(start + PAUSE).is_empty());
        assert!(repeats.is_news(start + PAUSE, "refused"));
    }

    #[test]
    fn endless_different_lines_are_neither_remembered_nor_said() {
        let (now, mut repeats) = (Instant::now(), Repeats::default());
        let said = (0..1000).filter(|n| repeats.is_news(now, &n.to_string())).count();
        assert_eq!((said, repeats.0.len()), (MOST, MOST));
    }
}
