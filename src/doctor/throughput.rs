//! Throughput to a bridge: padding that it acknowledges, for 10 seconds at most.
//!
//! A bridge leads to what does not echo, so what it sends cannot be measured without an application that asks for something; what it is
//! sent can be. All of it counts against the accounts' quotas, as everything does.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::finding::{Finding, Stage};
use super::sentences::bytes;
use crate::tunnel::{Measured, TunnelStream};

/// How long it is measured: 10 seconds.
const FOR: Duration = Duration::from_secs(10);

/// How often it is looked how much has arrived: each tenth of a second.
const LOOK: Duration = Duration::from_millis(100);

/// So many bytes are enough to measure a fast way: 32 MB.
const MOST: u64 = 32_000_000;

/// The part of what an account may send in a day that is spent at most: a twentieth.
const SHARE: u64 = 20;

/// How much may be spent where the account with the smallest quota has this one.
pub(super) fn allowance(daily_bytes: impl Iterator<Item = Option<u64>>) -> usize {
    let least = daily_bytes.flatten().map(|daily| daily / SHARE).min();
    usize::try_from(least.unwrap_or(MOST).min(MOST)).unwrap_or(usize::MAX)
}

/// What was measured in so long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) took: Duration,
    pub(super) measured: Measured,
    /// In bytes per second, behind what servers let pass at first.
    pub(super) rate: f64,
}

/// Measures by the session of a stream, and sends so many bytes at most.
pub(super) async fn measure(stream: &TunnelStream, most: usize) -> Option<Run> {
    let begun = Instant::now();
    stream.measure(most);
    let mut marks = vec![(Duration::ZERO, 0)];
    let measured = loop {
        sleep(LOOK).await;
        let measured = stream.measured();
        let is_over = measured.is_none_or(|measured| measured.arrived >= most) || begun.elapsed() >= FOR;
        marks.extend(measured.map(|measured| (begun.elapsed(), measured.arrived)));
        if is_over {
            break measured;
        }
    };
    stream.measure(0);
    let (took, rate) = (begun.elapsed(), settled_rate(&marks));
    measured.map(|measured| Run { took, measured, rate })
}

/// What has arrived in a second in the second half of the time.
fn settled_rate(marks: &[(Duration, usize)]) -> f64 {
    let Some(&(end, total)) = marks.last() else { return 0.0 };
    let middle = marks.iter().rev().find(|(at, _)| *at * 2 <= end).copied().unwrap_or_default();
    let seconds = end.saturating_sub(middle.0).as_secs_f64();
    if seconds > 0.0 { total.saturating_sub(middle.1) as f64 / seconds } else { 0.0 }
}

/// What is to be said of it.
pub(super) fn stanzas(run: &Run) -> Finding {
    let Run { took, measured: Measured { sent, arrived, by_relay, .. }, rate } = *run;
    let spent = bytes(sent as f64);
    let finding = if by_relay {
        let sentence =
            format!("all goes by the relay, as long as that is faster; {spent} of padding were sent");
        Finding::neither(Stage::Stanzas, took, sentence)
    } else if arrived == 0 {
        let sentence = format!(
            "nothing of {spent} of padding has arrived within {} seconds: the chat servers pass on next to nothing, so try another account, or \
             several",
            took.as_secs()
        );
        Finding::cross(Stage::Stanzas, took, sentence)
    } else {
        let sentence = format!(
            "{}/s to the bridge, behind what servers let pass at first; {spent} of padding were sent in {:.1} seconds; the way back was not \
             measured, since a bridge sends only what an application asks for",
            bytes(rate),
            took.as_secs_f64()
        );
        Finding::tick(Stage::Stanzas, took, sentence).with("bytes_per_second", rate.round())
    };
    finding.with("bytes_sent", sent).with("bytes_arrived", arrived)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_let_pass_at_first_is_no_rate() {
        let at = |seconds: u64, bytes| (Duration::from_secs(seconds), bytes);
        assert!(
            (settled_rate(&[at(0, 0), at(1, 100_000), at(5, 100_000), at(10, 150_000)]) - 10_000.0).abs()
                < 1.0
        );
        assert!(settled_rate(&[at(0, 0)]).abs() < 1.0);
    }

    #[test]
    fn a_twentieth_of_the_smallest_quota_is_spent_at_most() {
        assert_eq!(allowance([None, Some(250_000_000), Some(2_000_000)].into_iter()), 100_000);
        assert_eq!(allowance([None].into_iter()), 32_000_000);
    }
}
