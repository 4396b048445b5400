//! Clients that call for more answers than a server reads.

use std::collections::VecDeque;

use proptest::prelude::*;
use xmpp_parsers::jid::FullJid;

use super::*;
use crate::secure::tuning::{
    ANSWERS_ALWAYS_KEPT, ANSWERS_KEPT, FEW_UNREAD, MAX_UNREAD, MIN_UNREAD, UNKNOWN_ANSWER_RATE, UNREAD_TIME,
};

const VIA: AccountId = AccountId(1);
const SECOND: Duration = Duration::from_secs(1);
const EVE: u8 = 1;
const BOB: u8 = 2;

/// What one answer takes, in bytes.
const SIZE: usize = 52;

fn answer(client: u8) -> Answer<u8> {
    let to = FullJid::new("peer@chat.exampl/r").unwrap();
    let transmit =
        Transmit { via: VIA, to, action: Outgoing::Taken { receipt: Receipt::new(format!("{client:02}")) } };
    Answer { client, path: Some(PathId(client.into())), transmit, bytes: SIZE }
}

/// A client calls for so many answers behind this delivery; how many of them go.
fn offer(shares: &mut AnswerShares<u8>, client: u8, count: usize, behind: u64) -> usize {
    let now = Instant::now();
    (0..count).filter(|_| shares.offer(now, answer(client), behind, || true, || PACE).is_some()).count()
}

/// Nothing is known.
const PACE: RateAndDelay = (None, Duration::ZERO);

/// What may be unread then, in bytes.
fn unknown_unread() -> usize {
    (UNKNOWN_ANSWER_RATE * UNREAD_TIME.as_secs_f64()) as usize
}

/// How many go of those that wait.
fn pop_all(shares: &mut AnswerShares<u8>, behind: u64) -> usize {
    std::iter::from_fn(|| shares.pop(Instant::now(), behind, |_, _| true)).count()
}

#[test]
fn one_client_has_half_and_each_that_comes_half_of_what_is_left() {
    let mut shares = AnswerShares::default();
    let most = unknown_unread() / SIZE;
    let eve = offer(&mut shares, EVE, 10 * most, 0);
    let bob = offer(&mut shares, BOB, 10 * most, 0);
    assert!((most / 2 - 1..=most / 2 + 1).contains(&eve), "{eve} of {most}");
    assert!((most / 4 - 1..=most / 4 + 1).contains(&bob), "{bob} of {most}");
    assert_eq!(shares.waiting(), 20 * most - eve - bob);
}

#[test]
fn a_slow_account_is_never_without_some_room_and_a_fast_one_has_a_bound() {
    for (rate, bytes) in
        [(1_000.0, MIN_UNREAD), (1e9, MAX_UNREAD), (100_000.0, 100_000 / 4 + 2 * 100_000 / 10)]
    {
        let mut shares = AnswerShares::default();
        let now = Instant::now();
        let pace = || (Some(rate), SECOND / 10);
        let went = (0..10_000).filter(|_| shares.offer(now, answer(EVE), 0, || true, pace).is_some()).count();
        assert!((went * SIZE).abs_diff(bytes / 2) <= SIZE, "{went} at {rate} B/s");
    }
}

#[test]
fn everybody_may_have_one_answer_unread_however_many_there_are() {
    let mut shares = AnswerShares::default();
    (0..250).for_each(|client| assert!(offer(&mut shares, client, 1000, 0) > 0, "{client}"));
}

#[test]
fn what_waits_goes_in_order_once_an_iq_behind_what_went_was_answered() {
    let (mut shares, now) = (AnswerShares::default(), Instant::now());
    let went = offer(&mut shares, EVE, 1000, 7);
    assert_eq!(pop_all(&mut shares, 7), 0);
    shares.on_read(now, VIA, 7, || PACE);
    assert_eq!(pop_all(&mut shares, 7), 0, "they went behind that one");
    shares.on_read(now, VIA, 8, || PACE);
    assert_eq!(pop_all(&mut shares, 8), went);
    assert_eq!(offer(&mut shares, EVE, 1, 8), 0, "others wait for longer");
    shares.on_read(now, VIA, 9, || PACE);
    shares.on_read(now, VIA, 10, || PACE);
    pop_all(&mut shares, 10);
    while shares.waiting() > 0 {
        shares.on_read(now, VIA, 11, || PACE);
        pop_all(&mut shares, 10);
    }
    shares.on_read(now, VIA, 12, || PACE);
    assert!(shares.accounts[&VIA].clients.is_empty(), "nothing is left of it");
    assert_eq!(shares.accounts[&VIA].total, 0);
}

#[test]
fn who_waits_is_asked_once_until_it_answers_or_falls_silent() {
    let (mut shares, now) = (AnswerShares::default(), Instant::now());
    assert_eq!(shares.next_probe(), None);
    offer(&mut shares, EVE, 1000, 7);
    assert_eq!(shares.next_probe(), Some(PathId(EVE.into())));
    shares.on_asked(VIA, &EVE, 8);
    offer(&mut shares, EVE, 10, 8);
    assert_eq!(shares.next_probe(), None, "the answer to that will show it");
    shares.on_silence(VIA, &EVE);
    assert_eq!(shares.next_probe(), Some(PathId(EVE.into())));
    shares.on_asked(VIA, &EVE, 9);
    shares.on_read(now, VIA, 9, || PACE);
    assert!(pop_all(&mut shares, 9) > 0 && shares.waiting() > 0);
    assert_eq!(shares.next_probe(), Some(PathId(EVE.into())), "what went now was not asked about");
}

#[test]
fn whoever_answers_nothing_has_room_again_after_some_seconds() {
    let (mut shares, now) = (AnswerShares::default(), Instant::now());
    assert_eq!(shares.next_timeout(), None);
    let went = offer(&mut shares, EVE, 1000, 7);
    let at = shares.next_timeout().unwrap();
    assert!(at >= now + UNREAD_PATIENCE && at < now + UNREAD_PATIENCE + SECOND);
    shares.handle_timeout(at - SECOND);
    assert_eq!(pop_all(&mut shares, 7), 0, "too early");
    shares.handle_timeout(at + SECOND);
    assert_eq!(pop_all(&mut shares, 7), went);
}

#[test]
fn a_path_that_is_no_more_is_not_waited_for_by_those_that_come_after_it() {
    let mut shares = AnswerShares::default();
    offer(&mut shares, EVE, 1000, 7);
    shares.on_asked(VIA, &EVE, 8);
    shares.forget_path(VIA, &EVE, PathId(EVE.into()));
    offer(&mut shares, EVE, 10, 8);
    assert_eq!(
        shares.next_probe(),
        Some(PathId(EVE.into())),
        "nobody will answer what went by the other one"
    );
}

#[test]
fn somebody_elses_answer_shows_as_much() {
    let (mut shares, now) = (AnswerShares::default(), Instant::now());
    offer(&mut shares, EVE, 1000, 7);
    shares.on_asked(VIA, &EVE, 8);
    shares.on_read(now, VIA, 9, || PACE);
    assert!(pop_all(&mut shares, 9) > 0);
}

#[test]
fn what_waits_for_a_path_that_is_no_more_is_forgotten() {
    let mut shares = AnswerShares::default();
    offer(&mut shares, EVE, 1000, 7);
    let waiting = shares.waiting();
    shares.forget_path(VIA, &EVE, PathId(99));
    assert_eq!(shares.waiting(), waiting, "it was another one");
    shares.forget_path(VIA, &EVE, PathId(EVE.into()));
    assert_eq!((shares.waiting(), shares.next_probe()), (0, None));
    shares.on_read(Instant::now(), VIA, 8, || PACE);
    assert!(shares.accounts[&VIA].clients.is_empty());
}

#[test]
fn a_client_that_goes_on_while_its_answers_wait_is_full_at_last() {
    let mut shares = AnswerShares::default();
    while !shares.is_full(VIA, &EVE) {
        offer(&mut shares, EVE, 1, 0);
    }
    assert!(shares.kept() > ANSWERS_KEPT / 2, "{}", shares.kept());
    assert!(shares.waiting() > 400, "{} answers are more than a window holds", shares.waiting());
    assert!(!shares.is_full(VIA, &BOB) && !shares.is_full(AccountId(2), &EVE));
}

#[test]
fn what_waits_has_a_bound_however_many_clients_there_are_and_the_first_leave_room_for_the_next() {
    let mut shares = AnswerShares::default();
    for client in 0..200 {
        let before = shares.accounts.get(&VIA).map_or(0, |account| account.kept);
        while !shares.is_full(VIA, &client) {
            offer(&mut shares, client, 1, 0);
        }
        let own = shares.accounts[&VIA].kept - before;
        assert!(
            own >= ANSWERS_ALWAYS_KEPT,
            "{client} has {own} bytes when it is full, and {before} were kept"
        );
        assert!(client > 3 || own > 2 * ANSWERS_ALWAYS_KEPT, "{client} has {own} bytes");
    }
    let (kept, most) = (shares.accounts[&VIA].kept, ANSWERS_KEPT + 200 * (ANSWERS_ALWAYS_KEPT + 1024));
    assert!((ANSWERS_KEPT..most).contains(&kept), "{kept}");
}

#[test]
fn who_is_not_next_at_the_account_has_a_few_answers_unread_and_the_rest_waits() {
    let (mut shares, now, few) = (AnswerShares::default(), Instant::now(), FEW_UNREAD / SIZE);
    let went = (0..30).filter(|_| shares.offer(now, answer(EVE), 0, || false, || PACE).is_some()).count();
    assert_eq!((went, shares.waiting()), (few, 30 - few));
    shares.on_read(now, VIA, 1, || PACE);
    assert_eq!(std::iter::from_fn(|| shares.pop(now, 1, |_, _| false)).count(), few);
    shares.on_read(now, VIA, 2, || PACE);
    assert_eq!(pop_all(&mut shares, 2), 30 - 2 * few, "its turn has come");
}

#[test]
fn what_a_client_made_us_send_besides_counts_as_answers_do() {
    let mut shares = AnswerShares::default();
    shares.charge(Instant::now(), VIA, &EVE, unknown_unread() / 2, 0);
    assert_eq!(offer(&mut shares, EVE, 1, 0), 0);
    assert_eq!(offer(&mut shares, BOB, 1, 0), 1);
}

#[test]
fn a_new_connection_of_the_account_forgets_everything_of_the_old_one() {
    let mut shares = AnswerShares::default();
    offer(&mut shares, EVE, 1000, 7);
    shares.reset(VIA);
    assert_eq!((shares.waiting(), shares.next_probe()), (0, None));
    assert_eq!(pop_all(&mut shares, 7), 0);
    assert!(offer(&mut shares, EVE, 1, 7) > 0);
}

/// Floods an account of which its server reads so many bytes a second, with what one client calls for 400 times a second and
/// answers at once, for `seconds`: the longest that something then waits in front of the server, and the rate of answers.
fn flood(rate: f64, delay: Duration, seconds: u32) -> (Duration, f64) {
    const PROBE: usize = 300;
    let start = Instant::now();
    let (mut shares, mut number) = (AnswerShares::default(), 0);
    // When the server has read all that was sent, and when the answers to our blocks come.
    let mut free = Duration::ZERO;
    let mut asked: VecDeque<(Duration, u64)> = VecDeque::new();
    let (mut longest, mut went) = (Duration::ZERO, 0);
    for tick in 0..seconds * 400 {
        let time = SECOND / 400 * tick;
        let now = start + time;
        free = free.max(time);
        let mut transmit = |bytes: usize| {
            free += Duration::from_secs_f64(bytes as f64 / rate);
            free
        };
        while let Some((_, number)) = asked.pop_front_if(|(at, _)| *at <= time) {
            shares.on_read(now, VIA, number, || (None, delay));
        }
        let mut sent =
            usize::from(shares.offer(now, answer(EVE), number, || true, || (None, delay)).is_some());
        sent += pop_all(&mut shares, number);
        if sent > 0 {
            transmit(sent * SIZE);
        }
        went += if tick >= seconds * 200 { sent } else { 0 };
        while shares.next_probe().is_some() {
            number += 1;
            asked.push_back((transmit(PROBE) + delay, number));
            shares.on_asked(VIA, &EVE, number);
        }
        if tick >= seconds * 200 {
            longest = longest.max(free.saturating_sub(time));
        }
    }
    (longest, f64::from(u32::try_from(went).unwrap() * 2 / seconds))
}

#[test]
fn a_flood_delays_others_at_a_slow_account_by_a_fraction_of_a_second() {
    for delay in [Duration::from_millis(10), Duration::from_millis(300)] {
        let (longest, rate) = flood(10_000.0, delay, 60);
        println!("{delay:?} away: {longest:?} in front of everybody, {rate} answers a second");
        assert!(longest < SECOND / 2 + delay, "{longest:?}");
        assert!(rate * SIZE as f64 > 3_000.0, "{rate} answers a second");
    }
}

#[test]
fn who_is_as_fast_as_the_account_is_not_slowed_down() {
    for delay in [Duration::from_millis(1), Duration::from_millis(100), Duration::from_millis(500)] {
        let (_, rate) = flood(1e6, delay, 20);
        assert!(rate > 390.0, "{rate} of 400 a second, {delay:?} away");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Offer(u8),
    Read(u64),
    Pop,
    Ask(u8),
    Silence(u8),
    Forget(u8),
    Charge(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..4).prop_map(Step::Offer),
        2 => (0_u64..4).prop_map(Step::Read),
        3 => Just(Step::Pop),
        1 => (0_u8..4).prop_map(Step::Ask),
        1 => (0_u8..4).prop_map(Step::Silence),
        1 => (0_u8..4).prop_map(Step::Forget),
        1 => (0_u8..4).prop_map(Step::Charge),
    ]
}

proptest! {
    #[test]
    fn sums_are_what_they_sum_up_and_nobody_waits_without_a_turn(
        steps in proptest::collection::vec(step(), 1..2000),
    ) {
        let (mut shares, now, mut number) = (AnswerShares::default(), Instant::now(), 0);
        for step in steps {
            match step {
                Step::Offer(client) => drop(offer(&mut shares, client, 40, number)),
                Step::Read(back) => shares.on_read(now, VIA, number.saturating_sub(back), || PACE),
                Step::Pop => drop(shares.pop(now, number, |_, _| true)),
                Step::Ask(client) => {
                    number += 1;
                    shares.on_asked(VIA, &client, number);
                }
                Step::Silence(client) => shares.on_silence(VIA, &client),
                Step::Forget(client) => shares.forget_path(VIA, &client, PathId(client.into())),
                Step::Charge(client) => shares.charge(now, VIA, &client, 200, number),
            }
            let Some(account) = shares.accounts.get(&VIA) else { continue };
            prop_assert_eq!(shares.waiting, account.waiting());
            account.check();
        }
    }
}
