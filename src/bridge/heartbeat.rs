//! Heartbeat of a bridge: every six hours the log says how it was used, in numbers that name nobody.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::metrics::binned;
use crate::secure::stats::{Bytes, Carried, Lane};
use crate::tunnel::Stats;

/// How often: every 6 hours, as often as Tor.
const PERIOD: Duration = Duration::from_secs(6 * 3600);

/// What was so at the last heartbeat.
#[derive(Clone, Copy, Debug, Default)]
struct Heartbeat {
    carried: Carried,
    refused: u64,
}

/// Says every six hours what happened since, for ever. `sample` gives what the bridge does, and the most clients at one time since it was
/// asked last.
pub(super) async fn run(sample: impl Fn() -> (Stats, usize), say: impl Fn(&str)) {
    let (mut heartbeat, mut next) = (Heartbeat::default(), Instant::now());
    loop {
        next += PERIOD;
        sleep_until(next).await;
        let (stats, most_clients) = sample();
        say(&heartbeat.beat(&stats, most_clients));
    }
}

impl Heartbeat {
    /// What is to be said of the time since the last one.
    fn beat(&mut self, stats: &Stats, most_clients: usize) -> String {
        let secure = &stats.secure;
        let (carried, refused) = (secure.sessions.totals.carried, secure.handshakes.refused);
        let since = std::mem::replace(self, Self { carried, refused });
        let clients = match binned(most_clients as u64) {
            0 => "nobody was there".to_owned(),
            most => format!("there were up to {most} clients"),
        };
        let of = |lane| less(carried.by(lane), since.carried.by(lane));
        let whole = less(carried.whole(), since.carried.whole());
        let both = |bytes: Bytes| amount(bytes.sent.saturating_add(bytes.received));
        format!(
            "in the last 6 hours {clients}; {} up, {} down ({} by chat, {} by files, {} by relay); {} openings refused; {} of {} accounts \
             online",
            amount(whole.received),
            amount(whole.sent),
            both(of(Lane::Chat)),
            both(of(Lane::Files)),
            both(of(Lane::Relay)),
            refused.saturating_sub(since.refused),
            stats.accounts.online,
            stats.accounts.all(),
        )
    }
}

fn less(now: Bytes, before: Bytes) -> Bytes {
    Bytes {
        sent: now.sent.saturating_sub(before.sent),
        received: now.received.saturating_sub(before.received),
    }
}

/// Bytes for a person to read: whole megabytes, kilobytes where it is less than one.
fn amount(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel::AccountCounts;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};

    /// A bridge that has sent and received so much by stanzas, and refused so many.
    fn stats(megabytes: u64, refused: u64) -> Stats {
        let mut stats = Stats { is_bridge: true, ..Stats::default() };
        let bytes = Bytes { sent: megabytes * 10_000_000, received: megabytes * 1_000_000 };
        stats.secure.sessions.totals.carried.add(Lane::Chat, bytes);
        stats.secure.handshakes.refused = refused;
        stats.accounts = AccountCounts { online: 1, resting: 1, ..AccountCounts::default() };
        stats
    }

    #[test]
    fn each_heartbeat_is_about_the_time_since_the_last_one() {
        let mut heartbeat = Heartbeat::default();
        heartbeat.beat(&stats(1, 5), 3);
        let second = heartbeat.beat(&stats(3, 7), 9);
        assert_eq!(
            second,
            "in the last 6 hours there were up to 16 clients; 2 MB up, 20 MB down (22 MB by chat, 0 kB by files, 0 kB by relay); 2 \
             openings refused; 1 of 2 accounts online"
        );
    }

    #[test]
    fn a_bridge_with_nobody_says_so() {
        let said = Heartbeat::default().beat(&stats(0, 0), 0);
        assert!(said.starts_with("in the last 6 hours nobody was there; 0 kB up, 0 kB down"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_beats_every_six_hours() {
        let (said, asked) = (Arc::new(Mutex::new(Vec::new())), AtomicU64::new(0));
        let lines = Arc::clone(&said);
        let sample = move || (stats(asked.fetch_add(1, Ordering::Relaxed), 0), 1);
        let say =
            move |text: &str| lines.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        let day = tokio::time::timeout(Duration::from_secs(25 * 3600), run(sample, say)).await;
        assert!(day.is_err(), "it never ends");
        let said = said.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said.iter().skip(1).all(|line| line.contains("1 MB up, 10 MB down")), "{said:?}");
    }
}
