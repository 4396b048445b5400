//! A path alone.

mod silence;

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
        path.on_block(now + n * SECOND);
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
