//! A path alone.

mod silence;

use std::collections::BTreeSet;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The silence that makes the death of a fast path.
const SILENT: Duration = LEAST_TIMEOUT.saturating_mul(TIMEOUTS_UNTIL_DEATH);

/// Some moment to begin with.
fn begin() -> Instant {
    Instant::now()
}

fn path(now: Instant) -> Path {
    let mut path = Path::by(now, AccountId(1));
    path.on_open_sent(now, Delivery::nth(0));
    path.on_taken(now, Delivery::nth(0));
    path.allow_blocks();
    path
}

/// Sends blocks until there is no room.
fn fill(path: &mut Path, now: Instant) -> Vec<Delivery> {
    let mut sent = Vec::new();
    while path.room() > 0 {
        let delivery = Delivery::nth(100 + sent.len() as u64);
        path.on_sent(now, delivery, path.room());
        sent.push(delivery);
    }
    sent
}

#[test]
fn nothing_goes_before_it_is_open() {
    let mut path = Path::by(Instant::now(), AccountId(1));
    assert_eq!(path.room(), 0);
    path.allow_blocks();
    assert!(path.room() > 0);
}

#[test]
fn an_answer_makes_room_once() {
    let now = Instant::now();
    let mut path = path(now);
    let sent = fill(&mut path, now);
    let before = path.in_flight();
    path.on_taken(now + SECOND, sent[0]);
    let after = path.in_flight();
    path.on_taken(now + SECOND, sent[0]);
    assert!(after < before);
    assert_eq!(path.in_flight(), after);
    assert_eq!(path.outstanding().collect::<Vec<_>>(), sent[1..]);
}

/// Sends as much as it may by a path of this round trip for 6 seconds; the times at which blocks of the last second went, from its begin.
fn sends_of_a_second(round_trip: Duration) -> Vec<Duration> {
    let start = Instant::now();
    let (mut path, mut now) = (Path::by(start, AccountId(1)), start);
    path.allow_blocks();
    let (mut flying, mut sent) = (VecDeque::new(), Vec::new());
    for number in 100.. {
        while path.room() == 0 {
            let answer: Option<&(Instant, Delivery)> = flying.front();
            let pause = path.pauses_until();
            now = answer.map(|(at, _)| *at).into_iter().chain(pause).min().expect("something is on its way");
            path.end_pause(now);
            while let Some((_, delivery)) = flying.pop_front_if(|(at, _)| *at <= now) {
                path.on_taken(now, delivery);
            }
        }
        if now >= start + 6 * SECOND {
            break;
        }
        path.on_sent(now, Delivery::nth(number), path.room());
        flying.push_back((now + round_trip, Delivery::nth(number)));
        sent.push(now - start);
    }
    sent.into_iter().filter_map(|at| at.checked_sub(5 * SECOND)).collect()
}

/// The most blocks within a twentieth of the time, as a share of all.
fn most_in_a_burst(sent: &[Duration], time: Duration) -> f64 {
    let within = |from: Duration| sent.iter().filter(|at| (from..from + time / 20).contains(*at)).count();
    sent.iter().map(|from| within(*from)).max().unwrap_or(0) as f64 / sent.len() as f64
}

#[test]
fn a_far_path_spreads_its_blocks_over_the_round_trip() {
    let sent = sends_of_a_second(4 * SECOND / 10);
    let most = most_in_a_burst(&sent, SECOND);
    assert!(sent.len() > 100 && most < 0.15, "{} blocks, {most:.2} of them in 50 ms", sent.len());
}

#[test]
fn a_near_path_sends_as_soon_as_there_is_room() {
    let sent = sends_of_a_second(SECOND / 100);
    let times: BTreeSet<_> = sent.iter().collect();
    assert!(times.len() < sent.len() / 2, "{} blocks at {} times", sent.len(), times.len());
}

#[test]
fn several_timeouts_without_a_word_are_death() {
    let now = Instant::now();
    let mut path = path(now);
    assert_eq!(path.next_timeout(), None, "there is nothing to wait for");
    path.on_sent(now, Delivery::nth(1), 1000);
    assert!(!path.is_dead(now + SILENT - SECOND));
    assert!(path.is_dead(now + SILENT));
}

#[test]
fn while_blocks_of_the_peer_come_half_a_minute_without_an_answer_is_death_and_no_less() {
    let now = Instant::now();
    let mut path = path(now);
    path.on_sent(now, Delivery::nth(1), 1000);
    for n in 1..30 {
        path.on_block(now + n * SECOND, 0);
        assert!(!path.is_dead(now + n * SECOND));
    }
    assert!(path.is_dead(now + PATH_DEAD));
}

#[test]
fn while_its_account_is_offline_the_clock_stands_still() {
    let now = Instant::now();
    let mut path = path(now);
    path.on_sent(now, Delivery::nth(1), 1000);
    path.suspend(now + SECOND);
    assert_eq!(path.room(), 0);
    assert!(!path.is_dead(now + 10 * PATH_DEAD));
    path.resume(now + 10 * PATH_DEAD);
    assert!(path.room() > 0);
    assert!(!path.is_dead(now + 10 * PATH_DEAD + SILENT - 2 * SECOND));
    assert!(path.is_dead(now + 10 * PATH_DEAD + SILENT - SECOND));
}

#[test]
fn an_answer_that_an_outage_delayed_says_nothing_of_the_delay() {
    let now = Instant::now();
    let mut path = path(now);
    let delay = path.window.round_trip();
    path.on_sent(now, Delivery::nth(1), 1000);
    path.suspend(now);
    path.resume(now + 20 * SECOND);
    path.on_taken(now + 21 * SECOND, Delivery::nth(1));
    assert_eq!((path.in_flight(), path.window.round_trip()), (0, delay));
}

#[test]
fn it_stalls_once_and_goes_on_with_the_next_answer() {
    let now = Instant::now();
    let mut path = path(now);
    path.on_sent(now, Delivery::nth(1), 1000);
    assert_eq!(path.next_timeout(), Some(now + LEAST_TIMEOUT));
    assert!(path.check_stalled(now + LEAST_TIMEOUT));
    assert!(!path.check_stalled(now + LEAST_TIMEOUT), "once is enough");
    assert_eq!(path.next_timeout(), Some(now + SILENT));
    assert_eq!(path.room(), 0);
    path.on_taken(now + 2 * LEAST_TIMEOUT, Delivery::nth(1));
    assert!(path.room() > 0);
    assert_eq!(path.next_timeout(), None);
}
