//! Page of metrics: what each is called, and which number of the statistics it shows.

use std::time::Duration;

use super::binned;
use super::text::{Kind, Text};
use crate::secure::stats::Lane;
use crate::tunnel::Stats;

/// Of fewer paths a bridge does not say how long they take: those would be the round trips of one person or two.
const LEAST_PEOPLE: usize = 8;

/// The whole page.
pub(super) fn page(stats: &Stats) -> String {
    let mut text = Text::default();
    of_process(&mut text, stats);
    of_sessions(&mut text, stats);
    of_traffic(&mut text, stats);
    of_budgets(&mut text, stats);
    text.into_string()
}

/// A count as it may be shown: on a bridge these are people.
fn people(stats: &Stats, count: u64) -> f64 {
    (if stats.is_bridge { binned(count) } else { count }) as f64
}

fn of_process(text: &mut Text, stats: &Stats) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    text.family("hexchat_pt_build_info", Kind::Gauge, "Version of the program.").sample(&version, 1.0);
    let counts = &stats.accounts;
    let mut accounts =
        text.family("hexchat_pt_accounts", Kind::Gauge, "Accounts at chat servers, by their state.");
    for (state, count) in [
        ("online", counts.online),
        ("connecting", counts.connecting),
        ("resting", counts.resting),
        ("failed", counts.failed),
    ] {
        accounts.sample(&[("state", state)], count as f64);
    }
    let help = "Logins that are online, further ones of an account included.";
    text.family("hexchat_pt_logins", Kind::Gauge, help).sample(&[], stats.secure.accounts.online as f64);
}

fn of_sessions(text: &mut Text, stats: &Stats) {
    let sessions = &stats.secure.sessions;
    let mut gauge = |name, help, count: f64| {
        text.family(name, Kind::Gauge, help).sample(&[], count);
    };
    let counted = |count: usize| people(stats, count as u64);
    if stats.is_bridge {
        let help = "Clients of the secure protocol, rounded up to a multiple of 8.";
        gauge("hexchat_pt_clients", help, counted(stats.secure.clients));
    }
    let help = "Sessions of the secure protocol; on a bridge rounded up to a multiple of 8.";
    gauge("hexchat_pt_sessions", help, counted(sessions.established));
    let help = "Paths through chat servers; on a bridge rounded up to a multiple of 8.";
    gauge("hexchat_pt_paths", help, counted(sessions.paths));
    let help = "Sessions that go by a relay; on a bridge rounded up to a multiple of 8.";
    gauge("hexchat_pt_relays", help, counted(sessions.relays));
    let help = "Sessions that wait for their turn at an account; on a bridge rounded up to a multiple of 8.";
    gauge("hexchat_pt_waiting_sessions", help, counted(stats.secure.accounts.waiting));
    let mut streams = text.family(
        "hexchat_pt_streams",
        Kind::Gauge,
        "Streams, by protocol; on a bridge rounded up to a multiple of 8.",
    );
    streams.sample(&[("protocol", "secure")], counted(sessions.streams));
    streams.sample(&[("protocol", "classic")], counted(stats.classic_streams));
    let handshakes = &stats.secure.handshakes;
    let help = "Handshakes, by how they ended; on a bridge rounded up to a multiple of 8.";
    let mut family = text.family("hexchat_pt_handshakes_total", Kind::Counter, help);
    for (result, count) in
        [("completed", handshakes.completed), ("refused", handshakes.refused), ("failed", handshakes.failed)]
    {
        family.sample(&[("result", result)], people(stats, count));
    }
}

fn of_traffic(text: &mut Text, stats: &Stats) {
    let sessions = &stats.secure.sessions;
    let help = "Bytes of encrypted packets, by direction and by what carried them.";
    let mut family = text.family("hexchat_pt_bytes_total", Kind::Counter, help);
    for lane in Lane::ALL {
        let bytes = sessions.totals.carried.by(lane);
        for (direction, count) in [("sent", bytes.sent), ("received", bytes.received)] {
            family.sample(&[("direction", direction), ("lane", lane.name())], count as f64);
        }
    }
    let help = "Bytes of streams that were lost on their way and went again.";
    text.family("hexchat_pt_retransmitted_bytes_total", Kind::Counter, help)
        .sample(&[], sessions.totals.retransmitted as f64);
    let help = "Bytes that were sent and are not answered yet.";
    text.family("hexchat_pt_in_flight_bytes", Kind::Gauge, help)
        .sample(&[], stats.secure.accounts.in_flight as f64);
    let mut times = sessions.round_trips.clone();
    times.sort_unstable();
    let help = "Round trips of paths; a bridge says nothing of fewer than 8 paths or clients.";
    let mut family = text.family("hexchat_pt_path_rtt_seconds", Kind::Gauge, help);
    if !stats.is_bridge || times.len().min(stats.secure.clients) >= LEAST_PEOPLE {
        for (quantile, part) in [("0.5", 0.5), ("0.9", 0.9)] {
            if let Some(time) = quantile_of(&times, part) {
                family.sample(&[("quantile", quantile)], time.as_secs_f64());
            }
        }
    }
}

fn of_budgets(text: &mut Text, stats: &Stats) {
    let accounts = &stats.secure.accounts;
    let help = "Part of a daily budget that is used, of the account that has used most.";
    let mut family = text.family("hexchat_pt_budget_used_ratio", Kind::Gauge, help);
    for (lane, used) in [(Lane::Chat, accounts.quota_used), (Lane::Files, accounts.uploads_used)] {
        if let Some(used) = used {
            family.sample(&[("lane", lane.name())], used);
        }
    }
    let help = "Part that is used of the memory for what applications and peers have written.";
    text.family("hexchat_pt_memory_used_ratio", Kind::Gauge, help).sample(&[], stats.secure.memory_used);
}

/// Of sorted times, the one that this part of them does not exceed.
fn quantile_of(times: &[Duration], part: f64) -> Option<Duration> {
    let place = (times.len() as f64 * part).ceil() as usize;
    times.get(place.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::secure::stats::Handshakes;
    use crate::tunnel::AccountCounts;
    use std::collections::BTreeSet;

    fn stats(is_bridge: bool, paths: usize) -> Stats {
        let mut stats = Stats { is_bridge, ..Stats::default() };
        stats.accounts = AccountCounts { online: 2, failed: 1, ..AccountCounts::default() };
        stats.secure.sessions.established = 3;
        stats.secure.clients = 9;
        stats.secure.sessions.streams = 3;
        stats.classic_streams = 1;
        stats.secure.handshakes = Handshakes { completed: 17, refused: 2, failed: 0 };
        stats.secure.sessions.round_trips = (1..=paths as u64).map(Duration::from_secs).collect();
        stats
    }

    fn has(page: &str, line: &str) -> bool {
        page.lines().any(|said| said == line)
    }

    #[test]
    fn a_bridge_shows_counts_of_people_only_rounded_up() {
        let page = page(&stats(true, 1));
        for line in [
            "hexchat_pt_clients 16",
            "hexchat_pt_sessions 8",
            "hexchat_pt_streams{protocol=\"secure\"} 8",
            "hexchat_pt_streams{protocol=\"classic\"} 8",
            "hexchat_pt_handshakes_total{result=\"completed\"} 24",
            "hexchat_pt_accounts{state=\"online\"} 2",
            "hexchat_pt_accounts{state=\"failed\"} 1",
        ] {
            assert!(has(&page, line), "{line} is missing in {page}");
        }
    }

    #[test]
    fn a_client_sees_its_own_sessions_as_they_are_and_has_no_clients() {
        let page = page(&stats(false, 0));
        assert!(has(&page, "hexchat_pt_sessions 3") && !page.contains("hexchat_pt_clients"), "{page}");
    }

    #[test]
    fn round_trips_are_shown_of_enough_paths_that_they_are_nobodys() {
        let shown = |is_bridge, paths| page(&stats(is_bridge, paths)).contains("rtt_seconds{");
        assert_eq!(
            [shown(true, 7), shown(true, 8), shown(false, 1), shown(false, 0)],
            [false, true, true, false]
        );
        let mut of_one = stats(true, 10);
        of_one.secure.clients = 1;
        assert!(!page(&of_one).contains("rtt_seconds{"), "one person has many paths");
        assert!(has(&page(&stats(true, 10)), "hexchat_pt_path_rtt_seconds{quantile=\"0.9\"} 9"));
    }

    /// What it calls its families.
    fn names(page: &str) -> BTreeSet<&str> {
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
    }

    #[test]
    fn the_dashboard_asks_for_names_that_there_are_and_for_all_of_them() {
        const DASHBOARD: &str = include_str!("../../contrib/grafana/hexchat-pt.json");
        let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
        let panels = dashboard["panels"].as_array().unwrap().iter();
        let queries = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
        let queries: Vec<_> = queries.map(|target| target["expr"].as_str().unwrap()).collect();
        let is_of_word = |c: char| c.is_ascii_lowercase() || c == '_';
        let words = queries.iter().flat_map(|query| query.split(|c| !is_of_word(c)));
        let asked: BTreeSet<_> = words.filter(|word| word.starts_with("hexchat_pt_")).collect();
        assert_eq!(asked, names(&page(&stats(true, 9))));
    }

    #[test]
    fn the_documentation_has_every_name() {
        const USING: &str = include_str!("../../doc/using.md");
        for name in names(&page(&stats(true, 9))) {
            let short = name.strip_prefix("hexchat_pt_").unwrap();
            assert!(USING.contains(&format!("`{short}")), "{short}");
        }
    }

    #[test]
    fn each_family_is_described_once_and_each_sample_is_of_one() {
        let page = page(&stats(true, 9));
        let described: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let names: Vec<_> = described.iter().filter_map(|line| line.split(' ').next()).collect();
        let distinct: BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            assert!(names.contains(&name) && name.starts_with("hexchat_pt_"), "{line}");
        }
    }
}
